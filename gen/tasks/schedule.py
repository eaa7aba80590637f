"""Values that change while a run goes on, and the bounds of a task's fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gen.errors import InputError
from gen.files import shown

WEIGHT = (0.0, 1e6)  # bounds, both included: of what multiplies a term
SHARE = (0.0, 1.0)
RATE = (0.0, 10.0)  # of learning
DECAY = (0.0, 0.999_999)  # beta of Adam
IMAGES = (0.0, 1e12)

Range = tuple[float, float]  # a value at the start of training and the value from `schedule_images` on


def check_numbers(task: Any, **bounds: tuple[float, float]) -> None:
    """Raises InputError unless these fields of a task, both ends of a Range, are None or within their bounds."""
    for name, (low, high) in {"schedule_images": (1, IMAGES[1]), **bounds}.items():
        value = getattr(task, name)
        each = tuple(value.values()) if isinstance(value, Mapping) else value if isinstance(value, tuple) else (value,)
        if not all(number is None or low <= number <= high for number in each):  # nan is not
            raise InputError(f"task.{name}={shown(value)}; allowed: {low:,g} to {high:,g}")


def cosine(ends: Range, progress: jax.Array | float) -> jax.Array:
    """Goes from ends[0] at progress 0 along half a cosine to ends[1] at progress 1, and stays there.

    optax.cosine_decay_schedule cannot rise from 0, and rounds in another way.
    """
    start, end = ends
    return end + (start - end) * 0.5 * (1 + jnp.cos(jnp.pi * jnp.clip(progress, 0.0, 1.0)))


def progress(task: Any, step: jax.Array) -> jax.Array:
    """Returns the share of the task's `schedule_images` that was shown before a step."""
    return step * (task.batch_size / task.schedule_images)


def by_step(task: Any, ends: Range) -> optax.Schedule:
    """Returns a Range of the task as a function of the step."""
    return lambda step: cosine(ends, progress(task, step))


def warmed(task: Any, step: jax.Array) -> jax.Array:
    """Returns the task's `learning_rate` at a step, which first rises from 0 over its `warmup_images`."""
    warm = jnp.minimum((step + 1) * (task.batch_size / max(task.warmup_images, 1)), 1.0)
    return warm * cosine(task.learning_rate, progress(task, step))
