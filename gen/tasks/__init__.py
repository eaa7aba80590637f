"""Ways to train, one file each: pure functions over a TrainState. Images are [b h w c] in [0, 1] at this door."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import jax

from gen.tasks.state import TrainState, Tree

Metrics = dict[str, jax.Array]


class Task(Protocol):
    """What the loop needs to train and a sampler needs to sample. A Task holds settings, never arrays."""

    @property
    def draws(self) -> int:
        """How many real images a step takes per image of the batch."""

    @property
    def samples(self) -> bool:
        """Has it learned a distribution to draw from?"""

    @property
    def reconstructs(self) -> bool:
        """Can it give an image back?"""

    def init(self, key: jax.Array) -> TrainState:
        """A fresh state."""

    def step(self, state: TrainState, batch: Mapping[str, jax.Array], key: jax.Array) -> tuple[TrainState, Metrics]:
        """One update from {"image": [b*draws h w c] in [0, 1], "label": int32 [b*draws]}: pure, jitted by the loop."""

    def latent(self, keys: jax.Array) -> jax.Array:
        """What `sample` draws from these keys [n]: latents [n d]."""

    def label(self, keys: jax.Array) -> jax.Array | None:
        """What `sample` draws from these keys [n] where it is given no label: int32 [n]; None: it knows no classes."""

    def sample(self, ema_params: Mapping[str, Tree], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        """Images [n h w c] in [0, 1], one per key [n].

        Conditions, all optional: "label" int32 [n] (else drawn from the key), "truncation" (a scalar that shrinks the
        latents, 1: none), "latent" [n d] (used instead of a drawn one).
        """

    def reconstruct(self, ema_params: Mapping[str, Tree], images: jax.Array) -> jax.Array:
        """Images [n h w c] in [0, 1] as the model gives them back; for tasks that reconstruct."""
