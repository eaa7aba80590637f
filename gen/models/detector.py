"""A small convolutional network that says of each cell of a grid what is there."""

from __future__ import annotations

import flax.linen as nn
import jax

from gen.models import layers


class Detector(nn.Module):
    """Square images [b s s c] in [-1, 1] to outputs [b s/4 s/4 k]: 2 x 2 patches, an antialiased halving, and residual
    3 x 3 convolutions, enough that each cell sees far beyond itself."""

    outputs: int
    width: int = 96
    blocks: int = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = layers.space_to_depth(x, 2)
        for _ in range(2):
            x = layers.BiasLeakyReLU()(layers.Conv(self.width // 2, 3, gain=layers.LEAKY_RELU_GAIN)(x))
        x = layers.Conv(self.width)(layers.downsample(x))
        for _ in range(self.blocks):
            y = layers.BiasLeakyReLU()(layers.Conv(self.width, 3, gain=layers.LEAKY_RELU_GAIN / 2)(x))
            x = x + y
        return layers.Linear(self.outputs, use_bias=True)(layers.BiasLeakyReLU()(x))
