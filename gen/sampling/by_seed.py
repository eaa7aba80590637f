"""Images by seed: the image of seed s comes from jax.random.key(s) alone, whatever is drawn with it, and wherever."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Protocol

import jax
import numpy as np
from jax.sharding import Mesh

from gen.devices import batched
from gen.errors import InputError
from gen.imaging.chain import Chain
from gen.tasks import Task
from gen.tasks.draws import draw_latents
from gen.tasks.state import Tree

_REFINED = 8  # images that a chain gets at once
_REFINE = 0x5EF  # what separates the random numbers of refinement from those of the latents


def keys(seeds: Sequence[int] | np.ndarray) -> jax.Array:
    """Returns jax.random.key(seed) for each seed from 0 to 2**32 - 1: typed keys [n]."""
    return jax.vmap(jax.random.key)(np.asarray(seeds).astype(np.uint32))


def slerp(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """Interpolates between `start` and `end` [d] along the great arc, `fraction` of the way (Shoemake 1985, slerp).

    A straight line would pass through short vectors, which a normal distribution in many dimensions never draws; it is
    used only where the two are parallel or one is zero, and there is no arc.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    norms = np.linalg.norm(start) * np.linalg.norm(end)
    angle = math.acos(np.clip(start @ end / norms, -1, 1)) if norms > 0 else 0.0
    if math.sin(angle) < 1e-6:
        return (1 - fraction) * start + fraction * end
    return (math.sin((1 - fraction) * angle) * start + math.sin(fraction * angle) * end) / math.sin(angle)


class Sampler(Protocol):
    """Samples images from keys: a Task, or what calls one."""

    def sample(self, ema_params: Mapping[str, Tree], keys: jax.Array, conditions: Mapping[str, Any]) -> jax.Array:
        """Returns images [n ...] in [0, 1], one per key [n]."""


Program = Callable[..., Iterator[np.ndarray]]  # by `devices.batched`


def compiled(task: Sampler, mesh: Mesh) -> Program:
    """Makes the program that `images` runs; it is compiled when it first runs."""

    def make(fixed: Any, batch: Any) -> jax.Array:
        given = {name: value for name, value in batch.items() if name != "seed"}
        return task.sample(fixed[0], jax.vmap(jax.random.key)(batch["seed"]), fixed[1] | given)

    return batched(make, mesh)


def steps_of(task: Sampler, steps: int = 0) -> dict[str, np.int32]:
    """Makes the condition "steps" of `images` of a flow: `steps`, 0: as many as it takes itself; of others none.

    So one program draws with any number of steps.
    """
    own = getattr(task, "steps", None)
    return {} if own is None else {"steps": np.int32(steps or own)}


def images(
    task: Sampler,
    ema_params: Mapping[str, Tree],
    seeds: Sequence[int],
    *,
    labels: Sequence[int] | None = None,
    latents: np.ndarray | None = None,
    captions: Mapping[str, np.ndarray] | None = None,
    truncation: float = 1.0,
    conditions: Mapping[str, Any] | None = None,
    batch_size: int = 64,
    mesh: Mesh,
    program: Program | None = None,
) -> Iterator[np.ndarray]:
    """Yields batches of float images [b h w c] in [0, 1], one image per seed, in order.

    labels: the class of each; None: drawn from the seed. latents: [n d], used instead of those drawn from the seeds.
    captions: conditions "caption" and "negative" of the task, tokens [n l].
    conditions: others that the task knows, scalars or arrays [n ...]. batch_size: how many may be on their way,
    see `devices.batched`. program: of the same task and mesh, for who samples several times.
    """
    values = {"truncation": np.float32(truncation), **(conditions or {}), **(captions or {})}
    each = {name: value for name, value in values.items() if np.ndim(value)}
    for name, given, dtype in (("label", labels, np.int32), ("latent", latents, np.float32)):
        if given is not None:
            each[name] = np.asarray(given, dtype)
    shared = {name: value for name, value in values.items() if name not in each}

    arrays = {"seed": np.asarray(seeds).astype(np.uint32), **each}
    for made in (program or compiled(task, mesh))((ema_params, shared), arrays, at_once=batch_size):
        if not np.isfinite(made).all():
            raise InputError("this checkpoint makes images that are not finite; try an earlier --step")
        yield made


def drawn_labels(task: Task, seeds: Sequence[int]) -> list[int] | None:
    """Draws the class of each seed, as sampling without labels does; None for a model without classes."""
    drawn = task.label(keys(seeds))
    return None if drawn is None else np.asarray(drawn).tolist()


def drawn_latents(task: Task, seeds: Sequence[int]) -> np.ndarray:
    """Draws the latents [n d] of the image of each seed. Raises InputError for a model without latents."""
    if task.latent_shape is None:
        raise InputError("this model draws its images token by token: it has no latents")
    return np.asarray(draw_latents(keys(seeds), task.latent_shape))


def refine(post: Chain, images: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Refines float images [n h w c] in [0, 1] by a chain. Random operators draw from each image's own seed alone.

    They go through it by _REFINED, so that their number does not show. Raises InputError for what the chain refuses,
    and when it makes values that are not finite.
    """
    drawn = jax.vmap(lambda key: jax.random.fold_in(key, _REFINE))(keys(np.asarray(seeds))) if post.random else None
    done = []
    for start in range(0, len(images), _REFINED):
        chosen = np.minimum(np.arange(start, start + _REFINED), len(images) - 1)
        if drawn is None:
            part = post(images[chosen])
        else:
            part = jax.vmap(lambda image, key: post(image, key=key))(images[chosen], drawn[chosen])
        done.append(np.asarray(part)[: len(images) - start])
    made = np.concatenate(done)
    for image, seed in zip(made, seeds, strict=True):
        if bad := image.size - int(np.isfinite(image).sum()):
            raise InputError(f"the chain makes {bad:,} of {image.size:,} values of seed {seed} NaN or infinite")
    return made


def interpolation(task: Task, seeds: Sequence[int], frames: int) -> np.ndarray:
    """Interpolates latents [n d] from each seed to the next, `frames` of them per pair, and the last seed's."""
    ends = drawn_latents(task, seeds)
    path = [slerp(a, b, i / frames) for a, b in itertools.pairwise(ends) for i in range(frames)]
    return np.stack([*path, ends[-1]])
