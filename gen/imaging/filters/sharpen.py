"""Sharpening: unsharp mask, contrast-adaptive sharpening, detail of a guided filter, high boost."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.imaging._operator import operator, per_image
from gen.imaging.bounds import NotNegative, Radius, Sigma
from gen.imaging.color.spaces import from_linear, to_linear
from gen.imaging.filters import _separable
from gen.imaging.filters.edge_aware import guided


@_separable.sized
@operator()
def unsharp_mask(
    x: jax.Array, sigma: Sigma, amount: Any, *, threshold: NotNegative = 0.0, radius: Radius | None = None
) -> jax.Array:
    """Sharpens: x + amount * (x - gaussian(x, sigma)), without differences smaller than a threshold.

    x: [b h w c]; the result may leave [0, 1]. sigma, radius: pixels, as in `gaussian`. amount: 0 changes nothing, below
    0 smooths. threshold: in units of x; the difference moves towards 0 by this much and stops there, so that noise is
    not sharpened and nothing jumps. sigma, amount and threshold may be [b].
    Equals, with threshold 0 and where 4*sigma is a whole number, skimage.filters.unsharp_mask(x, sigma, amount,
    preserve_range=True, channel_axis=2) away from the border.
    """
    assert radius is not None
    taps = _separable.gaussian_taps(sigma, radius, x.dtype)
    detail = x - _separable.separable(x, taps) if radius else jnp.zeros_like(x)
    limit = per_image(threshold, x)
    return x + per_image(amount, x) * (detail - jnp.clip(detail, -limit, limit))


@operator()
def contrast_adaptive_sharpen(x: jax.Array, sharpness: Any) -> jax.Array:
    """Sharpens by the four neighbors, less where the 3 x 3 pixels leave little room up to white or down to black.

    x: [b h w c], made linear inside; the result is clipped to [0, 1]. sharpness: 0 to 1, a number or [b]; 0 already
    sharpens a little.
    Source: AMD FidelityFX Contrast Adaptive Sharpening, 2019: the public description, with its better diagonals, each
    channel by itself.
    """
    h, w = x.shape[1:3]
    wide = _separable.padded(to_linear(jnp.clip(x, 0, 1)), 1, 1)
    at = {(i, j): wide[:, i : i + h, j : j + w] for i in range(3) for j in range(3)}
    cross = [at[0, 1], at[1, 0], at[1, 1], at[1, 2], at[2, 1]]
    corners = [at[0, 0], at[0, 2], at[2, 0], at[2, 2]]

    # As comparisons: XLA's minimum of floats keeps NaN, at four times the price.
    low = functools.partial(functools.reduce, lambda a, b: jnp.where(a < b, a, b))
    high = functools.partial(functools.reduce, lambda a, b: jnp.where(a > b, a, b))
    darkest, brightest = low(cross), high(cross)
    darkest, brightest = (
        darkest + low([darkest, *corners]),
        brightest + high([brightest, *corners]),
    )  # each twice: 0 .. 2
    room = jnp.minimum(darkest, 2 - brightest) / jnp.maximum(brightest, 1e-6)
    room = jnp.clip(room, 0, 1)
    room = jnp.where(room > 0, jnp.sqrt(jnp.where(room > 0, room, 1)), 0)
    weight = -room / (8 - 3 * jnp.clip(per_image(sharpness, x), 0, 1))
    out = (at[1, 1] + weight * (at[0, 1] + at[1, 0] + at[1, 2] + at[2, 1])) / (1 + 4 * weight)
    return from_linear(jnp.clip(out, 0, 1))


@operator()
def detail_enhance(x: jax.Array, amount: Any, *, radius: Radius = 8, eps: NotNegative = 1e-2) -> jax.Array:
    """Amplifies detail without halos: x + amount * (x - guided(x, radius, eps=eps)).

    x: [b h w 1] or [b h w 3]; the result may leave [0, 1]. amount: 0 changes nothing; a number or [b]. radius, eps: as
    in `guided`. Source: He, Sun and Tang, Guided image filtering, PAMI 2013, section 4, detail enhancement.
    """
    return x + per_image(amount, x) * (x - guided(x, radius, eps=eps))


@operator()
def high_boost(x: jax.Array, amount: Any) -> jax.Array:
    """Amplifies all that is finer than two pixels, noise too: x + amount * (x - the mean of the eight neighbors).

    x: [b h w c]; the result may leave [0, 1]. amount: 0 changes nothing; a number or [b].
    Equals cv2.filter2D with -amount/8 around 1 + amount. Source: Gonzalez and Woods, Digital image processing, 3.6.
    """
    ones = np.ones(3, np.float32)
    mean = (_separable.separable(x, ones) - x) * 0.125
    return x + per_image(amount, x) * (x - mean)
