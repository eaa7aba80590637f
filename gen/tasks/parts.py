"""Batches that go through the networks in parts, one after the other, for models that would not fit otherwise."""

from __future__ import annotations

import contextlib
import contextvars
from collections.abc import Callable, Iterator
from typing import Any

import jax
import jax.numpy as jnp

from gen.devices import constrain
from gen.errors import InputError

_parts = contextvars.ContextVar("parts", default=1)


@contextlib.contextmanager
def accumulating(parts: int) -> Iterator[None]:
    """Makes `in_parts` take so many while a step is traced."""
    token = _parts.set(parts)
    try:
        yield
    finally:
        _parts.reset(token)


def in_parts(function: Callable[..., Any], *arrays: Any) -> Any:
    """Computes function(*arrays), of trees of arrays [b ...] to one, where rows do not depend on each other.

    Within `accumulating(k)` k parts of the rows go through one after the other, and once more for their gradients: the
    values between are kept of one part at a time (on CPUs, where the parts are no loop, not always), and the gradients
    of all parts are added up. The result is that of the whole batch, but for rounding. Raises InputError for a batch
    that k does not divide.
    """
    parts = _parts.get()
    if parts == 1:
        return function(*arrays)

    def split(x: jax.Array) -> jax.Array:
        """Takes every k-th row for a part, so that each device has its share of it: [k b/k ...]."""
        if len(x) % parts:
            raise InputError(f"accumulate={parts} does not divide the {len(x)} images of a step")
        return jnp.moveaxis(x.reshape(len(x) // parts, parts, *x.shape[1:]), 1, 0)

    def joined(x: jax.Array) -> jax.Array:
        return jnp.moveaxis(x, 0, 1).reshape(-1, *x.shape[2:])

    part = jax.checkpoint(lambda rows: function(*jax.tree.map(constrain, rows)))
    rows = jax.tree.map(split, arrays)
    if jax.default_backend() != "cpu":
        return jax.tree.map(joined, jax.lax.map(part, rows))
    made = list[Any]()  # XLA:CPU computes convolutions in a loop ten times as slowly
    for i in range(parts):
        taken = jax.tree.map(lambda x, i=i: x[i], rows)
        if made:  # one after the other, forth and back, or what lies between is kept of all at once
            taken, made[-1] = jax.lax.optimization_barrier((taken, made[-1]))
        made.append(part(taken))
    return jax.tree.map(lambda *each: joined(jnp.stack(each)), *made)
