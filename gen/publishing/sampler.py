"""Samplers as pure functions of arrays, without random numbers inside: what is exported of each family of models.

A sampler maps weights, a flat dict as in model.safetensors, and inputs by name to images float32 [b h w c] in [0, 1].
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.runs import leaves
from gen.runs.trained_run import TrainedRun
from gen.sampling import by_seed
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior
from gen.tasks.state import Tree


class Input(NamedTuple):
    """An input of a sampler: an array [b, *shape], or a number that all images share."""

    dtype: str
    shape: tuple[int, ...] | None  # of one image; None: a number
    neutral: float  # the value that changes nothing, of a number
    meaning: str


class Sampler(NamedTuple):
    """A sampler, and its inputs in the order of their names."""

    function: Callable[[Mapping[str, jax.Array], Mapping[str, jax.Array]], jax.Array]
    inputs: dict[str, Input]
    draw: Callable[[Sequence[int]], dict[str, Any]]  # what gen.sample has for these seeds; no context


def of_run(run: TrainedRun) -> Sampler:
    """Returns the sampler of a run. Raises InputError for a model of another family."""
    make = _FAMILIES.get(type(run.task))
    if make is None:
        raise InputError(f"{type(run.task).__name__} has no sampler that can be exported")
    return make(run, run.task)


def flat(tree: Tree) -> dict[str, Any]:
    """Returns weights by the names that they have in model.safetensors."""
    return leaves.named(tree)


def nested(weights: Mapping[str, jax.Array], like: Tree) -> Any:
    """Returns flat weights as the tree that `like` is."""
    return jax.tree.unflatten(jax.tree.structure(like), [weights[name] for name in leaves.named(like)])


def class_input(task: Prior | Flow) -> Input:
    """Returns the input for the class of what was perhaps learned without one, too."""
    unknown = f", or {task.num_classes} for an unknown one" if task.drop_labels_probability else ""
    return Input("int32", (), 0.0, f"the class, 0 to {task.num_classes - 1}{unknown}")


_TRUNCATION = Input("float32", None, 1.0, "below 1: more typical, less varied images")


def _gan(run: TrainedRun, task: Gan) -> Sampler:
    inputs = {"latent": Input("float32", task.latent_shape, 0.0, "standard normal noise")}
    if task.num_classes:
        inputs["label"] = Input("int32", (), 0.0, f"the class, 0 to {task.num_classes - 1}")
    inputs["truncation"] = _TRUNCATION

    def function(weights: Mapping[str, jax.Array], given: Mapping[str, jax.Array]) -> jax.Array:
        z = given["latent"] * given["truncation"]
        return task.decode(nested(weights, run.ema_params), z, given.get("label"))

    def draw(seeds: Sequence[int]) -> dict[str, Any]:
        labels = by_seed.drawn_labels(run.task, seeds)
        classes = {} if labels is None else {"label": np.asarray(labels, np.int32)}
        return {"latent": by_seed.drawn_latents(run.task, seeds), **classes, "truncation": np.float32(1)}

    return Sampler(function, inputs, draw)


def _decoder(run: TrainedRun, task: Autoencoder) -> Sampler:
    normal = task.can_sample
    meaning = "standard normal noise, or what the encoder makes" if normal else "what the encoder makes"
    inputs = {"latent": Input("float32", (math.prod(task.latent_shape),), 0.0, meaning)}
    if normal:
        inputs["truncation"] = _TRUNCATION

    def function(weights: Mapping[str, jax.Array], given: Mapping[str, jax.Array]) -> jax.Array:
        z = given["latent"] * given["truncation"] if normal else given["latent"]
        return task.decode(nested(weights, run.ema_params), z)

    def draw(seeds: Sequence[int]) -> dict[str, Any]:
        return {"latent": by_seed.drawn_latents(run.task, seeds)} | ({"truncation": np.float32(1)} if normal else {})

    return Sampler(function, inputs, draw)


def _prior(run: TrainedRun, task: Prior) -> Sampler:
    count, vocabulary = math.prod(task.network.grid), task.network.vocabulary
    inputs = {"noise": Input("float32", (count, vocabulary), 0.0, "standard Gumbel noise of each token")}
    if task.num_classes:
        inputs["label"] = class_input(task)
    if task.context_shape:
        inputs["context"] = Input("float32", task.context_shape, 0.0, "the image at half size, or the frame before")
    inputs |= {
        "temperature": Input("float32", None, 1.0, "below 1: more probable images; 0: the most probable"),
        "top_k": Input("int32", None, 0.0, "draw from so many most probable tokens; 0: from all"),
        "top_p": Input("float32", None, 1.0, "draw from the most probable tokens of this probability"),
    }

    def function(weights: Mapping[str, jax.Array], given: Mapping[str, jax.Array]) -> jax.Array:
        unused = jnp.zeros(given["noise"].shape[:1], jnp.uint32)  # only their number counts where noise is given
        return task.sample(nested(weights, run.ema_params), unused, given)

    def draw(seeds: Sequence[int]) -> dict[str, Any]:
        before = math.prod(task.network.context or (0,))

        def noise(key: jax.Array) -> jax.Array:
            tokens = jax.vmap(lambda t: jax.random.fold_in(key, t))(before + jnp.arange(count))
            return jax.vmap(lambda token: jax.random.gumbel(token, (vocabulary,), jnp.float32))(tokens)

        made = {"noise": np.asarray(jax.vmap(noise)(by_seed.keys(seeds)))}
        if (labels := by_seed.drawn_labels(run.task, seeds)) is not None:
            made["label"] = np.asarray(labels, np.int32)
        numbers = {name: np.asarray(i.neutral, i.dtype) for name, i in inputs.items() if i.shape is None}
        return made | numbers

    return Sampler(function, inputs, draw)


def _flow(run: TrainedRun, task: Flow) -> Sampler:
    inputs = {"latent": Input("float32", (math.prod(task.latent_shape),), 0.0, "standard normal noise")}
    if task.num_classes:
        inputs["label"] = class_input(task)
    if task.context_shape:
        inputs["context"] = Input("float32", task.context_shape, 0.0, "the image at half size, or the frame before")
    inputs["steps"] = Input("int32", None, float(task.steps), "of sampling: more take longer and are more exact")
    inputs["truncation"] = _TRUNCATION

    def function(weights: Mapping[str, jax.Array], given: Mapping[str, jax.Array]) -> jax.Array:
        unused = jnp.zeros(given["latent"].shape[:1], jnp.uint32)  # only their number counts where noise is given
        return task.sample(nested(weights, run.ema_params), unused, given)

    def draw(seeds: Sequence[int]) -> dict[str, Any]:
        labels = by_seed.drawn_labels(run.task, seeds)
        classes = {} if labels is None else {"label": np.asarray(labels, np.int32)}
        numbers = {"steps": np.int32(task.steps), "truncation": np.float32(1)}
        return {"latent": by_seed.drawn_latents(run.task, seeds), **classes, **numbers}

    return Sampler(function, inputs, draw)


_FAMILIES: dict[type, Callable[[TrainedRun, Any], Sampler]] = {
    Gan: _gan,
    Autoencoder: _decoder,
    Flow: _flow,
    Prior: _prior,
}
