"""A U-Net of the residual blocks of r3gan.py, for noisy images at a time: what a flow learns its velocity with.

Ronneberger et al. 2015, "U-Net": levels of halved sides, and skips from each on the way down to its equal on the way
up. Time, class and caption scale and shift the features of every block (FiLM, Perez et al. 2018; Dhariwal and Nichol
2021, section 3), and the positions of the inner levels look things up in the caption. No normalization. Images are
[b h w c], around [-1, 1].
"""

from __future__ import annotations

from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.models import bounds, layers, sequence_layers
from gen.models.bounds import check_bounds
from gen.models.text_encoder import Encoded, TextEncoder

_FREQUENCIES = 16  # of the time, from half a period to 16


class _Block(nn.Module):
    """Residual block  x + 1x1( 3x3( 1x1(x) ) )  as in r3gan.Block, the first convolution scaled and shifted."""

    expansion: float  # inner channels per outer channel
    depth: int  # residual blocks in the whole network

    @nn.compact
    def __call__(self, x: jax.Array, condition: jax.Array) -> jax.Array:
        inner = int(x.shape[-1] * self.expansion)
        gain = layers.LEAKY_RELU_GAIN * self.depth**-0.25
        y = layers.Conv(inner, gain=gain)(x)
        y = layers.leaky_relu(_film(condition, y))
        y = layers.Conv(inner, 3, gain=gain)(y)
        y = layers.BiasLeakyReLU()(y)
        return x + layers.Conv(x.shape[-1], gain=0.0)(y)


def _film(condition: jax.Array, x: jax.Array, *, name: str | None = None) -> jax.Array:
    """Scales and shifts the channels of x [b h w c] by the condition [b e]."""
    both = layers.Linear(2 * x.shape[-1], gain=0.1, use_bias=True, name=name)(condition)[:, None, None]
    scale, shift = jnp.split(both, 2, -1)
    return x * (1 + scale) + shift


class _CrossAttention(nn.Module):
    """Adds to each position of x [b h w c] what it looks for in a text: cross-attention (Vaswani et al. 2017), here to
    the vectors of the bytes and to that of the whole text."""

    heads: int = 4
    size: int = 32  # channels of a head

    @nn.compact
    def __call__(self, x: jax.Array, text: Encoded) -> jax.Array:
        b, h, w, c = x.shape
        rows = jnp.concatenate([text.pooled[:, None], text.states], axis=1).astype(x.dtype)
        bias = jnp.log(jnp.maximum(jnp.pad(text.inside, ((0, 0), (1, 0)), constant_values=1.0), 1e-9))[:, None, None]

        def heads(rows: jax.Array, name: str, *, norm: bool = True) -> jax.Array:
            made = sequence_layers.Linear(self.heads * self.size, name=name)(rows)
            made = sequence_layers.AdaRMSNorm(0, name=f"{name}_norm")(made, None) if norm else made
            return made.reshape(b, -1, self.heads, self.size)

        query = heads(x.reshape(b, h * w, c), "query")
        found = jax.nn.dot_product_attention(query, heads(rows, "key"), heads(rows, "value", norm=False), bias)
        return x + sequence_layers.Linear(c, gain=0.0, name="out")(found.reshape(b, h * w, -1)).reshape(x.shape)


class _SubPixelConv(nn.Module):
    """1 x 1 convolution to `factor` times the resolution: [b h w c] to [b h*factor w*factor features].

    It starts as the repetition of each position, so that no pixel of a patch has a start of its own (Aitken et al.
    2017).
    """

    features: int
    factor: int

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        copies, once = self.factor**2, layers.scaled_normal(1.0, x.shape[-1])

        def repeated(key: jax.Array, shape: tuple[int, ...], dtype: Any) -> jax.Array:
            return jnp.tile(once(key, (*shape[:3], self.features), dtype), copies)

        shape = (1, 1, x.shape[-1], copies * self.features)
        kernel = self.param("kernel", repeated, shape, jnp.float32)
        return layers.depth_to_space(layers.conv(x, kernel.astype(x.dtype)), self.factor)


class UNet(nn.Module):
    """Noisy images [b h w c], times [b] in [0, 1], labels [b] int and perhaps context [b h w k] and captions [b l] int,
    see gen.models.text_encoder, to images [b h w c].

    The label `num_classes` is the unknown class; labels are ignored without classes. Images enter and leave as patches
    (space-to-depth); at the end 3 x 3 convolutions over pixels blend the patches, so that no grid of them shows.
    """

    widths: tuple[int, ...] = (48, 128, 192)  # channels of each level, from the image inwards; see `level_widths`
    blocks: int = 2  # residual blocks a level, on the way down and again on the way up
    expansion: float = 1.0  # inner channels of a block per outer channel
    patch: int = 2  # pixels per side that the first level treats as one position
    pixel_width: int = 16  # channels of a pixel at the end
    embedding: int = 128  # size of the embedding of time and class
    bfloat16: bool = False  # compute in bfloat16; the last convolution stays in float32
    text_width: int = 64  # of the encoder of captions, where the data has them
    text_levels: int = 2  # innermost levels whose positions look things up in the caption
    remat: bool = False  # compute blocks again for the gradient instead of keeping what is in them
    image_shape: tuple[int, int, int] = (32, 32, 3)  # height, width, channels; this and the next are given by the data
    num_classes: int = 0  # 0: not by class
    vocabulary: int = 0  # of captions; 0: not by caption

    @property
    def level_widths(self) -> tuple[int, ...]:
        """The widths that images of this resolution need: the last of `widths`, each for half the side of that before,
        down to 4 to 7 positions a side; two at least."""
        levels = (min(self.image_shape[:2]) // (4 * self.patch)).bit_length()
        return self.widths[-max(levels, 2) :]

    @property
    def factor(self) -> int:
        """Pixels per side of one position of the innermost level."""
        return self.patch * 2 ** (len(self.level_widths) - 1)

    def check(self, place: str) -> None:
        """Raises InputError unless these fields fit each other and the data. place: the field to blame."""
        check_bounds(self, place, widths=bounds.WIDTH, blocks=bounds.BLOCKS, expansion=bounds.EXPANSION)
        check_bounds(self, place, patch=bounds.PATCH, pixel_width=bounds.WIDTH)
        check_bounds(self, place, embedding=bounds.WIDTH, text_width=bounds.WIDTH, text_levels=(0, 64))
        height, width, _ = self.image_shape
        if height % self.factor or width % self.factor:
            raise InputError(
                f"{place}.widths={self.level_widths} with patch={self.patch} halves images to positions of "
                f"{self.factor} x {self.factor} pixels, which do not divide the {height} x {width} of the data; "
                "change patch, widths or resolution"
            )

    @nn.compact
    def __call__(self, x: jax.Array, time: jax.Array, label: jax.Array, *given: jax.Array) -> jax.Array:
        dtype = jnp.bfloat16 if self.bfloat16 else jnp.float32
        widths = self.level_widths
        context, caption = (given[:-1], given[-1]) if self.vocabulary else (given, None)
        text = None if caption is None else TextEncoder(self.vocabulary, self.text_width, name="text")(caption)
        condition, depth = self._condition(time, label, text).astype(dtype), 2 * self.blocks * len(widths)

        block = layers.rematerialized(_Block, self.remat)

        def blocks(y: jax.Array, level: int) -> jax.Array:
            for _ in range(self.blocks):
                y = block(self.expansion, depth)(y, condition)
                if text is not None and level >= len(widths) - self.text_levels:
                    y = _CrossAttention()(y, text)
            return y

        pixels = jnp.concatenate([x, *context], axis=-1).astype(dtype)
        y = layers.Conv(widths[0], 3, name="image")(layers.space_to_depth(pixels, self.patch))
        skips = []
        for i, width in enumerate(widths):
            if i:
                y = layers.Conv(width)(layers.downsample(y))
            y = blocks(y, i)
            skips.append(y)
        for i, width in reversed(list(enumerate(widths))):
            if i < len(widths) - 1:
                y = layers.upsample(layers.Conv(width)(y)) + layers.Conv(width)(skips[i])
            y = blocks(y, i)
        y = _SubPixelConv(self.pixel_width, self.patch, name="fine")(layers.leaky_relu(y))
        y += layers.Conv(self.pixel_width, 3, name="pixels")(pixels)
        y = layers.leaky_relu(_film(condition, y, name="pixel_film"))  # how far pixels are to be believed, by the time
        return layers.Conv(self.image_shape[-1], 3, gain=0.0, name="output")(y.astype(jnp.float32))

    def _condition(self, time: jax.Array, label: jax.Array, text: Encoded | None) -> jax.Array:
        """Embeds times, labels and texts: [b embedding]."""
        angles = 2 * jnp.pi * time[:, None] * np.float32(2 ** np.linspace(-1.0, 4.0, _FREQUENCIES))
        odds = jnp.log(jnp.clip(time, 1e-3, 1 - 1e-3) / jnp.clip(1 - time, 1e-3, 1 - 1e-3))[:, None] / 4
        waves = jnp.concatenate([jnp.sin(angles), jnp.cos(angles), odds], axis=-1)
        y = layers.Linear(self.embedding, use_bias=True, name="time")(waves)
        if self.num_classes:
            normal = nn.initializers.normal(1.0)
            y += nn.Embed(self.num_classes + 1, self.embedding, embedding_init=normal, name="label")(label)
        if text is not None:
            y += layers.Linear(self.embedding, name="caption")(text.pooled)
        y = layers.Linear(self.embedding, gain=layers.LEAKY_RELU_GAIN, use_bias=True)(layers.leaky_relu(y))
        return layers.leaky_relu(y)


# For minutes on two CPU cores.
PRESETS: dict[str, dict[str, Any]] = {"xs": {"widths": (16, 32, 48, 128, 192), "blocks": 1, "patch": 2}}
