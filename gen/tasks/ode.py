"""Solves the ordinary differential equation of a flow: dz/dt = v(z, t) from noise at t = 1 to data at t = 0, and back.

z is [n ...], t a scalar, and the path between an image x and noise e is z = (1 - t) x + t e.
"""

from __future__ import annotations

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp

Velocity = Callable[[jax.Array, jax.Array], jax.Array]  # z [n ...], t [] -> dz/dt [n ...]

_ROUNDS = 4  # times that each step of a constrained sample is taken, each from fresh noise
_FEWEST, _MOST = 8, 64  # steps of a likelihood


def solve(
    velocity: Velocity,
    noise: jax.Array,
    *,
    steps: jax.Array | int,
    last: float,
    shift: float = 1.0,
    project: Callable[[jax.Array], jax.Array] | None = None,
    keys: jax.Array | None = None,
) -> jax.Array:
    """Goes from noise [n ...] to data by `steps` steps, a traced int or not, of equal length before `shifted`.

    Heun's method, and at last, from the time `last` or 1 / steps, whichever is later, one step of Euler's to the image
    that is expected there (as in Karras et al. 2022, algorithm 1): 2 steps - 1 evaluations. A later `last` leaves less
    grain, where the network cannot tell a little noise from the image, and less detail. project: moves an expected
    image to what is known of it (Wang et al. 2023, DDNM). Each step is then taken 4 times, with new noise of `keys` [n]
    between, so that the rest comes to agree with it (Lugmayr et al. 2022, RePaint, section 4.2).
    """
    steps = jnp.asarray(steps, jnp.int32)
    end = jnp.maximum(1.0 / steps, last)
    first = shifted(end, 1 / shift)  # where the equal steps end

    def time(i: jax.Array) -> jax.Array:
        made = shifted(1.0 - (1.0 - first) * i / jnp.maximum(steps - 1, 1), shift)
        return made if shift == 1.0 else jnp.where(i < steps - 1, made, end)

    def slope(z: jax.Array, t: jax.Array) -> jax.Array:
        v = velocity(z, t)
        return v if project is None else (z - project(z - t * v)) / t

    def heun(i: jax.Array, z: jax.Array) -> jax.Array:
        t, s = time(i), time(i + 1)
        v = slope(z, t)
        return z + (s - t) * (v + slope(z + (s - t) * v, s)) / 2

    def again(number: jax.Array, z: jax.Array) -> jax.Array:
        """Takes step i, and goes back to its start by adding noise."""
        i = number // (_ROUNDS - 1)
        t, s = time(i), time(i + 1)
        keep = (1 - t) / (1 - s)
        fresh = jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, number), z.shape[1:]))(keys)
        return keep * heun(i, z) + jnp.sqrt(jnp.maximum(t**2 - (keep * s) ** 2, 0.0)) * fresh

    def step(i: jax.Array, z: jax.Array) -> jax.Array:
        if project is not None:
            z = jax.lax.fori_loop(i * (_ROUNDS - 1), (i + 1) * (_ROUNDS - 1), again, z)
        return heun(i, z)

    z = jax.lax.fori_loop(0, steps - 1, step, noise)
    return z - end * slope(z, end)


def shifted(time: jax.Array, shift: float) -> jax.Array:
    """Multiplies t / (1 - t) of times in [0, 1] by a shift: above 1 it moves them towards noise (Esser et al. 2024,
    equation 23), and 1 / shift undoes that."""
    return time if shift == 1.0 else time / (time + (1.0 - time) / shift)  # so that 1 stays 1


def nats(velocity: Velocity, data: jax.Array, probes: jax.Array, *, tolerance: float) -> tuple[jax.Array, jax.Array]:
    """Computes -log p of data [n ...], nats spread over its dimensions [n ...], and the error of each one's mean [n].

    Their sum is -log N(z(1); 0, 1) minus the integral of the divergence of v along the path from z(0) = data (Chen et
    al. 2018, instantaneous change of variables). The divergence is estimated by `probes` [p ...], vectors e with mean
    e e^T = 1 (Hutchinson 1990); it is exact with those of `exact_probes`. By the classic Runge-Kutta method with 8, 16,
    32 steps and so on, for each one until its mean over dimensions changes by at most `tolerance`, or 64.
    """

    def slope(z: jax.Array, t: jax.Array) -> tuple[jax.Array, jax.Array]:
        v, transposed = jax.vjp(lambda x: velocity(x, t), z)  # layers.upsample has no derivative but this one

        def of_probe(total: jax.Array, e: jax.Array) -> tuple[jax.Array, None]:
            tangent = jnp.broadcast_to(e, z.shape)
            return total + tangent * transposed(tangent)[0], None

        diagonal, _ = jax.lax.scan(of_probe, jnp.zeros_like(z), probes)
        return v, diagonal / len(probes)

    def integrate(steps: jax.Array) -> jax.Array:
        h = 1.0 / steps

        def step(i: jax.Array, carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            (z, total), t = carry, i * h
            v1, d1 = slope(z, t)
            v2, d2 = slope(z + h / 2 * v1, t + h / 2)
            v3, d3 = slope(z + h / 2 * v2, t + h / 2)
            v4, d4 = slope(z + h * v3, t + h)
            return z + h / 6 * (v1 + 2 * v2 + 2 * v3 + v4), total + h / 6 * (d1 + 2 * d2 + 2 * d3 + d4)

        z, total = jax.lax.fori_loop(0, steps, step, (data, jnp.zeros_like(data)))
        return z**2 / 2 + math.log(2 * math.pi) / 2 - total

    def finer(carry: tuple[jax.Array, jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array, jax.Array]:
        steps, found, error = carry
        new, open_ = integrate(2 * steps), error > tolerance  # what is settled stays, whatever it is done with
        change = jnp.abs((new - found).reshape(len(data), -1).mean(1))
        each = open_.reshape(-1, *[1] * (data.ndim - 1))
        return 2 * steps, jnp.where(each, new, found), jnp.where(open_, change, error)

    start = jnp.int32(_FEWEST), integrate(jnp.int32(_FEWEST)), jnp.full(len(data), jnp.inf)
    _, found, error = jax.lax.while_loop(lambda c: (c[0] < _MOST) & (c[2] > tolerance).any(), finer, start)
    return found, error


def exact_probes(shape: tuple[int, ...]) -> jax.Array:
    """Makes the probes [d ...] of data of this shape with d dimensions that give the divergence exactly."""
    d = math.prod(shape)
    return math.sqrt(d) * jnp.eye(d).reshape(d, *shape)


def random_probes(key: jax.Array, count: int, shape: tuple[int, ...]) -> jax.Array:
    """Draws probes [count ...] of -1 and 1."""
    return jax.random.rademacher(key, (count, *shape), jnp.float32)
