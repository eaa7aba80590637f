"""Frequency filters against scikit-image on the reflected image, against a Gaussian blur, and on pure waves."""

from __future__ import annotations

import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.filters.frequency import band_pass, high_pass, low_pass
from gen.imaging.filters.smooth import gaussian


@pytest.mark.parametrize("high", [False, True])
def test_butterworth_equals_skimage(high):
    image = photo(20, 25)

    def compute():
        from skimage.filters import butterworth

        mirrored = np.pad(image, ((0, 18), (0, 23), (0, 0)), mode="reflect").astype(np.float64)
        return butterworth(mirrored, 0.1, high, 3, channel_axis=-1)[:20, :25].astype(np.float32)

    expected = reference(f"butterworth_{'high' if high else 'low'}", "skimage", compute)
    got = (high_pass if high else low_pass)(image, 0.1, method="butterworth", order=3)
    np.testing.assert_allclose(got, expected, atol=2e-6)


def test_gaussian_equals_a_gaussian_blur():
    for sigma in (1.5, 4.0):
        blurred = gaussian(photo(), sigma, radius=35)
        np.testing.assert_allclose(low_pass(photo(), 1 / (2 * np.pi * sigma)), blurred, atol=5e-6)


def test_waves_are_passed_by_their_frequency():
    """cos(pi k i / (n - 1)) has k / (2 (n - 1)) cycles per pixel, and is its own reflection."""
    k, n = 8, 33
    wave = np.cos(np.pi * k * np.arange(n) / (n - 1))[:, None, None] * np.ones((1, 5, 1))
    wave = wave.astype(np.float32)
    frequency = k / (2 * (n - 1))
    np.testing.assert_allclose(low_pass(wave, frequency), wave * np.exp(-0.5), atol=1e-6)
    np.testing.assert_allclose(low_pass(wave, frequency, method="butterworth", order=5), wave / 2, atol=1e-6)
    np.testing.assert_allclose(high_pass(wave, 2 * frequency, method="butterworth"), wave / 17, atol=1e-6)
    got = band_pass(wave, frequency / 2, 2 * frequency, method="butterworth")
    np.testing.assert_allclose(got, wave * (16 / 17 - 1 / 17), atol=1e-6)


def test_what_is_left_at_cutoff_0_is_the_mean_of_the_reflected_image():
    image = photo(7, 9)
    mirrored = np.pad(image, ((0, 5), (0, 7), (0, 0)), mode="reflect")
    for method in ("gaussian", "butterworth"):
        got = np.asarray(low_pass(image, 0.0, method=method))
        np.testing.assert_allclose(got, np.broadcast_to(mirrored.mean((0, 1)), got.shape), atol=1e-5)


def test_bad_input():
    with pytest.raises(InputError, match=r"^low_pass: method='gausian'; allowed: .*; did you mean 'gaussian'\?"):
        low_pass(photo(), 0.1, method="gausian")
    with pytest.raises(InputError, match=r"^band_pass: order=0; allowed: numbers above 0"):
        band_pass(photo(), 0.1, 0.2, method="butterworth", order=0)
