"""Ways to train, one file each: pure functions over a TrainState. Images are [b h w c] in [0, 1] in and out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jax

from gen.tasks.state import TrainState, Tree

Metrics = dict[str, jax.Array]


class Task(Protocol):
    """What the loop needs to train and a sampler needs to sample. A Task holds settings, never arrays."""

    @property
    def real_images_per_sample(self) -> int:
        """The real images that a step takes per image of the batch."""

    @property
    def can_sample(self) -> bool:
        """Whether it has learned a distribution to sample from."""

    @property
    def can_reconstruct(self) -> bool:
        """Whether it reconstructs images."""

    @property
    def latent_shape(self) -> tuple[int, ...] | None:
        """The shape of the standard normal latents that `sample` draws for an image; None: it has no latents."""

    def init(self, key: jax.Array) -> TrainState:
        """Initializes a state."""

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        """Updates once, pure, by {"image": [b*k h w c] in [0, 1], "label": int32 [b*k]}, k = real_images_per_sample."""

    def label(self, keys: jax.Array) -> jax.Array | None:
        """Draws the labels int32 [n] that `sample` uses for these keys [n] without others; None: no classes."""

    def sample(self, ema_params: Mapping[str, Tree], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        """Samples images [n h w c] in [0, 1], one per key [n].

        Conditions, all optional: "label" int32 [n] (else drawn from the key), "truncation" (a scalar that shrinks the
        latents, 1: none), "latent" [n d] (used instead of a drawn one).
        """

    def reconstruct(self, ema_params: Mapping[str, Tree], images: jax.Array) -> jax.Array:
        """Reconstructs images [n h w c] in [0, 1]; for tasks that can."""
