"""Properties of regions: size, place and colors."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from gen.imaging._operator import operator
from gen.imaging._segment_sum import sums_by_label
from gen.imaging.bounds import whole


class RegionStatistics(NamedTuple):
    """Row k - 1 is region k; a region without pixels has zeros.

    area [b n], pixels; mean [b n c]; covariance [b n c c], of the colors, divided by the area; box int32 [b n 4]: top,
    left, bottom, right in pixels, without the last row and column; centroid [b n 2]: row and column, in pixels.
    """

    area: jax.Array
    mean: jax.Array
    covariance: jax.Array
    box: jax.Array
    centroid: jax.Array


@operator()
def region_statistics(x: jax.Array, labels: jax.Array, count: Annotated[int, whole(1, 10**7)]) -> RegionStatistics:
    """Measures x [b h w c] over the regions 1 to `count` of `labels` [b h w]; other labels are left out.

    Differentiable in x. Equals area, intensity_mean, bbox and centroid of skimage.measure.regionprops.
    """
    b, h, w, c = x.shape
    center = jax.lax.stop_gradient(jnp.mean(x, axis=(1, 2), keepdims=True))  # so that squares do not cancel
    y = jnp.broadcast_to(jnp.arange(h, dtype=x.dtype)[:, None, None] - (h - 1) / 2, (b, h, w, 1))
    z = jnp.broadcast_to(jnp.arange(w, dtype=x.dtype)[:, None] - (w - 1) / 2, (b, h, w, 1))
    d = x - center
    squares = (d[..., :, None] * d[..., None, :]).reshape(b, h, w, c * c)
    sums = sums_by_label(jnp.concatenate([jnp.ones_like(y), y, z, d, squares], axis=-1), labels, count)

    area = sums[..., 0]
    found = (area > 0)[..., None]
    means = sums / jnp.maximum(area, 1)[..., None]
    mean = means[..., 3 : 3 + c]
    covariance = means[..., 3 + c :].reshape(b, count, c, c) - mean[..., :, None] * mean[..., None, :]
    centroid = means[..., 1:3] + jnp.asarray([(h - 1) / 2, (w - 1) / 2], x.dtype)
    return RegionStatistics(
        area,
        jnp.where(found, mean + center[:, :, 0], 0),
        covariance,
        jnp.where(found, _boxes(labels, count), 0),
        jnp.where(found, centroid, 0),
    )


def _boxes(labels: jax.Array, count: int) -> jax.Array:
    b, h, w = labels.shape
    image = jnp.arange(b)[:, None, None]
    row, column = jnp.arange(h)[:, None], jnp.arange(w)[None, :]
    bin_ = jnp.where((labels >= 1) & (labels <= count), labels, 0)
    low = jnp.full((b, count + 1), max(h, w), jnp.int32)
    high = jnp.zeros((b, count + 1), jnp.int32)
    sides = [low.at[image, bin_].min(row), low.at[image, bin_].min(column)]
    sides += [high.at[image, bin_].max(row + 1), high.at[image, bin_].max(column + 1)]
    return jnp.stack(sides, axis=-1)[:, 1:]
