"""White balance: a light is estimated, or a neutral color is given, and in linear light the picture is adapted to it.

Adaptation is by Bradford cones (Lam 1985, as in ICC profiles) or "diagonal", which scales linear R, G
and B. Either makes the estimated light gray and keeps its luminance.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import operator, per_image, require_colors, strengths
from gen.imaging.bounds import Numbers
from gen.imaging.color._planar import XYZ, light, linear, mix, power, show

# XYZ to the sharpened cones of Bradford; and linear sRGB to them.
BRADFORD = ((0.8951, 0.2664, -0.1614), (-0.7502, 1.7135, 0.0367), (0.0389, -0.0685, 1.0296))
_CONES = (np.array(BRADFORD) @ np.array(XYZ)).tolist()
_CONES_INVERSE = np.linalg.inv(np.array(_CONES)).tolist()
Amount = Annotated[Any, Numbers(-2, 2)]
Adaptation = Literal["bradford", "diagonal"]


def scale_cones(planes: jax.Array, gains: jax.Array) -> list[jax.Array]:
    """Planes [3 b h w] of linear light, their Bradford cones times gains [3] or [3 b]; to the last digit for ones."""
    factors = gains.reshape(3, -1, 1, 1) - 1
    shifts = mix(_CONES_INVERSE, [f * cone for f, cone in zip(factors, mix(_CONES, planes), strict=True)])
    return [plane + shift for plane, shift in zip(planes, shifts, strict=True)]


def _adapt(planes: jax.Array, source: jax.Array, amount: jax.Array, adaptation: str) -> jax.Array:
    """sRGB of linear planes [3 b h w], adapted from `source` (linear, [3 b] or [3 1]) to a gray of its luminance."""
    source = jnp.maximum(source, 0) + 1e-6  # black is a gray light
    red, green, blue = (weight * value for weight, value in zip(XYZ[1], source, strict=True))
    gray = jnp.stack([red + green + blue] * 3)
    if adaptation == "bradford":
        source, gray = (jnp.stack(mix(_CONES, color)) for color in (source, gray))
    gains = power(gray / source, amount)
    return show(scale_cones(planes, gains) if adaptation == "bradford" else planes * gains.reshape(3, -1, 1, 1))


def _brightest(planes: jax.Array, fraction: jax.Array | float) -> jax.Array:
    """The mean [3 b] of the brightest `fraction` of the pixels in each plane [3 b h w], ties all in."""
    values = planes.reshape(*planes.shape[:2], -1)
    still = lax.stop_gradient(values)
    wanted = jnp.asarray(fraction, planes.dtype) * values.shape[2]

    def halve(_: int, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        low, high = bounds
        middle = (low + high) / 2
        enough = jnp.sum(still >= middle[..., None], axis=2) >= wanted
        return jnp.where(enough, middle, low), jnp.where(enough, high, middle)

    threshold, _ = lax.fori_loop(0, 24, halve, (jnp.min(still, axis=2), jnp.max(still, axis=2)))
    chosen = still >= threshold[..., None]
    return jnp.sum(jnp.where(chosen, values, 0.0), axis=2) / jnp.sum(chosen, axis=2)


@operator()
def white_balance(
    x: jax.Array,
    method: Literal["gray_world", "white_patch", "shades_of_gray"],
    *,
    amount: Amount = 1.0,
    norm: Annotated[Any, Numbers(0.1, 64)] = 6.0,
    fraction: Annotated[Any, Numbers(0, 1, above=True)] = 0.01,
    adaptation: Adaptation = "bradford",
) -> jax.Array:
    """Removes the color cast of sRGB [b h w 3], estimated in linear light for each image. Not clipped.

    method: "gray_world" (the light is the mean; Buchsbaum 1980), "white_patch" (the mean of the brightest pixels of
        each channel; Land 1977, but not by one pixel alone) or "shades_of_gray" (a Minkowski mean; Finlayson and
        Trezzi 2004).
    amount: 0 changes nothing, 1 removes the whole cast; scalar or [b]. The gains are raised to this power.
    norm: exponent of the Minkowski mean, for "shades_of_gray"; 1 is gray world, large is white patch; scalar or [b].
    fraction: share of the pixels that "white_patch" averages, above 0; scalar or [b].
    adaptation: "bradford" (cones) or "diagonal" (linear R, G, B).
    """
    require_colors(x, "white_balance")
    planes = light(x)
    if method == "gray_world":
        source = jnp.mean(planes, axis=(2, 3))
    elif method == "white_patch":
        source = _brightest(planes, fraction)
    else:
        exponent = per_image(norm, x[..., 0])
        sums = jnp.mean(power(jnp.maximum(planes, 0), exponent), axis=(2, 3), keepdims=True)
        # A dark image to a high power is near the smallest float32; below it the light counts as gray.
        root = jnp.exp(jnp.log(jnp.maximum(sums, 1e-30)) / exponent)
        source = jnp.where(sums > 1e-30, root, 0.0)[..., 0, 0]
    return _adapt(planes, source, strengths(amount, x), adaptation)


@operator()
def balance_to_neutral(
    x: jax.Array, neutral: jax.Array, *, amount: Amount = 1.0, adaptation: Adaptation = "bradford"
) -> jax.Array:
    """Balances sRGB [b h w 3] so that a picked color becomes a gray of its luminance, in linear light. Not clipped.

    neutral: what should be gray, display-referred sRGB [3] or [b 3]; (r, g, b) will do.
    amount: 0 changes nothing, 1 adapts fully; scalar or [b].
    adaptation: "bradford" (cones) or "diagonal" (linear R, G, B).
    """
    require_colors(x, "balance_to_neutral")
    color = jnp.asarray(neutral, x.dtype)
    if color.shape not in ((3,), (1, 3), (x.shape[0], 3)):
        shape = list(color.shape)
        raise InputError(f"balance_to_neutral: neutral has shape {shape}; allowed: [3] or [{x.shape[0]} 3]")
    return _adapt(light(x), linear(color.reshape(-1, 3).T), strengths(amount, x), adaptation)
