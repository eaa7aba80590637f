"""Samples on a grid of whole tiles, an odd number each way, with the image in the middle of it.

Few sizes of such grids exist, so that little is compiled, whatever the sizes of images.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from gen.watermark.frame import FLAT, LOCAL, WIDE


def _gaussian(sigma: float) -> np.ndarray:
    reach = int(4 * sigma + 1)
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    return weights / weights.sum()


_HIGH, _LOCAL = _gaussian(WIDE), _gaussian(LOCAL)
MARGIN = len(_HIGH) // 2 + len(_LOCAL) // 2  # samples around the grid, which the samples on it depend on


def _side(samples: int, size: int) -> int:
    """The samples of a side of the grid; those of the image are even in number, and in its middle."""
    tiles = -(-samples // size)
    return (tiles + 1 - tiles % 2) * size


def on_grid(samples: np.ndarray, size: int) -> np.ndarray:
    """Samples [n, rows, columns] on a grid of tiles with a margin, mirrored around themselves, 0 beyond."""
    sides = samples.shape[1:]
    mirrored = np.pad(samples, ((0, 0), *[(MARGIN, MARGIN)] * 2), mode="symmetric")
    return np.pad(mirrored, ((0, 0), *[((_side(side, size) - side) // 2,) * 2 for side in sides]))


def inside(rows: int, columns: int, size: int) -> np.ndarray:
    """Where on the grid the samples of the image are: float32 1, else 0."""
    return np.pad(np.ones((rows, columns), np.float32), [((_side(n, size) - n) // 2,) * 2 for n in (rows, columns)])


def cut(x: np.ndarray, rows: int, columns: int) -> np.ndarray:
    """The samples of the image, of a grid [n, rows, columns]."""
    top, left = (x.shape[1] - rows) // 2, (x.shape[2] - columns) // 2
    return x[:, top : top + rows, left : left + columns]


def local_contrast(samples: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Samples on a grid with its margin without what is smooth, and their local standard deviation in gray levels."""
    wide, local = len(_HIGH) // 2, len(_LOCAL) // 2
    high = samples[:, wide:-wide, wide:-wide] - _smooth(samples, _HIGH)
    variance = _smooth(high * high, _LOCAL)
    return high[:, local:-local, local:-local], jnp.sqrt(variance + FLAT**2)


def _smooth(x: jax.Array, weights: np.ndarray) -> jax.Array:
    """Both ways; smaller by the reach of the weights on all sides."""
    for axis in (1, 2):
        length = x.shape[axis] - len(weights) + 1
        x = sum(
            (float(w) * jax.lax.slice_in_dim(x, k, k + length, axis=axis) for k, w in enumerate(weights)),
            start=jnp.zeros(()),
        )
    return x


def folded(x: jax.Array, size: int) -> jax.Array:
    """The sum of all tiles [n, C, C]."""
    number, rows, columns = x.shape
    return x.reshape(number, rows // size, size, columns // size, size).sum(axis=(1, 3))
