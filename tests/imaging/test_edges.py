"""Derivatives against OpenCV and scikit-image; Canny against scikit-image, and a contour that winds for long."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.filters.edges import canny, difference_of_gaussians, laplace, scharr, sobel

SMALL = photo(20, 24)
GRAY = photo() @ np.array([0.2126, 0.7152, 0.0722], np.float32)


def both(name, derivative):
    """[2 h w 3]: OpenCV's derivative to the right and downwards."""

    def compute():
        import cv2

        return np.stack([getattr(cv2, derivative)(SMALL, cv2.CV_32F, 1, 0), getattr(cv2, derivative)(SMALL, -1, 0, 1)])

    return reference(name, "cv2", compute)


@pytest.mark.parametrize(
    ("operator", "derivative", "scale"), [(sobel, "Sobel", 8), (scharr, "Scharr", 32)], ids=["sobel", "scharr"]
)
def test_slopes_equal_opencv(operator, derivative, scale):
    right, down = both(derivative.lower(), derivative) / scale
    np.testing.assert_allclose(operator(SMALL, direction="x"), right, atol=1e-6)
    np.testing.assert_allclose(operator(SMALL, direction="y"), down, atol=1e-6)
    np.testing.assert_allclose(operator(SMALL), np.hypot(right, down), atol=1e-6)


def test_magnitude_equals_skimage():
    def compute():
        from skimage import filters

        return np.stack([filters.sobel(GRAY, mode="mirror"), filters.scharr(GRAY, mode="mirror")])

    expected = reference("edges_skimage", "skimage", compute) / np.sqrt(2)
    x = GRAY[..., None]
    np.testing.assert_allclose(np.stack([sobel(x)[..., 0], scharr(x)[..., 0]]) * 2, expected * 2, atol=2e-6)


def test_laplacian():
    def compute():
        import cv2

        return cv2.Laplacian(SMALL, cv2.CV_32F, ksize=1)

    np.testing.assert_allclose(laplace(SMALL), reference("laplacian", "cv2", compute), atol=1e-6)
    # x^2 + 3 y^2 has the Laplacian 8 everywhere, by both stencils.
    y, x = np.mgrid[:9, :11].astype(np.float32)
    for neighbors in (4, 8):
        got = np.asarray(laplace((x * x + 3 * y * y)[..., None], neighbors=neighbors))
        np.testing.assert_allclose(got[1:-1, 1:-1], 8, atol=1e-3)


def test_difference_of_gaussians():
    def compute():
        from skimage import filters

        return filters.difference_of_gaussians(photo(), 1.0, 1.75, mode="mirror", channel_axis=-1)

    expected = reference("difference_of_gaussians", "skimage", compute)
    np.testing.assert_allclose(difference_of_gaussians(photo(), 1.0, 1.75), expected, atol=2e-6)


@pytest.mark.parametrize("sigma", [1.0, 1.5])
def test_canny_equals_skimage(sigma):
    def compute():
        from skimage import feature

        return feature.canny(GRAY, sigma, 0.1, 0.4, mode="mirror").astype(np.uint8)

    # Beyond the smoothed image skimage repeats its edge, which can be seen from the second row.
    expected = reference(f"canny_{sigma}", "skimage", compute)[2:-2, 2:-2]
    got = np.asarray(canny(photo(), sigma, 0.1, 0.4))
    assert got.shape == (40, 48, 1)
    assert set(np.unique(got)) == {0.0, 1.0}
    assert 100 < expected.sum() < 600
    assert np.array_equal(got[2:-2, 2:-2, 0], expected)


def test_canny_follows_a_spiral():
    """A contour of 900 pixels that is strong only at its inner end."""
    strength = np.full((71, 83), 0.0, np.float32)
    top, left, bottom, right = 3, 3, 67, 79
    points: list[tuple[int, int]] = []
    while bottom - top > 12 and right - left > 12:
        points += [(top, j) for j in range(left, right)] + [(i, right) for i in range(top, bottom)]
        points += [(bottom, j) for j in range(right, left, -1)] + [(i, left) for i in range(bottom, top + 6, -1)]
        points += [(top + 6, j) for j in range(left, left + 6)]
        top, left, bottom, right = top + 6, left + 6, bottom - 6, right - 6
    for k, (i, j) in enumerate(points):
        strength[i, j] = 0.3 if k < len(points) - 20 else 0.9
    assert len(points) > 900
    strength[37, 36:46] = 0.3  # and a line that is nowhere strong
    weak, strong = 0.3, 1.2
    got = np.asarray(canny(strength[..., None], 0.8, weak, strong))[..., 0]
    part = np.asarray(canny(strength[..., None], 0.8, strong, strong))[..., 0]
    whole = np.asarray(canny(strength[..., None], 0.8, weak, weak))[..., 0]
    assert 0 < part.sum() < 100
    expected = _connected(whole > 0, part > 0)
    assert np.array_equal(got > 0, expected)
    assert 1500 < got.sum() < whole.sum() - 10


def _connected(allowed, seeds):
    found = seeds & allowed
    while True:
        padded = np.pad(found, 1)
        h, w = found.shape
        grown = allowed & np.any([padded[i : i + h, j : j + w] for i in range(3) for j in range(3)], axis=0)
        if np.array_equal(grown, found):
            return found
        found = grown


def test_canny_passes_no_gradient():
    gradient = jax.grad(lambda x: jnp.sum(canny(x, 1.0, 0.1, 0.2)))(photo(12, 12))
    assert np.array_equal(gradient, np.zeros((12, 12, 3)))


def test_bad_input():
    with pytest.raises(InputError, match=r"^sobel: direction='magnitud'; allowed: .*; did you mean 'magnitude'\?"):
        sobel(photo(), direction="magnitud")
    with pytest.raises(InputError, match=r"^laplace: neighbors=6; allowed: 4, 8"):
        laplace(photo(), neighbors=6)
    with pytest.raises(InputError, match=r"^difference_of_gaussians: ratio=1.0; allowed: numbers above 1"):
        difference_of_gaussians(photo(), 1.0, 1.0)
    with pytest.raises(InputError, match=r"^canny: x has 2 channels; allowed: 1 or 3"):
        canny(photo()[..., :2], 1.0, 0.1, 0.2)
    with pytest.raises(InputError, match=r"^canny: sigma=-1; allowed: numbers from 0 to"):
        canny(photo(), -1, 0.1, 0.2)
