"""The task without a network."""

from __future__ import annotations

import dataclasses

import jax
import jax.numpy as jnp

from gen.tasks.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counter:
    """A task without a network: it counts its steps, shows its images, and fails where it is told to."""

    image_shape: tuple[int, int, int]
    num_classes: int
    batch_size: int
    nan_at: int = -1  # the step of which a metric is nan
    breaks_at: int = -1  # the step after which the parameters are nan, as metrics show one step later

    real_images_per_sample = 1
    can_sample = True
    can_reconstruct = False
    latent_shape = None

    def init(self, key):
        return TrainState(step=jnp.int32(0), params={"counter": jnp.ones(3)}, opt_state={}, ema_params={})

    def step(self, state, batch, key):
        metrics = {
            "brightness": batch["image"].mean(),
            "luck": jnp.where(state.step + 1 == self.nan_at, jnp.nan, jax.random.uniform(key)),
            "size": state.params["counter"].sum(),
        }
        params = {"counter": jnp.where(state.step + 1 == self.breaks_at, jnp.nan, state.params["counter"])}
        return state.replace(step=state.step + 1, params=params), metrics

    def sample(self, ema_params, keys, conditions):
        shade = conditions["label"][:, None, None, None] / 8
        return jnp.broadcast_to(shade, (len(keys), *self.image_shape))
