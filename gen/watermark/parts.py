"""The mark in parts of images: the place and the scale of a crop are found by correlation with the known carriers.

A crop of an image is, in the frame of the whole, a window: for each scale tried its samples are folded to a tile of the
original's scale; one inverse transform of (received carriers) x conj(signs) then gives T for every shift of the tile.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

from gen.watermark import frame
from gen.watermark.aligned import Candidate
from gen.watermark.key import Key, carriers

SMALLEST, LARGEST = 0.5, 1.25  # short side of what is searched, as a part of the original's
STEP = (
    2.56  # samples by which two neighboring scales differ over a whole side: the mark is blurred by half of it at most
)
LEAST_SIZE = 64  # canonical size: parts of smaller ones hold too little
LONGEST = 4  # tiles to a side: more of a long image is not needed
REFINED = (-0.5, -0.25, 0.0, 0.25, 0.5)  # steps of scale, and samples of shift, in which a found place is made better


def scales(size: int) -> np.ndarray:
    """The scales searched, in equal ratios; 1 among them."""
    step = STEP / size
    return np.exp(step * np.arange(math.floor(math.log(SMALLEST) / step), math.ceil(math.log(LARGEST) / step) + 1))


@functools.lru_cache(maxsize=6)  # of up to 100 MB
def _foldings(samples: int, padded: int, size: int) -> np.ndarray:
    """For each scale the matrix [size, padded] that resamples the first `samples` around their middle, and folds."""
    return np.stack([_folding(scale, samples, padded, size) for scale in scales(size)])


def _folding(scale: float, samples: int, padded: int, size: int) -> np.ndarray:
    count = 2 * int(scale * samples / 2 + 1e-6)
    center = (np.arange(count) - (count - 1) / 2) / scale + (samples - 1) / 2
    reach = math.ceil(3 / min(1, scale))
    place = np.floor(center).astype(int)[:, None] + np.arange(1 - reach, reach + 1)
    weights = frame.lanczos((place - center[:, None]) * min(1, scale)) * ((place >= 0) & (place < samples))
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((size, padded), np.float32)
    rows = (np.arange(count) + (size - count) // 2) % size
    np.add.at(matrix, (rows[:, None], np.clip(place, 0, samples - 1)), weights)
    return matrix


Foldings = tuple[jax.Array | np.ndarray, jax.Array | np.ndarray]  # vertical and horizontal, [size, padded]


def _spectra(samples: jax.Array, fold: Foldings, weights: jax.Array) -> jax.Array:
    """samples [rows, columns] to the spectra [2, C, C / 2 + 1] at one scale, as it is and mirrored."""
    tile = fold[0] @ samples @ fold[1].T
    return frame.spectrum(jnp.stack([tile, tile[:, ::-1]]), weights)


def _shifted_fits(samples: jax.Array, fold: Foldings, weights: jax.Array, expected: jax.Array) -> jax.Array:
    """[2 (mirrored), profiles, C, C] for all shifts; expected [profiles, C, C / 2 + 1]: signs times weights."""
    there = _spectra(samples, fold, weights)
    power = jnp.einsum("myx,fyx->mf", jnp.abs(there) ** 2, jnp.abs(expected) ** 2 / 2)
    agreement = jnp.fft.irfft2(there[:, None] * jnp.conj(expected)[None]) * (weights.shape[0] ** 2 / 2)
    return agreement / jnp.sqrt(jnp.maximum(power, 1e-6))[..., None, None]


@jax.jit
def _best_fits(samples: jax.Array, folds: Foldings, weights: jax.Array, expected: jax.Array) -> jax.Array:
    """The best fit for each scale; folds [scales, size, padded]."""
    return jax.lax.map(lambda fold: jnp.max(_shifted_fits(samples, fold, weights, expected)), folds)


@jax.jit
def _refine(
    samples: jax.Array, folds: Foldings, shift: jax.Array, mirrored: jax.Array, weights: jax.Array, expected: jax.Array
) -> jax.Array:
    """The spectrum [C, C / 2 + 1] turned back by the best place around one found; expected [C, C / 2 + 1]."""
    size = weights.shape[0]
    near = jnp.asarray(REFINED)
    y, x = jnp.fft.fftfreq(size), jnp.fft.rfftfreq(size)
    vertical = jnp.exp(2j * jnp.pi * (shift[0] + near)[:, None] * y)  # [shifts, C]
    horizontal = jnp.exp(2j * jnp.pi * (shift[1] + near)[:, None] * x)

    def at(fold: Foldings) -> tuple[jax.Array, jax.Array]:
        there = _spectra(samples, fold, weights)[mirrored]
        fit = jnp.einsum("ay,yx,bx->ab", vertical, there * jnp.conj(expected), horizontal).real
        a, b = jnp.unravel_index(jnp.argmax(fit), fit.shape)
        return jnp.max(fit), there * vertical[a][:, None] * horizontal[b]

    fits, spectra = jax.lax.map(at, folds)
    return spectra[jnp.argmax(fits)]


_fits_at = jax.jit(_shifted_fits)


def search(measured: dict[int, np.ndarray], secret_key: Key) -> Candidate | None:
    """The best place of one image, of which the samples [rows, columns] are given; None if it is too small."""
    best, tried = (-np.inf, 0, 0), 0
    middles = {size: _middle(there, LONGEST * size) for size, there in measured.items() if size >= LEAST_SIZE}
    samples = {size: _padded(there, size) for size, there in middles.items()}
    folds = {size: _folds(there.shape, size) for size, there in middles.items()}
    for size, fold in folds.items():
        expected = _expected(secret_key, size)
        fits = np.asarray(_best_fits(samples[size], fold, frame.whitening(size), expected))
        tried += fits.size * 2 * len(expected) * size * size
        best = max(best, (float(fits.max()), size, int(fits.argmax())))
    fit, size, at = best
    if not size:
        return None
    there, white, expected = samples[size], frame.whitening(size), _expected(secret_key, size)
    vertical, horizontal = folds[size]
    fits = np.asarray(_fits_at(there, (vertical[at], horizontal[at]), white, expected))
    mirrored, profile, row, column = np.unravel_index(np.argmax(fits), fits.shape)
    scale = float(scales(size)[at])
    near = [scale * math.exp(step * STEP / size) for step in REFINED]
    counts = middles[size].shape
    refolds = [np.stack([_folding(s, counts[i], there.shape[i], size) for s in near]) for i in (0, 1)]
    spectrum = _refine(there, tuple(refolds), np.asarray([row, column]), mirrored, white, expected[profile])
    weighted = np.asarray(spectrum) * frame.profiles(size)[profile]
    return Candidate(fit, tried, size, lambda: weighted, _words(scale, bool(mirrored)))


def _middle(samples: np.ndarray, most: int) -> np.ndarray:
    top, left = (max(0, side - most) // 2 for side in samples.shape)
    return samples[top : samples.shape[0] - top, left : samples.shape[1] - left]


def _padded(samples: np.ndarray, size: int) -> np.ndarray:
    """Samples padded to whole tiles, so that few shapes are compiled."""
    return np.pad(samples, [(0, frame.whole(n, size) - n) for n in samples.shape])


def _folds(shape: tuple[int, int], size: int) -> Foldings:
    rows, columns = shape
    return (
        _foldings(rows, frame.whole(rows, size), size),
        _foldings(columns, frame.whole(columns, size), size),
    )


def _expected(secret_key: Key, size: int) -> np.ndarray:
    """[profiles, C, C / 2 + 1]"""
    known = carriers(secret_key, size)
    return known.signs * known.sync * frame.profiles(size)


def _words(scale: float, mirrored: bool) -> str:
    part = f"cut: its short side is {scale:.0%} of the original's"
    return f"mirrored, {part}" if mirrored else part
