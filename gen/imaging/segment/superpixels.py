"""Superpixels: a picture cut into patches of about equal size that follow its edges."""

from __future__ import annotations

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.imaging._operator import operator, per_image, require_colors
from gen.imaging.bounds import NotNegative, whole
from gen.imaging.color.spaces import rgb_to_lab
from gen.imaging.segment._blocks import Grid, Places
from gen.imaging.segment.components import connected_components, ends, neighbors, relabel_sequential, shifted

_FAR = 1e9
_OFFSETS = [(dy, dx) for dy in (0, -1, 1) for dx in (0, -1, 1)]


@operator()
def slic(
    x: jax.Array,
    n_segments: Annotated[int, whole(1, 10**9)],
    *,
    compactness: NotNegative = 10.0,
    iterations: Annotated[int, whole(1, 1000)] = 10,
    connected: bool = True,
) -> jax.Array:
    """Divides x [b h w 3 or 1] into about `n_segments` superpixels: labels int32 [b h w] from 1 to n.

    compactness: what a distance of one grid cell weighs, as a difference of color in Lab; may be [b]. Large: squares.
    iterations: of k-means in color (Lab) and position, where a pixel may go to the 3x3 grid cells about it. Each looks
        at a quarter of the pixels of a cell, another one each time, which costs next to no quality.
    connected: every superpixel is one piece (4-connected): pieces under a quarter of the mean size join the piece
        beside them that is nearest in color, so that n is at most 4 times the grid cells. Without, label = grid cell,
        row by row; cells may be empty and may be in pieces.

    Achanta et al. 2012, "SLIC Superpixels", assigned as in gSLICr (Ren et al. 2015). The meaning of compactness is that
    of skimage.segmentation.slic.
    """
    require_colors(x, "slic", allowed=(1, 3))
    lab = rgb_to_lab(jnp.broadcast_to(x, (*x.shape[:3], 3)))
    grid = Grid.of(x.shape[1], x.shape[2], n_segments)
    labels = _cluster(lab, grid, per_image(compactness, x), iterations)
    return _connect(lab, labels, grid.side**2 / 4) if connected else labels


def _cluster(lab: jax.Array, grid: Grid, compactness: jax.Array, iterations: int) -> jax.Array:
    """Labels [b h w], 1 + the cell whose center is nearest, among the 3x3 cells about each pixel."""
    places = Places.of(grid)
    scale = jnp.broadcast_to(compactness / grid.side, (len(lab), 1, 1, 1)).reshape(len(lab), 1)
    pixels = _features(lab, places, scale)
    drift = jnp.pad(jnp.asarray(places.drift, lab.dtype), ((0, 0), (3, 0)))[..., None, None] * scale
    ones = jnp.ones(pixels.shape[1], lab.dtype)
    totals = jnp.einsum("fpbc,p->fbc", pixels, ones, precision="highest")  # faster than a sum
    centers = totals[:5] / totals[5]
    centers = lax.fori_loop(0, iterations, lambda i, c: _move(c, pixels, i % places.parts, drift, places), centers)

    chosen = _nearest(pixels, _around(centers, grid)[:, :, None])
    towards = np.asarray([dy * grid.columns + dx for dy, dx in _OFFSETS], np.int32)
    label = jnp.asarray(towards)[chosen] + np.arange(1, grid.cells + 1, dtype=np.int32)  # [place b cell]
    return places.scatter(lax.optimization_barrier(label))


def _features(lab: jax.Array, places: Places, scale: jax.Array) -> jax.Array:
    """[6 place b cell]: Lab, row and column times their weight, scale [b 1], and 1; all 0 where there is no pixel."""
    rows, columns, real = places.positions()

    def spread(positions: np.ndarray) -> jax.Array:
        """[place, rows, columns] to [place b cell], times the weight of a pixel."""
        return jnp.asarray(np.broadcast_to(positions, real.shape), lab.dtype).reshape(len(real), 1, -1) * scale

    y, x = spread(rows[:, :, None]), spread(columns[:, None])
    exists = jnp.broadcast_to(jnp.asarray(real, lab.dtype).reshape(len(real), 1, -1), y.shape)
    planes = [plane * exists for plane in (*(places.gather(lab[..., i]) for i in range(3)), y, x)]
    return lax.optimization_barrier(jnp.stack(lax.optimization_barrier([*planes, exists])))


def _move(centers: jax.Array, pixels: jax.Array, part: jax.Array, drift: jax.Array, places: Places) -> jax.Array:
    """To the mean [5 b cell] of those pixels of a part that are nearest to each center."""
    grid, share = places.grid, places.share
    features = pixels.reshape(6, -1, places.chunk, *pixels.shape[2:])
    near = _around(centers, grid)

    def add(chunk: jax.Array, sums: jax.Array) -> jax.Array:
        here = lax.dynamic_index_in_dim(features, chunk, 1, keepdims=False)
        chosen = lax.optimization_barrier(_nearest(here, near[:, :, None]))
        taken = []
        for k in range(9):
            total = sums[k]
            for place in range(places.chunk):
                total = total + jnp.where(chosen[place] == k, here[:, place], 0)
            taken.append(total)
        return jnp.stack(taken)

    nothing = jnp.zeros((9, 6, *pixels.shape[2:]), pixels.dtype)
    sums = lax.fori_loop(part * share, (part + 1) * share, add, nothing)
    total = jnp.zeros_like(sums[0])
    for k, (dy, dx) in enumerate(_OFFSETS):  # what a cell gave to the cell at an offset
        plane = sums[k].reshape(-1, grid.rows, grid.columns)
        total += shifted(plane, -dy, -dx, 0).reshape(total.shape)
    mean = total[:5] / jnp.maximum(total[5], 1) - drift[part]
    return jnp.where(total[5] > 0, mean, centers)


def _around(centers: jax.Array, grid: Grid) -> jax.Array:
    """[f b g] to [9 f b g]: the centers of the cells about each cell."""
    planes = centers.reshape(-1, grid.rows, grid.columns)
    return jnp.stack([shifted(planes, *offset, _FAR).reshape(centers.shape) for offset in _OFFSETS])


def _nearest(pixels: jax.Array, near: jax.Array) -> jax.Array:
    """Which of 9 centers, near [9 5 ...], is nearest to pixels [5+ ...]; the first of equals."""
    distances = (sum((jnp.square(pixels[f] - near[k, f]) for f in range(5)), jnp.zeros(())) for k in range(9))
    best = next(distances)
    chosen = jnp.zeros(best.shape, jnp.int32)
    for k, distance in enumerate(distances, 1):
        chosen = jnp.where(distance < best, k, chosen)
        best = jnp.where(distance < best, distance, best)
    return chosen


def _connect(lab: jax.Array, labels: jax.Array, least: float) -> jax.Array:
    """Every superpixel in one piece of at least `least` pixels: in each round, all smaller pieces join, as a whole, the
    one beside them that is nearest in color."""
    b, h, w = labels.shape
    start = (jnp.arange(b, dtype=jnp.int32) * (h * w + 1))[:, None, None]
    pieces = connected_components(labels, connectivity=4).labels + start
    drop = b * (h * w + 1)  # as many numbers as there can be; writing to the next one does nothing
    own = jnp.arange(drop, dtype=jnp.int32)
    look = lambda table, index: table.at[index].get(mode="promise_in_bounds")  # noqa: E731

    def merge(state: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        _, pieces, area, *sums = state
        planes = [look(total / jnp.maximum(area, 1), pieces) for total in sums]
        beside, means = neighbors(pieces, -1), [neighbors(plane, 0) for plane in planes]
        distance, nearest = jnp.full(pieces.shape, _FAR, lab.dtype), pieces
        for side in ((-1, 0), (0, -1), (0, 1), (1, 0)):
            other = beside(*side)
            away = sum((jnp.square(p - mean(*side)) for p, mean in zip(planes, means, strict=True)), jnp.zeros(()))
            better = (other >= 0) & (other != pieces) & (away < distance)
            distance, nearest = jnp.where(better, away, distance), jnp.where(better, other, nearest)
        distance, nearest = lax.optimization_barrier((distance, nearest))
        asking = jnp.where(look(area < least, pieces) & (nearest != pieces), pieces, drop)
        best = jnp.full(drop, _FAR, lab.dtype).at[asking].min(distance, mode="drop")
        asking = jnp.where(distance <= look(best, pieces), asking, drop)
        target = jnp.full(drop, drop, jnp.int32).at[asking].min(nearest, mode="drop")
        target = jnp.where(target < drop, target, own)
        target = jnp.where((look(target, target) == own) & (own < target), own, target)  # of two that join each other
        target = ends(target)
        gone = target != own
        index = jnp.where(gone, target, drop)
        totals = [jnp.where(gone, 0, total).at[index].add(total, mode="drop") for total in (area, *sums)]
        return jnp.any(gone), look(target, pieces), *totals

    def unfinished(state: tuple[jax.Array, ...]) -> jax.Array:
        return state[0] & jnp.any((state[2] > 0) & (state[2] < least))  # NaN is near nothing, so nothing may be gone

    features = [jnp.ones_like(lab[..., 0]), *(lab[..., i] for i in range(3))]
    sums = [jnp.zeros(drop, lab.dtype).at[pieces].add(plane) for plane in features]
    merged = lax.while_loop(unfinished, merge, (jnp.bool_(True), pieces, *sums))[1]
    return relabel_sequential(merged - start).labels
