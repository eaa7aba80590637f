"""Holes of a picture filled from their border."""

from __future__ import annotations

from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import like, operator
from gen.imaging.bounds import whole

_State = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


@operator(work=lambda iterations: 30 * iterations)
def inpaint(x: jax.Array, mask: jax.Array, *, iterations: Annotated[int, whole(1, 10_000)] = 200) -> jax.Array:
    """Fills the holes of a picture smoothly from their surroundings, by the harmonic function with these borders.

    x: [b h w c]. mask: [b h w 1], above 0.5 where x is not to be trusted; b may be 1. Where it is not, nothing changes
    by a bit. A picture that is all hole becomes 0. iterations: of conjugate gradients, enough for holes of about as
    many pixels across.
    Source: Laplace's equation; Chan and Shen, Mathematical models for local nontexture inpaintings, 2002, section 3.
    """
    hole = like(mask, x, "inpaint", "mask", channels=(1,)) > 0.5
    known = jnp.where(hole, 0.0, x)

    def neighbors(a: jax.Array) -> jax.Array:
        p = jnp.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:]

    degree = neighbors(jnp.ones_like(x[..., :1]))

    def laplacian(a: jax.Array) -> jax.Array:  # symmetric and positive on functions that live in the hole
        return jnp.where(hole, degree * a - neighbors(a), 0.0)

    def dot(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.sum(a * b, axis=(1, 2), keepdims=True)

    def step(state: _State, _: None) -> tuple[_State, None]:
        value, residual, direction, square = state
        image = laplacian(direction)
        length = square / jnp.maximum(dot(direction, image), 1e-20)
        value, residual = value + length * direction, residual - length * image
        new = dot(residual, residual)
        return (value, residual, residual + new / jnp.maximum(square, 1e-20) * direction, new), None

    def solve(_: Any, border: jax.Array) -> jax.Array:
        border = jnp.where(hole, border, 0.0)
        state = (jnp.zeros_like(x), border, border, dot(border, border))
        return lax.scan(step, state, None, length=iterations)[0][0]

    value = lax.custom_linear_solve(laplacian, jnp.where(hole, neighbors(known), 0.0), solve, symmetric=True)
    return jnp.where(hole, value, x)
