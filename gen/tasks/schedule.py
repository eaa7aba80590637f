"""Values that change while a run goes on."""

from __future__ import annotations

import jax
import jax.numpy as jnp

Range = tuple[float, float]  # a value at the start of training and the value from `decay_images` on


def cosine(ends: Range, progress: jax.Array | float) -> jax.Array:
    """From ends[0] at progress 0 along half a cosine to ends[1] at progress 1, and constant after."""
    start, end = ends
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))
