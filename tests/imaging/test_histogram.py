"""Histogram operators against OpenCV and scikit-image, exact histograms, and gradients without bands."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging import _segment_sum
from gen.imaging.color.histogram import clahe, equalize, match_histogram


def gray(height=64, width=64):
    """8-bit values of the photograph's green."""
    return np.round(photo(height, width)[..., 1] * 255).astype(np.uint8)


def floats(values):
    return jnp.asarray(values[..., None] / 255, jnp.float32)


def levels(x):
    return np.asarray(x, np.float64)[..., 0] * 255


def before_rounding(got, want):
    """`want` is `got` after rounding, and `got` is within 1e-3 of a value that rounds so."""
    assert np.abs(got - want).max() <= 0.5 + 1e-3
    clear = np.abs(got % 1 - 0.5) > 1e-3
    assert clear.mean() > 0.7
    np.testing.assert_array_equal(np.rint(got)[clear], want[clear])


@pytest.mark.parametrize(
    ("size", "tiles", "clip"),
    [
        ((64, 64), (8, 8), 2.0),
        ((61, 50), (8, 8), 3.0),  # neither size a multiple
        ((64, 50), (4, 8), 2.0),  # one of them: OpenCV pads both
        ((33, 64), (3, 5), 0.0),  # no limit
        ((64, 63), (1, 1), 40.0),
        ((64, 64), (1, 2), 2.0),  # more is cut off than there are levels
        ((5, 7), (8, 8), 2.0),  # more tiles than pixels
    ],
)
def test_clahe_equals_opencv_before_its_rounding(size, tiles, clip):
    image = gray(*size)

    def compute():
        cv2 = importlib.import_module("cv2")
        return cv2.createCLAHE(clip, tiles[::-1]).apply(image).astype(np.float32)

    want = reference(f"clahe_{size[0]}_{size[1]}_{tiles[0]}_{tiles[1]}_{clip:g}", "cv2", compute)
    before_rounding(levels(clahe(floats(image), clip, tiles=tiles)), want)


def test_clahe_to_a_thousandth_of_a_level():
    """Unrounded: the blend of OpenCV's own curves, which are what it makes of single tiles that cannot blend."""
    image = gray(32, 32)

    def compute():
        cv2 = importlib.import_module("cv2")
        tiles = [image[i : i + 16, j : j + 16] for i in (0, 16) for j in (0, 16)]
        out = []
        for tile in tiles:
            # A tile alone has one curve; all 256 levels of it, where the tile has them.
            result = cv2.createCLAHE(2.0, (1, 1)).apply(tile)
            curve = np.full(256, -1.0)
            curve[tile.reshape(-1)] = result.reshape(-1)
            out.append(curve)
        return np.stack(out).astype(np.float32)

    curves = reference("clahe_curves", "cv2", compute)
    at = np.arange(32) / 16 - 0.5
    before = np.floor(at).astype(int)
    weight, first, second = at - before, np.maximum(before, 0), np.minimum(before + 1, 1)
    want, known = np.zeros((32, 32)), np.ones((32, 32), bool)
    for rows, down in ((first, 1 - weight), (second, weight)):
        for columns, across in ((first, 1 - weight), (second, weight)):
            values = curves[rows[:, None] * 2 + columns, image]
            known &= values >= 0
            want += down[:, None] * across * values
    assert known.mean() > 0.05
    got = levels(clahe(floats(image), 2.0, tiles=(2, 2)))
    np.testing.assert_allclose(got[known], want[known], atol=1e-3)


def test_clahe_of_colors():
    x = jnp.asarray(photo(32, 40))
    change = np.asarray(clahe(x, 2.0, tiles=(2, 2)) - x)
    inside = (np.asarray(x) + change > 1e-3).all(-1) & (np.asarray(x) + change < 1 - 1e-3).all(-1)
    assert inside.mean() > 0.5
    np.testing.assert_allclose(change[inside], change[inside][:, :1].repeat(3, 1), atol=1e-6)  # luma moves, alone
    alone = jnp.concatenate([clahe(x[..., i : i + 1], 2.0, tiles=(2, 2)) for i in range(3)], -1)
    np.testing.assert_allclose(clahe(x, 2.0, tiles=(2, 2), space="channels"), alone, atol=1e-6)


def test_clahe_keeps_a_gradient_between_8_bit_levels():
    x = jnp.broadcast_to(jnp.linspace(0.4, 0.6, 512)[None, :, None], (64, 512, 1))
    row = np.asarray(clahe(x, 2.0, tiles=(1, 1)))[0, :, 0]
    assert (np.diff(row) >= 0).all()
    assert np.diff(row).max() < 3 * (row[-1] - row[0]) / 511 + 1e-6  # no steps


def test_equalize_equals_opencv_before_its_rounding():
    image = gray(64, 48)
    want = reference("equalize", "cv2", lambda: importlib.import_module("cv2").equalizeHist(image).astype(np.float32))
    before_rounding(levels(equalize(floats(image))), want)


def test_equalize_spreads_and_keeps_apart():
    x = jnp.broadcast_to(0.3 + 0.1 * jnp.linspace(0, 1, 500)[None, :, None] ** 3, (4, 500, 1))
    y = np.asarray(equalize(x))[0, :, 0]
    assert y.min() == pytest.approx(0, abs=1e-6)
    assert y.max() == pytest.approx(1)
    assert len(np.unique(y)) >= len(np.unique(np.asarray(x)[0]))
    assert np.histogram(y, 4, (0, 1))[0].min() > 80
    np.testing.assert_allclose(equalize(jnp.full((3, 4, 1), 0.4321)), 0.4321, atol=1e-6)


def test_match_has_the_distribution_of_the_reference():
    x, wanted = photo(64, 64), photo(64, 64)[20:50, ::-1] ** 2 * 0.9
    y = np.asarray(match_histogram(jnp.asarray(x), jnp.asarray(wanted)))
    share = np.linspace(0.01, 0.99, 50)
    for i in range(3):
        np.testing.assert_allclose(np.quantile(y[..., i], share), np.quantile(wanted[..., i], share), atol=0.012)
        assert y[..., i].mean() == pytest.approx(wanted[..., i].mean(), abs=1e-3)


def test_match_is_near_scikit_image():
    x, wanted = photo(64, 64), np.round(255 * photo(64, 64)[20:60, ::-1] ** 2).astype(np.float32) / 255

    def compute():
        match = importlib.import_module("skimage.exposure").match_histograms
        return match(x[..., 1], wanted[..., 1]).astype(np.float32)

    want = reference("match_histogram", "skimage", compute)
    got = np.asarray(match_histogram(jnp.asarray(x[..., 1:2]), jnp.asarray(wanted[..., 1:2])))[..., 0]
    # A level of many pixels becomes its last value there, its middle here.
    assert np.abs(got - want).mean() < 0.004
    assert np.abs(got - want).max() < 0.08


@pytest.mark.parametrize("bins", [64, 256, 1024])
def test_match_adds_no_bands(bins):
    """Smooth gradients keep at least as many different levels, and their order."""
    ramp = jnp.linspace(0.1, 0.5, 1200)
    x = jnp.broadcast_to(jnp.stack([ramp, ramp**2, 1 - ramp], -1)[None], (2, 1200, 3))
    for wanted in (photo(64, 64), np.round(photo(64, 64) * 15) / 15, photo(64, 64) * 0.1 + 0.4):
        y = np.asarray(match_histogram(x, jnp.asarray(wanted), bins=bins))
        for i, sign in enumerate((1, 1, -1)):
            assert len(np.unique(y[..., i])) >= len(np.unique(np.asarray(x)[..., i]))
            assert (sign * np.diff(y[0, :, i]) > 0).all()


def test_match_to_itself_and_to_its_copy_changes_nothing():
    for x in (photo(40, 48), np.round(photo(40, 48) * 9) / 9, photo(40, 48) * 3 - 1):
        np.testing.assert_allclose(match_histogram(jnp.asarray(x), jnp.asarray(x)), x, atol=2e-6)
        np.testing.assert_allclose(match_histogram(jnp.asarray(x), jnp.asarray(np.tile(x, (2, 1, 1)))), x, atol=2e-6)


def test_match_has_gradients():
    x, wanted = jnp.asarray(photo(16, 16)), jnp.asarray(photo(16, 20) ** 2)
    g = np.asarray(jax.grad(lambda x: jnp.sum(match_histogram(x, wanted)))(x))
    assert np.isfinite(g).all()
    assert (g > 0).mean() > 0.9


def test_histogram_counts_exactly_by_either_way():
    indices = jnp.asarray(np.random.default_rng(0).integers(-3, 310, (2, 3, 500)), jnp.int32)
    for bins in (1, 7, 256, 300):
        rows = np.asarray(indices).reshape(6, -1)
        want = np.stack([np.bincount(r[(r >= 0) & (r < bins)], minlength=bins) for r in rows])
        np.testing.assert_array_equal(_segment_sum.histogram(indices, bins).reshape(6, -1), want)
        np.testing.assert_array_equal(_segment_sum._counts_product(indices.reshape(6, -1), bins), want)


def test_sums_by_label_by_either_way():
    random = np.random.default_rng(0)
    values, labels = random.normal(size=(2, 9, 7, 3)).astype(np.float32), random.integers(0, 8, (2, 9, 7))
    want = np.stack([[values[b][labels[b] == k].sum(0) for k in range(1, 6)] for b in range(2)])
    np.testing.assert_allclose(_segment_sum.sums_by_label(jnp.asarray(values), jnp.asarray(labels), 5), want, atol=1e-5)
    product = _segment_sum._sums_product(jnp.asarray(values).reshape(2, -1, 3), jnp.asarray(labels).reshape(2, -1), 5)
    np.testing.assert_allclose(product, want, atol=1e-5)
    g = jax.grad(lambda v: _segment_sum.sums_by_label(v, jnp.asarray(labels), 5).sum())(jnp.asarray(values))
    np.testing.assert_array_equal(g, np.repeat(((labels >= 1) & (labels <= 5))[..., None], 3, -1))


def test_stored_is_the_identity():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(_segment_sum.stored(x), x)
    np.testing.assert_array_equal(jax.vmap(_segment_sum.stored)(x), x)
    np.testing.assert_array_equal(jax.grad(lambda x: jnp.sum(_segment_sum.stored(x) ** 2))(x), 2 * x)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: clahe(x, 2.0, tiles=(0, 8)), r"clahe: tiles=\(0, 8\); allowed: whole numbers from 1 to 64"),
        (lambda x: clahe(x, 2.0, tiles=8), "clahe: tiles=8; allowed: two whole numbers"),
        (
            lambda x: clahe(x, 2.0, space="lum"),
            "clahe: space='lum'; allowed: luma, lab, channels; did you mean 'luma'?",
        ),
        (lambda x: equalize(x, bins=1), "equalize: bins=1; allowed: whole numbers from 2 to 1024"),
        (lambda x: match_histogram(x, x[..., :1]), "reference has 1 channels; allowed: 3, as x has"),
        (lambda x: match_histogram(x[None], jnp.stack([x, x])), "reference has 2 images; allowed: 1 or 1"),
        (lambda x: match_histogram(x, (x * 255).astype(jnp.uint8)), "reference is uint8; .*divide by 255"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message) as caught:
        call(jnp.zeros((4, 5, 3)))
    assert "\n" not in str(caught.value)
