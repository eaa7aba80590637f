"""k-means without random numbers: the same clusters for the same values, as segments and for palettes."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.imaging._operator import luma, operator, per_image
from gen.imaging._segment_sum import sums_by_label
from gen.imaging.bounds import whole

SEEDS_FROM = 20  # seeds are chosen among this many rows and columns of pixels


class Clusters(NamedTuple):
    """labels int32 [b h w], 1..k from dark to bright; centers [b k c], the mean value of each."""

    labels: jax.Array
    centers: jax.Array


@operator()
def kmeans(
    x: jax.Array,
    clusters: Annotated[int, whole(1, 256)],
    *,
    position_weight: Any = 0.0,
    iterations: Annotated[int, whole(0, 1000)] = 10,
) -> Clusters:
    """Divides the pixels of each image into `clusters` groups of similar values.

    x [b h w c], c of 1 or 3 or any features. `clusters` 1 to 256. `position_weight`: how much going across the whole
    longer side counts, compared with a difference of 1 in one channel; 0: places do not matter; [b] for each image.
    Returns labels int32 [b h w] in 1..clusters, ordered by the brightness of the centers (by the first channel, if
    there are not 1 or 3), and centers [b clusters c] in the values of x, differentiable. The same image gives the same
    answer: seeds are not random. An image with fewer values than clusters leaves labels unused.
    Perceived distances: kmeans(rgb_to_oklab(x), ...). Like cv2.kmeans, whose seeds are random.
    """
    _, h, w, c = x.shape
    side = max(h, w)
    across = jnp.broadcast_to((jnp.arange(w, dtype=x.dtype) / side)[None, :, None], (h, w, 1))
    down = jnp.broadcast_to((jnp.arange(h, dtype=x.dtype) / side)[:, None, None], (h, w, 1))
    places = jnp.broadcast_to(jnp.concatenate([down, across], -1), (*x.shape[:3], 2))
    labels, centers, _ = lloyd(jnp.concatenate([x, per_image(position_weight, x) * places], -1), clusters, iterations)
    centers = centers[..., :c]
    brightness = luma(centers)[..., 0] if c in (1, 3) else centers[..., 0]
    order = jnp.argsort(brightness, axis=-1)
    rank = jnp.argsort(order, axis=-1).astype(jnp.int32)
    labels = jnp.take_along_axis(rank, labels.reshape(x.shape[0], -1), axis=1).reshape(labels.shape) + 1
    return Clusters(labels, jnp.take_along_axis(centers, order[..., None], axis=1))


def lloyd(features: jax.Array, clusters: int, iterations: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Clusters features [b h w f]: labels int32 [b h w] from 0, centers [b k f] and shares of the pixels [b k].

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
    """Finds the index int32 [b ..] of the center [b k f] nearest to features [b .. f]; the first of equals.

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
