"""What an image is drawn from: its latents and its class, each from the image's own key."""

from __future__ import annotations

import math

import jax


def draw_latents(keys: jax.Array, shape: tuple[int, ...]) -> jax.Array:
    """Draws standard normal latents of this shape, flat: [n d] of keys [n]."""
    return jax.vmap(lambda key: jax.random.normal(key, (math.prod(shape),)))(keys)


def draw_labels(keys: jax.Array, num_classes: int, *, fold: int) -> jax.Array | None:
    """Draws a class int32 [n] for each key [n] with fold_in(key, fold); None where there are no classes."""
    if not num_classes:
        return None
    return jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, fold), (), 0, num_classes))(keys)
