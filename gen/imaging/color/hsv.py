"""Color spaces of the display-referred sRGB values themselves, each with its inverse: HSV, HSL, YCbCr; [.. h w 3].

Every hue is in turns: 0 and 1 are the same hue. Nothing is clipped, and all gradients are finite on [0, 1], black,
white and equal channels included.
"""

from __future__ import annotations

from typing import Literal

import jax
import jax.numpy as jnp

from gen.imaging._operator import operator, require_colors
from gen.imaging.color._planar import TINY, channels, divide, inverse, join, mix

# Rec. 601: luma weights; Cb and Cr are scaled to a range of 1.
_LUMA = (0.299, 0.587, 0.114)
_YCBCR = (
    _LUMA,
    tuple((float(i == 2) - w) / (2 * (1 - _LUMA[2])) for i, w in enumerate(_LUMA)),
    tuple((float(i == 0) - w) / (2 * (1 - _LUMA[0])) for i, w in enumerate(_LUMA)),
)
_YCBCR_INVERSE = inverse(_YCBCR)
Swing = Literal["full", "studio"]
# Offset and scale of Y, Cb, Cr.
_SWINGS: dict[Swing, tuple[tuple[float, float], ...]] = {
    "full": ((0.0, 1.0), (0.5, 1.0), (0.5, 1.0)),
    "studio": ((16 / 255, 219 / 255), (128 / 255, 224 / 255), (128 / 255, 224 / 255)),
}


def _hexagon(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The hue in turns (0 for grays), the largest and the smallest channel of sRGB [... 3]."""
    r, g, b = channels(x)
    # Not maximum and minimum, which are slow on XLA:CPU for what they do with NaN.
    top, low = jnp.where(r > g, r, g), jnp.where(r > g, g, r)
    top, low = jnp.where(b > top, b, top), jnp.where(b < low, b, low)
    start = jnp.where(b == top, 4.0, jnp.where(g == top, 2.0, 0.0))
    sixth = start + divide(jnp.where(b == top, r - g, jnp.where(g == top, b - r, g - b)), top - low)
    hue = jnp.where(sixth < 0, sixth + 6, sixth) / 6
    return jnp.where(top - low > TINY, hue, 0.0), top, low


@operator()
def rgb_to_hsv(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to hue (turns), saturation, value, all in [0, 1]; a gray has hue 0.

    Equals skimage.color.rgb2hsv.
    """
    require_colors(x, "rgb_to_hsv")
    hue, top, low = _hexagon(x)
    return join([hue, divide(top - low, top), top])


@operator()
def hsv_to_rgb(x: jax.Array) -> jax.Array:
    """Converts hue (turns, any real number), saturation, value to sRGB. Equals skimage.color.hsv2rgb."""
    require_colors(x, "hsv_to_rgb")
    h, s, v = channels(x)

    def channel(n: int) -> jax.Array:
        k = jnp.mod(n + 6 * h, 6)
        return v - v * s * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return join([channel(5), channel(3), channel(1)])


@operator()
def rgb_to_hsl(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to hue (turns), saturation, lightness, all in [0, 1]; a gray has hue 0.

    Equals colorsys.rgb_to_hls and cv2.COLOR_RGB2HLS but for the order and the unit of the hue.
    """
    require_colors(x, "rgb_to_hsl")
    hue, top, low = _hexagon(x)
    room = jnp.where(top + low <= 1, top + low, (1 - top) + (1 - low))
    return join([hue, divide(top - low, room), (top + low) / 2])


@operator()
def hsl_to_rgb(x: jax.Array) -> jax.Array:
    """Converts hue (turns, any real number), saturation, lightness to sRGB, the inverse of rgb_to_hsl."""
    require_colors(x, "hsl_to_rgb")
    h, s, lightness = channels(x)

    def channel(n: int) -> jax.Array:
        k = jnp.mod(n + 12 * h, 12)
        return lightness - s * jnp.minimum(lightness, 1 - lightness) * jnp.clip(jnp.minimum(k - 3, 9 - k), -1, 1)

    return join([channel(0), channel(8), channel(4)])


@operator()
def rgb_to_ycbcr(x: jax.Array, *, swing: Swing = "full") -> jax.Array:
    """Converts sRGB [.. 3] to Y, Cb, Cr of Rec. 601, on the display-referred values.

    swing: "full" (JPEG: all in [0, 1], gray at Cb = Cr = 0.5) equals Pillow's YCbCr / 255, and kornia's and (as Y, Cr,
    Cb) cv2's to 3e-4, which round the factors; "studio" (Y from 16 / 255 to 235 / 255) equals
    skimage.color.rgb2ycbcr(x) / 255 to 1e-6.
    """
    require_colors(x, "rgb_to_ycbcr")
    planes = mix(_YCBCR, channels(x))
    return join([offset + scale * plane for (offset, scale), plane in zip(_SWINGS[swing], planes, strict=True)])


@operator()
def ycbcr_to_rgb(x: jax.Array, *, swing: Swing = "full") -> jax.Array:
    """Converts Y, Cb, Cr of Rec. 601 to sRGB, the inverse of rgb_to_ycbcr with the same swing."""
    require_colors(x, "ycbcr_to_rgb")
    planes = [(plane - offset) / scale for (offset, scale), plane in zip(_SWINGS[swing], channels(x), strict=True)]
    return join(mix(_YCBCR_INVERSE, planes))
