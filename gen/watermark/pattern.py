"""The pattern that the mark adds: a tile of carriers, as strong at each place as the local contrast hides."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.watermark import frame, grid

ROUNDS = 4  # of the search for the strength
PLAIN, ROUGH = 1.14, 4.34  # log2 of the local contrast in gray levels: what plain and rough images have
# The mark grows as this power of the frequency. In plain images compression leaves only what is strong; in rough ones
# the image itself hides the low frequencies from the reader.
FALLS, RISES = -1.0, 0.3
MASKED = 0.4  # and as this power of the local contrast
HELPED, MOST = 0.15, 1.3  # how much more for each standard deviation, and at most; see `_felt`
# Of a change by one level half in gray, half along the weights of luma: of the same PSNR, it has more luma than a gray.
COLORS = 0.5 + 1.5 * frame.LUMA


def roughness(contrast: jax.Array, inside: jax.Array) -> jax.Array:
    """Of images with the local contrast [n, rows, columns], 0 to 1 [n]; inside: 0 where samples are padded, else 1."""
    level = jnp.sum(inside * jnp.log2(contrast), axis=(1, 2)) / jnp.sum(inside)
    return jnp.clip((level - PLAIN) / (ROUGH - PLAIN), 0, 1)


def tile_for(host: jax.Array, rough: jax.Array, signs: jax.Array, sync: jax.Array, radius: jax.Array) -> jax.Array:
    """The tile [n C C] for images as rough as that [n], of which the reader measures the tiles `host` [n C C]."""
    rough = rough[:, None, None]
    received = jnp.fft.rfft2(host) * jnp.where(radius < 1, radius, 0)
    carriers = signs + rough * (_felt(signs, sync, received) - signs)
    return jnp.fft.irfft2(carriers * radius ** (FALLS + (RISES - FALLS) * rough))


def _felt(signs: jax.Array, sync: jax.Array, host: jax.Array) -> jax.Array:
    """The direction in which the reader's fit grows most: of carriers that it limits, only what turns them counts.

    The worse the image by itself fits the signs by which marks are found, the more of the mark is theirs.
    """
    magnitude, limit = jnp.maximum(jnp.abs(host), 1e-6), frame.limit(host)
    unit = host / magnitude
    turning = (signs - unit * (jnp.conj(unit) * signs).real) / magnitude
    limited = sync * host / jnp.maximum(magnitude, limit)
    fit = jnp.sum((jnp.conj(limited) * signs).real, axis=(1, 2), keepdims=True)
    power = jnp.sum(jnp.abs(limited) ** 2, axis=(1, 2), keepdims=True)
    more = jnp.clip(1 - HELPED * fit / jnp.sqrt(jnp.maximum(power, 1e-6)), 1 / MOST, MOST)
    return jnp.where(sync, more, 1) * jnp.where(magnitude > limit, turning * limit, signs)


@jax.jit
def _shaped(
    samples: jax.Array, inside: jax.Array, signs: jax.Array, sync: jax.Array, radius: jax.Array
) -> tuple[jax.Array, jax.Array]:
    high, contrast = grid.local_contrast(samples)
    size = signs.shape[0]
    tiles = inside.shape[0] // size, inside.shape[1] // size
    rough = roughness(contrast, inside)
    tile = tile_for(grid.folded(inside * high / contrast, size), rough, signs, sync, radius)
    return contrast**MASKED * jnp.tile(tile, (1, *tiles)), rough


def shaped(samples: np.ndarray, signs: np.ndarray, sync: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The pattern for samples [n, rows, columns] of images, as many, and how rough they are [n]."""
    size, sides = len(signs), samples.shape[1:]
    pattern, rough = _shaped(
        grid.on_grid(samples, size), grid.inside(sides[0], sides[1], size), signs, sync, frame.radius(size)
    )
    return grid.cut(np.asarray(pattern), *sides), np.asarray(rough)


def weaker(rough: Any, decibels: float | jax.Array) -> Any:
    """The factor of the strength in images as rough as that [n]: so many decibels less where they are plain."""
    return 10 ** (-decibels / 20 * (1 - rough))


def colors(channels: int) -> np.ndarray:
    """How much each channel [1] or [3] of a pixel changes."""
    return COLORS if channels == 3 else np.ones(1, np.float32)


def moved(xp: ModuleType, images: Any, change: Any, step: float) -> Any:
    """Images in [0, 255] with the change, in [0, 255]; rounded to multiples of `step` (0: not at all)."""
    y = images + change
    if step:
        y = xp.round(y / step) * step
    return xp.clip(y, 0, 255)
