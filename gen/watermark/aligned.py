"""The mark in whole images: measured samples, their spectra, and how well the known signs fit in every place."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from gen.watermark import frame, grid
from gen.watermark.key import Key, carriers
from gen.watermark.resampling import blocks, resampled_widths

LEAST = 1e-300  # smaller bounds are not told apart
TURNS = ("", "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees")
LONG, LONG_PIXELS = 8, 2048  # of an image longer than both, in short sides and pixels, the middle is enough
AT_ONCE, PIXELS_AT_ONCE = 8, 2**21  # images that are measured together; few numbers of them are compiled


@dataclass(frozen=True)
class Candidate:
    """A place with its fit. tried: how many such places there are. spectrum: makes the weighted one [C, C / 2 + 1]."""

    fit: float
    tried: float
    size: int
    spectrum: Callable[[], np.ndarray]
    place: str

    def p_value(self) -> float:
        """The bound for all that was tried; 1 where the fit is no number."""
        fit = self.fit if self.fit > 0 else 0.0
        return float(min(1.0, max(LEAST, self.tried * np.exp(-(fit**2) / 2))))


class Measured(NamedTuple):
    """Images in one canonical size: samples [n, rows, columns] and limited carriers [n, C, C / 2 + 1]."""

    samples: np.ndarray
    spectra: np.ndarray


Place = tuple[int, bool]  # turned by so many times 90 degrees after it was mirrored or not
PLACES: tuple[Place, ...] = tuple((turn, mirrored) for mirrored in (False, True) for turn in range(4))


def _words(place: Place) -> str:
    return ", ".join(word for word in ("mirrored" if place[1] else "", TURNS[place[0]]) if word)


def _turned(tile: np.ndarray, place: Place) -> np.ndarray:
    """Returns a tile as the image is that lies so."""
    turn, mirrored = place
    return np.rot90(tile[:, ::-1] if mirrored else tile, turn)


def _turned_back(tile: np.ndarray, place: Place) -> np.ndarray:
    turn, mirrored = place
    back = np.rot90(tile, -turn)
    return back[:, ::-1] if mirrored else back


@functools.lru_cache(maxsize=16)
def _expected(key: Key, size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each place and profile the known signs of the carriers on the band, weighted, and the squares of the weights.

    [places * profiles, 2 carriers] (real, imaginary) and [places * profiles, carriers]. A turned image has turned
    carriers: instead of its tile, the signs are turned.
    """
    known, band, profiles = carriers(key, size), frame.band(size), frame.profiles(size)
    pattern = np.fft.irfft2(known.signs * known.sync)
    signs = np.stack([np.fft.rfft2(_turned(pattern, place))[band] for place in PLACES])[:, None]
    weights = (np.abs(signs) > 0.5) * profiles[:, band]
    expected = (signs * weights).astype(np.complex64).reshape(-1, int(band.sum()))
    return expected.view(np.float32), np.square(weights, dtype=np.float32).reshape(expected.shape)


@jax.jit
def _measure(samples: jax.Array, inside: jax.Array, weights: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Samples on a grid to what carries the mark, high-passed and over the local contrast, and its limited carriers."""
    high, contrast = grid.local_contrast(samples)
    level = high / contrast
    return level, frame.spectrum(grid.folded(level * inside, weights.shape[0]), weights)


def _luma(image: np.ndarray) -> np.ndarray:
    """The luma [h w] of an image, 0 to 255, without its alpha; of a very long image, of the middle."""
    long = max(LONG * min(image.shape[:2]), LONG_PIXELS)
    top, left = (max(0, side - long) // 2 for side in image.shape[:2])  # the same on both sides
    x = image[top : image.shape[0] - top, left : image.shape[1] - left]
    peak = {"u1": 255.0, "u2": 65535.0}.get(x.dtype.str[1:], 1.0)
    if x.shape[-1] < 3:
        return x[..., 0].astype(np.float32) * np.float32(255 / peak)
    return x[..., :3].astype(np.float32) @ (frame.LUMA * np.float32(255 / peak))


def _sizes(height: int, width: int) -> list[int]:
    """The canonical sizes that a mark in an image of this size can have: of a larger one too little would be left."""
    return [size for size in frame.SIZES if size <= max(4 * min(height, width), frame.SIZES[0])]


def measured(images: Sequence[np.ndarray]) -> Iterator[dict[int, Measured]]:
    """Measures images [h w c] of one shape in all canonical sizes that they can have, some together."""
    small = AT_ONCE * images[0].shape[0] * images[0].shape[1] <= PIXELS_AT_ONCE
    at_once = AT_ONCE if small and 2 * len(images) >= AT_ONCE else 1
    for start in range(0, len(images), at_once):
        part = images[start : start + at_once]
        luma = np.stack([_luma(image) for image in part])
        yield {size: _measured(luma, size, at_once) for size in _sizes(*luma.shape[1:])}


def _measured(luma: np.ndarray, size: int, at_once: int) -> Measured:
    """Measures luma [n h w], padded to `at_once` images."""
    number, height, width = luma.shape
    scale, rows, columns = frame.samples_of(height, width, size)
    lines = [block.weights @ luma[:, block.pixels] for block in blocks(height, rows, scale)]
    samples = resampled_widths(np.concatenate(lines, axis=1), columns, scale)
    samples = np.pad(samples, ((0, at_once - number), (0, 0), (0, 0)))
    found = _measure(grid.on_grid(samples, size), grid.inside(rows, columns, size), frame.whitening(size))
    level, spectra = (np.asarray(x)[:number] for x in found)
    return Measured(grid.cut(level, rows, columns), spectra)


def best_of(spectra: dict[int, np.ndarray], secret_key: Key) -> list[Candidate]:
    """The best of all sizes, places and profiles for each image of limited carriers [n, C, C / 2 + 1]."""
    fits = {size: _fits(there, secret_key, size) for size, there in spectra.items()}
    tried = sum(fit[0].size for fit in fits.values())
    best = []
    for i in range(len(next(iter(fits.values())))):
        size = max(fits, key=lambda size, i=i: fits[size][i].max())  # type: ignore[misc]
        place, profile = np.unravel_index(np.argmax(fits[size][i]), fits[size][i].shape)
        spectrum = functools.partial(_weighted, spectra[size][i], PLACES[place], frame.profiles(size)[profile])
        best.append(Candidate(float(fits[size][i].max()), tried, size, spectrum, _words(PLACES[place])))
    return best


def _fits(spectra: np.ndarray, secret_key: Key, size: int) -> np.ndarray:
    """T / sqrt(sum of c_k^2) for each place and profile, [n, places, profiles]."""
    there = np.ascontiguousarray(spectra[:, frame.band(size)])
    expected, weights = _expected(secret_key, size)
    fits = (there.view(np.float32) @ expected.T) / np.sqrt(np.maximum(np.square(np.abs(there)) @ weights.T, 1e-6))
    return fits.reshape(len(spectra), len(PLACES), -1)


def _weighted(spectrum: np.ndarray, place: Place, profile: np.ndarray) -> np.ndarray:
    return np.fft.rfft2(_turned_back(np.fft.irfft2(spectrum), place)) * profile
