"""Thresholds: of Otsu, for two classes and more, and one for each place. x > threshold is the brighter class.

Color images are judged by their luma (Rec. 709 on display-referred values).
"""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gen.imaging._operator import luma, operator, per_image
from gen.imaging._segment_sum import histogram, sums_by_label
from gen.imaging.bounds import Bins, whole
from gen.imaging.filters.smooth import box, gaussian, median


@operator()
def threshold_otsu(x: jax.Array, *, bins: Bins = 256) -> jax.Array:
    """Finds the threshold [b] that splits x [b h w c] into two classes whose means are as far apart as possible.

    `bins` levels, 2 to 1024, from the smallest to the largest value of each image: an image of low contrast, such as
    12-bit data in 16 bits, uses all of them. The threshold lies half way between the last level of the darker class
    and the first of the brighter one, so x > threshold does not depend on rounding. For a
    constant image it is the constant: nothing is above. Not differentiable: gradients are 0.
    Equals skimage.filters.threshold_otsu and cv2.threshold(.., THRESH_OTSU) on 8-bit values as a division into classes.
    Source: Otsu, IEEE Trans. SMC 9 (1979), eq. 12.
    """
    return _thresholds(x, 2, bins)[:, 0]


@operator()
def threshold_multiotsu(x: jax.Array, classes: Annotated[int, whole(2, 4)], *, bins: Bins = 256) -> jax.Array:
    """Finds the ascending thresholds that split x [b h w c] into 2, 3 or 4 classes with the most variance between them.

    Returns [b classes-1]; class k is jnp.sum(x > thresholds). `bins` and places as in `threshold_otsu`. An image with
    fewer levels than classes has its maximum as the thresholds that are left. The exact optimum, by dynamic programming
    over the classes.
    Equals skimage.filters.threshold_multiotsu as a division of 8-bit values into classes.
    Source: Liao, Chen and Chung, J. Information Science and Engineering 17 (2001).
    """
    return _thresholds(x, classes, bins)


def _thresholds(x: jax.Array, classes: int, bins: int) -> jax.Array:
    b, dtype = x.shape[0], x.dtype
    y = luma(x).reshape(b, -1)
    low, high = jnp.min(y, axis=1, keepdims=True), jnp.max(y, axis=1, keepdims=True)
    spread = (y - low) / jnp.where(high > low, high - low, 1)
    level = jnp.clip(jnp.round(spread * (bins - 1)), 0, bins - 1).astype(jnp.int32)
    counts = histogram(level, bins).astype(jnp.float32)
    share = counts / level.shape[1]
    # A level counts with the mean of its values, so that whole levels (of 8 bits) between two ends are exact.
    value = sums_by_label(spread[..., None], level + 1, bins)[..., 0] / jnp.maximum(counts, 1)
    # Levels around their mean: then the sums are small, and their squares keep their digits.
    value = value - jnp.sum(share * value, axis=-1, keepdims=True)
    mass, moment = (jnp.pad(jnp.cumsum(v, axis=-1), ((0, 0), (1, 0))) for v in (share, share * value))

    def between(start: np.ndarray, end: np.ndarray) -> jax.Array:
        """What a class of the levels start .. end-1 adds to the variance between classes."""
        inside, sum_inside = (v[:, end] - v[:, start] for v in (mass, moment))
        full = inside > 0.5 / level.shape[1]
        return jnp.where(
            full, jnp.square(sum_inside) / jnp.where(full, inside, 1), jnp.where(start <= end, 0, -jnp.inf)
        )

    edges = np.arange(bins + 1)
    best, cuts = between(np.zeros_like(edges), edges), []
    for _ in range(classes - 2):
        total = best[:, :, None] + between(edges[:, None], edges[None, :])
        cuts.append(jnp.argmax(total, axis=1))
        best = jnp.max(total, axis=1)
    last = jnp.argmax((best + between(edges, np.full_like(edges, bins)))[:, 1:bins], axis=1) + 1
    ends = [last]
    for cut in reversed(cuts):
        ends.insert(0, jnp.take_along_axis(cut, ends[0][:, None], axis=1)[:, 0])
    end = jnp.stack(ends, axis=1)  # the first level of the brighter class

    # Empty levels at the end of the darker class or the start of the brighter one: the middle of the gap.
    filled, all_levels = counts[:, None, :] > 0, jnp.arange(bins)
    below = jnp.max(jnp.where(filled & (all_levels < end[..., None]), all_levels, -1), axis=-1)
    above = jnp.min(jnp.where(filled & (all_levels >= end[..., None]), all_levels, bins), axis=-1)
    middle = low + (high - low) * (below + above).astype(dtype) / (2 * (bins - 1))
    return jnp.sort(jnp.where((below < 0) | (above >= bins), high, middle), axis=1)


@operator()
def threshold_local(
    x: jax.Array,
    radius: Annotated[int, whole(1, 2048)],
    *,
    method: Literal["gaussian", "mean", "median"] = "gaussian",
    offset: Any = 0.0,
) -> jax.Array:
    """Finds a threshold for each pixel, [b h w 1]: a mean of the luma of [b h w c] around it, less an offset.

    `radius` pixels, at least 1. `method`: "gaussian" (sigma = radius / 3), "mean" or "median" of the square of
    2 radius + 1 pixels. `offset`: what is subtracted; [b] for each image. Differentiable.
    Equals skimage.filters.threshold_local(x, 2 * radius + 1, method, offset, mode="mirror").
    """
    y = luma(x)
    if method == "gaussian":
        # The radius of scipy, not ours: 4 sigma to the nearest pixel.
        around = gaussian(y, radius / 3, radius=math.floor(4 * radius / 3 + 0.5))
    else:
        around = box(y, radius) if method == "mean" else median(y, 2 * radius + 1)
    return around - per_image(offset, x)
