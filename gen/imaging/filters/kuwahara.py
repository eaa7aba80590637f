"""The Kuwahara filter: flat strokes with sharp edges."""

from __future__ import annotations

import functools
from typing import Annotated

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import luma, operator, pad
from gen.imaging.bounds import whole

_add = functools.partial(functools.reduce, jnp.add)


@operator()
def kuwahara(x: jax.Array, radius: Annotated[int, whole(0, 127)]) -> jax.Array:
    """Paints: each pixel takes the mean of that one of four squares about it whose values differ least.

    x: [b h w c]. radius: pixels, from 0 (nothing changes) to 127; a square has radius + 1 pixels a side, the pixel is
    one of its corners. Variances are those of the luma.
    Source: Kuwahara et al., Processing of RI-angiocardiographic images, 1976.
    """
    if radius == 0:
        return x
    light = luma(x) if x.shape[-1] == 3 else jnp.mean(x, axis=-1, keepdims=True)
    h, w = x.shape[1:3]
    both = pad(jnp.concatenate([x, light, light * light], axis=-1), radius, radius)
    size = radius + 1
    rows = _add(both[:, i : i + h + radius] for i in range(size)) / size
    means = _add(rows[:, :, i : i + w + radius] for i in range(size)) / size  # of the square that begins at a pixel
    squares = jnp.stack([means[:, i : i + h, j : j + w] for i in (0, radius) for j in (0, radius)])
    spread = squares[..., -1:] - squares[..., -2:-1] ** 2
    evenest = jnp.argmin(lax.stop_gradient(spread), axis=0, keepdims=True)
    return jnp.take_along_axis(squares[..., :-2], evenest, axis=0)[0]
