"""The mark in whole images: measured samples, their spectra for every place, and how well the known signs fit."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.watermark import frame
from gen.watermark.key import Key, carriers

LEAST = 1e-300  # smaller bounds are not told apart
TURNS = ("", "turned by 90 degrees", "turned by 180 degrees", "turned by 270 degrees")


@dataclass(frozen=True)
class Candidate:
    """A place with its fit, and the weighted spectrum [C, C / 2 + 1] there. tried: how many such places there are."""

    fit: float
    tried: float
    size: int
    spectrum: np.ndarray
    place: str

    def p_value(self) -> float:
        """The bound for all that was tried."""
        return float(min(1.0, max(LEAST, self.tried * np.exp(-(max(self.fit, 0.0) ** 2) / 2))))


Place = tuple[int, bool]  # turned by so many times 90 degrees after it was mirrored or not
PLACES: tuple[Place, ...] = tuple((turn, mirrored) for mirrored in (False, True) for turn in range(4))


def _words(place: Place) -> str:
    return ", ".join(word for word in ("mirrored" if place[1] else "", TURNS[place[0]]) if word)


@functools.lru_cache(maxsize=8)
def _undone(size: int) -> np.ndarray:
    """For each place the flat indices [size, size] into a tile that give the tile of the image turned back."""
    tile = np.arange(size * size, dtype=np.int32).reshape(size, size)
    back = [np.rot90(tile, -turn) for turn, _ in PLACES]
    return np.stack(
        [turned[:, ::-1] if mirrored else turned for turned, (_, mirrored) in zip(back, PLACES, strict=True)]
    )


@jax.jit
def _measure(pixels: jax.Array, sized: dict[str, Any]) -> jax.Array:
    """[n h w c] to the samples [n, rows, columns] that carry the mark: high-passed, over their local contrast."""
    high, contrast = frame.local_contrast(frame.around(frame.luma(pixels), *sized["down"]), sized)
    return high / contrast


@jax.jit
def _spectra(samples: jax.Array, fold: Any, indices: jax.Array, weights: jax.Array) -> jax.Array:
    """[n, rows, columns] to [n, places, C, C / 2 + 1]"""
    tiles = frame.around(samples, *fold)
    size = tiles.shape[-1]
    turned = tiles.reshape(-1, size * size)[:, indices.reshape(len(indices), -1)]
    return frame.spectrum(turned.reshape(len(tiles), len(indices), size, size), weights)


@jax.jit
def _fits(spectra: jax.Array, expected: jax.Array, profiles: jax.Array) -> jax.Array:
    """T / sqrt(sum of c_k^2) of spectra [n, places, C, C / 2 + 1] for each profile, [n, places, profiles].

    expected: the signs, 0 where none is known.
    """
    agreement = (spectra * jnp.conj(expected)).real
    power = jnp.where(expected != 0, jnp.abs(spectra) ** 2, 0)
    fit = jnp.einsum("npyx,fyx->npf", agreement, profiles)
    return fit / jnp.sqrt(jnp.maximum(jnp.einsum("npyx,fyx->npf", power, profiles**2), 1e-6))


def _pixels(images: Sequence[np.ndarray]) -> np.ndarray:
    """Images of one shape as float32 [n h w c] in [0, 255], without alpha, padded to their bucket."""
    x = np.stack(images)
    peak = {"u1": 255.0, "u2": 65535.0}.get(x.dtype.str[1:], 1.0)
    height, width, channels = x.shape[1:]
    x = x[..., : channels - (channels in (2, 4))].astype(np.float32) * np.float32(255 / peak)
    return np.pad(x, ((0, 0), (0, frame.bucket(height) - height), (0, frame.bucket(width) - width), (0, 0)))


def _sizes(height: int, width: int) -> list[int]:
    """The canonical sizes that a mark in an image of this size can have: of a larger one too little would be left."""
    return [size for size in frame.SIZES if size <= max(4 * min(height, width), frame.SIZES[0])]


def samples_of(images: Sequence[np.ndarray]) -> dict[int, jax.Array]:
    """For each canonical size the samples [n, rows, columns] of images of one shape."""
    height, width = images[0].shape[:2]
    pixels = _pixels(images)
    return {size: _measure(pixels, frame.matrices(height, width, size)) for size in _sizes(height, width)}


def spectra_of(images: Sequence[np.ndarray], samples: dict[int, jax.Array]) -> dict[int, jax.Array]:
    """For each canonical size the spectra [n, places, C, C / 2 + 1]."""
    height, width = images[0].shape[:2]
    return {
        size: _spectra(there, frame.matrices(height, width, size)["fold"], _undone(size), frame.whitening(size))
        for size, there in samples.items()
    }


def best_of(spectra: dict[int, jax.Array], secret_key: Key) -> list[Candidate]:
    """The best of all sizes, places and profiles for each image of spectra [n, places, C, C / 2 + 1]."""
    fits = {}
    for size, there in spectra.items():
        known = carriers(secret_key, size)
        fits[size] = np.asarray(_fits(there, known.signs * known.sync, frame.profiles(size)))
    tried = sum(fit[0].size for fit in fits.values())
    best = []
    for i in range(len(next(iter(fits.values())))):
        size = max(fits, key=lambda size, i=i: fits[size][i].max())  # type: ignore[misc]
        place, profile = np.unravel_index(np.argmax(fits[size][i]), fits[size][i].shape)
        spectrum = np.asarray(spectra[size][i, place]) * frame.profiles(size)[profile]
        best.append(Candidate(float(fits[size][i].max()), tried, size, spectrum, _words(PLACES[place])))
    return best
