"""Images and texts to vectors that can be compared: two encoders, as of CLIP (Radford et al. 2021, figure 3)."""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.models import layers
from gen.models.encoder import Encoder
from gen.models.text_encoder import TextEncoder

_SHARPEST = 100.0  # scale of the cosines at most


class TextImage(nn.Module):
    """Images [b s s c] in [-1, 1] and captions int32 [b l], see gen.text, to unit vectors [b d] each, and a scale."""

    size: int = 128
    text_width: int = 96

    def setup(self) -> None:
        self.image = Encoder(outputs=self.size, features=256)
        self.text = TextEncoder(width=self.text_width)
        self.text_head = layers.Linear(self.size)
        self.log_scale = self.param("log_scale", nn.initializers.constant(math.log(10.0)), ())

    def __call__(self, images: jax.Array, captions: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
        return self.see(images), self.read(captions), jnp.minimum(jnp.exp(self.log_scale), _SHARPEST)

    def see(self, images: jax.Array) -> jax.Array:
        """Computes the vectors of images."""
        return _unit(self.image(images)[1])

    def read(self, captions: jax.Array) -> jax.Array:
        """Computes the vectors of captions."""
        return _unit(self.text_head(self.text(captions).pooled))


def _unit(x: jax.Array) -> jax.Array:
    return x * jax.lax.rsqrt(jnp.maximum(jnp.square(x).sum(-1, keepdims=True), 1e-24))
