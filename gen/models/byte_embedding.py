"""Bytes of a text as vectors, of which each that ends a word knows which word that is.

Words are not looked up in a vocabulary: their bytes are hashed to a row of a table, as byte n-grams are in Pagnoni et
al. 2024, "Byte Latent Transformer", section 3.2.1. Two words that meet in a row are told apart by their bytes alone.
"""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.models.sequence_layers import Linear
from gen.text import VOCABULARY

_FACTOR = 0x9E3779B1  # of the hash: odd, about 2^32 divided by the golden ratio
_FIRST = 3  # token of the byte 0


class ByteEmbedding(nn.Module):
    """Tokens int32 [b l], see gen.text, to vectors [b l/stride width] of about unit variance, each of `stride` bytes.

    l must be a multiple of `stride`. The bytes are told apart by their places among the `stride`, words are not.
    """

    width: int
    stride: int = 1
    vocabulary: int = VOCABULARY  # tokens
    rows: int = 4096  # of the table of words

    @nn.compact
    def __call__(self, tokens: jax.Array) -> jax.Array:
        b, length = tokens.shape
        normal = nn.initializers.normal(1.0)
        x = nn.Embed(self.vocabulary, self.width, embedding_init=normal, name="byte")(tokens)
        if self.stride > 1:
            x = Linear(self.width, name="bytes")(x.reshape(b, length // self.stride, self.stride * self.width))
        row, ends = hashed_words(tokens)
        words = nn.Embed(self.rows, self.width, embedding_init=normal, name="word")(row % self.rows)
        words = jnp.where(ends[..., None], words, 0.0)
        return (x + words.reshape(b, length // self.stride, self.stride, self.width).sum(2)) * 0.5**0.5


def hashed_words(tokens: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Hashes words of tokens [b l]: non-negative int32 [b l], of the word up to each token, and bool [b l], whether it
    ends there.

    A word is a run of ASCII letters, in upper or lower case alike, digits, and bytes beyond ASCII.
    """
    byte = tokens - _FIRST
    upper = (byte >= ord("A")) & (byte <= ord("Z"))
    byte = jnp.where(upper, byte + ord("a") - ord("A"), byte)
    letter = (byte >= ord("a")) & (byte <= ord("z"))
    inside = letter | ((byte >= ord("0")) & (byte <= ord("9"))) | (byte >= 128)
    # h_t = factor_t h_(t-1) + byte_t, modulo 2^32, from 0 at each word.
    factor = jnp.where(inside, jnp.uint32(_FACTOR), jnp.uint32(0))
    value = jnp.where(inside, byte + 1, 0).astype(jnp.uint32)
    _, hashed = jax.lax.associative_scan(lambda a, b: (a[0] * b[0], b[0] * a[1] + b[1]), (factor, value), axis=1)
    hashed = (hashed ^ (hashed >> 15)) * jnp.uint32(0x85EBCA77)  # the low bits depend on all of them
    ends = inside & ~jnp.pad(inside[:, 1:], ((0, 0), (0, 1)))
    return (hashed >> 1).astype(jnp.int32) ^ (hashed >> 16).astype(jnp.int32), ends
