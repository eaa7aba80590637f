"""Runs of the tiny shapes with random weights, made without training or compiling anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import tiny

from gen.config import build, to_json
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.runs.identity import data_metadata


def untrained(folder: Path, task_spec: Mapping[str, Any], *, steps: tuple[int, ...] = (3,)) -> Path:
    """A run with checkpoints of these steps, each with weights of its own."""
    config = tiny.config(task=task_spec)
    place = trained_run.RunFolder(folder)
    place.path.mkdir(parents=True)
    place.config.write_text(to_json(config))
    trained_run.write_json(place.data, data_metadata(build(config.data, "data")))
    task = build(task_spec, "task", image_shape=tiny.IMAGE_SHAPE, num_classes=tiny.NUM_CLASSES, batch_size=8)
    with Checkpoints(place.checkpoints) as checkpoints:
        for step in steps:
            rng = np.random.default_rng(step)
            draw = lambda leaf: jnp.asarray(0.1 * rng.normal(size=leaf.shape), leaf.dtype)  # noqa: B023, E731
            checkpoints.save(step, jax.tree.map(draw, trained_run.abstract(task)), wait=True)
    return folder
