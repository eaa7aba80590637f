"""The edges of regions: level sets, distances, borders of labels."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator, per_image, require_colors
from gen.imaging.bounds import Numbers, whole
from gen.imaging.segment.components import connected_components, look_up

_AT_ONCE = 8  # columns to either side that the distance transform looks at in a pass


@operator(work=lambda steps: 60 * steps)
def chan_vese(
    x: jax.Array,
    *,
    smoothness: Any = 0.25,
    inside: Any = 1.0,
    outside: Any = 1.0,
    step: Any = 0.5,
    steps: Annotated[int, whole(1, 10_000)] = 100,
) -> jax.Array:
    """Finds a soft mask [b h w 1] of two regions of x [b h w c], each as even as possible, however weak their edge is.

    smoothness: what the length of the edge costs (mu); inside, outside: what unevenness costs (lambda 1 and 2), on the
        image stretched to [0, 1]; each may be [b].
    step: of time; steps: how many.
    The mask is 1/2 + atan(level) / pi, above 1/2 inside; which of the regions that is, the checkerboard decides from
    which the level starts. Differentiable.

    Chan & Vese 2001, "Active Contours Without Edges"; (22) of Getreuer 2012, doi 10.5201/ipol.2012.g-cv. Its threshold
    at 1/2 equals skimage.segmentation.chan_vese(x, mu, tol=0, max_num_iter=steps), for one channel; more are averaged.
    """
    _, h, w, _ = x.shape
    axes = (1, 2, 3)
    low, high = jnp.min(x, axes, keepdims=True), jnp.max(x, axes, keepdims=True)
    image = (x - low) / jnp.where(high > low, high - low, 1)
    mu, one, two, dt = (per_image(v, x) for v in (smoothness, inside, outside, step))

    def mean(weight: jax.Array) -> jax.Array:
        return jnp.sum(image * weight, (1, 2), keepdims=True) / jnp.maximum(jnp.sum(weight, (1, 2), keepdims=True), 1)

    def slope(along: jax.Array, across: jax.Array) -> jax.Array:
        return lax.rsqrt(1e-8 + along**2 + across**2)

    def evolve(_: int, phi: jax.Array) -> jax.Array:
        p = jnp.pad(phi, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
        up, down, left, right = p[:, :-2, 1:-1], p[:, 2:, 1:-1], p[:, 1:-1, :-2], p[:, 1:-1, 2:]
        x0, y0 = (right - left) / 2, (down - up) / 2
        c1, c2 = slope(right - phi, y0), slope(phi - left, y0)
        c3, c4 = slope(down - phi, x0), slope(phi - up, x0)
        set_ = (phi > 0).astype(x.dtype)
        force = two * jnp.square(image - mean(1 - set_)) - one * jnp.square(image - mean(set_))
        delta = dt / (1 + phi**2)
        pulled = mu * (right * c1 + left * c2 + down * c3 + up * c4) + jnp.mean(force, axis=-1, keepdims=True)
        return (phi + delta * pulled) / (1 + mu * delta * (c1 + c2 + c3 + c4))

    waves = [jnp.sin(jnp.arange(n, dtype=x.dtype) * (math.pi / 5)) for n in (h, w)]
    board = jnp.broadcast_to((waves[0][:, None] * waves[1])[None, :, :, None], (*x.shape[:3], 1))
    return 0.5 + jnp.arctan(lax.fori_loop(0, steps, evolve, board)) / math.pi


@operator()
def find_boundaries(labels: jax.Array, *, mode: Literal["thick", "inner"] = "thick") -> jax.Array:
    """Marks the pixels of labels [b h w] that share a side with another label: float32 [b h w 1].

    mode: "thick", both sides of a boundary; "inner", only pixels of a region, not of label 0.
    Equals skimage.segmentation.find_boundaries(labels, mode=mode).
    """
    below, right = labels[:, 1:] != labels[:, :-1], labels[:, :, 1:] != labels[:, :, :-1]
    found = jnp.pad(below, ((0, 0), (0, 1), (0, 0))) | jnp.pad(below, ((0, 0), (1, 0), (0, 0)))
    found |= jnp.pad(right, ((0, 0), (0, 0), (0, 1))) | jnp.pad(right, ((0, 0), (0, 0), (1, 0)))
    return (found & (labels != 0) if mode == "inner" else found).astype(jnp.float32)[..., None]


@operator()
def expand_labels(labels: jax.Array, distance: Annotated[float, Numbers(0)]) -> jax.Array:
    """Grows labels [b h w] by up to `distance` pixels (Euclidean) over label 0, until they meet.

    A pixel goes to the nearest label, the smaller one of equally near ones.
    Equals skimage.segmentation.expand_labels but for ties.
    """
    reach = min(int(distance), max(labels.shape[1:]))
    far = jnp.int32(2**30)
    square, owner = jnp.where(labels > 0, 0, far), jnp.where(labels > 0, labels, far)
    for axis in (1, 2):  # the nearest in the column of a pixel; then the nearest of those in its row
        square, owner = _nearest_along(square, owner, axis, reach, far)
    limit = min(math.floor(distance**2), 2**29)
    return jnp.where(square <= limit, owner, jnp.minimum(labels, 0))


def _nearest_along(
    square: jax.Array, owner: jax.Array, axis: int, reach: int, far: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """The least (squared distance, owner) [b h w] of the pixels up to `reach` away along an axis."""
    n = square.shape[axis]
    widths = [(reach, reach) if i == axis else (0, 0) for i in range(3)]
    padded = lax.optimization_barrier(tuple(jnp.pad(a, widths, constant_values=far) for a in (square, owner)))

    def look(step: int, best: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        for start in (reach - step, reach + step):
            away, label = (lax.dynamic_slice_in_dim(a, start, n, axis) for a in padded)
            away = jnp.minimum(away, far - step * step) + step * step
            better = (away < best[0]) | ((away == best[0]) & (label < best[1]))
            best = jnp.where(better, away, best[0]), jnp.where(better, label, best[1])
        return best

    return lax.fori_loop(1, reach + 1, look, (square, owner))


@operator()
def clear_border(labels: jax.Array, *, margin: Annotated[int, whole(0, 1_000_000)] = 0) -> jax.Array:
    """Removes the connected (8) pieces of labels [b h w] that come within `margin` pixels of the border.

    Equals skimage.segmentation.clear_border(labels, buffer_size=margin).
    """
    b, h, w = labels.shape
    pieces = connected_components(labels).labels
    rows, columns = jnp.arange(h)[:, None], jnp.arange(w)
    edge = jnp.minimum(jnp.minimum(rows, h - 1 - rows), jnp.minimum(columns, w - 1 - columns)) <= margin
    touched = jnp.zeros((b, h * w + 1), bool)
    touched = touched.at[jnp.arange(b)[:, None, None], jnp.where(edge, pieces, 0)].set(True)
    return jnp.where(look_up(touched, pieces) & (labels > 0), 0, labels)


@operator()
def distance_transform(mask: jax.Array) -> jax.Array:
    """Measures the distance [b h w 1] in pixels from each pixel of mask [b h w 1] to the nearest one not above 0.5.

    Exact and Euclidean; 0 outside of the mask; the diagonal of the image if there is no outside. Not differentiable.
    Equals scipy.ndimage.distance_transform_edt.
    """
    require_colors(mask, "distance_transform", allowed=(1,))
    _, h, w, _ = mask.shape
    outside, row, far = mask[..., 0] <= 0.5, jnp.arange(h, dtype=jnp.int32)[:, None], h + w
    above = lax.cummax(jnp.where(outside, row, -far), axis=1)
    below = lax.cummin(jnp.where(outside, row, h + far), axis=1, reverse=True)
    column = jnp.square(jnp.minimum(jnp.minimum(row - above, below - row), far))  # to the nearest in its column
    width = w + _AT_ONCE
    padded = lax.optimization_barrier(jnp.pad(column, ((0, 0), (0, 0), (width, width)), constant_values=far * far))

    def look(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        best, first = state
        for step in (first + i for i in range(_AT_ONCE)):  # one pass over `best`
            left, right = (lax.dynamic_slice_in_dim(padded, width + side * step, w, 2) for side in (-1, 1))
            best = jnp.minimum(best, jnp.minimum(left, right) + step * step)
        return best, first + _AT_ONCE

    def unsure(state: tuple[jax.Array, jax.Array]) -> jax.Array:
        best, step = state
        return (step < w) & jnp.any(best.max(1) > step * step)  # down the columns first: faster on a CPU

    least, _ = lax.while_loop(unsure, look, (column, jnp.int32(1)))
    least = jnp.minimum(least, h * h + w * w)
    return jnp.sqrt(least.astype(mask.dtype))[..., None]
