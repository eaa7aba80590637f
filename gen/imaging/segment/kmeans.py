"""Segments by k-means on values and, if wanted, positions."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import jax
import jax.numpy as jnp

from gen.imaging._operator import luma, operator, per_image
from gen.imaging.bounds import whole
from gen.imaging.clusters import lloyd

__all__ = ["kmeans"]


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
    InputError: clusters or iterations out of range.
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
