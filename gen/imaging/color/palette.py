"""Palettes: the main colors of an image, and images in the colors of a palette."""

from __future__ import annotations

from typing import Annotated, Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import operator, require_colors
from gen.imaging.bounds import Numbers, whole
from gen.imaging.color.spaces import oklab_to_rgb, rgb_to_oklab, to_linear
from gen.imaging.filters.effects import bayer
from gen.imaging.segment.kmeans import lloyd, nearest_center

Dither = Literal["none", "ordered", "noise"]


class Palette(NamedTuple):
    """colors [b k 3] in sRGB, the most frequent first, and the share of the pixels that is nearest to each [b k]."""

    colors: jax.Array
    shares: jax.Array


@operator()
def palette(
    x: jax.Array, colors: Annotated[int, whole(1, 256)], *, iterations: Annotated[int, whole(0, 1000)] = 12
) -> Palette:
    """Finds the main colors of each image: the centers of k-means in Oklab, by their share of the pixels.

    x [b h w 3]. `colors` 1 to 256. Returns colors [b colors 3] in sRGB, as far in [0, 1] as x is to 1e-5, the most
    frequent first, and shares [b colors], with sum 1. Differentiable: a center is the mean of its pixels. The same
    image gives the same palette. An image with fewer colors than that repeats some, with share 0.
    """
    require_colors(x, "palette")
    _, centers, shares = lloyd(rgb_to_oklab(x), colors, iterations)
    order = jnp.argsort(-shares, axis=-1, stable=True)
    centers = jnp.take_along_axis(centers, order[..., None], axis=1)
    return Palette(oklab_to_rgb(centers[:, None])[:, 0], jnp.take_along_axis(shares, order, axis=1))


@operator()
def quantize(x: jax.Array, colors: Annotated[Any, Numbers(-1e9, 1e9)], *, dither: Dither = "none") -> jax.Array:
    """Maps each pixel to one of the given colors: the nearest in Oklab, or a pattern of two that mix to it.

    x [b h w 3]. `colors` [k 3] or [b k 3] in sRGB, such as `palette` returns. `dither`: "none"; "ordered", the 8x8
    matrix of Bayer (1973); "noise", the interleaved gradient noise of Jimenez (SIGGRAPH 2014), less regular. Dithering
    takes the pair of colors, one of them the nearest, whose mixture in linear light comes nearest to the pixel, as
    far colors cost something (a simple form of Yliluoma's positional dithering), and its mean over the pattern is
    that mixture. Differentiable in `colors` only.
    """
    require_colors(x, "quantize")
    colors = jnp.asarray(colors, x.dtype)
    if colors.ndim not in (2, 3) or colors.shape[-1] != 3 or 0 in colors.shape:
        raise InputError(f"quantize: colors has shape {list(colors.shape)}; allowed: [k 3] or [b k 3]")
    b, h, w, _ = x.shape
    if colors.ndim == 3 and colors.shape[0] not in (1, b):
        raise InputError(f"quantize: colors has {colors.shape[0]} palettes; allowed: 1 or {b}, as x has images")
    colors = jnp.broadcast_to(colors, (b, *colors.shape[-2:]))
    chosen = nearest_center(lax.stop_gradient(rgb_to_oklab(x)), lax.stop_gradient(rgb_to_oklab(colors[:, None])[:, 0]))
    if dither != "none" and colors.shape[1] > 1:
        light, mixed = lax.stop_gradient(to_linear(x)), lax.stop_gradient(to_linear(colors[:, None])[:, 0])
        chosen = _mix(light, mixed, chosen, jnp.asarray(_pattern(h, w, dither), x.dtype))
    return jnp.take_along_axis(colors, chosen.reshape(b, -1, 1), axis=1).reshape(x.shape)


def _mix(light: jax.Array, colors: jax.Array, first: jax.Array, pattern: jax.Array) -> jax.Array:
    """light [b h w 3], colors [b k 3] linear, first [b h w]: that, or the best partner, by the pattern."""
    b = light.shape[0]
    start = jnp.take_along_axis(colors, first.reshape(b, -1, 1), axis=1).reshape(light.shape)
    gap = light - start

    def partner(k: jax.Array, best: tuple[jax.Array, ...]) -> tuple[jax.Array, ...]:
        cost, other, amount = best
        way = colors[:, k][:, None, None, :] - start
        length = jnp.sum(jnp.square(way), axis=-1)
        t = jnp.clip(jnp.sum(gap * way, axis=-1) / jnp.where(length > 0, length, 1), 0, 1)
        new = jnp.sum(jnp.square(gap - t[..., None] * way), axis=-1) + 0.05 * t * (1 - t) * length
        better = (new < cost) & (length > 0)
        return jnp.where(better, new, cost), jnp.where(better, k, other), jnp.where(better, t, amount)

    alone = jnp.sum(jnp.square(gap), axis=-1)
    _, other, amount = lax.fori_loop(0, colors.shape[1], partner, (alone, first, jnp.zeros_like(alone)))
    return jnp.where(amount > pattern, other, first)


def _pattern(h: int, w: int, dither: str) -> np.ndarray:
    """[h w] thresholds in (0, 1), evenly distributed."""
    if dither == "ordered":
        return bayer(h, w, 8)
    y, x = np.mgrid[:h, :w]
    return np.mod(52.9829189 * np.mod(0.06711056 * x + 0.00583715 * y, 1), 1)
