"""What a flow moves: the pixels of images, or the latents of a trained autoencoder.

Images are [n h w c] in [0, 1], z [n ...] about of mean 0 and deviation 1.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any, cast

import jax
import jax.numpy as jnp

from gen.imaging.filters import inpaint
from gen.tasks.tokens import Tokenizer


@dataclasses.dataclass(frozen=True)
class Latents:
    """Images to z and back. `params` below are roles, of which "autoencoder" is the autoencoder's."""

    autoencoder: Any | None  # a gen.models.autoencoder.Autoencoder with continuous codes; None: pixels in [-1, 1]
    scale: float = 1.0  # the standard deviation of its latents, by which they are divided

    @property
    def factor(self) -> int:
        """Pixels per side of one position of z."""
        return 1 if self.autoencoder is None else int(self.autoencoder.factor)

    def encode(self, params: Mapping[str, Any], images: jax.Array) -> jax.Array:
        """Encodes images to z."""
        if self.autoencoder is None:
            return 2 * images - 1
        z = self.autoencoder.apply(params["autoencoder"], 2 * images - 1, method="latent")
        return cast(jax.Array, z) / self.scale

    def encode_known(
        self, params: Mapping[str, Any], images: jax.Array, known: jax.Array
    ) -> tuple[jax.Array, jax.Array]:
        """Encodes images of which only some pixels are known, bool [n h w 1]; the others have no influence.

        Returns z, and the positions of z that are known, bool [n h' w' 1].
        """
        if self.autoencoder is not None:  # it sees beyond its position; what it finds there must not contradict
            images = inpaint(jnp.where(known, images, 0.0), 1.0 - known, iterations=max(images.shape[1:3]))
            cells = Tokenizer(self.autoencoder).whole_cells(known)
            known = cells.reshape(len(images), images.shape[1] // self.factor, images.shape[2] // self.factor, 1)
        return self.encode(params, images), known

    def decode(self, params: Mapping[str, Any], z: jax.Array) -> jax.Array:
        """Decodes z to images."""
        if self.autoencoder is not None:
            z = cast(jax.Array, self.autoencoder.apply(params["autoencoder"], z * self.scale, method="decode"))
        return jnp.clip((z + 1) / 2, 0.0, 1.0)
