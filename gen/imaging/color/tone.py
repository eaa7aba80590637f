"""Grading: exposure, curves, contrast, saturation, hue, temperature and the color wheels.

x is display-referred sRGB [b h w c] in [0, 1], gray or color unless a docstring says color; nothing is clipped.
Strengths are scalars or [b], one for each image. An amount (exposure, brightness, vibrance, hue, ...) is 0 for no
change; a factor (gamma, contrast, saturation, gain) is 1.
"""

from __future__ import annotations

import math
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import luma, operator, pad, per_image, require_colors, strengths
from gen.imaging.bounds import Numbers, whole
from gen.imaging.color._planar import channels, display, join, light, linear, mix, power, shift_oklab, show
from gen.imaging.color.balance import BRADFORD, scale_cones

Strength = jax.Array | float
Gamma = Annotated[Strength, Numbers(0.01, 100)]
Stops = Annotated[Strength, Numbers(-8, 8)]
_MOST_POINTS = 256


@operator()
def exposure(x: jax.Array, stops: Annotated[Strength, Numbers(-32, 32)]) -> jax.Array:
    """Multiplies linear light by 2 ** stops, as a camera's exposure; 0 changes nothing."""
    return display(linear(x) * jnp.exp2(per_image(stops, x)))


@operator()
def gamma(x: jax.Array, exponent: Annotated[Strength, Numbers(0, 64)]) -> jax.Array:
    """Raises display-referred values to a power, odd about 0; 1 changes nothing, less brightens.

    Equals skimage.exposure.adjust_gamma(x, exponent).
    """
    return power(x, per_image(exponent, x))


@operator()
def levels(
    x: jax.Array,
    black: Strength,
    white: Strength,
    *,
    gamma: Gamma = 1.0,
    out_black: Strength = 0.0,
    out_white: Strength = 1.0,
) -> jax.Array:
    """Stretches [black, white] to [out_black, out_white]; (0, 1) changes nothing.

    gamma: of the middle tones between them, 1 / gamma being the exponent, as in the dialogs of this name: above 1
        brightens.

    Equals skimage.exposure.rescale_intensity(x, (black, white), (out_black, out_white)) inside [black, white].
    """
    black, white, out_black, out_white = (per_image(s, x) for s in (black, white, out_black, out_white))
    span = white - black
    span = jnp.where(jnp.abs(span) < 1e-6, 1e-6, span)  # of one level: a threshold
    inside = power((x - black) / span, 1 / per_image(gamma, x))
    return out_black + (out_white - out_black) * inside


def _slopes(step: jax.Array, secant: jax.Array) -> list[jax.Array]:
    """Slopes at the knots [k] of [b k-1 c] steps and secants (Fritsch and Butland 1984; ends as in Moler 2004)."""

    def end(h0: jax.Array, h1: jax.Array, m0: jax.Array, m1: jax.Array) -> jax.Array:
        slope = ((2 * h0 + h1) * m0 - h0 * m1) / (h0 + h1)
        slope = jnp.where((m0 * m1 <= 0) & (jnp.abs(slope) > 3 * jnp.abs(m0)), 3 * m0, slope)
        return jnp.where(slope * m0 <= 0, 0.0, slope)

    count = step.shape[1]
    h, m = ([a[:, i] for i in range(count)] for a in (step, secant))
    if count == 1:
        return [m[0], m[0]]
    inner = []
    for i in range(1, count):
        same = m[i - 1] * m[i] > 0
        w1, w2 = 2 * h[i] + h[i - 1], h[i] + 2 * h[i - 1]
        below = jnp.where(same, w1 * m[i] + w2 * m[i - 1], 1.0)
        inner.append(jnp.where(same, (w1 + w2) * m[i - 1] * m[i] / below, 0.0))
    return [end(h[0], h[1], m[0], m[1]), *inner, end(h[-1], h[-2], m[-1], m[-2])]


@operator()
def curves(x: jax.Array, inputs: Annotated[jax.Array, Numbers(rising=True)], outputs: jax.Array) -> jax.Array:
    """Applies a smooth tone curve through control points, monotone between them, straight beyond the ends.

    inputs: where the points are, rising, [k] or [b k] with k from 2 to 256; lists will do.
    outputs: the value at each: [k], [b k], or [b k c] for a curve of each channel; equal to inputs changes nothing.

    Equals scipy.interpolate.PchipInterpolator(inputs, outputs)(x) between the first and the last point.
    """
    t, y = jnp.asarray(inputs, x.dtype), jnp.asarray(outputs, x.dtype)
    count = t.shape[-1] if t.ndim else 0
    shapes = [list(t.shape), list(y.shape)]
    t = t.reshape((1,) * (2 - t.ndim) + t.shape)[..., None] if t.ndim < 3 else t
    y = y.reshape((1,) * (2 - y.ndim) + y.shape)[..., None] if y.ndim < 3 else y
    fits = all(a.ndim == 3 and a.shape[0] in (1, len(x)) and a.shape[1] == count for a in (t, y))
    if not 2 <= count <= _MOST_POINTS or not fits or t.shape[2] != 1 or y.shape[2] not in (1, x.shape[3]):
        raise InputError(
            f"curves: inputs has shape {shapes[0]}, outputs {shapes[1]}; allowed: [k] or [{len(x)} k] "
            f"for both, outputs also [{len(x)} k {x.shape[3]}], with the same k from 2 to {_MOST_POINTS}"
        )
    step = jnp.maximum(jnp.diff(t, axis=1), 1e-6)
    secant = jnp.diff(y, axis=1) / step
    slopes = _slopes(step, secant)
    first, last = t[:, 0, None, None], t[:, -1, None, None]
    at = jnp.clip(x, first, last)
    # The polynomial of each pixel's piece, chosen by comparisons: for the few points of a curve faster than a gather.
    chosen: list[jax.Array] = []
    for i in range(count - 1):
        h, m, d0, d1 = step[:, i], secant[:, i], slopes[i], slopes[i + 1]
        piece = t[:, i], y[:, i], d0, (3 * m - 2 * d0 - d1) / h, (d0 + d1 - 2 * m) / (h * h)
        spread = [value[:, None, None] for value in piece]
        here = at >= spread[0]
        chosen = [jnp.where(here, a, b) for a, b in zip(spread, chosen or spread, strict=True)]
    start, c0, c1, c2, c3 = chosen
    u = at - start
    beyond = jnp.where(x < first, slopes[0][:, None, None], slopes[-1][:, None, None])
    return c0 + u * (c1 + u * (c2 + u * c3)) + (x - at) * beyond


@operator()
def contrast(x: jax.Array, factor: Strength, *, pivot: Strength = 0.5) -> jax.Array:
    """Multiplies distances from the pivot by a factor; 1 changes nothing, 0 gives the pivot everywhere."""
    return x + (per_image(factor, x) - 1) * (x - per_image(pivot, x))


@operator()
def brightness(x: jax.Array, amount: Strength) -> jax.Array:
    """Adds an amount; 0 changes nothing. Equals kornia.enhance.adjust_brightness(x, amount, clip_output=False)."""
    return x + per_image(amount, x)


@operator()
def saturation(x: jax.Array, factor: Strength) -> jax.Array:
    """Multiplies distances from the luma (Rec. 709) by a factor; 1 changes nothing, 0 gives gray."""
    require_colors(x, "saturation", allowed=(1, 3))
    return x if x.shape[-1] == 1 else _spread(channels(x), per_image(factor, x[..., 0]) - 1)


def _spread(planes: list[jax.Array], amount: jax.Array) -> jax.Array:
    """Planes to [b h w 3], with `amount` of their distance from the luma added."""
    r, g, b = planes
    gray = 0.2126 * r + 0.7152 * g + 0.0722 * b
    return join([plane + amount * (plane - gray) for plane in planes])


@operator()
def vibrance(x: jax.Array, amount: Strength) -> jax.Array:
    """Saturates color [b h w 3] that has little saturation s = max - min, by 1 + amount (1 - s); 0 changes nothing."""
    require_colors(x, "vibrance")
    planes = channels(x)
    r, g, b = planes
    span = jnp.maximum(jnp.maximum(r, g), b) - jnp.minimum(jnp.minimum(r, g), b)
    return _spread(planes, per_image(amount, span) * (1 - jnp.clip(span, 0, 1)))


@operator()
def hue(x: jax.Array, turns: Strength) -> jax.Array:
    """Turns the hue of color [b h w 3] in Oklch, by turns, and keeps lightness and chroma; 0 changes nothing."""
    require_colors(x, "hue")
    angle = 2 * math.pi * per_image(turns, x[..., 0])
    # cos - 1 without its cancellation
    less, sine = -2 * jnp.sin(angle / 2) ** 2, jnp.sin(angle)
    return shift_oklab(
        x, lambda lab: [jnp.zeros_like(lab[0]), less * lab[1] - sine * lab[2], sine * lab[1] + less * lab[2]]
    )


def _daylight(mired: jax.Array, tint: jax.Array) -> list[jax.Array]:
    """Bradford cones of the daylight of 1e6 / mired kelvin with Y = 1 (CIE 15:2004, 3.1), off the locus by tint."""

    def locus(m: jax.Array) -> tuple[jax.Array, jax.Array]:
        m = m / 1000  # 1e3 / kelvin
        warm = ((-4.6070 * m + 2.9678) * m + 0.09911) * m + 0.244063
        cool = ((-2.0064 * m + 1.9018) * m + 0.24748) * m + 0.237040
        xd = jnp.where(m > 1 / 7, warm, cool)
        yd = (-3.000 * xd + 2.870) * xd - 0.275
        below = -2 * xd + 12 * yd + 3
        return 4 * xd / below, 6 * yd / below  # u, v of CIE 1960

    (u, v), (du, dv) = jax.jvp(locus, (mired,), (jnp.ones_like(mired),))
    length = jnp.sqrt(du * du + dv * dv)
    # At right angles to the locus, away from green: Duv = -0.02 at tint 1.
    u, v = u + 0.02 * tint * dv / length, v - 0.02 * tint * du / length
    return mix(BRADFORD, [1.5 * u / v, jnp.ones_like(u), (4 - u - 10 * v) / (2 * v)])


@operator()
def temperature(
    x: jax.Array, amount: Annotated[Strength, Numbers(-1, 2)], *, tint: Annotated[Strength, Numbers(-5, 5)] = 0.0
) -> jax.Array:
    """Shows color [b h w 3] under a warmer (amount > 0) or colder light, in linear light by Bradford adaptation.

    amount: 0 changes nothing; from -1 to 1 the white moves along the daylight locus from 18600 to 3940 kelvin: by 100
        mired for each unit from the 6504 kelvin of sRGB; up to 2.
    tint: 0 changes nothing, 1 is magenta and -1 green by 0.02 of Duv.
    White keeps its luminance.
    """
    require_colors(x, "temperature")
    warmth, off = jnp.broadcast_arrays(strengths(amount, x), strengths(tint, x))
    # Both whites in one array: by the same instructions, so that their ratio is 1 to the last digit for no change.
    mired = 1e6 / 6504 + 100 * jnp.stack([0 * warmth, warmth])
    cones = jnp.stack(_daylight(mired, jnp.stack([0 * off, off])))
    return show(scale_cones(light(x), cones[:, 1] / cones[:, 0]))


def _wheel(name: str, value: jax.Array | float, x: jax.Array) -> jax.Array:
    """A color wheel, [], [c] or [b c], so that it multiplies images."""
    wheel = jnp.asarray(value, x.dtype)
    batch, channels = x.shape[0], x.shape[3]
    if wheel.shape not in ((), (1,), (channels,), (batch, 1), (batch, channels)):
        allowed = f"[], [{channels}], [{batch} 1] or [{batch} {channels}]"
        raise InputError(f"lift_gamma_gain: {name} has shape {list(wheel.shape)}; allowed: {allowed}")
    return wheel[:, None, None] if wheel.ndim == 2 else wheel


@operator()
def lift_gamma_gain(x: jax.Array, *, lift: Strength = 0.0, gamma: Gamma = 1.0, gain: Strength = 1.0) -> jax.Array:
    """Applies the three color wheels: (gain (x + lift (1 - x))) ** (1 / gamma); 0, 1, 1 change nothing.

    lift moves black and leaves white, gain moves white and leaves black, gamma above 1 brightens what is between. Each
    is a scalar, one for each channel [c], for each image [b 1], or both [b c].
    """
    low, middle, high = (_wheel(n, v, x) for n, v in (("lift", lift), ("gamma", gamma), ("gain", gain)))
    return power(high * (x + low * (1 - x)), 1 / middle)


@operator()
def split_tone(
    x: jax.Array, shadow_hue: Strength, highlight_hue: Strength, amount: Strength, *, balance: Strength = 0.0
) -> jax.Array:
    """Adds one hue to the shadows of color [b h w 3] and another to its highlights, in Oklab.

    shadow_hue, highlight_hue: in turns of Oklch (0.08 red, 0.20 yellow, 0.40 green, 0.73 blue).
    amount: chroma added at middle gray, 0 for none; 0.05 is plain to see. Black and white stay.
    balance: in [-1, 1]; above 0 gives more of the picture to the highlights.
    """
    require_colors(x, "split_tone")
    low, high, chroma, shift = (per_image(s, x[..., 0]) for s in (shadow_hue, highlight_hue, amount, balance))

    def change(lab: list[jax.Array]) -> list[jax.Array]:
        lightness = jnp.clip(lab[0], 0, 1)
        t = jnp.clip(lightness + shift / 2, 0, 1)
        t = t * t * (3 - 2 * t)
        strength = chroma * 4 * lightness * (1 - lightness)
        a, b = ((1 - t) * f(2 * math.pi * low) + t * f(2 * math.pi * high) for f in (jnp.cos, jnp.sin))
        return [jnp.zeros_like(lightness), strength * a, strength * b]

    return shift_oklab(x, change)


@operator(work=lambda radius: 256 * radius)
def shadows_highlights(
    x: jax.Array, *, shadows: Stops = 0.0, highlights: Stops = 0.0, radius: Annotated[int, whole(1, 512)] = 16
) -> jax.Array:
    """Brightens shadows and darkens highlights without halos: the gain of a pixel depends on its surroundings.

    shadows, highlights: 0 changes nothing; above 0 brightens them, below 0 darkens them; useful in [-1, 1].
    radius: of the surroundings in pixels: a self-guided filter (He et al. 2013) of the luma, eps 0.002.

    The gain is ((base + 0.05) / 1.05) ** (g - 1) with g = 2 ** -(shadows (1 - base)^2 + highlights base^2), so
    contrast in the small is kept, black stays black, and white in a white surrounding stays white.
    """
    require_colors(x, "shadows_highlights", allowed=(1, 3))
    y = luma(x)
    side = 2 * radius + 1

    def box(plane: jax.Array) -> jax.Array:
        padded = lax.optimization_barrier(pad(plane, radius, radius))
        rows = lax.reduce_window(padded, 0.0, lax.add, (1, side, 1, 1), (1, 1, 1, 1), "VALID")
        return lax.reduce_window(rows, 0.0, lax.add, (1, 1, side, 1), (1, 1, 1, 1), "VALID") / (side * side)

    mean = box(y)
    variance = jnp.maximum(box(y * y) - mean * mean, 0)
    slope = variance / (variance + 0.002)
    base = jnp.clip(box(slope) * y + box(mean - slope * mean), 0, 1)
    stops = per_image(shadows, x) * (1 - base) ** 2 + per_image(highlights, x) * base**2
    return x * jnp.exp((jnp.exp2(-stops) - 1) * jnp.log((base + 0.05) / 1.05))
