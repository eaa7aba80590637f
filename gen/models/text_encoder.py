"""Reads a text in both directions: a gated linear recurrence over its bytes, from the first and from the last.

Tokens are int32 [b l] as of gen.text: 0 fills what a text leaves empty, and a row of zeros is no text. A layer is that
of gen.models.recurrent (Griffin, De et al. 2024), one for each direction.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.models.byte_embedding import ByteEmbedding
from gen.models.recurrent import Layer, layer_carry
from gen.models.recurrent_cells import Cell
from gen.models.sequence_layers import AdaRMSNorm, Linear
from gen.text import VOCABULARY


class Encoded(NamedTuple):
    """A text as vectors."""

    pooled: jax.Array  # [b width], of about unit variance; of no text always the same, learned
    states: jax.Array  # [b n width]: each few bytes with what stands before and after them; 0 beyond the end
    inside: jax.Array  # [b n]: 1 up to the end, 0 beyond it


class TextEncoder(nn.Module):
    """Tokens int32 [b l] to one vector for the text, and n = ceil(l / stride) for each `stride` bytes.

    What fills a row after the text does not change what is made of it.
    """

    vocabulary: int = VOCABULARY  # tokens
    width: int = 64  # channels of both vectors
    layers: int = 1  # in each direction
    stride: int = 4  # bytes that are read at once
    cell: Cell = "rglru"

    @nn.compact
    def __call__(self, tokens: jax.Array) -> Encoded:
        tokens = jnp.pad(tokens, ((0, 0), (0, -tokens.shape[1] % self.stride)))
        length = -(-(tokens > 0).sum(1) // self.stride)  # in steps
        x = ByteEmbedding(self.width, self.stride, self.vocabulary, name="embedding")(tokens)
        inside = jnp.arange(x.shape[1]) < length[:, None]
        sides = []
        for name, turned in (("forward", False), ("backward", True)):
            y = _reversed(x, length) if turned else x
            for i in range(self.layers):
                layer = Layer(self.cell, 2 * self.width, (2 * self.layers) ** -0.5, 0, name=f"{name}_{i}")
                y, _ = layer(y, layer_carry(self.cell, len(x), self.width), None)
            y = AdaRMSNorm(0, name=f"{name}_norm")(y, None)
            sides.append(_reversed(y, length) if turned else y)
        ends = jnp.take_along_axis(sides[0], jnp.maximum(length - 1, 0)[:, None, None], axis=1)[:, 0], sides[1][:, 0]
        states = jnp.where(inside[..., None], Linear(self.width, name="states")(jnp.concatenate(sides, -1)), 0.0)
        mean = states.sum(1) / jnp.maximum(length, 1)[:, None]
        pooled = Linear(self.width, use_bias=True, name="pooled")(jnp.concatenate([*ends, mean], -1)[:, None])
        pooled = AdaRMSNorm(0, name="norm")(pooled, None)[:, 0]
        nothing = self.param("nothing", nn.initializers.normal(1.0), (self.width,), jnp.float32)
        return Encoded(jnp.where((length > 0)[:, None], pooled, nothing), states, inside.astype(states.dtype))


def mix_captions(weight: jax.Array | None, call: Any, inputs: Any, options: Any, context: Any) -> Any:
    """Intercepts the encoder in Flax: of two captions each, [b 2 l], `weight` [b] is the share of the second."""
    if weight is None or not isinstance(context.module, TextEncoder) or context.method_name != "__call__":
        return call(*inputs, **options)
    b, _, length = inputs[0].shape
    both = call(inputs[0].reshape(2 * b, length))
    mixed = [pair.reshape(b, 2, *pair.shape[1:]) for pair in both]
    share = [weight.reshape(-1, *[1] * (pair.ndim - 2)) for pair in mixed]
    return Encoded(*((1 - s) * pair[:, 0] + s * pair[:, 1] for s, pair in zip(share, mixed, strict=True)))


def _reversed(x: jax.Array, length: jax.Array) -> jax.Array:
    """Reverses the first `length` [b] rows of each of x [b l d]; the others stay."""
    at = jnp.arange(x.shape[1])
    source = jnp.where(at < length[:, None], length[:, None] - 1 - at, at)
    return jnp.take_along_axis(x, source[..., None], axis=1)
