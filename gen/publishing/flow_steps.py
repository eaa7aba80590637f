"""A flow as what model.onnx holds of it: its velocity at one time, and the steps that whoever has that must take.

z is [b h w c], around [-1, 1] at time 0, and standard normal noise at time 1; see gen.tasks.flow and gen.tasks.ode.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.publishing.sampler import Input, class_input, nested
from gen.runs.trained_run import TrainedRun
from gen.tasks.flow import Flow

Function = Callable[[Mapping[str, jax.Array], Mapping[str, jax.Array]], jax.Array]  # weights, inputs -> dz/dt
Evaluate = Callable[[Mapping[str, np.ndarray]], np.ndarray]  # inputs -> dz/dt


def velocity(run: TrainedRun, task: Flow) -> tuple[Function, dict[str, Input]]:
    """Returns a function of weights, flat as in model.safetensors, and inputs to dz/dt [b h w c], and its inputs."""
    inputs = {
        "z": Input("float32", task.latent_shape, 0.0, "standard normal noise, and then what the steps made of it"),
        "time": Input("float32", (), 0.0, "1: noise, 0: an image"),
    }
    if task.num_classes:
        inputs["label"] = class_input(task)

    def function(weights: Mapping[str, jax.Array], given: Mapping[str, jax.Array]) -> jax.Array:
        params = nested(weights, run.ema_params)
        z, time = given["z"], given["time"]
        label = given["label"] if task.num_classes else jnp.zeros_like(time, jnp.int32)  # which is ignored
        return task.velocity(params, z, time, label=label)

    return function, inputs


def guidance(task: Flow) -> float | None:
    """Returns how far sampling goes beyond the velocity of a class by default; None: this flow has no such guidance."""
    unknown = task.drop_labels_probability or task.context != "none"
    return task.guidance if task.num_classes and unknown else None


def times(task: Flow, steps: int) -> np.ndarray:
    """Returns the times of so many steps, float32 [steps]: from 1 to that from which the last goes to the image."""
    end = np.maximum(np.float32(1 / steps), np.float32(task.last_step))
    passed = (1 - _shifted(end, 1 / task.time_shift)) * np.arange(steps, dtype=np.float32)
    return np.append(_shifted(1 - passed / np.float32(max(steps - 1, 1)), task.time_shift)[:-1], end)


def _shifted(time: np.ndarray, shift: float) -> np.ndarray:
    """As gen.tasks.ode.shifted."""
    return time if shift == 1.0 else time / (time + (1 - time) / np.float32(shift))


def images(evaluate: Evaluate, task: Flow, drawn: Mapping[str, Any]) -> np.ndarray:
    """Makes images [n h w c] in [0, 1] as Flow.sample does, with the guidance of the task.

    evaluate: computes the velocity. drawn: "latent" float32 [n d], "steps" and, of a flow by class, "label" int32 [n].
    """
    z, away, (low, high) = drawn["latent"].reshape(-1, *task.latent_shape), guidance(task), task.guidance_times
    label = {"label": drawn["label"]} if "label" in drawn else {}
    unknown = {name: np.full_like(given, task.num_classes) for name, given in label.items()}

    def slope(z: np.ndarray, t: np.float32) -> np.ndarray:
        at = {"z": z, "time": np.full(len(z), t)}
        given = evaluate(at | label)
        if away in (None, 1.0) or not low <= t <= high:
            return given
        without = evaluate(at | unknown)
        return without + np.float32(away) * (given - without)

    grid = times(task, int(drawn["steps"]))
    for t, s in itertools.pairwise(grid):
        first = slope(z, t)
        z = z + (s - t) * (first + slope(z + (s - t) * first, s)) / 2
    return np.clip((z - grid[-1] * slope(z, grid[-1]) + 1) / 2, 0, 1)
