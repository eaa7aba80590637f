"""Images that a model makes, to be measured: exactly those that gen.sample writes for the same seeds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from jax.sharding import Mesh

from gen.data import DatasetSplits, Examples
from gen.devices import batched
from gen.errors import InputError
from gen.evaluation.feature_sets import random_subset
from gen.imaging.chain import Chain
from gen.report import to_uint8
from gen.sampling import by_seed
from gen.tasks import Task
from gen.tasks.state import Tree

BATCH = 100  # images made at once


def made_images(
    task: Task,
    ema_params: Mapping[str, Tree],
    source: DatasetSplits,
    count: int,
    *,
    seed: int = 0,
    conditions: Mapping[str, Any] | None = None,
    refine: Chain | None = None,
    mesh: Mesh,
) -> Examples:
    """The images of seeds `seed` to seed + count - 1, each of the class that its seed draws, rounded to uint8.

    The labels are -1 where the model knows no classes. Of a model that only reconstructs: `count` random held-out
    images, or all, as it gives them back. refine: a chain that they go through. Raises InputError for a model that does
    neither.
    """
    if task.can_sample:
        seeds = range(seed, seed + count)
        drawn = by_seed.drawn_labels(task, seeds)
        batches = by_seed.images(
            task, ema_params, seeds, labels=drawn, conditions=conditions, batch_size=BATCH, mesh=mesh
        )
        labels = np.full(count, -1, np.int32) if drawn is None else np.asarray(drawn, np.int32)
    elif task.can_reconstruct:
        real, labels = random_subset(source.held_out, count)
        count = len(real)
        seeds, images = range(seed, seed + count), np.asarray(real, np.float32) / np.float32(255)
        batches = batched(task.reconstruct, mesh)(ema_params, images, at_once=BATCH)
    else:
        raise InputError("this model neither samples nor reconstructs: there is nothing to measure")
    made, at = [], 0
    for part in batches:
        chosen = seeds[at : at + len(part)]
        at += len(part)
        made.append(to_uint8(part if refine is None else by_seed.refine(refine, part, chosen)))
    return Examples(np.concatenate(made), np.asarray(labels))


def about(task: Task) -> dict[str, Any]:
    """What a card says of a model that only reconstructs: its numbers do not compare with those of samples."""
    return {} if task.can_sample else {"reconstructed": True}


def near_pairs(
    task: Task,
    ema_params: Mapping[str, Tree],
    count: int,
    *,
    epsilon: float,
    seed: int = 0,
    conditions: Mapping[str, Any] | None = None,
    mesh: Mesh,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Images, float [n h w c] in [0, 1], at random places of the ways between latents, and `epsilon` further on.

    Both of a pair are of one class. None for a model without latents to walk between.
    """
    if not task.can_sample or task.latent_shape is None:
        return None
    rng, seeds = np.random.default_rng(seed), range(seed, seed + count)
    ends = by_seed.drawn_latents(task, range(seed, seed + 2 * count)).reshape(count, 2, -1)
    at = rng.uniform(0, 1 - epsilon, count)
    labels = by_seed.drawn_labels(task, seeds)
    made = []
    for places in (at, at + epsilon):
        latents = np.stack([by_seed.slerp(a, b, t) for (a, b), t in zip(ends, places, strict=True)])
        batches = by_seed.images(
            task,
            ema_params,
            seeds,
            labels=labels,
            latents=latents.astype(np.float32),
            conditions=conditions,
            batch_size=BATCH,
            mesh=mesh,
        )
        made.append(np.concatenate(list(batches)))
    return made[0], made[1]
