"""The modern baseline of adversarial networks, R3GAN, written from its paper.

Huang et al. 2024, "The GAN is dead; long live the GAN! A modern GAN baseline". Images are [b h w c] in [-1, 1] on both
sides. No normalization, no attention, no mapping network: residual stages with scaled initialization, resampled by a
FIR filter. Widths run from the 4 x 4 stage to the image end in both networks.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.errors import InputError
from gen.models import bounds, layers
from gen.models.bounds import check_bounds
from gen.models.text_encoder import TextEncoder


class Block(nn.Module):
    """Residual block  x + 1x1( 3x3( 1x1(x) ) )  with biased leaky ReLUs between (section 4, "inverted bottleneck").

    The last convolution starts at zero and the others at gain sqrt(2 / 1.04) * depth^(-1/4), so that the whole network
    starts as its skip connections and an update of its output does not grow with depth (Fixup, Zhang et al. 2019,
    with 3 layers a branch).
    """

    expansion: float  # inner channels per outer channel
    group_size: int | None  # channels that one 3x3 kernel sees; None: all (dense)
    depth: int  # residual blocks in the whole network

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        inner = int(x.shape[-1] * self.expansion)
        gain = layers.LEAKY_RELU_GAIN * self.depth**-0.25
        y = layers.Conv(inner, gain=gain)(x)
        y = layers.BiasLeakyReLU()(y)
        y = layers.Conv(inner, 3, groups=inner // (self.group_size or inner), gain=gain)(y)
        y = layers.BiasLeakyReLU()(y)
        return x + layers.Conv(x.shape[-1], gain=0.0)(y)


class _Network(nn.Module):
    """The fields of the two networks."""

    widths: tuple[int, ...]  # channels of each stage, from 4x4 upwards; the images need a doubling of 4 * patch a stage
    blocks: int = 2  # residual blocks a stage
    expansion: float = 2.0  # inner channels of a block per outer channel
    group_size: int | None = 16  # channels that one 3x3 kernel sees; None: all (dense)
    patch: int = 1  # pixels per side that the outermost stage treats as one position: a power of 2
    fine: int = 16  # channels at full resolution, beside the image; with patch=1 unused
    embedding: int = 64  # size of the class embedding
    bfloat16_from: int | None = 8  # stages of at least this many positions a side compute in bfloat16; None: none
    text_width: int = 64  # of the encoder of captions, where the data has them
    remat: bool = False  # compute blocks again for the gradient instead of keeping what is in them
    image_shape: tuple[int, int, int] = (32, 32, 3)  # height, width, channels; this and the next are given by the data
    num_classes: int = 0  # 0: not by class
    vocabulary: int = 0  # of captions; 0: not by caption

    @property
    def resolution(self) -> int:
        """The side in pixels of the largest images that these widths and this patch make."""
        return 4 * 2 ** (len(self.widths) - 1) * self.patch

    @property
    def stage_widths(self) -> tuple[int, ...]:
        """The widths that images of this resolution need: the first of `widths`."""
        return self.widths[: (self.image_shape[0] // (4 * self.patch)).bit_length()]

    def check(self, place: str) -> None:
        """Raises InputError unless these fields fit each other and the data. place: the field to blame."""
        check_bounds(self, place, widths=bounds.WIDTH, blocks=bounds.BLOCKS, expansion=bounds.EXPANSION)
        check_bounds(self, place, group_size=bounds.WIDTH, patch=bounds.PATCH, embedding=bounds.WIDTH)
        check_bounds(self, place, fine=bounds.WIDTH, text_width=bounds.WIDTH)
        if self.patch & (self.patch - 1):
            raise InputError(f"{place}.patch={self.patch}; allowed: a power of 2")
        height, width, _ = self.image_shape
        sides = [4 * 2**n * self.patch for n in range(len(self.widths))]
        if height != width or height not in sides:
            raise InputError(
                f"{place}.widths={self.widths} with patch={self.patch} makes square images of "
                f"{', '.join(map(str, sides))} pixels a side, the data is {height} x {width}; allowed: another "
                f"resolution of these, or another width for each doubling"
            )
        for width in self.stage_widths:
            inner = int(width * self.expansion)
            if self.group_size is not None and (inner < self.group_size or inner % self.group_size):
                raise InputError(
                    f"{place}.widths={self.widths}: width {width} times expansion={self.expansion} is {inner}, which "
                    f"group_size={self.group_size} does not divide; allowed: multiples of it, or group_size=none"
                )

    def _dtype(self, side: int) -> Any:
        return jnp.bfloat16 if self.bfloat16_from is not None and side >= self.bfloat16_from else jnp.float32

    def _text(self, caption: jax.Array) -> jax.Array:
        return TextEncoder(self.vocabulary, self.text_width, name="text")(caption).pooled

    def _stage(self, x: jax.Array) -> jax.Array:
        kind = layers.rematerialized(Block, self.remat)
        for _ in range(self.blocks):
            x = kind(self.expansion, self.group_size, depth=self.blocks * len(self.stage_widths))(x)
        return x


class Generator(_Network):
    """Latents [b latent], labels [b] int (ignored without classes) and perhaps captions [b l] int, see
    gen.models.text_encoder, to images [b h w c], float32, around [-1, 1]."""

    latent: int = 64  # size of the latent vector

    def check(self, place: str) -> None:
        check_bounds(self, place, latent=bounds.WIDTH)
        super().check(place)

    @nn.compact
    def __call__(self, z: jax.Array, label: jax.Array, *caption: jax.Array) -> jax.Array:
        widths = self.stage_widths
        if self.num_classes:
            z = jnp.concatenate(
                [z, nn.Embed(self.num_classes, self.embedding, embedding_init=nn.initializers.normal(1.0))(label)], -1
            )
        if self.vocabulary:
            z = jnp.concatenate([z, self._text(*caption)], -1)
        basis = self.param("basis", nn.initializers.normal(1.0), (4, 4, widths[0]), jnp.float32)
        x = (basis * layers.Linear(widths[0], name="latent")(z)[:, None, None, :]).astype(self._dtype(4))
        for i, width in enumerate(widths):
            if i:
                x = x.astype(self._dtype(2 * x.shape[1]))
                x = layers.upsample(x if x.shape[-1] == width else layers.Conv(width)(x))
            x = self._stage(x)
        channels = self.image_shape[-1]
        if self.patch == 1:
            return layers.Conv(channels, name="image")(x).astype(jnp.float32)
        x = layers.Conv(self.fine, name="fine")(x)
        for _ in range(self.patch.bit_length() - 1):
            x = layers.upsample(x)
        x = layers.Conv(channels, 3, gain=layers.LEAKY_RELU_GAIN, name="image")(layers.BiasLeakyReLU()(x))
        return x.astype(jnp.float32)


class Discriminator(_Network):
    """Images [b h w c] in [-1, 1], labels [b] int (ignored without classes) and perhaps captions [b l] int to logits
    [b], float32."""

    def stages(self, image: jax.Array) -> tuple[jax.Array, ...]:
        """Computes the output of each stage, from the image end to 4 x 4: float32 [b h w c]."""
        return self._run(image, None)[0]

    def __call__(self, image: jax.Array, label: jax.Array, *caption: jax.Array) -> jax.Array:
        return self._run(image, label, *caption)[1]

    @nn.compact
    def _run(
        self, image: jax.Array, label: jax.Array | None, *caption: jax.Array
    ) -> tuple[tuple[jax.Array, ...], jax.Array]:
        widths = self.stage_widths
        x, size = image, 1
        if self.patch > 1:
            x, size = layers.BiasLeakyReLU()(layers.Conv(self.fine, 3, name="fine")(x)), 3
            for _ in range(self.patch.bit_length() - 2):
                x = layers.downsample(x)
            x = layers.space_to_depth(x, 2)
        x = x.astype(self._dtype(x.shape[1]))
        x = layers.Conv(widths[-1], size, name="image")(x)
        stages = []
        for i, width in reversed(list(enumerate(widths))):
            x = self._stage(x)
            stages.append(x.astype(jnp.float32))
            if i:
                x = layers.downsample(x).astype(self._dtype(x.shape[1] // 2))
                x = x if widths[i - 1] == width else layers.Conv(widths[i - 1])(x)
        basis = self.param("basis", layers.scaled_normal(1.0, 16), (4, 4, widths[0]), jnp.float32)
        if label is None:
            return tuple(stages), jnp.zeros(len(image))
        x = jnp.sum(x.astype(jnp.float32) * basis, axis=(1, 2))  # each channel against its own learned 4x4 pattern
        logit = jnp.zeros(image.shape[0])
        if self.vocabulary or not self.num_classes:
            logit += layers.Linear(1, name="logit")(x)[:, 0]
        if self.vocabulary:  # projection heads (Miyato and Koyama 2018)
            wanted = layers.Linear(self.text_width, name="wanted")(x)
            logit += jnp.sum(wanted * self._text(*caption), axis=-1) * self.text_width**-0.5
        if self.num_classes:
            x = layers.Linear(self.embedding, name="features")(x)
            scale = nn.initializers.normal(self.embedding**-0.5)
            prototypes = nn.Embed(self.num_classes, self.embedding, embedding_init=scale)
            logit += jnp.sum(x * prototypes(label), axis=-1)
        return tuple(stages), logit


class Preset(NamedTuple):
    """The fields of the two networks: `spec(Generator, **preset.generator)`."""

    generator: dict[str, Any]
    discriminator: dict[str, Any]

    def replace(self, **fields: Any) -> Preset:
        """Replaces `fields` in both networks."""
        return Preset(self.generator | fields, self.discriminator | fields)


def _alike(*widths: int) -> Preset:
    return Preset({"widths": widths}, {"widths": widths, "embedding": widths[0]})


# The last four have the published widths, groups and blocks. `s` is for half an hour on one GPU, `xs` for minutes on
# two CPU cores: dense 3x3 convolutions; most of the work at 4x4 and 8x8 positions, where it is fastest and decides on
# shape; a generator larger than the discriminator, which is run three times as often.
_XS = {"blocks": 2, "expansion": 1.0, "group_size": None, "embedding": 32, "bfloat16_from": None}
PRESETS: dict[str, Preset] = {
    "xs": Preset({"widths": (192, 128, 48), "patch": 2} | _XS, {"widths": (128, 96), "patch": 4} | _XS),
    "s": _alike(256, 256, 256, 256),
    "cifar10": _alike(768, 768, 768, 768),
    "ffhq64": _alike(768, 768, 768, 768, 384),
    "ffhq256": _alike(768, 768, 768, 768, 384, 192, 96),
    "imagenet64": _alike(1536, 1536, 1536, 1536, 1536).replace(group_size=32),
}
