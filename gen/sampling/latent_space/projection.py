"""Projection: the latents with which a generator comes nearest to given images, by gradient descent.

An image is measured by its pixels and by the stages of the discriminator, each divided by its variance among generated
images, so that all images are about as far from each other. The descent begins with the best of many random latents, of
several classes where the class is not known, and goes on with those that turn out well.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh

from gen.cli import progress_bar
from gen.devices import compiler_options, rows
from gen.sampling.latent_space.codes import Latents
from gen.tasks.gan import Gan
from gen.tasks.state import Tree

CANDIDATES = 2048  # random latents, over all classes that are tried
ROUNDS = ((8, 0.25), (2, 0.25), (1, 0.5))  # latents an image that go on, and their share of the steps
FEATURES = 0.1  # weight of the discriminator's stages; pixels have the rest
SHELL = 0.02  # weight of the pull towards the length that latents of a normal distribution have
RATE = 0.2  # of Adam; falls to zero by a cosine in each round
_SAMPLE = 64  # generated images whose variances are taken
_LEAK = 0.1  # of what a pixel is beyond the range, in the descent
_ADAM = optax.scale_by_adam(b1=0.9, b2=0.99)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Projector:
    """Finds latents of images, each up to rounding independently of the images beside it."""

    task: Gan
    params: Tree  # of the roles "generator" and "discriminator"
    mesh: Mesh
    steps: int = 300  # gradients for each image that is followed to the end
    seed: int = 0  # of the random latents
    batch_size: int = 64

    def __call__(self, images: np.ndarray, *, label: int | None = None) -> Latents:
        """Finds latents [n d] and classes int [n] of images [n h w c] in [0, 1]. label: of all; None: the best."""
        size = _multiple(min(self.batch_size, len(images) * ROUNDS[0][0]), self.mesh)
        candidates = self._candidates(label)
        parts = [images[start : start + size] for start in range(0, len(images), size)]
        plan = [(keep, steps) for (keep, _), steps in zip(ROUNDS, self._schedule, strict=True)]
        total = sum(math.ceil(len(part) * keep / size) * steps for part in parts for keep, steps in plan)
        with jax.set_mesh(self.mesh), progress_bar(total, "steps") as bar:
            variances = self._variances(self.params, rows(candidates, 0, _multiple(_SAMPLE, self.mesh), self.mesh))
            found = [self._project(part, candidates, variances, size, bar.update) for part in parts]
        labels = [codes.label for codes in found if codes.label is not None]
        return Latents(np.concatenate([codes.z for codes in found]), np.concatenate(labels) if labels else None)

    def _project(
        self, images: np.ndarray, candidates: Latents, variances: Any, size: int, count: Callable[[], Any]
    ) -> Latents:
        wanted = np.asarray(self._measured(self.params, variances, rows(images, 0, size, self.mesh)))
        distances = [
            np.asarray(self._distances(self.params, variances, rows(candidates, at, size, self.mesh), wanted))
            for at in range(0, len(candidates.z), size)
        ]
        table = np.concatenate(distances)[: len(candidates.z), : len(images)].T
        codes = candidates.take(_best(table, candidates.label, ROUNDS[0][0]))  # [n k d]
        for (keep, _), steps in zip(ROUNDS, self._schedule, strict=True):
            codes = codes.take((slice(None), slice(keep)))
            z, distance = self._descend(codes, wanted[: len(images)], variances, steps, size, count)
            order = np.argsort(distance, axis=1)
            codes = codes._replace(z=z).take((np.arange(len(images))[:, None], order))
        return codes.take((slice(None), 0))

    def _descend(
        self, codes: Latents, wanted: np.ndarray, variances: Any, steps: int, size: int, count: Callable[[], Any]
    ) -> tuple[np.ndarray, np.ndarray]:
        """Returns latents [n k d] after so many steps, and their distances [n k]."""
        n, k, d = codes.z.shape
        flat = Latents(codes.z.reshape(n * k, d), None if codes.label is None else codes.label.reshape(n * k))
        ends = []
        for start in range(0, n * k, size):
            here, target = rows((flat, np.arange(n * k) // k), start, size, self.mesh)
            z, label, aim = here.z, here.label, rows(wanted[np.asarray(target)], 0, size, self.mesh)
            adam = _ADAM.init(z)
            for i in range(steps):
                rate = np.float32(RATE / 2 * (1 + math.cos(math.pi * i / steps)))
                z, adam, distance = self._step(self.params, variances, z, adam, label, aim, rate)
                count()
            ends.append((np.asarray(z), np.asarray(distance)))
        z, distance = (np.concatenate(parts)[: n * k] for parts in zip(*ends, strict=True))
        return z.reshape(n, k, d), distance.reshape(n, k)

    def _candidates(self, label: int | None) -> Latents:
        z = jax.random.normal(jax.random.key(self.seed), (CANDIDATES, self.task.generator.latent))
        classes = self.task.num_classes
        labels = np.arange(CANDIDATES) % classes if label is None and classes else np.full(CANDIDATES, label or 0)
        return Latents(np.asarray(z), labels.astype(np.int32) if classes else None)

    @property
    def _schedule(self) -> list[int]:
        """Steps in each round."""
        return [max(1, round(share * self.steps)) for _, share in ROUNDS]

    def _parts(self, params: Tree, images: jax.Array) -> list[jax.Array]:
        return [images, *self.task.features(params, images)]

    def _measure(self, params: Tree, variances: list[jax.Array], images: jax.Array) -> jax.Array:
        """[n m], such that the squared length of a difference is how far two images are from each other."""
        parts = self._parts(params, images)
        weights = [1 - FEATURES] + [FEATURES / (len(parts) - 1)] * (len(parts) - 1)
        scaled = [
            jnp.sqrt(weight / variance / part[0].size) * part.reshape(len(part), -1)
            for weight, variance, part in zip(weights, variances, parts, strict=True)
        ]
        return jnp.concatenate(scaled, axis=1)

    @functools.cached_property
    def _measured(self) -> Any:
        return jax.jit(self._measure, compiler_options=compiler_options())

    @functools.cached_property
    def _variances(self) -> Any:
        """(params, codes) -> the variance of each part among their images."""

        def variances(params: Tree, codes: Any) -> list[jax.Array]:
            parts = self._parts(params, self.task.decode(params, codes.z, codes.label))
            return [jnp.maximum(jnp.square(part - part.mean(0)).mean(), 1e-8) for part in parts]

        return jax.jit(variances, compiler_options=compiler_options())

    @functools.cached_property
    def _distances(self) -> Any:
        """(params, variances, codes [m], wanted [n ...]) -> [m n], for comparison within a column."""

        def distances(params: Tree, variances: list[jax.Array], codes: Any, wanted: jax.Array) -> jax.Array:
            made = self._measure(params, variances, self.task.decode(params, codes.z, codes.label))
            return jnp.square(made).sum(1, keepdims=True) - 2 * made @ wanted.T

        return jax.jit(distances, compiler_options=compiler_options())

    @functools.cached_property
    def _step(self) -> Any:
        """(params, variances, z, adam, label, wanted, rate) -> z, adam, distance [n]: one step for each row alone."""

        def far(z: jax.Array, params: Tree, variances: Any, label: Any, wanted: jax.Array) -> Any:
            images = self.task.decode(params, z, label, clipped=False)
            inside = jnp.clip(images, 0.0, 1.0)
            images = inside + _LEAK * (images - inside)  # a clipped pixel would have no slope
            length = jnp.sqrt(jnp.square(z).mean(1) + 1e-8)
            distance = jnp.square(self._measure(params, variances, images) - wanted).sum(1)
            distance += SHELL * jnp.square(length - 1)
            return distance.sum(), distance

        def step(
            params: Tree, variances: Any, z: jax.Array, adam: Any, label: Any, wanted: jax.Array, rate: jax.Array
        ) -> tuple[jax.Array, Any, jax.Array]:
            slope, distance = jax.grad(far, has_aux=True)(z, params, variances, label, wanted)
            direction, adam = _ADAM.update(slope, adam)
            return z - rate * direction, adam, distance

        return jax.jit(step, compiler_options=compiler_options())


def _multiple(count: int, mesh: Mesh) -> int:
    return math.ceil(count / mesh.size) * mesh.size


def _best(distances: np.ndarray, labels: np.ndarray | None, count: int) -> np.ndarray:
    """int [n count]: the nearest columns of distances [n m], of each label no more than its share."""
    order = np.argsort(distances, axis=1, kind="stable")
    if labels is None:
        return order[:, :count]
    share = math.ceil(count / len(np.unique(labels)))
    chosen = []
    for row in order:
        ranked = labels[row]
        rank = np.zeros(len(row), int)  # among those of its label
        for label in np.unique(labels):
            rank[ranked == label] = np.arange((ranked == label).sum())
        chosen.append(row[rank < share][:count])
    return np.stack(chosen)
