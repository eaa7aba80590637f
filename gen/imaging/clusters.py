"""k-means, for palettes and segments: the same clusters for the same values, with no random numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.imaging._segment_sum import sums_by_label

__all__ = ["lloyd", "nearest_center"]

SEEDS_FROM = 20  # seeds are chosen among this many rows and columns of pixels


def lloyd(features: jax.Array, clusters: int, iterations: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """features [b h w f] to labels int32 [b h w] from 0, centers [b k f] and shares of the pixels [b k].

    Seeds: one after the other, the pixel of a coarse grid that makes the sum of squared distances from the grid to the
    nearest seed smallest (greedy k-means++, Arthur and Vassilvitskii 2007, with the best candidate in place of a random
    one). Then `iterations` steps of Lloyd's algorithm; a cluster that loses its pixels keeps its center. A center is
    the mean of its pixels, and differentiable as such: who belongs where is a constant.
    """
    b, h, w, f = features.shape
    # Close to zero sums and products lose fewer digits.
    middle = lax.stop_gradient(jnp.mean(features, axis=(1, 2), keepdims=True))
    features = features - middle
    fixed = lax.stop_gradient(features)

    def update(labels: jax.Array, values: jax.Array, centers: jax.Array) -> tuple[jax.Array, jax.Array]:
        sums = sums_by_label(jnp.concatenate([values, jnp.ones_like(values[..., :1])], -1), labels + 1, clusters)
        area = sums[..., f:]
        return jnp.where(area > 0, sums[..., :f] / jnp.maximum(area, 1), centers), area[..., 0] / (h * w)

    def step(_: int, centers: jax.Array) -> jax.Array:
        return update(nearest_center(fixed, centers), fixed, centers)[0]

    rows, columns = (np.unique((np.arange(SEEDS_FROM) + 0.5) * n // SEEDS_FROM).astype(np.int32) for n in (h, w))
    seeds = _seeds(fixed[:, rows[:, None], columns].reshape(b, -1, f), clusters)
    centers = lax.fori_loop(0, iterations, step, seeds)
    labels = nearest_center(fixed, centers)
    centers, shares = update(labels, features, centers)
    return labels, centers + middle[:, 0], shares


def nearest_center(features: jax.Array, centers: jax.Array) -> jax.Array:
    """features [b .. f], centers [b k f] to the index of the nearest center, int32 [b ..]; the first of equals.

    Planes are compared center by center, which on XLA:CPU is ten times faster than a product of matrices and argmin.
    """
    b, k, f = centers.shape
    planes = lax.optimization_barrier(jnp.moveaxis(features.reshape(b, -1, f), -1, 0))
    block = min(k, 8)
    padded = jnp.concatenate([centers, jnp.repeat(centers[:, -1:], -k % block, axis=1)], axis=1)

    def compare(i: jax.Array, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        least, label = state
        some = lax.dynamic_slice_in_dim(padded, i * block, block, axis=1)
        for j in range(block):
            distance = sum(jnp.square(plane - some[:, j, n, None]) for n, plane in enumerate(planes))
            nearer = distance < least
            least, label = jnp.where(nearer, distance, least), jnp.where(nearer, i * block + j, label)
        return least, label

    start = (jnp.full(planes.shape[1:], jnp.inf, planes.dtype), jnp.zeros(planes.shape[1:], jnp.int32))
    return lax.fori_loop(0, padded.shape[1] // block, compare, start)[1].reshape(features.shape[:-1])


def _seeds(points: jax.Array, clusters: int) -> jax.Array:
    """points [b m f] to [b k f]: some of the points, chosen greedily."""
    sizes = jnp.sum(jnp.square(points), axis=-1)
    products = jnp.einsum("bmf,bnf->bmn", points, points, precision=lax.Precision.HIGHEST)
    apart = jnp.maximum(sizes[:, :, None] + sizes[:, None, :] - 2 * products, 0)
    batch = jnp.arange(points.shape[0])

    def choose(i: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        distance, chosen = state
        best = jnp.argmin(jnp.sum(jnp.minimum(distance[:, None, :], apart), axis=-1), axis=-1).astype(jnp.int32)
        return jnp.minimum(distance, apart[batch, best]), chosen.at[:, i].set(best)

    start = (jnp.full(sizes.shape, jnp.inf, points.dtype), jnp.zeros((points.shape[0], clusters), jnp.int32))
    _, chosen = lax.fori_loop(0, clusters, choose, start)
    return jnp.take_along_axis(points, chosen[..., None], axis=1)
