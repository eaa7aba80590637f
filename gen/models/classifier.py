"""A residual classifier of small images: a judge that is right more often than encoder.py, and takes longer."""

from __future__ import annotations

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.models import layers


class _Block(nn.Module):
    """Pre-activation residual block of two 3 x 3 convolutions (He et al. 2016, "Identity mappings")."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        y = layers.leaky_relu(nn.RMSNorm()(x))
        y = layers.Conv(x.shape[-1], 3, gain=layers.LEAKY_RELU_GAIN)(y)
        y = layers.leaky_relu(nn.RMSNorm()(y))
        return x + layers.Conv(x.shape[-1], 3, gain=0.0)(y)


class Classifier(nn.Module):
    """Square images [b s s c] in [-1, 1] to logits [b k]. s: a power of 2.

    2 x 2 patches, then a residual block at each of the halved sides down to `grid`, and the mean and the maximum over
    the positions that are left.
    """

    outputs: int
    width: int = 48
    grid: int = 4

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x, stage = layers.Conv(self.width, 3)(layers.space_to_depth(x, 2)), 0
        while True:
            x = _Block()(x)
            if x.shape[1] <= self.grid:
                break
            stage += 1
            x = layers.Conv(self.width * 2 ** min(stage, 2))(layers.downsample(x))
        x = layers.leaky_relu(nn.RMSNorm()(x))
        return layers.Linear(self.outputs, use_bias=True)(jnp.concatenate([x.mean((1, 2)), x.max((1, 2))], axis=-1))
