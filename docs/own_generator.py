"""A generator of your own, and an experiment that trains it: an example of what docs/own_networks.md asks for.

GEN_PACKAGES=own_generator PYTHONPATH=docs python -m gen.main --config docs/own_generator.py --workdir runs/own

It is as small as can be: two dense layers, which learn where shapes are but not their edges.
"""

from __future__ import annotations

import math

import flax.linen as nn
import jax
import jax.numpy as jnp

from gen.config import Config, spec
from gen.data import shapes
from gen.errors import InputError
from gen.models.r3gan import PRESETS, Discriminator
from gen.tasks.gan import Gan


class Generator(nn.Module):
    """Latents [b latent], labels int [b] to images [b h w c], around [-1, 1]."""

    width: int = 256  # yours: any fields with a type; an experiment or --config.task.generator.width=512 sets them
    latent: int = 32  # size of the latent vector: the task draws it from the standard normal distribution
    image_shape: tuple[int, int, int] = (32, 32, 3)  # height, width, channels; set by the program
    num_classes: int = 0  # 0: labels are not used; set by the program

    def check(self, place: str) -> None:
        """InputError where the fields do not fit each other or the images. `place` is the field to blame."""
        if self.width < 1:
            raise InputError(f"{place}.width={self.width}; allowed: 1 or more")

    @nn.compact
    def __call__(self, z: jax.Array, label: jax.Array) -> jax.Array:
        if self.num_classes:
            z = jnp.concatenate([z, jax.nn.one_hot(label, self.num_classes)], axis=-1)
        x = nn.leaky_relu(nn.Dense(self.width)(z), 0.2)
        return nn.Dense(math.prod(self.image_shape))(x).reshape(-1, *self.image_shape)


def get_config(arg: str = "") -> Config:
    """The experiment."""
    import own_generator  # a run names its network by a module that can be imported again, as this file cannot here

    return Config(
        data=spec(shapes, resolution=32),
        task=spec(
            Gan,
            generator=spec(own_generator.Generator),
            discriminator=spec(Discriminator, **PRESETS["xs"].discriminator),
            gamma=(1.0, 0.5),
            schedule_images=20_000,
        ),
        batch_size=64,
        total_images=20_000,
    )
