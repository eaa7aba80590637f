"""The pattern that the mark adds: a tile of carriers, as strong at each place as the local contrast hides."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.watermark import frame, grid

ROUNDS = 4  # of the search for the strength
# Log2 of the local contrast in gray levels. In plain images, where compression leaves only what is strong, the mark
# falls as 1 / frequency; in rough ones it is as strong at all frequencies; between, between.
PLAIN, ROUGH = 1.14, 4.34


def tile_for(contrast: jax.Array, inside: jax.Array, signs: jax.Array, radius: jax.Array) -> jax.Array:
    """The tile [n C C] for images of local contrast [n, rows, columns]; inside: 0 where samples are padded, else 1."""
    level = jnp.sum(inside * jnp.log2(contrast), axis=(1, 2)) / jnp.sum(inside)
    tilt = jnp.clip((level - PLAIN) / (ROUGH - PLAIN), 0, 1) - 1
    return jnp.fft.irfft2(signs * radius ** tilt[:, None, None])


@jax.jit
def _shaped(samples: jax.Array, inside: jax.Array, signs: jax.Array, radius: jax.Array) -> jax.Array:
    _, contrast = grid.local_contrast(samples)
    size = signs.shape[0]
    tiles = inside.shape[0] // size, inside.shape[1] // size
    return jnp.sqrt(contrast) * jnp.tile(tile_for(contrast, inside, signs, radius), (1, *tiles))


def shaped(samples: np.ndarray, signs: np.ndarray) -> np.ndarray:
    """The pattern for samples [n, rows, columns] of images, as many."""
    size, sides = len(signs), samples.shape[1:]
    pattern = _shaped(grid.on_grid(samples, size), grid.inside(sides[0], sides[1], size), signs, frame.radius(size))
    return grid.cut(np.asarray(pattern), *sides)


def moved(xp: ModuleType, images: Any, change: Any, step: float) -> Any:
    """Images in [0, 255] with the change, in [0, 255]; rounded to multiples of `step` (0: not at all)."""
    y = images + change
    if step:
        y = xp.round(y / step) * step
    return xp.clip(y, 0, 255)
