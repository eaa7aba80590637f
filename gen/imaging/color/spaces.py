"""Colour spaces, each with its inverse; between [.. h w 3] display-referred sRGB in [0, 1] and the space.

Every hue is in turns: 0 and 1 are the same hue. Nothing is clipped, and all gradients are finite on [0, 1], black,
white and equal channels included. White is D65.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gen.errors import InputError, nearest
from gen.imaging.arrays import colours, operator
from gen.imaging.color.planes import (
    TINY,
    WHITE,
    XYZ,
    above,
    channels,
    display,
    divide,
    from_oklab,
    inverse,
    join,
    light,
    linear,
    mix,
    oklab,
    show,
    split,
    store,
)

__all__ = [
    "from_linear",
    "hsl_to_rgb",
    "hsv_to_rgb",
    "lab_to_rgb",
    "lch_to_rgb",
    "luv_to_rgb",
    "oklab_to_rgb",
    "oklch_to_rgb",
    "rgb_to_hsl",
    "rgb_to_hsv",
    "rgb_to_lab",
    "rgb_to_lch",
    "rgb_to_luv",
    "rgb_to_oklab",
    "rgb_to_oklch",
    "rgb_to_xyz",
    "rgb_to_ycbcr",
    "to_linear",
    "xyz_to_rgb",
    "ycbcr_to_rgb",
]

_XYZ_INVERSE = inverse(XYZ)
_CONES = [[value / white for value in row] for row, white in zip(XYZ, WHITE, strict=True)]
_CONES_INVERSE = inverse(_CONES)
# u' and v' of the white (CIE 1976).
_U0, _V0 = (k * w / (WHITE[0] + 15 * WHITE[1] + 3 * WHITE[2]) for k, w in ((4, WHITE[0]), (9, WHITE[1])))
# Rec. 601: luma weights; Cb and Cr are scaled to a range of 1.
_LUMA = (0.299, 0.587, 0.114)
_YCBCR = (
    _LUMA,
    tuple((float(i == 2) - w) / (2 * (1 - _LUMA[2])) for i, w in enumerate(_LUMA)),
    tuple((float(i == 0) - w) / (2 * (1 - _LUMA[0])) for i, w in enumerate(_LUMA)),
)
_YCBCR_INVERSE = inverse(_YCBCR)
# Offset and scale of Y, Cb, Cr.
_SWINGS = {
    "full": ((0.0, 1.0), (0.5, 1.0), (0.5, 1.0)),
    "studio": ((16 / 255, 219 / 255), (128 / 255, 224 / 255), (128 / 255, 224 / 255)),
}


@operator()
def to_linear(x: jax.Array) -> jax.Array:
    """Display-referred sRGB to linear light (IEC 61966-2-1); any number of channels; linear below 0."""
    return linear(x)


@operator()
def from_linear(x: jax.Array) -> jax.Array:
    """Linear light to display-referred sRGB, the inverse of to_linear."""
    return display(x)


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
    """sRGB [.. 3] to hue (turns), saturation, value, all in [0, 1]; a gray has hue 0.

    Equals skimage.color.rgb2hsv.
    """
    colours(x, "rgb_to_hsv")
    hue, top, low = _hexagon(x)
    return join([hue, divide(top - low, top), top])


@operator()
def hsv_to_rgb(x: jax.Array) -> jax.Array:
    """Hue (turns, any real number), saturation, value to sRGB. Equals skimage.color.hsv2rgb."""
    colours(x, "hsv_to_rgb")
    h, s, v = channels(x)

    def channel(n: int) -> jax.Array:
        k = jnp.mod(n + 6 * h, 6)
        return v - v * s * jnp.clip(jnp.minimum(k, 4 - k), 0, 1)

    return join([channel(5), channel(3), channel(1)])


@operator()
def rgb_to_hsl(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to hue (turns), saturation, lightness, all in [0, 1]; a gray has hue 0.

    Equals colorsys.rgb_to_hls and cv2.COLOR_RGB2HLS but for the order and the unit of the hue.
    """
    colours(x, "rgb_to_hsl")
    hue, top, low = _hexagon(x)
    room = jnp.where(top + low <= 1, top + low, (1 - top) + (1 - low))
    return join([hue, divide(top - low, room), (top + low) / 2])


@operator()
def hsl_to_rgb(x: jax.Array) -> jax.Array:
    """Hue (turns, any real number), saturation, lightness to sRGB, the inverse of rgb_to_hsl."""
    colours(x, "hsl_to_rgb")
    h, s, lightness = channels(x)

    def channel(n: int) -> jax.Array:
        k = jnp.mod(n + 12 * h, 12)
        return lightness - s * jnp.minimum(lightness, 1 - lightness) * jnp.clip(jnp.minimum(k - 3, 9 - k), -1, 1)

    return join([channel(0), channel(8), channel(4)])


@operator()
def rgb_to_xyz(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to CIE 1931 XYZ, with Y = 1 for white. Equals skimage.color.rgb2xyz."""
    colours(x, "rgb_to_xyz")
    return join(mix(XYZ, light(x)))


@operator()
def xyz_to_rgb(x: jax.Array) -> jax.Array:
    """CIE XYZ to sRGB, not clipped. Equals skimage.color.xyz2rgb where that does not clip."""
    colours(x, "xyz_to_rgb")
    return show(mix(_XYZ_INVERSE, split(x)))


def _lab(x: jax.Array) -> list[jax.Array]:
    cones = mix(_CONES, light(x))
    fx, fy, fz = store([jnp.where(t > 0.008856, above(t, 0.008856, 1 / 3), 7.787 * t + 16 / 116) for t in cones])
    return [116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)]


def _from_lab(planes: Sequence[jax.Array] | jax.Array) -> jax.Array:
    lightness, a, b = planes
    y = (lightness + 16) / 116
    cones = [jnp.where(f > 0.2068966, f * f * f, (f - 16 / 116) / 7.787) for f in (y + a / 500, y, y - b / 200)]
    return show(mix(_CONES_INVERSE, cones))


@operator()
def rgb_to_lab(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to CIE 1976 L*a*b* of D65: L in [0, 100], a and b about -110 to 110.

    Equals skimage.color.rgb2lab (to 1e-4 in float32), by whose six-digit constants white has a = -0.002, b = 0.005.
    """
    colours(x, "rgb_to_lab")
    return join(_lab(x))


@operator()
def lab_to_rgb(x: jax.Array) -> jax.Array:
    """CIE L*a*b* to sRGB, not clipped. Equals skimage.color.lab2rgb where that does not clip."""
    colours(x, "lab_to_rgb")
    return _from_lab(split(x))


def _polar(planes: list[jax.Array]) -> list[jax.Array]:
    """Lightness, a, b to lightness, chroma, hue in turns (0 for grays)."""
    lightness, a, b = planes
    square = a * a + b * b
    coloured = square > TINY
    chroma = jnp.where(coloured, jnp.sqrt(jnp.where(coloured, square, 1.0)), 0.0)
    hue = jnp.arctan2(jnp.where(coloured, b, 0.0), jnp.where(coloured, a, 1.0)) / (2 * math.pi)
    return [lightness, chroma, jnp.where(hue < 0, hue + 1, hue)]


def _cartesian(planes: jax.Array) -> list[jax.Array]:
    lightness, chroma, hue = planes
    return [lightness, chroma * jnp.cos(2 * math.pi * hue), chroma * jnp.sin(2 * math.pi * hue)]


@operator()
def rgb_to_lch(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to CIE lightness [0, 100], chroma, hue (turns): L*a*b* in polar form.

    Equals skimage.color.lab2lch(rgb2lab(x)) but for the hue, there in radians.
    """
    colours(x, "rgb_to_lch")
    return join(_polar(_lab(x)))


@operator()
def lch_to_rgb(x: jax.Array) -> jax.Array:
    """CIE lightness [0, 100], chroma, hue (turns) to sRGB, not clipped; the inverse of rgb_to_lch."""
    colours(x, "lch_to_rgb")
    return _from_lab(_cartesian(split(x)))


@operator()
def rgb_to_luv(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to CIE 1976 L*u*v* of D65, L in [0, 100]. Equals skimage.color.rgb2luv."""
    colours(x, "rgb_to_luv")
    x, y, z = mix(XYZ, light(x))
    lightness, total = store(
        [jnp.where(y > 0.008856, 116 * above(y, 0.008856, 1 / 3) - 16, 903.3 * y), x + 15 * y + 3 * z]
    )
    u, v = divide(4 * x, total) - _U0, divide(9 * y, total) - _V0
    return join([lightness, 13 * lightness * u, 13 * lightness * v])


@operator()
def luv_to_rgb(x: jax.Array) -> jax.Array:
    """CIE L*u*v* to sRGB, not clipped. Equals skimage.color.luv2rgb where that does not clip."""
    colours(x, "luv_to_rgb")
    lightness, u, v = split(x)
    root = (lightness + 16) / 116
    y = jnp.where(lightness > 7.999625, root * root * root, lightness / 903.3)
    u, v = _U0 + divide(u, 13 * lightness), _V0 + divide(v, 13 * lightness)
    # Real colours have v' > 0.016; the bound keeps others finite.
    v = jnp.maximum(v, 1e-3)
    xyz = [y * 9 * u / (4 * v), y, y * (12 - 3 * u - 20 * v) / (4 * v)]
    return show(mix(_XYZ_INVERSE, xyz))


@operator()
def rgb_to_oklab(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to Oklab: L in [0, 1], a and b about -0.3 to 0.3 (Ottosson 2020, "linear sRGB to Oklab")."""
    colours(x, "rgb_to_oklab")
    return join(oklab(x))


@operator()
def oklab_to_rgb(x: jax.Array) -> jax.Array:
    """Oklab to sRGB [.. 3], not clipped; the inverse of rgb_to_oklab (Ottosson 2020)."""
    colours(x, "oklab_to_rgb")
    return from_oklab(split(x))


@operator()
def rgb_to_oklch(x: jax.Array) -> jax.Array:
    """sRGB [.. 3] to Oklab in polar form: L in [0, 1], chroma, hue (turns; CSS has degrees)."""
    colours(x, "rgb_to_oklch")
    return join(_polar(oklab(x)))


@operator()
def oklch_to_rgb(x: jax.Array) -> jax.Array:
    """Oklab lightness, chroma, hue (turns) to sRGB, not clipped; the inverse of rgb_to_oklch."""
    colours(x, "oklch_to_rgb")
    return from_oklab(_cartesian(split(x)))


def _swing(place: str, swing: str) -> tuple[tuple[float, float], ...]:
    if swing not in _SWINGS:
        allowed = " or ".join(repr(name) for name in _SWINGS)
        raise InputError(f"{place}: swing={swing!r}; allowed: {allowed}{nearest(str(swing), _SWINGS)}")
    return _SWINGS[swing]


@operator(static=("swing",))
def rgb_to_ycbcr(x: jax.Array, *, swing: str = "full") -> jax.Array:
    """sRGB [.. 3] to Y, Cb, Cr of Rec. 601, on the display-referred values.

    swing: "full" (JPEG: all in [0, 1], gray at Cb = Cr = 0.5) equals Pillow's YCbCr / 255, and kornia's and (as Y, Cr,
    Cb) cv2's to 3e-4, which round the factors; "studio" (Y from 16 / 255 to 235 / 255) equals
    skimage.color.rgb2ycbcr(x) / 255 to 1e-6.
    """
    offsets = _swing("rgb_to_ycbcr", swing)
    colours(x, "rgb_to_ycbcr")
    planes = mix(_YCBCR, channels(x))
    return join([offset + scale * plane for (offset, scale), plane in zip(offsets, planes, strict=True)])


@operator(static=("swing",))
def ycbcr_to_rgb(x: jax.Array, *, swing: str = "full") -> jax.Array:
    """Y, Cb, Cr of Rec. 601 to sRGB, the inverse of rgb_to_ycbcr with the same swing."""
    offsets = _swing("ycbcr_to_rgb", swing)
    colours(x, "ycbcr_to_rgb")
    planes = [(plane - offset) / scale for (offset, scale), plane in zip(offsets, channels(x), strict=True)]
    return join(mix(_YCBCR_INVERSE, planes))
