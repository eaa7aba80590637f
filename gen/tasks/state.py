"""The state of a training run: arrays only, in dicts keyed by role ("generator", "discriminator", ...)."""

from __future__ import annotations

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp

Tree = Any


class TrainState(flax.struct.PyTreeNode):
    """Everything that a run needs to go on, and nothing that is not an array. Functions live in the Task."""

    step: jax.Array  # int32 scalar, steps done
    params: dict[str, Tree]  # role -> parameters
    opt_state: dict[str, Tree]  # role -> optimizer state; a frozen role has none
    ema_params: dict[str, Tree]  # role -> averaged parameters, for roles that are sampled from


def ema(average: Tree, params: Tree, *, half_life: jax.Array | float, images: jax.Array | float) -> Tree:
    """Moves `average` towards `params` so that after `half_life` images half of the old average is left.

    `images` were shown since the last call. A half-life of 0 copies the parameters.
    """
    keep = jnp.where(jnp.asarray(half_life) > 0, 0.5 ** (images / jnp.maximum(half_life, 1e-8)), 0.0)
    return jax.tree.map(lambda a, p: p + keep.astype(p.dtype) * (a - p), average, params)
