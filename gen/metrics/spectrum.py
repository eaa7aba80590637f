"""Power spectra of images: how strong each frequency is beside real images, and what a grid of patches adds.

Images are [n h w c], uint8 or float in [0, 1]; frequencies are in cycles per pixel, up to 0.5. Power is in units of
variance for each frequency: white noise of variance s has power s at all of them. A Hann window keeps what images are
not periodic in from spilling over; by its three terms, a wave of a frequency k / side falls into three bins exactly.
Channels are averaged, so that a grid of color counts as well. Means of at most MOST images: time goes with the pixels.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import blocks, images, unit
from gen.metrics.bootstrap import REPLICATES, Value
from gen.metrics.influence import linearized

PERIODS = (2, 4)  # pixels of a side of the patches that networks of images are made of
SMALLEST = 16  # pixels a side: in fewer, the bands below are not apart
MOST = 2000  # images
_MULTIPLE = 8  # the side is one, so that the middles of all bands are bins
_BAND = 1 / 32  # cycles per pixel to either side of a frequency that count as about it
_BESIDE = {2: {3 / 8: 1.0}, 4: {1 / 8: 5 / 8, 3 / 8: 3 / 8}}  # for each period: frequencies to compare with, weights


class Spectrum(NamedTuple):
    """The mean power [k] at each of the frequencies [k]."""

    frequencies: np.ndarray
    power: np.ndarray


def radial_power(x: np.ndarray | jax.Array) -> Spectrum:
    """Computes the mean power of images in rings of width 1 / side about frequency 0 (Durall et al. 2020, eq. 3).

    Their mean brightness is taken off first, and the corners beyond 0.5 are left out. A falling line is usual: natural
    images have a power of about 1 / frequency^2.
    """
    x = _squares(x, "images")
    side = x.shape[1]
    window = np.outer(_hann(side), _hann(side))[:, :, None]
    total = np.zeros((side, side // 2 + 1))
    for at in blocks(len(x), 4 * x[0].size):
        part = unit(x[at])
        mean = (part * window).sum(axis=(1, 2), keepdims=True) / window.sum()
        waves = np.fft.rfft2((part - mean) * window, axes=(1, 2))
        total += np.square(np.abs(waves)).mean(axis=3).sum(axis=0)
    across, along = np.fft.fftfreq(side), np.fft.rfftfreq(side)
    rings = np.rint(np.hypot(across[:, None], along[None]) * side).astype(int)
    weight = np.full((1, side // 2 + 1), 2.0)  # a half plane stands for both, but for the lines on its border
    weight[:, 0] = 1
    weight[:, -1] = 1
    sums, counts = (
        np.bincount(rings.ravel(), weights=w.ravel()) for w in (total * weight, np.ones_like(rings) * weight)
    )
    rim = slice(1, side // 2 + 1)
    power = sums[rim] / counts[rim] / len(x) / np.square(window).sum()
    return Spectrum(np.arange(1, side // 2 + 1) / side, power)


def line_power(x: np.ndarray | jax.Array) -> np.ndarray:
    """Computes the mean power of the rows and columns of each image, float64 [n side/2+1]: of k / side at [:, k].

    That is the power in two dimensions along the lines of one frequency across, whatever the other one is: a grid of
    patches of p x p pixels, of whatever pattern, that may vary from patch to patch, lies about the lines k / p. Of the
    largest square in the middle whose side is a multiple of 8; of at most MOST images, evenly taken.
    """
    x = _squares(x, "images")
    window = _hann(x.shape[1])
    found = []
    for at in blocks(len(x), 8 * x[0].size):
        part = unit(x[at]) - np.float32(0.5)
        waves = (np.fft.rfft(np.moveaxis(part, axis, -1) * window) for axis in (1, 2))
        found.append(sum(np.square(np.abs(wave)).mean(axis=(1, 2)) for wave in waves) / 2)
    return np.concatenate(found) / np.square(window).sum()


def patch_energy(
    generated: np.ndarray, real: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[int, Value]:
    """Computes the energy of generated images about frequency 1 / p over that of real ones, for p in PERIODS.

    generated, real: `line_power`. 1 at best; below, images are too smooth; above, there is a grid, noise, or too much
    sharpness, which `checkerboard` tells apart.
    """
    sets = _pair(generated, real)
    return {p: _ratio(sets, {1 / p: 1.0}, replicates, seed) for p in PERIODS}


def checkerboard(
    generated: np.ndarray, real: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[int, Value]:
    """Computes how far `patch_energy` of each p in PERIODS stands out from the same ratio between patch frequencies.

    generated, real: `line_power`. 1 at best; above, there is a grid of patches of p pixels, below, none. Content that
    changes from patch to patch makes broad humps about the multiples of 1/4: what lies midway between them, about 1/8
    and 3/8, is compared with. For 1/4 the logarithms of these two are interpolated in the square of the frequency, so
    that blur by a Gaussian cancels, as a factor does. For 1/2 it is 3/8 alone, as frequencies beyond 1/2 are those
    before it: blur then lowers the number, and could hide a grid there; `patch_energy` shows how strong it is.
    """
    sets = _pair(generated, real)
    return {p: _ratio(sets, {1 / p: 1.0} | {f: -w for f, w in _BESIDE[p].items()}, replicates, seed) for p in PERIODS}


def _ratio(sets: list[np.ndarray], powers: dict[float, float], replicates: int, seed: int) -> Value:
    """The product over frequencies of (energy of the first set about it / that of the second) ** power."""
    logarithm, influences = 0.0, []
    for sign, x in zip((1, -1), sets, strict=True):
        energies = np.stack([_about(frequency, x) for frequency in powers])
        means = energies.mean(axis=1)
        if not (means > 0).all():
            raise InputError("images without any detail as fine as patches: there is nothing to compare")
        weights = sign * np.array(list(powers.values()))
        logarithm += float(weights @ np.log(means))
        influences.append((weights / means) @ energies)
    found = linearized(logarithm, *influences, replicates=replicates, seed=seed)
    return Value(*map(float, np.exp(found)))


def _about(frequency: float, power: np.ndarray) -> np.ndarray:
    """The energy of each image [n] about a frequency; about a patch's at least in the three bins of its waves."""
    side = 2 * (power.shape[1] - 1)
    half = max(int(side * _BAND), int(1 / frequency in PERIODS))
    middle = round(side * frequency)
    return power[:, middle - half : middle + half + 1].sum(axis=1)  # to 1/2, beyond which the same follows again


def _hann(side: int) -> np.ndarray:
    return (0.5 - 0.5 * np.cos(2 * np.pi * np.arange(side) / side)).astype(np.float32)


def _squares(x: np.ndarray | jax.Array, name: str) -> np.ndarray:
    """The middle of at most MOST images, square, of a side that is a multiple of 8."""
    array = images(x, name, least=2, smallest=SMALLEST)
    array = array[np.unique(np.linspace(0, len(array) - 1, MOST).round().astype(int))]
    height, width = array.shape[1:3]
    side = min(height, width) // _MULTIPLE * _MULTIPLE
    top, left = (height - side) // 2, (width - side) // 2
    return array[:, top : top + side, left : left + side]


def _pair(generated: np.ndarray, real: np.ndarray) -> list[np.ndarray]:
    if generated.shape[1] != real.shape[1]:
        sides = [2 * (x.shape[1] - 1) for x in (generated, real)]
        raise InputError(f"generated images are {sides[0]} pixels a side and real ones {sides[1]}; allowed: equal")
    return [np.asarray(x, np.float64) for x in (generated, real)]
