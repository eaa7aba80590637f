"""The canonical frame: how the pixels of an image of any size become one tile of C x C samples, and its spectrum.

Luma Y = 0.299 R + 0.587 G + 0.114 B of the values as stored, 0 to 255, [n h w]. The short side S is resampled to C
samples, both sides by the same factor s = C / S, by a Lanczos kernel of 3 lobes (wider by 1 / s where that shrinks) of
normalized weights; what lies outside of the image has none. Samples lie at 1/2, 3/2, 5/2, ... steps of 1 / s from the
middle of the image to all sides; of the long side only what fits: 2 floor(s * long / 2) samples. The mark repeats
after C samples both ways: they are folded (added up modulo C, the center of the image at its center) to a tile.
"""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

SIZES = (16, 32, 64, 128, 256)  # canonical sizes C
LUMA = np.array([0.299, 0.587, 0.114], np.float32)
LOWEST = 0.07  # of the band, as a part of the highest frequency of the tile
HIGHEST = {16: 0.8, 32: 0.8, 64: 0.8, 128: 0.7, 256: 0.6}  # small tiles need all that compression leaves
FLAT = 2.0  # gray levels: the least local contrast
WIDE, LOCAL = 2.5, 2.0  # samples: sigma of the high pass, and of the window of the local contrast


def natural_size(height: int, width: int) -> int:
    """The largest canonical size not above the short side: the one that the mark of such an image has."""
    return max((size for size in SIZES if size <= min(height, width)), default=SIZES[0])


def bucket(length: int) -> int:
    """The next of 16, 24, 32, 48, 64, ...: images are padded to such sides, so that few shapes are compiled."""
    power = 1 << max(4, (length - 1).bit_length())
    return power * 3 // 4 if length <= power * 3 // 4 and power > 16 else power


@functools.lru_cache(maxsize=64)
def radius(size: int) -> np.ndarray:
    """Frequencies of a spectrum float32 [size, size / 2 + 1], as parts of the highest; 1 outside of the band.

    The band is a ring without the lines along the axes, where what the borders of images cause lies.
    """
    y, x = np.abs(np.fft.fftfreq(size))[:, None] * 2, np.arange(size // 2 + 1)[None] / size * 2
    line = (1.0 if size < 64 else 3.0) / size
    r = np.hypot(y, x)
    return np.where((r > LOWEST) & (r < HIGHEST[size]) & (x > line) & (y > line), r, 1).astype(np.float32)


def band(size: int) -> np.ndarray:
    """Where the carriers are, bool [size, size / 2 + 1]."""
    return radius(size) < 1


def whitening(size: int) -> np.ndarray:
    """Weights proportional to the frequency, on the band: what is left of natural images falls about so."""
    return radius(size) * band(size)


def profiles(size: int) -> np.ndarray:
    """Weights of the carriers [2, size, size / 2 + 1]: all alike, and the low ones more, which compression leaves."""
    return np.stack([band(size), band(size) / radius(size)]).astype(np.float32)


def lanczos(x: np.ndarray) -> np.ndarray:
    """The kernel of 3 lobes."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


@functools.lru_cache(maxsize=32)
def resampling(length: int, samples: int, scale: float, rows: int, columns: int) -> np.ndarray:
    """The matrix float32 [rows, columns] from `length` pixels to `samples` samples, `scale` samples a pixel.

    Beyond `samples` rows and `length` columns it is zero: both sides are padded.
    """
    center = (np.arange(samples)[:, None] - (samples - 1) / 2) / scale + (length - 1) / 2
    distance = (np.arange(length)[None] - center) * min(1.0, scale)
    weights = lanczos(distance)
    weights /= weights.sum(axis=1, keepdims=True)
    matrix = np.zeros((rows, columns), np.float32)
    matrix[:samples, :length] = weights
    return matrix


@functools.lru_cache(maxsize=32)
def smoothing(length: int, sigma: float, rows: int) -> np.ndarray:
    """The matrix [rows, rows] of a Gaussian with mirrored borders on the first `length` samples; zero beyond."""
    reach = int(4 * sigma + 1)
    offsets = np.arange(-reach, reach + 1)
    weights = np.exp(-0.5 * (offsets / sigma) ** 2)
    weights /= weights.sum()
    place = (np.arange(length)[:, None] + offsets) % (2 * length)
    place = np.where(place < length, place, 2 * length - 1 - place)
    matrix = np.zeros((rows, rows), np.float32)
    np.add.at(matrix, (np.arange(length)[:, None], place), weights[None])
    return matrix


@functools.lru_cache(maxsize=32)
def folding(samples: int, size: int, rows: int) -> np.ndarray:
    """The matrix [size, rows] that adds up samples modulo `size` around their middle; its transpose repeats a tile."""
    matrix = np.zeros((size, rows), np.float32)
    matrix[(np.arange(samples) + (size - samples) // 2) % size, np.arange(samples)] = 1
    return matrix


def samples_of(height: int, width: int, size: int) -> tuple[float, int, int]:
    """The factor s, and the number of samples of both sides."""
    scale = size / min(height, width)
    rows, columns = (2 * int(scale * length / 2 + 1e-6) for length in (height, width))
    return scale, rows, columns


def whole(samples: int, size: int) -> int:
    """Samples padded to whole tiles."""
    return -(-samples // size) * size


def luma(x: jax.Array) -> jax.Array:
    """[n h w c] to [n h w], of 1 or 3 channels."""
    return x[..., 0] if x.shape[-1] == 1 else x @ jnp.asarray(LUMA, x.dtype)


def around(x: jax.Array, vertical: jax.Array | np.ndarray, horizontal: jax.Array | np.ndarray) -> jax.Array:
    """vertical @ x @ horizontal^T, for each image."""
    return jnp.einsum("ij,njk,lk->nil", vertical, x, horizontal, optimize=[(0, 1), (0, 1)])


Pair = tuple[jax.Array | np.ndarray, jax.Array | np.ndarray]
Smoothings = tuple[Pair, Pair]


def smoothings(height: int, width: int, size: int) -> Smoothings:
    """The matrices of the high pass and of the local contrast, for so many samples."""
    rows, columns = whole(height, size), whole(width, size)
    high, local = ((smoothing(height, sigma, rows), smoothing(width, sigma, columns)) for sigma in (WIDE, LOCAL))
    return high, local


def matrices(height: int, width: int, size: int) -> dict[str, Any]:
    """Everything that depends on the size of the image, padded to its bucket, as arguments of what is compiled."""
    scale, rows, columns = samples_of(height, width, size)
    padded = whole(rows, size), whole(columns, size)
    tall, broad = bucket(height), bucket(width)
    return {
        "down": (
            resampling(height, rows, scale, padded[0], tall),
            resampling(width, columns, scale, padded[1], broad),
        ),
        "up": (
            resampling(rows, height, 1 / scale, tall, padded[0]),
            resampling(columns, width, 1 / scale, broad, padded[1]),
        ),
        "smooth": smoothings(rows, columns, size),
        "fold": (folding(rows, size, padded[0]), folding(columns, size, padded[1])),
    }


def local_contrast(samples: jax.Array, sized: dict[str, Any]) -> tuple[jax.Array, jax.Array]:
    """Samples without what is smooth, and their local standard deviation in gray levels, both [n h w]."""
    high = samples - around(samples, *sized["smooth"][0])
    return high, jnp.sqrt(jnp.maximum(around(high * high, *sized["smooth"][1]), 0) + FLAT**2)


def spectrum(tile: jax.Array, weights: jax.Array) -> jax.Array:
    """Limited carriers complex [n C C/2+1] of tiles [n C C]: weighted, of mean power 1, no magnitude above 1."""
    carriers = jnp.fft.rfft2(tile) * weights
    return carriers / jnp.maximum(jnp.maximum(jnp.abs(carriers), limit(carriers)), 1e-6)


def limit(carriers: jax.Array) -> jax.Array:
    """The magnitude [n 1 1] at which carriers [n C C/2+1], 0 outside of the band, are limited: the root mean square."""
    return jnp.sqrt(jnp.sum(jnp.abs(carriers) ** 2, axis=(-2, -1), keepdims=True) / band(carriers.shape[-2]).sum())
