"""Applies functions of images inside a mask, or to each segment by itself.

What lies outside stays the same, bit by bit. A mask is float [b h w 1] in [0, 1], given, or "foreground" or
"background", found by `segment.foreground`. Labels are int32 [b h w], given or found by "kmeans(4)",
"threshold_otsu" or "threshold_multiotsu(3)".
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import lax

from gen.errors import InputError, nearest
from gen.files import printable
from gen.imaging import _operator, bounds, segment
from gen.imaging.filters import box, guided

# What finds them in the picture itself; other numbers may stand in the brackets.
MASKS = ("foreground", "background")
SEGMENTERS = ("kmeans(4)", "threshold_otsu", "threshold_multiotsu(3)")
_SEGMENTERS = [name.partition("(")[0] for name in SEGMENTERS]


def is_automatic(name: str) -> bool:
    """Checks whether `name` is a mask or labels found in the picture itself, not the name of a given array."""
    return name in MASKS or name.partition("(")[0] in _SEGMENTERS


def apply_masked(
    x: jax.Array,
    mask: jax.Array | str,
    function: Callable[[jax.Array], jax.Array],
    *,
    feather: bounds.Radius = 0,
    follow: bool = True,
) -> jax.Array:
    """Applies a function inside a mask: x + mask * (function(x) - x), exactly x where the mask is 0.

    x: [b h w c] or [h w c]. mask: [b h w 1], [h w 1], "foreground" or "background". function: images to images of the
    same shape; it sees the whole picture. feather: pixels over which the mask fades in, from its edge inwards: outside
    the mask not a bit changes. follow: the edge of a feathered mask follows the edges of the picture, by a guided
    filter of this radius (He et al. 2013, section 4, "feathering").
    """
    if x.ndim == 3:
        alone = mask if isinstance(mask, str) else mask[None]
        return apply_masked(x[None], alone, _of_one(function), feather=feather, follow=follow)[0]
    _operator.check("inside", "x", x)
    bounds.arguments(apply_masked)["feather"].check("inside", feather)
    found = _mask(x, mask) if isinstance(mask, str) else jnp.asarray(mask)
    _operator.check("inside", "mask", found)
    if found.shape[-3:] != (*x.shape[1:3], 1):
        raise InputError(f"inside: mask has shape {list(found.shape)}; allowed: {[*x.shape[:3], 1]}")
    weight = feathered(found.astype(x.dtype), x, feather=feather, follow=follow)
    return jnp.where(weight > 0, x + weight * (_same(x, function) - x), x)


def feathered(mask: jax.Array, guide: jax.Array, *, feather: int, follow: bool = True) -> jax.Array:
    """A mask [b h w 1] that fades to 0 at its edge within `feather` pixels inside it, and stays 0 where it was; what is
    thinner than that fades out.

    follow: the fade follows the edges of `guide` [b h w c].
    """
    if feather == 0:
        return mask
    radius = (feather + 1) // 2
    # Two boxes, one after the other, turn a step into a ramp of 4 * radius pixels that is 1/2 at the step; the guided
    # filter does the same where the guide is flat, and keeps the step where the guide has one.
    smooth = guided(mask, radius, guide=guide, eps=1e-3) if follow else box(box(mask, radius), radius)
    return jnp.where(mask > 0, jnp.clip(2 * smooth - 1, 0.0, 1.0) * mask, 0.0)


def map_segments(
    x: jax.Array,
    labels: jax.Array | str,
    function: Callable[[jax.Array], jax.Array],
    *,
    count: Annotated[int, bounds.whole(1, 1024)] | None = None,
) -> jax.Array:
    """Applies a function to each segment by itself, on a ground of the mean color of the segment.

    x: [b h w c] or [h w c]. labels: int32 [b h w] or [h w] from 1 to `count`, or how to find them: "kmeans(4)",
    "threshold_otsu" (2 segments), "threshold_multiotsu(3)"; label 0 stays as it is. function: images to images of the
    same shape; it runs once for each segment.
    """
    if x.ndim == 3:
        alone = labels if isinstance(labels, str) else labels[None]
        return map_segments(x[None], alone, _of_one(function), count=count)[0]
    _operator.check("map_segments", "x", x)
    bounds.arguments(map_segments)["count"].check("map_segments", count)
    if isinstance(labels, str):
        labels, count = _labels(x, labels)
    _operator.check("map_segments", "labels", labels)
    if labels.shape[-2:] != x.shape[1:3]:
        raise InputError(f"map_segments: labels have shape {list(labels.shape)}; allowed: {list(x.shape[:3])}")
    if count is None:
        raise InputError(f"map_segments: count={count}; allowed: the largest label, from 1")

    def one(out: jax.Array, label: jax.Array) -> tuple[jax.Array, None]:
        here = (labels == label)[..., None]
        size = jnp.maximum(here.sum((1, 2), keepdims=True), 1).astype(x.dtype)
        mean = jnp.where(here, x, 0).sum((1, 2), keepdims=True) / size
        return jnp.where(here, _same(jnp.where(here, x, mean), function), out), None

    return lax.scan(one, x, jnp.arange(1, count + 1))[0]


def _same(x: jax.Array, function: Callable[[jax.Array], jax.Array]) -> jax.Array:
    y = function(x)
    if y.shape != x.shape:
        raise InputError(f"a region: its chain makes {list(y.shape)} of {list(x.shape)}; allowed: the same shape")
    return y


def _of_one(function: Callable[[jax.Array], jax.Array]) -> Callable[[jax.Array], jax.Array]:
    """A function of single images, for a batch of one; one of batches may be given as well."""
    return lambda batch: function(batch[0])[None]


def _mask(x: jax.Array, name: str) -> jax.Array:
    if name not in MASKS:
        allowed = f"allowed: a given mask, {', '.join(MASKS)}{nearest(name[:40], MASKS)}"
        raise InputError(f"inside: no mask '{printable(name, longest=40)}'; {allowed}")
    found = segment.foreground(x)
    return found if name == "foreground" else 1 - found


def _labels(x: jax.Array, text: str) -> tuple[jax.Array, int]:
    """Labels from 1 and their number, by the segmenter that `text` names."""
    parsed = re.fullmatch(r"(\w+)(?:\(([0-9]{1,9})\))?", text.strip())
    name, number = (parsed[1], int(parsed[2] or 0)) if parsed else (text, 0)
    if name not in _SEGMENTERS or (name == "threshold_otsu") == bool(number):
        allowed = f"allowed: given labels, {', '.join(SEGMENTERS)}{nearest(text[:40], _SEGMENTERS)}"
        raise InputError(f"map_segments: '{printable(text, longest=40)}'; {allowed}")
    if name == "threshold_otsu":
        light = _operator.luma(x)[..., 0]
        return (light > segment.threshold_otsu(x)[:, None, None]).astype(jnp.int32) + 1, 2
    if name == "threshold_multiotsu":
        levels = segment.threshold_multiotsu(x, number)
        light = _operator.luma(x)[..., 0]
        return 1 + (light[..., None] > levels[:, None, None, :]).sum(-1).astype(jnp.int32), number
    return segment.kmeans(x, number).labels, number
