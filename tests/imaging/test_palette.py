"""Palettes of images whose colors are known, energy against OpenCV's k-means, dithering that keeps the mean."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.color.palette import palette, quantize
from gen.imaging.color.spaces import rgb_to_oklab, to_linear

FLAG = np.float32([[0.9, 0.1, 0.1], [0.1, 0.2, 0.8], [0.95, 0.95, 0.9]])
AREAS = [30, 50, 20]  # columns of 100


def flag():
    return np.broadcast_to(np.repeat(FLAG, AREAS, axis=0)[None], (10, 100, 3))


def test_palette_finds_known_colors_by_share():
    colors, shares = palette(jnp.asarray(flag()), 3)
    np.testing.assert_allclose(shares, [0.5, 0.3, 0.2], atol=1e-6)
    np.testing.assert_allclose(colors, FLAG[[1, 0, 2]], atol=2e-5)


def test_palette_of_too_few_colors_has_empty_places():
    colors, shares = palette(jnp.asarray(flag()), 6)
    np.testing.assert_allclose(np.sort(shares)[::-1], [0.5, 0.3, 0.2, 0, 0, 0], atol=1e-6)
    assert np.isfinite(colors).all()


def test_palette_is_as_good_as_opencv():
    """Squared distance to the nearest color, in Oklab, against the best of ten random starts."""
    lab = np.asarray(rgb_to_oklab(jnp.asarray(photo(64, 64)))).reshape(-1, 3)

    def energy(centers):
        return ((lab[:, None] - np.asarray(centers)[None]) ** 2).sum(-1).min(1).mean()

    for k in (4, 8):

        def compute(k=k):
            cv2 = importlib.import_module("cv2")
            cv2.setRNGSeed(0)
            stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 60, 1e-6)
            return cv2.kmeans(lab, k, None, stop, 10, cv2.KMEANS_PP_CENTERS)[2]

        path_energy = energy(reference(f"palette_{k}", "cv2", compute))
        ours = energy(rgb_to_oklab(palette(jnp.asarray(photo(64, 64)), k, iterations=30).colors[None])[0])
        assert ours < 1.05 * path_energy


def test_palette_is_differentiable():
    x = jnp.asarray(photo(16, 16))
    g = np.asarray(jax.grad(lambda x: jnp.sum(palette(x, 3).colors))(x))
    assert np.isfinite(g).all()
    assert np.abs(g).sum() > 0.5


def test_quantize_takes_the_nearest():
    x, colors = photo(24, 24), FLAG
    y = np.asarray(quantize(jnp.asarray(x), jnp.asarray(colors)))
    lab, centers = (np.asarray(rgb_to_oklab(jnp.asarray(v))) for v in (x, colors[None]))
    index = ((lab[:, :, None] - centers[0]) ** 2).sum(-1).argmin(-1)
    np.testing.assert_array_equal(y, colors[index])
    np.testing.assert_array_equal(quantize(jnp.asarray(y), jnp.asarray(colors)), y)
    np.testing.assert_array_equal(quantize(jnp.asarray(y), jnp.asarray(colors), dither="ordered"), y)


@pytest.mark.parametrize("dither", ["ordered", "noise"])
def test_dither_keeps_the_mean_light(dither):
    colors = jnp.asarray([[0.0, 0, 0], [1, 1, 1], [0.5, 0.5, 0.5]])
    for level in (0.2, 0.6, 0.8):
        x = jnp.full((64, 64, 3), level)
        y = quantize(x, colors, dither=dither)
        assert len(np.unique(np.asarray(y))) == 2
        assert float(jnp.mean(to_linear(y))) == pytest.approx(float(to_linear(x)[0, 0, 0]), abs=0.012)


def test_dither_comes_nearer_than_none_after_blurring():
    from gen.imaging.filters.smooth import gaussian

    x = jnp.asarray(photo(64, 64))
    corners = jnp.asarray(np.stack(np.meshgrid(*[[0.0, 1.0]] * 3), -1).reshape(-1, 3), jnp.float32)
    colors = jnp.concatenate([corners, corners / 2 + 0.25])
    want = gaussian(to_linear(x), 2.0)
    plain, ordered = (
        float(jnp.mean(jnp.abs(gaussian(to_linear(quantize(x, colors, dither=d)), 2.0) - want)))
        for d in ("none", "ordered")
    )
    assert ordered < 0.45 * plain


def test_palettes_for_each_image():
    x, colors = jnp.asarray(np.stack([photo(16, 16)] * 2)), jnp.stack([jnp.asarray(FLAG), 1 - jnp.asarray(FLAG)])
    y = quantize(x, colors)
    np.testing.assert_array_equal(y[1], quantize(x[1], colors[1]))


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: palette(x, 0), "palette: colors=0; allowed: whole numbers from 1 to 256"),
        (lambda x: palette(x[..., :1], 3), "palette: x has 1 channels; allowed: 3"),
        (
            lambda x: quantize(x, jnp.zeros((4, 2))),
            r"quantize: colors has shape \[4, 2\]; allowed: \[k 3\] or \[b k 3\]",
        ),
        (lambda x: quantize(x, jnp.zeros((2, 4, 3))), "quantize: colors has 2 palettes; allowed: 1 or 1"),
        (
            lambda x: quantize(x, jnp.zeros((4, 3)), dither="orderd"),
            "allowed: none, ordered, noise; did you mean 'ordered'?",
        ),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call(jnp.zeros((4, 5, 3)))
