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


Optimizers = Mapping[str, optax.GradientTransformation]


def initial_state(params: dict[str, Tree], optimizers: Optimizers, averaged: str, **frozen: Tree) -> TrainState:
    """Makes the state before the first step. averaged: the role that is sampled from; frozen: roles not trained."""
    opt_state = {role: optimizer.init(params[role]) for role, optimizer in optimizers.items()}
    average = {averaged: jax.tree.map(jnp.copy, params[averaged])}
    return TrainState(jnp.zeros((), jnp.int32), params, opt_state, average | frozen)


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
    average = dict(state.ema_params)
    for role in average.keys() & params.keys():
        average[role] = ema(average[role], params[role], half_life=half_life, images=images)
    return TrainState(state.step + 1, params, opt_state, average)


def ema(average: Tree, params: Tree, *, half_life: jax.Array | float, images: jax.Array | float) -> Tree:
    """Moves `average` towards `params` so that after `half_life` images half of the old average is left.

    `images` were shown since the last call. A half-life of 0 copies the parameters.
    """
    keep = jnp.where(jnp.asarray(half_life) > 0, 0.5 ** (images / jnp.maximum(half_life, 1e-8)), 0.0)
    return jax.tree.map(lambda a, p: p + keep.astype(p.dtype) * (a - p), average, params)
