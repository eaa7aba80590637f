"""A small convolutional encoder: what measures images where no pretrained network is at hand."""

from __future__ import annotations

import flax.linen as nn
import jax

from gen.models import layers


class Encoder(nn.Module):
    """Square images [b s s c] in [-1, 1] to features [b d] and a head's outputs [b k] over them.

    Patches, then 3 x 3 convolutions with an antialiased halving between them until the grid has `grid` cells a
    side at most; all of it flat into one linear layer, so that features know where things are. s: a power of 2.
    """

    outputs: int
    features: int = 128
    width: int = 64
    grid: int = 4
    patch: int = 2  # pixels a side

    @nn.compact
    def __call__(self, x: jax.Array) -> tuple[jax.Array, jax.Array]:
        x, stage = layers.space_to_depth(x, self.patch), 0
        while True:
            width = self.width * 2 ** min(stage, 2)
            x = layers.BiasLeakyReLU()(layers.Conv(width, 3, gain=layers.LEAKY_RELU_GAIN)(x))
            if x.shape[1] <= self.grid:
                break
            x, stage = layers.downsample(x), stage + 1
        features = layers.Linear(self.features, gain=layers.LEAKY_RELU_GAIN)(x.reshape(x.shape[0], -1))
        return features, layers.Linear(self.outputs, use_bias=True)(layers.BiasLeakyReLU()(features))
