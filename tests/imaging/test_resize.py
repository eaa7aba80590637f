"""resize against Pillow's resampling of float images, for each method, down, up, mixed, and without antialiasing."""

from __future__ import annotations

import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.filters.resize import resize

PILLOW = {"area": "BOX", "linear": "BILINEAR", "cubic": "BICUBIC", "lanczos3": "LANCZOS", "nearest": "NEAREST"}
# Down by whole and odd ratios, up, one up and one down, one axis alone, one pixel.
SIZES = [(20, 24), (13, 17), (7, 48), (61, 90), (23, 75), (1, 1)]


def pillow(image: np.ndarray, height: int, width: int, method: str) -> np.ndarray:
    from PIL import Image

    resample = Image.Resampling[PILLOW[method]]
    planes = [np.asarray(Image.fromarray(image[..., c]).resize((width, height), resample)) for c in range(3)]
    return np.stack(planes, axis=-1)


@pytest.mark.parametrize("method", PILLOW)
def test_equals_pillow(method):
    image = photo()
    # Where a center falls between two pixels exactly, Pillow takes the nearest by an accident of rounding.
    for height, width in SIZES if method != "nearest" else [(20, 24), (80, 96), (7, 48), (1, 1)]:
        expected = pillow(image, height, width, method)
        got = np.asarray(resize(image, height, width, method=method))
        assert got.shape == (height, width, 3)
        np.testing.assert_allclose(got, expected, atol=2e-6, err_msg=f"{height}x{width}")


def test_nearest_takes_the_pixel_that_holds_the_center():
    image = photo()
    rows, columns = ((2 * np.arange(m) + 1) * n // (2 * m) for n, m in ((40, 61), (48, 35)))
    assert np.array_equal(resize(image, 61, 35, method="nearest"), image[rows][:, columns])


def test_area_equals_opencv_at_whole_ratios():
    def compute():
        import cv2

        return cv2.resize(photo(), (12, 20), interpolation=cv2.INTER_AREA)

    np.testing.assert_allclose(resize(photo(), 20, 12), reference("resize_area", "cv2", compute), atol=1e-6)


def test_without_antialiasing_equals_opencv():
    def compute():
        import cv2

        return cv2.resize(photo(), (17, 13), interpolation=cv2.INTER_LINEAR)

    expected = reference("resize_linear", "cv2", compute)
    np.testing.assert_allclose(resize(photo(), 13, 17, method="linear", antialias=False), expected, atol=2e-5)
    assert np.abs(resize(photo(), 13, 17, method="linear") - expected).max() > 0.05


def test_a_ramp_stays_a_ramp():
    ramp = (np.arange(24, dtype=np.float32) + 0.5)[None, :, None] * np.ones((3, 1, 1), np.float32) / 24
    for method in ("linear", "cubic"):
        got = np.asarray(resize(ramp, 3, 48, method=method))[1, 6:-6, 0]
        np.testing.assert_allclose(got, (np.arange(48)[6:-6] + 0.5) / 48, atol=1e-6)


def test_bad_input():
    with pytest.raises(InputError, match=r"^resize: method='lanczos'; allowed: area, .*; did you mean 'lanczos3'\?"):
        resize(photo(), 4, 4, method="lanczos")
    with pytest.raises(InputError, match=r"^resize: height=0; allowed: whole numbers from 1"):
        resize(photo(), 0, 4)
    with pytest.raises(InputError, match=r"^resize: width=2.5; allowed: whole numbers from 1"):
        resize(photo(), 4, 2.5)
