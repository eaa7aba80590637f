"""Recurrent cells: gated linear recurrences, which a scan computes, and the GRU and the LSTM to compare them with.

A cell maps inputs [b n d] and a state [b k d] to outputs [b n d] and the state after them, all float32; k is
STATES[name]. A sequence may be given whole or in pieces, down to single steps: the outputs are the same.
"""

from __future__ import annotations

import functools
from typing import Literal

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.models.sequence_layers import Linear, broadcast_rows

Implementation = Literal["associative", "sequential"]
Residuals = tuple[jax.Array, jax.Array, jax.Array]


def implementation(backend: str | None = None) -> Implementation:
    """Chooses how a linear recurrence is computed on `backend` (None: the default backend).

    "associative": `lax.associative_scan`, about 2 log2(n) parallel passes over the arrays, for accelerators.
    "sequential": `lax.scan`, n steps but a single pass: with its gradient four times faster on two CPU cores.
    """
    return "sequential" if (backend or jax.default_backend()) == "cpu" else "associative"


def recurrence(a: jax.Array, b: jax.Array, start: jax.Array, *, how: Implementation | None = None) -> jax.Array:
    """Computes h_t = a_t h_(t-1) + b_t along axis 1 of a, b [b n d], with h before the first = start [b d]: [b n d]."""
    return _recurrence(a, b, start, how or implementation())


def _scan(a: jax.Array, b: jax.Array, start: jax.Array, how: Implementation, reverse: bool = False) -> jax.Array:
    if how == "associative":
        factor, h = jax.lax.associative_scan(
            lambda left, right: (left[0] * right[0], right[0] * left[1] + right[1]), (a, b), axis=1, reverse=reverse
        )
        return h + factor * start[:, None]

    def step(h: jax.Array, ab: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        h = ab[0] * h + ab[1]
        return h, h

    return jax.lax.scan(step, start, (a.swapaxes(0, 1), b.swapaxes(0, 1)), reverse=reverse)[1].swapaxes(0, 1)


@functools.partial(jax.custom_vjp, nondiff_argnums=(3,))
def _recurrence(a: jax.Array, b: jax.Array, start: jax.Array, how: Implementation) -> jax.Array:
    return _scan(a, b, start, how)


def _forward(a: jax.Array, b: jax.Array, start: jax.Array, how: Implementation) -> tuple[jax.Array, Residuals]:
    h = _scan(a, b, start, how)
    return h, (a, start, h)


def _backward(how: Implementation, kept: Residuals, dh: jax.Array) -> Residuals:
    """g_t = dh_t + a_(t+1) g_(t+1): the same recurrence backwards. What JAX derives for a scan is up to half slower."""
    a, start, h = kept
    g = _scan(jnp.pad(a[:, 1:], ((0, 0), (0, 1), (0, 0))), dh, jnp.zeros_like(start), how, reverse=True)
    previous = jnp.concatenate([start[:, None], h[:, :-1]], axis=1)
    return g * previous, g, a[:, 0] * g[:, 0]


_recurrence.defvjp(_forward, _backward)


class RGLRU(nn.Module):
    """Real-gated linear recurrent unit: De et al. 2024, "Griffin", eq. 1 to 4. Its gates see the inputs alone."""

    @nn.compact
    def __call__(self, x: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        d = x.shape[-1]
        r, i = jnp.split(jax.nn.sigmoid(Linear(2 * d, use_bias=True, name="gates")(x)), 2, axis=-1)  # eq. 1, 2
        decay = self.param("decay", _init_decay, (d,))
        log_a = (
            broadcast_rows(-8.0 * jax.nn.softplus(decay), r.shape) * r
        )  # eq. 3: a = sigmoid(-decay)^(c r) with c = 8
        # Kept from zero: at r = 0 the gradient of the root would be 0 * inf.
        scale = jnp.sqrt(jnp.maximum(-jnp.expm1(2 * log_a), 1e-12))
        h = recurrence(jnp.exp(log_a), scale * i * x, state[:, 0])  # eq. 4
        return h, h[:, -1:]


def _init_decay(key: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws a^c uniformly in [0.9, 0.999] (section 2.4 of Griffin): memories of 10 to 1,000 steps."""
    a = jax.random.uniform(key, shape, minval=0.9, maxval=0.999) ** (1 / 8)
    return jnp.log1p(-a) - jnp.log(a)  # -logit(a)


class MinGRU(nn.Module):
    """Minimal GRU: Feng et al. 2024, "Were RNNs all we needed?", section 3.1. Its gate sees the inputs alone."""

    @nn.compact
    def __call__(self, x: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        z, candidate = jnp.split(Linear(2 * x.shape[-1], use_bias=True, name="gates")(x), 2, axis=-1)
        z = jax.nn.sigmoid(z)
        h = recurrence(1 - z, z * candidate, state[:, 0])
        return h, h[:, -1:]


def _gates(cell: nn.Module, x: jax.Array, count: int) -> tuple[jax.Array, jax.Array]:
    """Computes what the inputs add to `count` gates, [n b count*d], and the kernel [d count*d] for the state."""
    d = x.shape[-1]
    inputs = Linear(count * d, use_bias=True, name="input")(x)
    return inputs.swapaxes(0, 1), cell.param("state", nn.initializers.orthogonal(), (d, count * d))


class GRU(nn.Module):
    """Gated recurrent unit: Cho et al. 2014, with the reset gate after the product, as in cuDNN."""

    @nn.compact
    def __call__(self, x: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        d = x.shape[-1]
        inputs, kernel = _gates(self, x, 3)
        bias = self.param("bias", nn.initializers.zeros, (d,))  # of the state's share in the candidate

        def step(h: jax.Array, x: jax.Array) -> tuple[jax.Array, jax.Array]:
            s = h @ kernel
            r, z = (jax.nn.sigmoid(x[:, i * d : (i + 1) * d] + s[:, i * d : (i + 1) * d]) for i in range(2))
            candidate = jnp.tanh(x[:, 2 * d :] + r * (s[:, 2 * d :] + bias))
            h = (1 - z) * candidate + z * h
            return h, h

        h, y = jax.lax.scan(step, state[:, 0], inputs)
        return y.swapaxes(0, 1), h[:, None]


class LSTM(nn.Module):
    """Long short-term memory: Hochreiter and Schmidhuber 1997, with the forget gate of Gers et al. 2000."""

    @nn.compact
    def __call__(self, x: jax.Array, state: jax.Array) -> tuple[jax.Array, jax.Array]:
        inputs, kernel = _gates(self, x, 4)

        def step(carry: tuple[jax.Array, jax.Array], x: jax.Array) -> tuple[tuple[jax.Array, jax.Array], jax.Array]:
            h, c = carry
            i, f, o, g = jnp.split(x + h @ kernel, 4, axis=-1)
            c = jax.nn.sigmoid(f + 1.0) * c + jax.nn.sigmoid(i) * jnp.tanh(g)  # + 1: it starts by remembering
            h = jax.nn.sigmoid(o) * jnp.tanh(c)
            return (h, c), h

        (h, c), y = jax.lax.scan(step, (state[:, 0], state[:, 1]), inputs)
        return y.swapaxes(0, 1), jnp.stack([h, c], axis=1)


Cell = Literal["rglru", "mingru", "gru", "lstm"]
CELLS: dict[Cell, type[nn.Module]] = {"rglru": RGLRU, "mingru": MinGRU, "gru": GRU, "lstm": LSTM}
STATES = {"rglru": 1, "mingru": 1, "gru": 1, "lstm": 2}  # vectors of the state of each
