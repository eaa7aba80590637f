"""Images as sequences of tokens and back: those of a trained autoencoder, or the pixels themselves as 256 values.

Images are [b h w c] in [0, 1]; tokens int32 [b n], in raster order of a grid of rows, columns and channels.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp

from gen.errors import InputError
from gen.imaging.filters import inpaint

Grid = tuple[int, int, int]  # rows, columns, channels


@dataclasses.dataclass(frozen=True)
class Tokenizer:
    """Images to tokens and back. `params` below are roles, of which "autoencoder" is the tokenizer's."""

    tokenizer: Any | None  # a gen.models.autoencoder.Autoencoder with tokens; None: pixels

    @property
    def vocabulary(self) -> int:
        return 256 if self.tokenizer is None else int(self.tokenizer.vocabulary)

    @property
    def factor(self) -> int:
        """Pixels per side of one cell."""
        return 1 if self.tokenizer is None else int(self.tokenizer.factor)

    def grid(self, shape: tuple[int, int, int]) -> Grid:
        """Returns the grid of images of height, width, channels."""
        height, width, channels = shape
        return height // self.factor, width // self.factor, channels if self.tokenizer is None else 1

    def encode(self, params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes images to tokens."""
        if self.tokenizer is None:
            return jnp.round(images * 255).astype(jnp.int32).reshape(images.shape[0], -1)
        tokens: jax.Array = self.tokenizer.apply(params["autoencoder"], 2 * images - 1, method="tokens")
        return tokens.reshape(images.shape[0], -1)

    def encode_known(self, params: Mapping[str, Any], images: jax.Array, known: jax.Array) -> jax.Array:
        """Encodes images of which only some pixels are known, bool [b h w 1]; the others have no influence."""
        if self.tokenizer is not None:
            # An encoder sees beyond its cell; what it finds there must not contradict what is known.
            images = inpaint(jnp.where(known, images, 0.0), 1.0 - known, iterations=max(images.shape[1:3]))
        return self.encode(params, images)

    def decode(self, params: Mapping[str, Any], tokens: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
        """Decodes tokens to images of height, width, channels."""
        if self.tokenizer is None:
            return tokens.reshape(-1, *shape) / jnp.float32(255)
        cells = tokens.reshape(-1, *self.grid(shape)[:2])
        images: jax.Array = self.tokenizer.apply(params["autoencoder"], cells, method="from_tokens")
        return jnp.clip((images + 1) / 2, 0.0, 1.0)

    def follow(
        self,
        params: Mapping[str, Any],
        tokens: jax.Array,
        frame: jax.Array,
        before: jax.Array,
        shape: tuple[int, int, int],
    ) -> jax.Array:
        """Decodes tokens to images after a frame that has the tokens `before`.

        A cell that keeps its token keeps what the tokenizer lost of it in the frame, too.
        """
        images = self.decode(params, tokens, shape)
        if self.tokenizer is None:
            return images
        kept = self.spread((tokens == before) * float(self.factor**2), shape)[..., None]
        return jnp.clip(images + kept * (frame - self.decode(params, before, shape)), 0.0, 1.0)

    def whole_cells(self, known: jax.Array) -> jax.Array:
        """Finds the cells all of whose pixels are known: [b h w 1] to [b cells], bool."""
        b, h, w, _ = known.shape
        return known.reshape(b, h // self.factor, self.factor, w // self.factor, self.factor).all((2, 4)).reshape(b, -1)

    def spread(self, values: jax.Array, shape: tuple[int, int, int]) -> jax.Array:
        """Spreads a number per token [b n], summed over channels, evenly over the cell's pixels: [b h w]."""
        cells = values.reshape(-1, *self.grid(shape)).sum(-1) / self.factor**2
        return cells.repeat(self.factor, axis=1).repeat(self.factor, axis=2)


def of_shape(images: jax.Array, shape: tuple[int, int, int], name: str) -> jax.Array:
    """Returns `images` [b h w c]. Raises InputError unless they have this height, width and channels."""
    if tuple(images.shape[1:]) != tuple(shape):
        raise InputError(
            f"{name} of {list(images.shape[1:])}; this model allows {list(shape)}: height, width, channels"
        )
    return images
