"""The state of a training run: arrays only, in dicts keyed by role ("generator", "discriminator", ...)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax

Tree = Any


class TrainState(flax.struct.PyTreeNode):
    """Everything that a run needs to go on, and nothing that is not an array. Functions live in the Task."""

    step: jax.Array  # int32 scalar, steps done
    params: dict[str, Tree]  # role -> parameters
    opt_state: dict[str, Tree]  # role -> optimizer state; a frozen role has none
    ema_params: dict[str, Tree]  # role -> averaged parameters, for roles that are sampled from


def initial_state(
    params: dict[str, Tree],
    optimizers: Mapping[str, optax.GradientTransformation],
    *,
    averaged: str,
    frozen: Mapping[str, Tree] | None = None,
) -> TrainState:
    """Makes the state before the first step.

    optimizers: of each role that is learned by gradients. averaged: the role that is sampled from. frozen: the weights
    of roles that are not trained.
    """
    return TrainState(
        step=jnp.zeros((), jnp.int32),
        params=params,
        opt_state={role: optimizer.init(params[role]) for role, optimizer in optimizers.items()},
        ema_params={averaged: jax.tree.map(jnp.copy, params[averaged]), **(frozen or {})},
    )


def apply_gradients(
    optimizer: optax.GradientTransformation, params: Tree, gradients: Tree, opt_state: Tree
) -> tuple[Tree, Tree]:
    """Updates parameters once; returns them and the optimizer state."""
    updates, opt_state = optimizer.update(gradients, opt_state, params)
    return optax.apply_updates(params, updates), opt_state


def next_state(
    state: TrainState, params: dict[str, Tree], opt_state: dict[str, Tree], *, half_life: jax.Array, images: int
) -> TrainState:
    """Makes the state after a step; the averages of the roles in `params` follow these, see `ema`."""
    averages = {
        role: ema(average, params[role], half_life=half_life, images=images) if role in params else average
        for role, average in state.ema_params.items()
    }
    return TrainState(step=state.step + 1, params=params, opt_state=opt_state, ema_params=averages)


def ema(average: Tree, params: Tree, *, half_life: jax.Array | float, images: jax.Array | float) -> Tree:
    """Moves `average` towards `params` so that after `half_life` images half of the old average is left.

    `images` were shown since the last call. A half-life of 0 copies the parameters.
    """
    keep = jnp.where(jnp.asarray(half_life) > 0, 0.5 ** (images / jnp.maximum(half_life, 1e-8)), 0.0)
    return jax.tree.map(lambda a, p: p + keep.astype(p.dtype) * (a - p), average, params)
