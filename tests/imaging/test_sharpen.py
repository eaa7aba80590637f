"""Sharpening against scikit-image, OpenCV and the published formula of CAS, and what it refuses."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging import filters
from gen.imaging.color.spaces import from_linear, to_linear


def test_unsharp_is_that_of_scikit_image_away_from_the_border():
    """With channel_axis=2: its -1 returns memory that was never written (scikit-image issue 7264)."""
    x = photo(28, 32)

    def compute():
        skimage = pytest.importorskip("skimage.filters")
        return skimage.unsharp_mask(x, 1.5, 0.8, preserve_range=True, channel_axis=2)

    found, inner = filters.unsharp_mask(x, 1.5, 0.8), slice(7, -7)
    np.testing.assert_allclose(
        found[inner, inner], reference("unsharp_mask", "skimage", compute)[inner, inner], atol=1e-5
    )


def test_the_threshold_of_unsharp_keeps_small_differences_as_they_are():
    x = photo()
    detail = x - np.asarray(filters.gaussian(x, 1.0))
    added = np.asarray(filters.unsharp_mask(x, 1.0, 1.0, threshold=0.05)) - x
    np.testing.assert_allclose(added[np.abs(detail) <= 0.05], 0, atol=1e-6)
    large = np.abs(detail) > 0.05
    np.testing.assert_allclose(added[large], (np.abs(detail) - 0.05)[large] * np.sign(detail[large]), atol=1e-6)


@pytest.mark.parametrize("sharpness", [0.0, 0.5, 1.0])
def test_contrast_adaptive_sharpen_is_the_published_formula(sharpness):
    """Pixel by pixel in NumPy."""
    x = photo(12, 14)
    light = np.pad(np.asarray(to_linear(jnp.asarray(x)), np.float64), ((1, 1), (1, 1), (0, 0)), mode="reflect")
    wanted = np.zeros(x.shape)
    for i in range(12):
        for j in range(14):
            window = light[i : i + 3, j : j + 3]
            cross = window[[0, 1, 1, 1, 2], [1, 0, 1, 2, 1]]
            low = cross.min(0) + window.min((0, 1))
            high = cross.max(0) + window.max((0, 1))
            weight = -np.sqrt(np.clip(np.minimum(low, 2 - high) / high, 0, 1)) / (8 + (5 - 8) * sharpness)
            wanted[i, j] = (weight * (cross.sum(0) - cross[2]) + cross[2]) / (1 + 4 * weight)
    wanted = from_linear(jnp.asarray(np.clip(wanted, 0, 1), jnp.float32))
    np.testing.assert_allclose(filters.contrast_adaptive_sharpen(x, sharpness), wanted, atol=2e-5)


def test_contrast_adaptive_sharpen_leaves_full_contrast_alone():
    """Where black meets white there is no room, so nothing rings: its point over an unsharp mask."""
    x = np.zeros((8, 8, 1), np.float32)
    x[:, 4:] = 1
    np.testing.assert_allclose(filters.contrast_adaptive_sharpen(x, 1.0), x, atol=1e-6)
    soft = np.asarray(filters.contrast_adaptive_sharpen(0.4 + 0.2 * x, 1.0))
    assert soft[4, 3, 0] < 0.4 - 0.01
    assert soft[4, 4, 0] > 0.6 + 0.01


def test_detail_enhance_adds_what_the_guided_filter_takes_out():
    x = photo()
    base = filters.guided(x, 4, eps=0.02)
    np.testing.assert_allclose(
        filters.detail_enhance(x, 1.5, radius=4, eps=0.02), x + 1.5 * (x - np.asarray(base)), atol=1e-5
    )


def test_detail_enhance_has_no_halo_at_a_strong_edge():
    x = np.full((32, 32, 1), 0.2, np.float32)
    x[:, 16:] = 0.8
    halo = np.abs(filters.detail_enhance(x, 1.0, radius=4, eps=1e-3) - x).max()
    assert halo < 0.1 * np.abs(filters.unsharp_mask(x, 2.0, 1.0) - x).max()


def test_high_boost_is_a_mask_of_opencv():
    x = photo(28, 32)
    mask = np.full((3, 3), -0.7 / 8, np.float32)
    mask[1, 1] = 1.7
    wanted = reference("high_boost", "cv2", lambda: pytest.importorskip("cv2").filter2D(x, -1, mask))
    np.testing.assert_allclose(filters.high_boost(x, 0.7), wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: filters.unsharp_mask(x, -1.0, 0.5), "unsharp_mask: sigma=-1.0; allowed: numbers from 0 to"),
        (
            lambda x: filters.detail_enhance(x, 0.5, radius=1.5),
            "detail_enhance: radius=1.5; allowed: whole numbers from 0",
        ),
        (
            lambda x: filters.high_boost(np.zeros((8, 8, 3), np.uint8), 0.5),
            "high_boost: x is uint8; allowed: float in [0, 1]: divide by 255",
        ),
    ],
)
def test_bad_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError) as error:
        call(jnp.zeros((1, 8, 8, 3)))
    assert str(error.value).startswith(message)
