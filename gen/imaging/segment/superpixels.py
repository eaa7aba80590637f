"""Superpixels: a picture cut into patches of about equal size that follow its edges."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging.arrays import colours, operator, per_image
from gen.imaging.color.spaces import rgb_to_lab
from gen.imaging.segment.components import connected_components, look_up, neighbours, piece_areas, relabel, shifted

__all__ = ["slic"]

_FAR = 1e9
_OFFSETS = [(dy, dx) for dy in (0, -1, 1) for dx in (0, -1, 1)]
_PARTS, _CHUNK = 4, 16


@operator(static=("segments", "iterations", "connected"))
def slic(
    x: jax.Array, segments: int, *, compactness: Any = 10.0, iterations: int = 10, connected: bool = True
) -> jax.Array:
    """Labels int32 [b h w] from 1 to n of about `segments` superpixels of x [b h w 3 or 1].

    compactness: what a distance of one grid cell weighs, as a difference of colour in Lab; may be [b]. Large: squares.
    iterations: of k-means in colour (Lab) and position, where a pixel may go to the 3x3 grid cells about it. All but
        the last two look at a quarter of the pixels, another one each time, which costs next to no quality.
    connected: every superpixel is one piece (4-connected): pieces under a quarter of the mean size are shared out among
        the pieces around them by colour, so that n is at most 4 times the grid cells. Without, label = grid cell, row
        by row; cells may be empty and may be in pieces.

    Achanta et al. 2012, "SLIC Superpixels", assigned as in gSLICr (Ren et al. 2015). The meaning of compactness is that
    of skimage.segmentation.slic.
    """
    colours(x, "slic", allowed=(1, 3))
    if segments < 1:
        raise InputError(f"slic: segments={segments}; allowed: at least 1")
    if iterations < 1:
        raise InputError(f"slic: iterations={iterations}; allowed: at least 1")
    lab = rgb_to_lab(jnp.broadcast_to(x, (*x.shape[:3], 3)))
    grid = _Grid.of(x.shape[1], x.shape[2], segments)
    labels = _cluster(lab, grid, per_image(compactness, x), iterations)
    return _connect(lab, labels, grid.side**2 / 4) if connected else labels


class _Grid(NamedTuple):
    """rows x columns cells over an image [h w]; a cell holds up to `tall` x `wide` pixels."""

    h: int
    w: int
    rows: int
    columns: int

    @classmethod
    def of(cls, h: int, w: int, cells: int) -> _Grid:
        side = math.sqrt(h * w / cells)
        rows = min(max(round(h / side), 1), h)
        return cls(h, w, rows, min(max(round(cells / rows), 1), w))

    @property
    def side(self) -> float:
        return math.sqrt(self.h * self.w / (self.rows * self.columns))

    def slots(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """The pixel row of each (row in cell, cell row), whether it is one; the same for columns."""
        out: list[np.ndarray] = []
        for n, cells in ((self.h, self.rows), (self.w, self.columns)):
            edges = np.arange(cells + 1) * n // cells
            pixel = edges[:-1] + np.arange(np.diff(edges).max())[:, None]
            out += [np.minimum(pixel, edges[1:] - 1), pixel < edges[1:]]
        return out[0], out[1], out[2], out[3]


def _cluster(lab: jax.Array, grid: _Grid, compactness: jax.Array, iterations: int) -> jax.Array:
    """Labels [b h w], 1 + the cell whose centre is nearest, among the 3x3 cells about each pixel.

    Pixels are held as [chunk, place in chunk, feature, image, cell]: everything about cells is a long vector, and a
    chunk is summed in registers. A part is a quarter of the chunks, with places spread over the cells.
    """
    b, cells = lab.shape[0], grid.rows * grid.columns
    rows, real_row, columns, real_column = grid.slots()
    tall, wide = len(rows), len(columns)
    parts = _PARTS if tall * wide >= _PARTS * _CHUNK else 1
    order = np.argsort((2 * np.arange(tall)[:, None] + np.arange(wide)).reshape(-1) % parts, kind="stable")
    places = -(-tall * wide // (parts * _CHUNK)) * parts * _CHUNK

    def to_slots(plane: jax.Array) -> jax.Array:
        plane = plane[:, rows.reshape(-1)][:, :, columns.reshape(-1)]
        plane = plane.reshape(b, tall, grid.rows, wide, grid.columns).transpose(1, 3, 0, 2, 4)
        return plane.reshape(tall * wide, b, cells)[order]

    scale = jnp.broadcast_to(compactness / grid.side, (b, 1, 1, 1))[..., 0]
    y = scale * jnp.broadcast_to(jnp.arange(grid.h, dtype=lab.dtype)[:, None], (b, grid.h, grid.w))
    x = scale * jnp.broadcast_to(jnp.arange(grid.w, dtype=lab.dtype), (b, grid.h, grid.w))
    real = (real_row[:, None, :, None] & real_column[None, :, None, :]).reshape(tall * wide, 1, -1)[order]
    real = jnp.broadcast_to(jnp.asarray(real, lab.dtype), (tall * wide, b, cells))
    planes = [to_slots(plane) * real for plane in (lab[..., 0], lab[..., 1], lab[..., 2], y, x)]
    slots = lax.optimization_barrier(jnp.stack([*planes, real], axis=1))  # [p 6 b g]
    padded = jnp.pad(slots, ((0, places - tall * wide), (0, 0), (0, 0), (0, 0)))
    features = padded.reshape(-1, _CHUNK, 6, b, cells)
    share = len(features) // parts
    quick = max(iterations - 2, 0)

    def step(i: jax.Array, centres: jax.Array) -> jax.Array:
        """The mean [5 b g] of the pixels that are nearest to each centre."""
        near = _around(centres, grid)

        def add(chunk: jax.Array, sums: jax.Array) -> jax.Array:
            pixels = features[chunk]
            chosen = lax.optimization_barrier(_nearest(pixels.transpose(1, 0, 2, 3), near[:, :, None]))
            taken = []
            for k in range(9):
                total = sums[k]
                for place in range(_CHUNK):
                    total = total + jnp.where(chosen[place] == k, pixels[place], 0)
                taken.append(total)
            return jnp.stack(taken)

        first = jnp.where(i < quick, i % parts * share, 0)
        last = jnp.where(i < quick, first + share, share * parts)
        sums = lax.fori_loop(first, last, add, jnp.zeros((9, 6, b, cells), lab.dtype))
        total = jnp.zeros_like(sums[0])
        for k, (dy, dx) in enumerate(_OFFSETS):  # what a cell gave to the cell at an offset
            plane = sums[k].reshape(6 * b, grid.rows, grid.columns)
            total += shifted(plane, -dy, -dx, 0).reshape(total.shape)
        return jnp.where(total[5] > 0, total[:5] / jnp.maximum(total[5], 1), centres)

    totals = jnp.sum(slots, axis=0)
    centres = lax.fori_loop(0, iterations, step, totals[:5] / totals[5])

    chosen = _nearest(slots.transpose(1, 0, 2, 3), _around(centres, grid)[:, :, None])
    towards = np.asarray([dy * grid.columns + dx for dy, dx in _OFFSETS], np.int32)
    label = jnp.asarray(towards)[chosen] + np.arange(1, cells + 1, dtype=np.int32)
    label = label[np.argsort(order)].reshape(tall, wide, b, grid.rows, grid.columns)
    label = label.transpose(2, 3, 0, 4, 1).reshape(b, grid.rows * tall, grid.columns * wide)
    return label[:, np.flatnonzero(real_row.T)][:, :, np.flatnonzero(real_column.T)]


def _around(centres: jax.Array, grid: _Grid) -> jax.Array:
    """[f b g] to [9 f b g]: the centres of the cells about each cell."""
    planes = centres.reshape(-1, grid.rows, grid.columns)
    return jnp.stack([shifted(planes, *offset, _FAR).reshape(centres.shape) for offset in _OFFSETS])


def _nearest(pixels: jax.Array, near: jax.Array) -> jax.Array:
    """Which of 9 centres, near [9 5 ...], is nearest to pixels [5+ ...]; the first of equals."""
    distances = (sum((jnp.square(pixels[f] - near[k, f]) for f in range(5)), jnp.zeros(())) for k in range(9))
    best = next(distances)
    chosen = jnp.zeros(best.shape, jnp.int32)
    for k, distance in enumerate(distances, 1):
        chosen = jnp.where(distance < best, k, chosen)
        best = jnp.where(distance < best, distance, best)
    return chosen


def _connect(lab: jax.Array, labels: jax.Array, least: float) -> jax.Array:
    """Every superpixel in one piece of at least `least` pixels, or the largest piece of its image."""
    pieces = connected_components(labels, connectivity=4).labels
    areas = piece_areas(pieces)
    kept = (areas >= least) | (areas == jnp.max(areas[:, 1:], axis=1, keepdims=True))
    owner = jnp.where(look_up(kept, pieces), pieces, 0)
    sides = ((-1, 0), (0, -1), (0, 1), (1, 0))
    planes = [lab[..., i] for i in range(3)]
    beside = [neighbours(plane, 0) for plane in planes]
    costs = [sum(jnp.square(p - near(*side)) for p, near in zip(planes, beside, strict=True)) for side in sides]
    costs = lax.optimization_barrier(costs)

    def spread(owner: jax.Array) -> jax.Array:
        """Every pixel without an owner joins that of the pixel beside it which is nearest in colour and has one."""
        near = neighbours(owner, 0)
        best, chosen = jnp.where(owner > 0, -1, _FAR), owner
        for cost, side in zip(costs, sides, strict=True):
            found = near(*side)
            better = (found > 0) & (cost < best)
            best, chosen = jnp.where(better, cost, best), jnp.where(better, found, chosen)
        return chosen

    return relabel(lax.while_loop(lambda owner: jnp.any(owner == 0), spread, owner)).labels
