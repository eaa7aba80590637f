"""Color spaces of light, CIE's and Oklab, each with its inverse; between [.. h w 3] display-referred sRGB and it.

Every hue is in turns: 0 and 1 are the same hue. Nothing is clipped, and all gradients are finite on [0, 1], black,
white and equal channels included. White is D65. Those of the display-referred values themselves are in `encoded`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from gen.imaging._operator import operator, require_colors
from gen.imaging.color._planar import (
    TINY,
    WHITE,
    XYZ,
    above,
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

_XYZ_INVERSE = inverse(XYZ)
_CONES = [[value / white for value in row] for row, white in zip(XYZ, WHITE, strict=True)]
_CONES_INVERSE = inverse(_CONES)
# u' and v' of the white (CIE 1976).
_U0, _V0 = (k * w / (WHITE[0] + 15 * WHITE[1] + 3 * WHITE[2]) for k, w in ((4, WHITE[0]), (9, WHITE[1])))


@operator()
def to_linear(x: jax.Array) -> jax.Array:
    """Converts display-referred sRGB to linear light (IEC 61966-2-1); any number of channels; linear below 0."""
    return linear(x)


@operator()
def from_linear(x: jax.Array) -> jax.Array:
    """Converts linear light to display-referred sRGB, the inverse of to_linear."""
    return display(x)


@operator()
def rgb_to_xyz(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to CIE 1931 XYZ, with Y = 1 for white. Equals skimage.color.rgb2xyz."""
    require_colors(x, "rgb_to_xyz")
    return join(mix(XYZ, light(x)))


@operator()
def xyz_to_rgb(x: jax.Array) -> jax.Array:
    """Converts CIE XYZ to sRGB, not clipped. Equals skimage.color.xyz2rgb where that does not clip."""
    require_colors(x, "xyz_to_rgb")
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
    """Converts sRGB [.. 3] to CIE 1976 L*a*b* of D65: L in [0, 100], a and b about -110 to 110.

    Equals skimage.color.rgb2lab (to 1e-4 in float32), by whose six-digit constants white has a = -0.002, b = 0.005.
    """
    require_colors(x, "rgb_to_lab")
    return join(_lab(x))


@operator()
def lab_to_rgb(x: jax.Array) -> jax.Array:
    """Converts CIE L*a*b* to sRGB, not clipped. Equals skimage.color.lab2rgb where that does not clip."""
    require_colors(x, "lab_to_rgb")
    return _from_lab(split(x))


def _polar(planes: list[jax.Array]) -> list[jax.Array]:
    """Lightness, a, b to lightness, chroma, hue in turns (0 for grays)."""
    lightness, a, b = planes
    square = a * a + b * b
    colored = square > TINY
    chroma = jnp.where(colored, jnp.sqrt(jnp.where(colored, square, 1.0)), 0.0)
    hue = jnp.arctan2(jnp.where(colored, b, 0.0), jnp.where(colored, a, 1.0)) / (2 * math.pi)
    return [lightness, chroma, jnp.where(hue < 0, hue + 1, hue)]


def _cartesian(planes: jax.Array) -> list[jax.Array]:
    lightness, chroma, hue = planes
    return [lightness, chroma * jnp.cos(2 * math.pi * hue), chroma * jnp.sin(2 * math.pi * hue)]


@operator()
def rgb_to_lch(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to CIE lightness [0, 100], chroma, hue (turns): L*a*b* in polar form.

    Equals skimage.color.lab2lch(rgb2lab(x)) but for the hue, there in radians.
    """
    require_colors(x, "rgb_to_lch")
    return join(_polar(_lab(x)))


@operator()
def lch_to_rgb(x: jax.Array) -> jax.Array:
    """Converts CIE lightness [0, 100], chroma, hue (turns) to sRGB, not clipped; the inverse of rgb_to_lch."""
    require_colors(x, "lch_to_rgb")
    return _from_lab(_cartesian(split(x)))


@operator()
def rgb_to_luv(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to CIE 1976 L*u*v* of D65, L in [0, 100]. Equals skimage.color.rgb2luv."""
    require_colors(x, "rgb_to_luv")
    x, y, z = mix(XYZ, light(x))
    lightness, total = store(
        [jnp.where(y > 0.008856, 116 * above(y, 0.008856, 1 / 3) - 16, 903.3 * y), x + 15 * y + 3 * z]
    )
    u, v = divide(4 * x, total) - _U0, divide(9 * y, total) - _V0
    return join([lightness, 13 * lightness * u, 13 * lightness * v])


@operator()
def luv_to_rgb(x: jax.Array) -> jax.Array:
    """Converts CIE L*u*v* to sRGB, not clipped. Equals skimage.color.luv2rgb where that does not clip."""
    require_colors(x, "luv_to_rgb")
    lightness, u, v = split(x)
    root = (lightness + 16) / 116
    y = jnp.where(lightness > 7.999625, root * root * root, lightness / 903.3)
    u, v = _U0 + divide(u, 13 * lightness), _V0 + divide(v, 13 * lightness)
    # Real colors have v' > 0.016; the bound keeps others finite.
    v = jnp.maximum(v, 1e-3)
    xyz = [y * 9 * u / (4 * v), y, y * (12 - 3 * u - 20 * v) / (4 * v)]
    return show(mix(_XYZ_INVERSE, xyz))


@operator()
def rgb_to_oklab(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to Oklab: L in [0, 1], a and b about -0.3 to 0.3 (Ottosson 2020, "linear sRGB to Oklab")."""
    require_colors(x, "rgb_to_oklab")
    return join(oklab(x))


@operator()
def oklab_to_rgb(x: jax.Array) -> jax.Array:
    """Converts Oklab to sRGB [.. 3], not clipped; the inverse of rgb_to_oklab (Ottosson 2020)."""
    require_colors(x, "oklab_to_rgb")
    return from_oklab(split(x))


@operator()
def rgb_to_oklch(x: jax.Array) -> jax.Array:
    """Converts sRGB [.. 3] to Oklab in polar form: L in [0, 1], chroma, hue (turns; CSS has degrees)."""
    require_colors(x, "rgb_to_oklch")
    return join(_polar(oklab(x)))


@operator()
def oklch_to_rgb(x: jax.Array) -> jax.Array:
    """Converts Oklab lightness, chroma, hue (turns) to sRGB, not clipped; the inverse of rgb_to_oklch."""
    require_colors(x, "oklch_to_rgb")
    return from_oklab(_cartesian(split(x)))
