"""Power spectra: white noise is flat, a grid adds what its Fourier series says, and blur and sharpness are no grid."""

from __future__ import annotations

import numpy as np
import pytest

from gen.errors import InputError
from gen.metrics.spectrum import MOST, checkerboard, line_power, patch_energy, radial_power

SIDE = 32


def noise(n: int = 400, *, deviation: float = 0.1, side: int = SIDE, channels: int = 1, seed: int = 0) -> np.ndarray:
    """White noise about 0.5, float in [0, 1]."""
    x = np.random.default_rng(seed).normal(0.5, deviation, (n, side, side, channels))
    return np.clip(x, 0, 1).astype(np.float32)


def natural(n: int = 400, *, seed: int = 0, side: int = SIDE, channels: int = 3) -> np.ndarray:
    """Noise with a power of 1 / frequency^2, as natural images have, in [0, 1]."""
    white = np.random.default_rng(seed).normal(size=(n, side, side, channels))
    frequency = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])[:, :, None]
    waves = np.fft.rfft2(white, axes=(1, 2)) / np.maximum(frequency, 1 / side)
    return np.clip(0.5 + 0.01 * np.fft.irfft2(waves, s=(side, side), axes=(1, 2)), 0, 1).astype(np.float32)


def filtered(x: np.ndarray, response) -> np.ndarray:
    """Multiplies each frequency by `response` of its squared length."""
    f = np.square(np.fft.fftfreq(x.shape[1]))[:, None] + np.square(np.fft.rfftfreq(x.shape[1]))[None]
    waves = np.fft.rfft2(x, axes=(1, 2)) * response(f)[:, :, None]
    return np.fft.irfft2(waves, s=x.shape[1:3], axes=(1, 2))


def grid(period: int, side: int = SIDE) -> np.ndarray:
    """A wave along both sides, [side side 1], in [-1, 1]; of 2 pixels, a checkerboard."""
    wave = np.cos(2 * np.pi * np.arange(side) / period)
    return (wave[:, None] * wave[None])[:, :, None]


def values(found) -> dict[int, float]:
    return {period: value.value for period, value in found.items()}


def compared(generated: np.ndarray, real: np.ndarray) -> tuple[dict[int, float], dict[int, float]]:
    sets = line_power(generated), line_power(real)
    return values(patch_energy(*sets)), values(checkerboard(*sets))


def test_white_noise_is_flat_at_its_variance():
    x = noise()
    variance = float(x.var())
    np.testing.assert_allclose(line_power(x).mean(axis=0)[2:], variance, rtol=0.03)
    found = radial_power(x)
    np.testing.assert_allclose(found.frequencies, np.arange(1, 17) / 32)
    np.testing.assert_allclose(found.power[2:], variance, rtol=0.04)


def test_the_power_of_a_wave():
    x = 0.5 + 0.1 * np.broadcast_to(grid(4), (3, SIDE, SIDE, 1))
    found = line_power(x)
    # Of a row a^2 cos^2 / 4 in each of two bins; the Hann window spreads it as 1 : 4 : 1 and multiplies it by N / 1.5.
    peak = 0.1**2 / 4 * 0.5 * SIDE / 1.5
    np.testing.assert_allclose(found[:, 7:10], [[peak / 4, peak, peak / 4]] * 3, rtol=1e-4)
    assert np.abs(np.delete(found, [0, 1, 7, 8, 9], axis=1)).max() < 1e-9


def test_the_power_of_natural_images_falls_with_the_square():
    found = radial_power(natural())
    slope = np.polyfit(np.log(found.frequencies[2:]), np.log(found.power[2:]), 1)[0]
    assert slope == pytest.approx(-2, abs=0.15)


def test_rings_are_means_over_the_whole_plane():
    x = natural(5) ** 2
    window = np.outer(np.hanning(SIDE + 1)[:-1], np.hanning(SIDE + 1)[:-1])[:, :, None]
    mean = (x * window).sum(axis=(1, 2), keepdims=True) / window.sum()
    power = np.square(np.abs(np.fft.fft2((x - mean) * window, axes=(1, 2)))).mean(axis=(0, 3)) / np.square(window).sum()
    length = np.hypot(*np.meshgrid(np.fft.fftfreq(SIDE), np.fft.fftfreq(SIDE))) * SIDE
    wanted = [power[np.rint(length) == ring].mean() for ring in range(1, 17)]
    np.testing.assert_allclose(radial_power(x).power, wanted, rtol=1e-4)


def test_stripes_of_rows_and_of_columns_count_alike():
    stripes = np.broadcast_to(0.5 + 0.1 * np.cos(np.pi * np.arange(SIDE)), (2, SIDE, SIDE))[..., None]
    rows, columns = line_power(stripes), line_power(stripes.swapaxes(1, 2))
    np.testing.assert_allclose(rows, columns, rtol=1e-5, atol=1e-9)
    assert rows[0, 16] == pytest.approx(0.1**2 * SIDE / 1.5 / 2, rel=1e-4)


@pytest.mark.parametrize("side", [16, 32, 64])
def test_a_grid_of_known_amplitude(side):
    x, amplitude = noise(side=side, deviation=0.05), 0.02
    signs = np.where(np.arange(len(x)) % 2, 1, -1)[:, None, None, None]
    energy, stands_out = compared(x + amplitude * signs * grid(2, side), x)
    bins = 1 + max(1, side // 32)  # about 1/2, where half of a band lies: the wave itself and half of its sides
    wanted = 1 + amplitude**2 * side * 5 / 6 / (bins * x.var())
    assert energy[2] == pytest.approx(wanted, rel=0.04)
    assert stands_out[2] == pytest.approx(wanted, rel=0.04)
    assert energy[4] == pytest.approx(1, abs=1e-3)
    assert stands_out[4] == pytest.approx(1, abs=1e-3)
    energy, stands_out = compared(x + amplitude * signs * grid(4, side), x)
    bins = 1 + 2 * max(1, side // 32)
    wanted = 1 + amplitude**2 / 2 * side / 4 / (bins * x.var())
    assert energy[4] == pytest.approx(wanted, rel=0.04)
    assert stands_out[4] == pytest.approx(wanted, rel=0.04)
    assert energy[2] == pytest.approx(1, abs=1e-3)


def test_a_grid_that_follows_the_content_and_one_of_color():
    x = natural()
    energy, stands_out = compared(x + 0.2 * (x - 0.5) * grid(2), x)
    assert energy[2] > 1.3
    assert stands_out[2] > 1.3
    color = np.array([1.0, 0.0, -1.0])
    assert compared(x + 0.02 * grid(2) * color, x)[1][2] > 1.3


def test_blur_and_sharpness_are_no_grid():
    x = natural()
    for sigma in (0.3, 0.6, 1.0):
        blurred = filtered(x, lambda f, sigma=sigma: np.exp(-2 * np.square(np.pi * sigma) * f))
        energy, stands_out = compared(blurred, x)
        assert energy[2] < energy[4] < 1
        assert stands_out[2] < 1
        assert stands_out[4] == pytest.approx(1, abs=0.15)
    for amount, most in ((0.4, 1.13), (1.0, 1.25)):  # an unsharp mask of radius 1
        sharpened = filtered(x, lambda f, amount=amount: 1 + amount * (1 - np.exp(-2 * np.square(np.pi) * f)))
        energy, stands_out = compared(sharpened, x)
        assert min(energy.values()) > (1 + 0.6 * amount) ** 2
        assert stands_out[2] == pytest.approx(1, abs=0.1)
        assert 1 < stands_out[4] < most


def test_brightness_does_not_count_and_contrast_only_for_energy():
    x, real = natural(60), natural(60, seed=1)
    np.testing.assert_allclose(radial_power(x * 0.5 + 0.3).power, 0.25 * radial_power(x).power, rtol=1e-4)
    energy, stands_out = compared(x, real)
    np.testing.assert_allclose(compared(x * 0.5, real)[0][2], 0.25 * energy[2], rtol=1e-4)
    for other in (x * 0.5 + 0.3, 1 - x):
        np.testing.assert_allclose(list(compared(other, real)[1].values()), list(stands_out.values()), rtol=1e-4)
    for other in (x, x[:, ::-1], x.swapaxes(1, 2)):  # bins of rows and columns take part alike
        np.testing.assert_allclose(list(compared(other, real)[0].values()), list(energy.values()), rtol=0.02)


def test_halves_of_a_set_are_alike_within_the_interval():
    for seed in range(3):
        x = line_power(natural(400, seed=seed, channels=1))
        for function in (patch_energy, checkerboard):
            for value in function(x[:200], x[200:]).values():
                assert value.low < value.value < value.high
                assert value.high - value.low < 0.15
                assert value.low - 0.02 < 1 < value.high + 0.02


def test_bytes_other_shapes_and_many_images():
    x = natural(20)
    shown = np.rint(x * 255).astype(np.uint8)
    np.testing.assert_allclose(line_power(shown)[:, :8], line_power(shown / np.float32(255))[:, :8], rtol=1e-5)
    wide = np.pad(x, [(0, 0), (0, 5), (9, 9), (0, 0)])  # the middle is a square with a multiple of 8 as its side
    np.testing.assert_allclose(line_power(wide), line_power(wide[:, 2:34, 9:41]), rtol=1e-6)
    assert line_power(np.zeros((2, 28, 28, 1), np.uint8)).shape == (2, 13)
    assert line_power(np.zeros((MOST + 500, 16, 16, 1), np.uint8)).shape == (MOST, 9)
    np.testing.assert_array_equal(line_power(x[:7])[3], line_power(x[2:9])[1])  # an image's power is its own


def test_what_has_no_spectrum_to_compare():
    x = line_power(natural(4))
    with pytest.raises(InputError, match="without any detail as fine as patches"):
        patch_energy(x, line_power(np.full((2, SIDE, SIDE, 3), 0.5, np.float32)))
    with pytest.raises(InputError, match="generated images are 32 pixels a side and real ones 16"):
        checkerboard(x, line_power(natural(4, side=16)))
    for images in (natural(1), natural(4, side=15)):
        with pytest.raises(InputError, match="at least 2 images of 16 pixels a side"):
            line_power(images)
        with pytest.raises(InputError, match="at least 2 images of 16 pixels a side"):
            radial_power(images)
