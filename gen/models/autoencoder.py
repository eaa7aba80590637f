"""A convolutional autoencoder with an exchangeable bottleneck, and with it the tokenizer of images.

Images are [b h w c] in [-1, 1]. No normalization and no attention: the residual stages of r3gan.py, so that any image
whose sides `factor` divides can be encoded, whatever the size that was learned.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.errors import InputError
from gen.models import bounds, layers
from gen.models.bottleneck import FSQ, Bottleneck, Code
from gen.models.bounds import check_bounds
from gen.models.r3gan import Block


class Autoencoder(nn.Module):
    """Encoder, bottleneck and decoder. Widths run from the image to the code in the encoder, and back in the decoder.

    The code has a position for each `factor` x `factor` pixels.
    """

    widths: tuple[int, ...] = (64, 128)  # channels of each stage; each stage but the first halves the side
    blocks: int = 2  # residual blocks a stage
    expansion: float = 1.0  # inner channels of a block per outer channel
    patch: int = 2  # pixels per side that the first stage treats as one position (space-to-depth)
    bfloat16: bool = False  # compute in bfloat16; the bottleneck stays in float32
    bottleneck: Bottleneck = FSQ()
    remat: bool = False  # compute blocks again for the gradient instead of keeping what is in them
    image_shape: tuple[int, int, int] = (32, 32, 3)  # height, width, channels; given by the data

    @property
    def factor(self) -> int:
        """Pixels per side of one position of the code."""
        return self.patch * 2 ** (len(self.widths) - 1)

    @property
    def vocabulary(self) -> int:
        """The number of tokens; 0: the code is continuous."""
        return self.bottleneck.vocabulary

    @property
    def latent_shape(self) -> tuple[int, int, int]:
        """The code of one image: rows, columns, channels."""
        height, width, _ = self.image_shape
        return height // self.factor, width // self.factor, self.bottleneck.channels

    def check(self, place: str) -> None:
        """Raises InputError unless these fields fit each other and the data. place: the field to blame."""
        check_bounds(self, place, widths=bounds.WIDTH, blocks=bounds.BLOCKS, expansion=bounds.EXPANSION)
        check_bounds(self, place, patch=bounds.PATCH)
        height, width, _ = self.image_shape
        if height % self.factor or width % self.factor:
            raise InputError(
                f"{place}.widths={self.widths} with patch={self.patch} makes one code of {self.factor} x {self.factor} "
                f"pixels, which does not divide the images of {height} x {width}; change patch, widths or resolution"
            )
        self.bottleneck.check(f"{place}.bottleneck")

    def setup(self) -> None:
        self.encoder = _Encoder(
            self.widths, self.blocks, self.expansion, self.patch, self.bottleneck.inputs, self.remat
        )
        outputs = self.image_shape[-1] * self.patch**2
        self.decoder = _Decoder(self.widths, self.blocks, self.expansion, self.patch, outputs, self.remat)

    def __call__(self, images: jax.Array, *, key: jax.Array | None = None) -> tuple[jax.Array, Code]:
        """Reconstructs images [b h w c]; returns them and the Code. key: of bottlenecks that draw; None: their mean."""
        code = self.encode(images, key=key)
        return self.decode(code.z), code

    def encode(self, images: jax.Array, *, key: jax.Array | None = None) -> Code:
        return self.code(self.features(images), key=key)

    def features(self, images: jax.Array) -> jax.Array:
        """Encodes images [b h w c] to what the bottleneck takes, [b h/factor w/factor inputs]."""
        return self.encoder(images.astype(self._dtype)).astype(jnp.float32)

    def code(self, features: jax.Array, *, key: jax.Array | None = None) -> Code:
        """Makes the Code of `features`."""
        return self.bottleneck(features, key=key)

    def decode(self, z: jax.Array) -> jax.Array:
        """Decodes codes [b h/factor w/factor channels] to images [b h w c], around [-1, 1]."""
        return self.decoder(z.astype(self._dtype)).astype(jnp.float32)

    def latent(self, images: jax.Array) -> jax.Array:
        """Encodes images to the codes [b h/factor w/factor channels] that `decode` takes."""
        return self.encode(images).z

    def tokens(self, images: jax.Array) -> jax.Array:
        """Encodes images to tokens int32 [b h/factor w/factor] in 0..vocabulary-1."""
        tokens = self.encode(images).tokens
        if tokens is None:
            raise InputError(f"{type(self.bottleneck).__name__} codes are continuous: this autoencoder has no tokens")
        return tokens

    def from_tokens(self, tokens: jax.Array) -> jax.Array:
        """Decodes tokens int32 [b h/factor w/factor] to images [b h w c], around [-1, 1]."""
        return self.decode(self.bottleneck.lookup(tokens))

    def update(self, key: jax.Array, params: Mapping[str, Any], code: Code) -> Mapping[str, Any]:
        """Updates, after a step, the variables that the bottleneck does not learn by gradients."""
        learned = dict(params["params"])
        if "bottleneck" in learned:
            learned["bottleneck"] = self.bottleneck.update(key, learned["bottleneck"], code)
        return {**params, "params": learned}

    @property
    def _dtype(self) -> Any:
        return jnp.bfloat16 if self.bfloat16 else jnp.float32


class _Half(nn.Module):
    """The fields of encoder and decoder, of which all but `outputs` are those of `Autoencoder`."""

    widths: tuple[int, ...]
    blocks: int
    expansion: float
    patch: int
    outputs: int  # channels
    remat: bool


class _Encoder(_Half):
    """Images to features [b h/factor w/factor outputs]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        depth, block = self.blocks * len(self.widths), layers.rematerialized(Block, self.remat)
        x = layers.Conv(self.widths[0], 3, name="image")(layers.space_to_depth(x, self.patch))
        for i, width in enumerate(self.widths):
            if i:
                x = layers.Conv(width)(layers.downsample(x))
            for _ in range(self.blocks):
                x = block(self.expansion, None, depth=depth)(x)
        return layers.Conv(self.outputs, name="code")(layers.leaky_relu(x))


class _Decoder(_Half):
    """Codes to images, the encoder in reverse."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        depth, block = self.blocks * len(self.widths), layers.rematerialized(Block, self.remat)
        x = layers.Conv(self.widths[-1], 3, name="code")(x)
        for i in reversed(range(len(self.widths))):
            for _ in range(self.blocks):
                x = block(self.expansion, None, depth=depth)(x)
            if i:
                x = layers.upsample(layers.Conv(self.widths[i - 1])(x))
        x = layers.Conv(self.outputs, 3, name="image")(x)
        return layers.depth_to_space(x, self.patch)
