"""Thresholds against scikit-image and OpenCV, as divisions into classes, and by exhaustive search."""

import importlib
import itertools

import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment.threshold import threshold_local, threshold_multiotsu, threshold_otsu

IMAGE = np.round(photo(64, 64)[..., 0] * 255).astype(np.uint8)
X = jnp.asarray(IMAGE[..., None] / 255, jnp.float32)


def test_otsu_divides_as_scikit_image_and_opencv():
    skimage = reference(
        "threshold_otsu",
        "skimage",
        lambda: np.float32(importlib.import_module("skimage.filters").threshold_otsu(IMAGE)),
    )

    def compute():
        cv2 = importlib.import_module("cv2")
        return np.float32(cv2.threshold(IMAGE, 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU)[0])

    opencv = reference("otsu_cv2", "cv2", compute)
    foreground = np.asarray(X)[..., 0] > float(threshold_otsu(X))
    np.testing.assert_array_equal(foreground, skimage < IMAGE)
    np.testing.assert_array_equal(foreground, opencv < IMAGE)


def test_low_contrast_uses_all_bins():
    """12 bits in 16, and an offset: the same division as of the stretched image; 8-bit levels in part of the range."""
    for scale, offset in ((1 / 16, 0.0), (0.01, 0.7), (3.0, -1.0)):
        low = X * scale + offset
        np.testing.assert_array_equal(low > threshold_otsu(low), threshold_otsu(X) < X)
        np.testing.assert_array_equal(low > threshold_multiotsu(low, 3)[1], threshold_multiotsu(X, 3)[1] < X)
    levels = np.repeat([90, 91, 92, 140, 141, 142], [5, 9, 5, 5, 9, 5]).reshape(1, -1, 1) / 255
    assert (np.asarray(jnp.float32(levels) > threshold_otsu(jnp.float32(levels))) == (levels > 0.5)).all()


@pytest.mark.parametrize("classes", [2, 3, 4])
def test_multi_otsu_divides_as_scikit_image(classes):
    def compute():
        return importlib.import_module("skimage.filters").threshold_multiotsu(IMAGE, classes).astype(np.float32)

    want = reference(f"multi_otsu_{classes}", "skimage", compute)
    got = np.asarray(threshold_multiotsu(jnp.stack([X**2, X]), classes))[1]
    np.testing.assert_array_equal((np.asarray(X) > got).sum(-1), (IMAGE[..., None] > want).sum(-1))


def test_multi_otsu_is_the_best_of_all():
    """Every triple of thresholds on 16 levels."""
    random = np.random.default_rng(0)
    values = np.clip(np.round(random.choice([2, 6, 9, 14], (30, 30)) + random.normal(0, 1, (30, 30))), 0, 15)

    def between(cuts):
        edges = (-1, *cuts, 15)
        total = 0.0
        for low, high in itertools.pairwise(edges):
            chosen = values[(values > low) & (values <= high)]
            total += chosen.size * (chosen.mean() - values.mean()) ** 2 if chosen.size else 0.0
        return total

    best = max(itertools.combinations(range(15), 3), key=between)
    got = threshold_multiotsu(jnp.asarray(values[..., None] / 15, jnp.float32), 4, bins=16)
    np.testing.assert_allclose(np.asarray(got) * 15, np.array(best) + 0.5, atol=1e-5)


def test_threshold_is_in_the_middle_of_a_gap():
    x = jnp.asarray(np.where(np.arange(40) < 10, 0.2, 0.8)[None, :, None].repeat(3, 0), jnp.float32)
    assert float(threshold_otsu(x)) == pytest.approx(0.5, abs=2e-3)
    three = jnp.asarray(np.choose(np.arange(60) // 20, [0.0, 0.4, 1.0])[None, :, None], jnp.float32)
    np.testing.assert_allclose(threshold_multiotsu(three, 3), [0.2, 0.7], atol=2e-3)


def test_constant_images_have_nothing_above():
    for value in (0.0, 0.3217, 1.0):
        x = jnp.full((4, 5, 1), value)
        assert not bool((x > threshold_otsu(x)).any())
        assert not bool((x > threshold_multiotsu(x, 3)).any())


def test_fewer_levels_than_classes_are_still_divided():
    x = jnp.asarray(np.where(np.arange(40) < 10, 0.2, 0.8)[None, :, None], jnp.float32)
    np.testing.assert_allclose(threshold_multiotsu(x, 4), [0.5, 0.8, 0.8], atol=2e-3)


@pytest.mark.parametrize("method", ["gaussian", "mean", "median"])
def test_local_threshold_equals_scikit_image(method):
    values = photo(24, 30)[..., 0]

    def compute():
        threshold = importlib.import_module("skimage.filters").threshold_local
        return threshold(values.astype(np.float64), 9, method=method, offset=0.03, mode="mirror").astype(np.float32)

    want = reference(f"local_threshold_{method}", "skimage", compute)
    got = threshold_local(jnp.asarray(values[..., None]), 4, method=method, offset=0.03)
    np.testing.assert_allclose(np.asarray(got)[..., 0], want, atol=1e-5)


def test_colors_are_judged_by_luma():
    x = jnp.asarray(photo(20, 20))
    y = jnp.sum(x * jnp.asarray([0.2126, 0.7152, 0.0722]), -1, keepdims=True)
    assert float(threshold_otsu(x)) == pytest.approx(float(threshold_otsu(y)), abs=2e-3)
    np.testing.assert_allclose(threshold_local(x, 2), threshold_local(y, 2), atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: threshold_multiotsu(x, 5), "threshold_multiotsu: classes=5; allowed: whole numbers from 2 to 4"),
        (lambda x: threshold_otsu(x, bins=1), "threshold_otsu: bins=1; allowed: whole numbers from 2 to 1024"),
        (lambda x: threshold_local(x, 0), "threshold_local: radius=0; allowed: whole numbers from 1"),
        (lambda x: threshold_local(x, 2, method="meen"), "allowed: gaussian, mean, median; did you mean 'mean'?"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call(jnp.zeros((4, 5, 1)))
