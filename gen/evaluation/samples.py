"""Samples images to be measured: exactly those that gen.sample writes for the same seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from gen.data import DatasetSplits, Examples
from gen.data.captions import Captioned, Captions, tokens
from gen.devices import batched
from gen.errors import InputError
from gen.evaluation.feature_sets import random_subset
from gen.image_io.pixels import to_uint8
from gen.imaging.chain import Chain
from gen.sampling import by_seed
from gen.tasks import Task
from gen.tasks.state import Tree

_BATCH = 100  # images made at once
_CAPTION = 0xCA9  # what separates the random numbers of captions


def model_images(
    task: Task,
    ema_params: Mapping[str, Tree],
    splits: DatasetSplits,
    count: int,
    *,
    seed: int = 0,
    conditions: Mapping[str, Any] | None = None,
    refine: Chain | None = None,
    mesh: Mesh,
    program: by_seed.Program | None = None,
) -> Examples:
    """Samples seeds `seed` to seed + count - 1, each of the class and caption that its seed draws, rounded to uint8.

    The labels are -1 where the model knows no classes; captions are there where it knows them. A model that only
    reconstructs gives `count` random held-out images back, or all. refine: a chain that they go through. program: as in
    `by_seed.images`. Raises InputError for a model that does neither.
    """
    seeds = range(seed, seed + count)
    if task.can_sample:
        drawn = by_seed.drawn_labels(task, seeds)
        captions: Captioned | None = drawn_captions(task, splits, seeds)
        given = {}
        if captions is not None:
            length = getattr(task, "caption_length", 0)
            given["caption"] = tokens(captions, np.arange(count), np.zeros(count), length=length)
        options: dict[str, Any] = {
            "labels": drawn,
            "captions": given,
            "conditions": conditions,
            "batch_size": _BATCH,
            "mesh": mesh,
        }
        batches = by_seed.images(task, ema_params, seeds, program=program, **options)
        labels = np.full(count, -1, np.int32) if drawn is None else np.asarray(drawn, np.int32)
    elif task.can_reconstruct:
        real, labels, captions = random_subset(splits.held_out, count)
        seeds, images = seeds[: len(real)], np.asarray(real, np.float32) / np.float32(255)
        batches = batched(task.reconstruct, mesh)(ema_params, images, at_once=_BATCH)
    else:
        raise InputError("this model neither samples nor reconstructs: there is nothing to measure")
    made, at = [], 0
    for part in batches:
        chosen = seeds[at : at + len(part)]
        at += len(part)
        made.append(to_uint8(part if refine is None else by_seed.refine(refine, part, chosen)))
    return Examples(np.concatenate(made), np.asarray(labels), captions)


def drawn_captions(task: Task, splits: DatasetSplits, seeds: Sequence[int]) -> Captions | None:
    """Draws a caption of the training images for each seed; None for a model without."""
    given = splits.train.captions
    if not getattr(task, "caption_length", 0) or given is None:
        return None
    uniform = np.array([np.random.default_rng((seed, _CAPTION)).random(2) for seed in seeds])
    drawn = given.drawn((uniform[:, 0] * len(given.counts)).astype(np.int64), uniform[:, 1])
    return Captions.packed([[] if text is None else [text] for text in drawn])


def subject(task: Task) -> dict[str, Any]:
    """Returns what a result says of a model that only reconstructs: it does not compare with results of samples."""
    return {} if task.can_sample else {"reconstructed": True}


def interpolated_pairs(
    task: Task,
    ema_params: Mapping[str, Tree],
    count: int,
    *,
    epsilon: float,
    seed: int = 0,
    conditions: Mapping[str, Any] | None = None,
    mesh: Mesh,
) -> tuple[np.ndarray, np.ndarray] | None:
    """Samples at random places of the ways between latents, and `epsilon` further on, float [n h w c] in [0, 1].

    Both of a pair are of one class. None for a model without latents to walk between.
    """
    if not task.can_sample or task.latent_shape is None:
        return None
    rng, seeds = np.random.default_rng(seed), range(seed, seed + count)
    ends = by_seed.drawn_latents(task, range(seed, seed + 2 * count)).reshape(count, 2, -1)
    at = rng.uniform(0, 1 - epsilon, count)
    labels = by_seed.drawn_labels(task, seeds)
    options: dict[str, Any] = {"labels": labels, "conditions": conditions, "batch_size": _BATCH, "mesh": mesh}
    made = []
    for places in (at, at + epsilon):
        latents = np.stack([by_seed.slerp(a, b, t) for (a, b), t in zip(ends, places, strict=True)])
        batches = by_seed.images(task, ema_params, seeds, latents=latents.astype(np.float32), **options)
        made.append(np.concatenate(list(batches)))
    return made[0], made[1]
