"""Blur as of a camera, in linear light: motion and defocus."""

from __future__ import annotations

import math
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.imaging._operator import operator, pad, per_image
from gen.imaging.bounds import Numbers
from gen.imaging.color.spaces import from_linear, to_linear
from gen.imaging.filters._separable import fft_size


@operator()
def motion_blur(x: jax.Array, length: Annotated[float, Numbers(1, 1024)], *, angle: Any = 0.0) -> jax.Array:
    """Averages along a line, as a moving camera does, in linear light.

    x: [b h w c], clipped to [0, 1]. length: pixels, from 1 (nothing changes) to 1024. angle: degrees, counter-clockwise
    from the horizontal; a number or [b].
    """
    if length == 1:
        return x
    radius = math.ceil((length + 1) / 2)
    i = jnp.arange(-radius, radius + 1, dtype=x.dtype)
    turn = jnp.deg2rad(per_image(angle, x[..., 0]))
    down, right = i[:, None], i[None]
    along = jnp.abs(right * jnp.cos(turn) - down * jnp.sin(turn))
    across = jnp.abs(right * jnp.sin(turn) + down * jnp.cos(turn))
    # Each pixel counts by how far it reaches into the line, which is one pixel wide.
    kernel = jnp.clip((length + 1) / 2 - along, 0, 1) * jnp.clip(1 - across, 0, 1)
    return _blur(x, kernel, radius)


@operator()
def defocus_blur(x: jax.Array, radius: Annotated[float, Numbers(0, 512)]) -> jax.Array:
    """Averages over a disc, as a lens out of focus does, in linear light.

    x: [b h w c], clipped to [0, 1]. radius: pixels, from 0 (nothing changes) to 512, fractions too.
    """
    if radius == 0:
        return x
    reach = math.ceil(radius)
    i = np.arange(-reach, reach + 1)
    kernel = np.clip(radius + 0.5 - np.hypot(i[:, None], i[None]), 0, 1)
    return _blur(x, jnp.asarray(kernel, x.dtype), reach)


def _blur(x: jax.Array, kernel: jax.Array, radius: int) -> jax.Array:
    """x convolved in linear light with kernel [2*radius+1 2*radius+1] or one for each image, made to have sum 1."""
    h, w = x.shape[1:3]
    kernel = jnp.reshape(kernel / jnp.sum(kernel, axis=(-2, -1), keepdims=True), (-1, 1, *kernel.shape[-2:]))
    planes = pad(jnp.moveaxis(to_linear(jnp.clip(x, 0, 1)), -1, 1).reshape(-1, h, w, 1), radius, radius)
    planes = planes.reshape(x.shape[0], -1, *planes.shape[1:3])
    size = (fft_size(h + 2 * radius), fft_size(w + 2 * radius))
    # Circular over a size that is at least that of the padded image: what wraps round is cut off.
    spectrum = jnp.fft.rfft2(planes, size) * jnp.fft.rfft2(kernel, size)
    out = jnp.fft.irfft2(spectrum, size)[..., 2 * radius : 2 * radius + h, 2 * radius : 2 * radius + w]
    return from_linear(jnp.moveaxis(jnp.clip(out, 0, 1), 1, -1)).astype(x.dtype)
