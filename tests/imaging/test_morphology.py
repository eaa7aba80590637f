"""Gray morphology against scipy (mirrored border) and OpenCV, bit by bit; reconstruction against scikit-image."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.filters.morphology import (
    black_tophat,
    closing,
    dilate,
    erode,
    morphological_gradient,
    opening,
    reconstruct,
    white_tophat,
)


def kernel(radius, shape):
    y, x = np.mgrid[-radius : radius + 1, -radius : radius + 1]
    return np.ones_like(x, bool) if shape == "square" else x * x + y * y <= radius * radius


@pytest.mark.parametrize("shape", ["square", "disk"])
@pytest.mark.parametrize("radius", [1, 2, 5, 60])
def test_erode_and_dilate_equal_scipy(radius, shape):
    image = photo(18, 22)

    def compute():
        from scipy import ndimage

        footprint = kernel(radius, shape)[..., None]
        operators = ndimage.grey_erosion, ndimage.grey_dilation
        return np.stack([operator(image, footprint=footprint, mode="mirror") for operator in operators])

    eroded, dilated = reference(f"morphology_{shape}_{radius}", "scipy", compute)
    assert np.array_equal(erode(image, radius, shape=shape), eroded)
    assert np.array_equal(dilate(image, radius, shape=shape), dilated)


@pytest.mark.parametrize(
    ("operator", "name"),
    [
        (opening, "MORPH_OPEN"),
        (closing, "MORPH_CLOSE"),
        (white_tophat, "MORPH_TOPHAT"),
        (black_tophat, "MORPH_BLACKHAT"),
        (morphological_gradient, "MORPH_GRADIENT"),
    ],
)
def test_compositions_equal_opencv(operator, name):
    image = photo(18, 22)
    for radius, shape in ((1, "square"), (3, "disk")):

        def compute(radius=radius, shape=shape):
            import cv2

            return cv2.morphologyEx(image, getattr(cv2, name), kernel(radius, shape).astype(np.uint8))

        expected = reference(f"{name.lower()}_{shape}", "cv2", compute)
        assert np.array_equal(operator(image, radius, shape=shape), expected)


@pytest.mark.parametrize("method", ["dilation", "erosion"])
def test_reconstruct_equals_skimage(method):
    mask = photo(30, 36)
    seed = (
        mask - 0.15
        if method == "dilation"
        else np.where(np.pad(np.zeros((28, 34, 1)), ((1, 1), (1, 1), (0, 0))) == 0, 1, 0)
    )
    if method == "erosion":  # fills the holes: 1 inside, the image itself at its border
        seed = mask.copy()
        seed[1:-1, 1:-1] = 1

    def compute():
        from skimage.morphology import reconstruction

        planes = [reconstruction(seed[..., c], mask[..., c], method) for c in range(3)]
        return np.stack(planes, axis=-1).astype(np.float32)

    expected = reference(f"reconstruct_{method}", "skimage", compute)
    got = reconstruct(seed, mask, method=method)
    np.testing.assert_allclose(got, expected, atol=1e-7)
    assert np.abs(np.asarray(got) - seed).max() > 0.1


def test_reconstruct_follows_a_maze():
    """A seed at one end of a corridor that turns 14 times reaches the other end, and not the next corridor."""
    mask = np.zeros((31, 17, 1), np.float32)
    mask[::2] = 0.8
    for i in range(1, 29, 2):
        mask[i, 0 if i % 4 == 1 else -1] = 0.8
    seed = np.zeros_like(mask)
    seed[0, 8] = 0.7
    got = np.asarray(reconstruct(seed, mask))
    expected = np.where(mask > 0, np.float32(0.7), 0)
    expected[-1] = 0  # the last wall, row 29, has no door
    assert np.array_equal(got, expected)


def test_reconstruct_broadcasts_the_mask():
    image = photo(9, 9)
    mask = image.mean(axis=-1, keepdims=True)
    got = np.asarray(reconstruct(image, mask))
    expected = np.concatenate([reconstruct(image[..., c : c + 1], mask) for c in range(3)], axis=-1)
    assert np.array_equal(got, expected)


def test_gradient_goes_to_the_pixel_that_was_selected():
    image = np.zeros((5, 5, 1), np.float32)
    image[2, 3] = 1
    for shape, count in (("square", 9), ("disk", 5)):
        gradient = jax.grad(lambda x, shape=shape: jnp.sum(dilate(x, 1, shape=shape)))(image)
        assert gradient[2, 3, 0] == count
        assert np.sum(gradient) == 25
    # Reconstruction: 0.7 of the seed fills the left, 0.5 of the mask is as high as it gets on the right.
    mask = np.full((1, 6, 1), 0.9, np.float32)
    mask[0, 3] = 0.5
    seed = np.zeros_like(mask)
    seed[0, 1] = 0.7
    assert np.allclose(reconstruct(seed, mask)[0, :, 0], [0.7, 0.7, 0.7, 0.5, 0.5, 0.5])
    to_seed, to_mask = jax.grad(lambda seed, mask: jnp.sum(reconstruct(seed, mask)), argnums=(0, 1))(seed, mask)
    assert np.array_equal(to_seed[0, :, 0], [0, 3, 0, 0, 0, 0])
    assert np.array_equal(to_mask[0, :, 0], [0, 0, 0, 3, 0, 0])


def test_bad_input():
    image = photo(6, 8)
    with pytest.raises(InputError, match=r"^opening: radius=-1; allowed: whole numbers from 0"):
        opening(image, -1)
    with pytest.raises(InputError, match=r"^erode: shape='dsk'; allowed: square, disk; did you mean 'disk'\?"):
        erode(image, 1, shape="dsk")
    with pytest.raises(InputError, match=r"^reconstruct: method='dilate'; allowed: dilation, erosion; did you mean"):
        reconstruct(image, image, method="dilate")
    with pytest.raises(
        InputError, match=r"^reconstruct: mask has shape \[1, 6, 7, 3\]; allowed: \[1, 6, 8, 1 or 3\], as x"
    ):
        reconstruct(image, image[:, :7])
