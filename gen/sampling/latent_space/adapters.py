"""The latent space of each family of models, under one interface.

Images are [n h w c] in [0, 1].
"""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import jax
import numpy as np
from jax.sharding import Mesh

from gen.devices import batched
from gen.errors import InputError
from gen.models.r3gan import Generator
from gen.runs import trained_run as runs
from gen.sampling import by_seed
from gen.sampling.latent_space.codes import Latents
from gen.sampling.latent_space.directions import Directions, closed_form, principal, principal_by_answer
from gen.sampling.latent_space.projection import Projector
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.draws import draw_latents
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan, int_labels
from gen.tasks.prior import Prior
from gen.tasks.state import Tree

_ALLOWED = "a GAN, an autoencoder, a prior of its tokens, a flow of its latents"
_DRAWN = 1024  # latents whose images principal components are taken of


@dataclasses.dataclass(frozen=True, kw_only=True)
class GanSpace:
    """The latent space of a generator: encoding is projection."""

    task: Gan
    params: Tree  # of the roles "generator" (averaged) and "discriminator"
    mesh: Mesh
    projector: Projector
    batch_size: int

    spherical = True  # latents lie about a sphere: interpolation follows arcs
    measured = False  # directions are not measured on the latents of example images

    @property
    def num_classes(self) -> int:
        """The number of classes that its latents have; 0: none."""
        return self.task.num_classes

    def encode(self, images: np.ndarray, *, label: int | None = None) -> Latents:
        """Finds the latents of images, as near as the model comes. label: the class of all; None: what fits best."""
        return self.projector(images, label=label)

    def decode(self, codes: Latents) -> np.ndarray:
        """Decodes latents to images."""
        make = lambda params, codes: self.task.decode(params, codes.z, codes.label)  # noqa: E731
        return _all(make, self, codes)

    def drawn(self, seeds: Sequence[int], *, label: int | None = None) -> Latents:
        """Draws the latents that sampling draws from these seeds."""
        keys = by_seed.keys(seeds)
        labels = self.task.label(keys) if label is None else np.full(len(keys), label, np.int32)
        z = np.asarray(draw_latents(keys, self.task.latent_shape))
        return Latents(z, None if labels is None else np.asarray(labels))

    def directions(self, method: str, count: int, *, codes: Latents | None = None) -> Directions:
        """Finds at most `count` directions, by "closed_form" of the generator's first linear map, or by "pca" of its
        first stage for random latents, each class taken about its mean."""
        if method == "closed_form":
            vectors = closed_form(np.asarray(first_map(self.task, self.params)), count)
        else:
            drawn = self.drawn(range(_DRAWN))
            answers = _all(functools.partial(activations, self.task), self, drawn)
            for label in np.unique(drawn.label) if drawn.label is not None else ():
                answers[drawn.label == label] -= answers[drawn.label == label].mean(0)
            vectors = principal_by_answer(drawn.z, answers, count)
        return Directions(vectors, np.ones(len(vectors), np.float32))


@dataclasses.dataclass(frozen=True, kw_only=True)
class CodeSpace:
    """The latent space of an autoencoder."""

    task: Autoencoder
    params: Tree  # of the role "autoencoder"
    mesh: Mesh
    batch_size: int

    num_classes = 0
    spherical = False
    measured = True

    def encode(self, images: np.ndarray, *, label: int | None = None) -> Latents:
        return Latents(_all(self.task.encode, self, images), None)

    def decode(self, codes: Latents) -> np.ndarray:
        return _all(self.task.decode, self, codes.z)

    def drawn(self, seeds: Sequence[int], *, label: int | None = None) -> Latents:
        if not self.task.can_sample:
            raise InputError("this autoencoder has no distribution to draw from; name image files")
        return Latents(by_seed.drawn_latents(self.task, seeds), None)

    def directions(self, method: str, count: int, *, codes: Latents | None = None) -> Directions:
        """Finds at most `count` directions, by "pca" of the latents of examples, or by "closed_form" of the decoder's
        first convolution where its input is the same at all positions; the examples then give the deviations."""
        if codes is None and self.task.can_sample:
            codes = self.drawn(range(_DRAWN))
        if codes is None or len(codes.z) < 2:
            raise InputError("directions of an autoencoder need at least 2 images to be measured on: --examples")
        if method == "pca":
            return principal(codes.z, count)
        rows, columns, _ = self.task.latent_shape
        kernel = np.asarray(self.params["autoencoder"]["params"]["decoder"]["code"]["kernel"]).sum((0, 1))
        vectors = np.tile(closed_form(kernel, count), rows * columns) / np.float32(rows * columns) ** 0.5
        return Directions(vectors, (codes.z @ vectors.T).std(0))


Space = GanSpace | CodeSpace


def _all(function: Any, space: Space, arrays: Any) -> np.ndarray:
    """Computes function(params, rows) of all rows of a tree of arrays."""
    return np.concatenate(list(batched(function, space.mesh)(space.params, arrays, at_once=space.batch_size)))


def activations(task: Gan, params: Tree, codes: Any) -> jax.Array:
    """Computes the generator's first stage for latents [n d]: float32 [n m]. Only of gen's own generator."""
    generator = _own_generator(task)
    last = f"Block_{generator.blocks - 1}"
    _, found = generator.apply(
        params["generator"],
        codes.z,
        int_labels(codes.z, codes.label),
        capture_intermediates=lambda module, method: module.name == last and method == "__call__",
        mutable=["intermediates"],
    )
    (stage,) = jax.tree.leaves(found)
    return cast(jax.Array, stage.astype(np.float32).reshape(len(codes.z), -1))


def first_map(task: Gan, params: Tree) -> jax.Array:
    """Returns the rows [d width] of the first linear map that the latent goes through. Only of gen's own generator."""
    generator = _own_generator(task)
    return cast(jax.Array, params["generator"]["params"]["latent"]["kernel"][: generator.latent])


def _own_generator(task: Gan) -> Generator:
    if not isinstance(task.generator, Generator):
        name = f"{type(task.generator).__module__}.{type(task.generator).__name__}"
        raise InputError(f"directions are found in gen.models.r3gan.Generator alone, and this generator is {name}")
    return task.generator


def of_run(
    run: runs.TrainedRun,
    workdir: str | Path,
    *,
    mesh: Mesh,
    batch_size: int = 64,
    steps: int = 300,
    seed: int = 0,
) -> Space:
    """Returns the latent space of a run; a prior and a flow have their autoencoder's. InputError where there is none.

    workdir: that of the run. steps, seed: of a Projector.
    """
    task: Any = run.task
    common: dict[str, Any] = {"mesh": mesh, "batch_size": batch_size}
    if isinstance(task, Gan):
        params = {
            **run.ema_params,
            "discriminator": runs.load_role(f"{workdir}:discriminator", step=run.step, mesh=mesh),
        }
        projector = Projector(task=task, params=params, steps=steps, seed=seed, **common)
        return GanSpace(task=task, params=params, projector=projector, **common)
    if isinstance(task, Prior | Flow):
        network = task.tokenizer if isinstance(task, Prior) else task.autoencoder
        if network is None:
            raise InputError(f"a {type(task).__name__.lower()} of pixels has no latents; allowed: {_ALLOWED}")
        facts: dict[str, Any] = {"image_shape": task.shape, "num_classes": 0, "batch_size": 1}
        task = Autoencoder(network=network, schedule_images=1, **facts)  # its weights are in the same run
    if not isinstance(task, Autoencoder):
        raise InputError(f"{type(task).__name__} has no latents; allowed: {_ALLOWED}")
    return CodeSpace(task=task, params=run.ema_params, **common)
