"""The control of gen.models.recurrent: a transformer with a key-value cache, of as many parameters, used the same way.

Not part of the product. It has the inputs, norms, MLPs and head of `Recurrent`, and attention (Vaswani et al. 2017)
where that has its recurrent blocks; its MLPs are wider by what attention has fewer parameters.
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.models import token_grid
from gen.models.recurrent import MLP
from gen.models.sequence_layers import AdaRMSNorm, Linear

HEAD = 64  # channels of one head

Cache = tuple[jax.Array, jax.Array]  # keys and values, [b heads capacity channels] each
Carry = tuple[jax.Array, tuple[Cache, ...]]  # steps done, every layer's cache


class Attention(nn.Module):
    """Causal attention of queries [b n d], the `at`-th of the sequence and later, over a cache and themselves."""

    gain: float

    @nn.compact
    def __call__(self, x: jax.Array, cache: Cache, at: jax.Array) -> tuple[jax.Array, Cache]:
        b, n, d = x.shape
        size = min(HEAD, d)
        projected = Linear(3 * d, name="in")(x).reshape(b, n, 3, d // size, size).transpose(2, 0, 3, 1, 4)
        query, *new = projected  # [b heads n size]
        keys, values = (jax.lax.dynamic_update_slice_in_dim(old, a, at, 2) for old, a in zip(cache, new, strict=True))
        scores = jnp.einsum("bhqc,bhkc->bhqk", query, keys) * size**-0.5
        earlier = jnp.arange(keys.shape[2]) <= at + jnp.arange(n)[:, None]
        weights = jax.nn.softmax(jnp.where(earlier, scores, -jnp.inf))
        y = jnp.einsum("bhqk,bhkc->bhqc", weights, values).transpose(0, 2, 1, 3).reshape(b, n, d)
        return Linear(d, gain=self.gain, name="out")(y), (keys, values)


class Layer(nn.Module):
    """Residual attention and residual MLP."""

    hidden: int
    gain: float
    num_classes: int

    @nn.compact
    def __call__(self, x: jax.Array, cache: Cache, at: jax.Array, label: jax.Array | None) -> tuple[jax.Array, Cache]:
        y, cache = Attention(self.gain, name="attention")(
            AdaRMSNorm(self.num_classes, name="norm")(x, label), cache, at
        )
        x += y
        return x + MLP(self.hidden, self.gain, name="mlp")(
            AdaRMSNorm(self.num_classes, name="mlp_norm")(x, label)
        ), cache


class Transformer(nn.Module):
    """Fields and methods of `Recurrent` but its cell and context. A carry has a capacity, which `grow` raises."""

    width: int
    layers: int
    expansion: float = 2.0
    neighbors: bool = True
    vocabulary: int = 256
    grid: token_grid.Grid = (8, 8, 1)
    num_classes: int = 0

    def setup(self) -> None:
        self.inputs = token_grid.TokenEmbedding(self.width, self.vocabulary, self.grid, None)
        # A recurrent block has 5 d^2 parameters, attention 4 d^2; an MLP 3 d for each hidden channel.
        hidden, gain = round(self.expansion * self.width + self.width / 3), (2 * self.layers) ** -0.5
        self.stack = [Layer(hidden, gain, self.num_classes) for _ in range(self.layers)]
        self.norm = AdaRMSNorm(self.num_classes)
        self.logits = Linear(self.vocabulary, use_bias=True)

    def __call__(self, tokens: jax.Array, positions: jax.Array, label: jax.Array | None) -> jax.Array:
        """Logits [b n vocabulary] of whole sequences [b n]."""
        around = token_grid.causal_neighbors(tokens, positions, self.grid, None) if self.neighbors else None
        token, position = (jnp.pad(a[:, :-1], ((0, 0), (1, 0)), constant_values=-1) for a in (tokens, positions))
        carry = self.initialize_carry(*tokens.shape)
        return self._run(self.inputs(token, position, positions, around), carry, label)[0]

    def initialize_carry(self, batch: int, capacity: int | None = None) -> Carry:
        """The state before the first step, with room for `capacity` steps (None: all)."""
        size = min(HEAD, self.width)
        shape = (batch, self.width // size, capacity or token_grid.cells(self.grid), size)
        return jnp.zeros((), jnp.int32), tuple((jnp.zeros(shape), jnp.zeros(shape)) for _ in range(self.layers))

    def step(
        self,
        carry: Carry,
        canvas: jax.Array,
        token: jax.Array,
        position: jax.Array,
        target: jax.Array,
        label: jax.Array | None,
    ) -> tuple[jax.Array, Carry]:
        """Logits [b vocabulary] of the token at `target` [b], and the state after this step."""
        around = token_grid.known_neighbors(canvas, target, self.grid, None)[:, None] if self.neighbors else None
        x = self.inputs(token[:, None], position[:, None], target[:, None], around)
        logits, carry = self._run(x, carry, label)
        return logits[:, 0], carry

    def _run(self, x: jax.Array, carry: Carry, label: jax.Array | None) -> tuple[jax.Array, Carry]:
        at, caches = carry
        after = []
        for layer, cache in zip(self.stack, caches, strict=True):
            x, cache = layer(x, cache, at, label)
            after.append(cache)
        return self.logits(self.norm(x, label)), (at + x.shape[1], tuple(after))


def grow(carry: Any, capacity: int) -> Any:
    """The same state with room for `capacity` steps; that of a recurrent network as it is."""
    at, rest = carry
    if at.ndim:
        return carry
    room = ((0, 0), (0, 0), (0, capacity - rest[0][0].shape[2]), (0, 0))
    return at, jax.tree.map(lambda a: jnp.pad(a, room), rest)
