"""Tone mapping: from the light of a scene to a picture."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp

from gen.imaging._operator import luma, operator, per_image
from gen.imaging.bounds import NotNegative, Numbers
from gen.imaging.color.spaces import from_linear

_TINY, _MOST = 1e-6, 1e9  # squares of more would leave float32


Method = Literal["reinhard", "drago", "filmic", "aces", "exponential"]


@operator()
def tone_map(
    x: jax.Array, method: Method, *, exposure: NotNegative = 1.0, white: Annotated[Any, Numbers(0, above=True)] = None
) -> jax.Array:
    """Maps linear light of any brightness to display-referred sRGB in [0, 1].

    x [b h w c], linear light, at least 0 (less and NaN count as 0), with no upper limit: to_linear(image) for an image.
    Infinity counts as the largest finite value of its image, so that one broken pixel does not darken the others.
    `exposure` multiplies x first; [b] for each image. `white`: the luminance, after exposure, that becomes 1; None:
    the largest of each image for "reinhard" and "drago", 11.2 for "filmic"; [b] for each image.
    Methods:
      "reinhard"  Reinhard et al., SIGGRAPH 2002, eq. 4 with eq. 2's scale left to `exposure`; on luminance;
      "drago"     Drago et al., Eurographics 2003, eq. 4 with bias 0.85, luminance relative to its logarithmic mean;
      "filmic"    Hable, "Filmic Tonemapping for Real-time Rendering", SIGGRAPH course 2010, with his exposure bias
                  of 2; on each channel: highlights lose their color;
      "aces"      Narkowicz, "ACES Filmic Tone Mapping Curve" (2016), on each channel; `white` means nothing to it;
      "exponential"  1 - exp(-x) on each channel, as film without a toe; `white` means nothing to it.
    Methods on luminance keep the ratios of the channels; what then exceeds 1 is clipped.
    """
    largest = jnp.max(jnp.where(jnp.isfinite(x), x, 0), axis=(1, 2, 3), keepdims=True)
    light = jnp.minimum(jnp.maximum(jnp.nan_to_num(x, nan=0), 0), largest) * per_image(exposure, x)
    light = jnp.minimum(light, _MOST)
    white = None if white is None else per_image(white, x)
    return jnp.clip(from_linear(jnp.clip(METHODS[method](light, white), 0, 1)), 0, 1)


def _reinhard(light: jax.Array, white: jax.Array | None) -> jax.Array:
    luminance = luma(light)  # whose weights are those of linear light
    white = jnp.max(luminance, axis=(1, 2, 3), keepdims=True) if white is None else white
    # L_d / L: nothing is divided by a luminance of 0.
    return light * (1 + luminance / jnp.square(jnp.maximum(white, 1e-3))) / (1 + luminance)


def _drago(light: jax.Array, white: jax.Array | None) -> jax.Array:
    luminance = luma(light)  # whose weights are those of linear light
    mean = jnp.exp(jnp.mean(jnp.log(jnp.maximum(luminance, _TINY)), axis=(1, 2, 3), keepdims=True))
    top = jnp.max(luminance, axis=(1, 2, 3), keepdims=True) if white is None else white
    relative, top = luminance / mean, jnp.maximum(top, _TINY) / mean
    power = jnp.log(0.85) / jnp.log(0.5)
    share = jnp.exp(power * jnp.log(jnp.maximum(relative / top, _TINY)))
    bright = jnp.maximum(relative, _TINY)
    # log(1 + L) / L, which is 1 at 0.
    slope = jnp.where(relative > _TINY, jnp.log1p(bright) / bright, 1)
    display = slope / (jnp.log1p(top) / jnp.log(10.0)) / jnp.log(2 + 8 * share)
    return light / mean * display


def _filmic(light: jax.Array, white: jax.Array | None) -> jax.Array:
    a, b, c, d, e, f = 0.22, 0.30, 0.10, 0.20, 0.01, 0.30  # shoulder, linear strength and angle, toe strength, toe

    def curve(x: jax.Array) -> jax.Array:
        return (x * (a * x + c * b) + d * e) / (x * (a * x + b) + d * f) - e / f

    return curve(2 * light) / curve(jnp.asarray(11.2, light.dtype) if white is None else white)


def _aces(light: jax.Array, white: jax.Array | None) -> jax.Array:
    del white
    return light * (2.51 * light + 0.03) / (light * (2.43 * light + 0.59) + 0.14)


def _exponential(light: jax.Array, white: jax.Array | None) -> jax.Array:
    del white
    return -jnp.expm1(-light)


METHODS: dict[Method, Callable[[jax.Array, jax.Array | None], jax.Array]] = {
    "reinhard": _reinhard,
    "drago": _drago,
    "filmic": _filmic,
    "aces": _aces,
    "exponential": _exponential,
}
