"""What drawn data sets share: outlines of eight kinds as signed distances, and textures of backgrounds.

Outlines fit in the unit circle about the origin, u to the right and v upwards; a distance is negative inside. Textures
are functions of x to the right and y downwards, fractions of the image side, and lie in -1..1.
"""

from __future__ import annotations

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np

KINDS = ("circle", "ring", "square", "triangle", "star", "cross", "heart", "crescent")
TEXTURES = ("stripes", "checks", "noise")
LATTICE = 7  # the value noise interpolates this many random numbers along each side


def _disc(u: jax.Array, v: jax.Array, radius: float = 1.0) -> jax.Array:
    return jnp.hypot(u, v) - radius


def _box(u: jax.Array, v: jax.Array, half_width: float, half_height: float) -> jax.Array:
    du, dv = jnp.abs(u) - half_width, jnp.abs(v) - half_height
    return jnp.hypot(jnp.maximum(du, 0), jnp.maximum(dv, 0)) + jnp.minimum(jnp.maximum(du, dv), 0)


def _star(u: jax.Array, v: jax.Array, points: int, inner: float) -> jax.Array:
    """Makes a star: corners at distance 1, dents at distance `inner` between them; the first corner points up."""
    half = math.pi / points
    angle = jnp.abs(jnp.mod(jnp.arctan2(u, v) + half, 2 * half) - half)  # all sides folded onto one
    length = jnp.hypot(u, v)
    along, across = length * jnp.cos(angle) - 1, length * jnp.sin(angle)
    side_along, side_across = inner * math.cos(half) - 1, inner * math.sin(half)
    share = (along * side_along + across * side_across) / (side_along**2 + side_across**2)
    share = jnp.clip(share, 0, 1)
    distance = jnp.hypot(along - share * side_along, across - share * side_across)
    return distance * jnp.sign(across * -side_along + along * side_across)


def _ring(u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.maximum(_disc(u, v), -_disc(u, v, 0.55))


def _cross(u: jax.Array, v: jax.Array) -> jax.Array:
    width = 0.32
    length = math.sqrt(1 - width**2)
    return jnp.minimum(_box(u, v, width, length), _box(u, v, length, width))


def _heart(u: jax.Array, v: jax.Array) -> jax.Array:
    """Makes a heart that touches the unit circle: a square on its corner, a half disc on each upper side."""
    side, lift = 3 / math.sqrt(2) - 1, (math.sqrt(2) - 1) / 2
    u, v = jnp.abs(u), v + lift
    tilted = (u + v) / math.sqrt(2), (v - u) / math.sqrt(2)
    center = side / math.sqrt(8)
    return jnp.minimum(_box(*tilted, side / 2, side / 2), _disc(u - center, v - center, side / 2))


def _crescent(u: jax.Array, v: jax.Array) -> jax.Array:
    return jnp.maximum(_disc(u, v), -_disc(u - 0.5, v, 0.8))


OUTLINES = (  # in the order of KINDS
    _disc,
    _ring,
    functools.partial(_box, half_width=math.sqrt(0.5), half_height=math.sqrt(0.5)),
    functools.partial(_star, points=3, inner=0.5),
    functools.partial(_star, points=5, inner=0.45),
    _cross,
    _heart,
    _crescent,
)


def _interpolation(resolution: int) -> np.ndarray:
    """Computes weights [resolution, LATTICE] that blend the lattice smoothly at the pixel centers."""
    position = (np.arange(resolution) + 0.5) / resolution * (LATTICE - 1)
    left = np.floor(position).astype(int)
    share = position - left
    share = share**2 * (3 - 2 * share)
    return np.eye(LATTICE)[left] * (1 - share[:, None]) + np.eye(LATTICE)[left + 1] * share[:, None]


def textures(lattice: jax.Array, x: jax.Array, y: jax.Array, *, frequency: jax.Array, angle: jax.Array) -> jax.Array:
    """Draws stripes, checks and noise [3 h w] in -1..1. lattice [7 7] in -1..1; frequency: waves a side."""
    turn = 2 * math.pi * frequency
    cos, sin = jnp.cos(angle), jnp.sin(angle)
    first = jnp.sin(turn * (x * cos + y * sin))
    second = jnp.sin(turn * (y * cos - x * sin))
    blend = _interpolation(x.shape[0])
    noise = jnp.einsum("hi,ij,wj->hw", blend, lattice, blend, precision="highest")  # the same on every backend
    return jnp.stack([first, first * second, noise])
