"""Images by seed: the image of seed s comes from jax.random.key(s) alone, whatever is drawn with it, and wherever."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from gen.errors import InputError
from gen.imaging.chain import Chain
from gen.sharding import batch_sharding, compiler_options
from gen.state import Tree
from gen.tasks import Task

_REFINE = 0x5EF  # what separates the random numbers of refinement from those of the latents


def keys(seeds: Sequence[int] | np.ndarray) -> jax.Array:
    """jax.random.key(seed) for each seed from 0 to 2**32 - 1: typed keys [n]."""
    return jax.vmap(jax.random.key)(np.asarray(seeds).astype(np.uint32))


def slerp(start: np.ndarray, end: np.ndarray, fraction: float) -> np.ndarray:
    """The point [d] at `fraction` of the way from `start` to `end` [d] along the great arc (Shoemake 1985, slerp).

    A straight line would pass through short vectors, which a normal distribution in many dimensions never draws; it is
    used only where the two are parallel or one is zero, and there is no arc.
    """
    start, end = np.asarray(start, np.float64), np.asarray(end, np.float64)
    norms = np.linalg.norm(start) * np.linalg.norm(end)
    angle = math.acos(np.clip(start @ end / norms, -1, 1)) if norms > 0 else 0.0
    if math.sin(angle) < 1e-6:
        return (1 - fraction) * start + fraction * end
    return (math.sin((1 - fraction) * angle) * start + math.sin(fraction * angle) * end) / math.sin(angle)


def images(
    task: Task,
    ema_params: Mapping[str, Tree],
    seeds: Sequence[int],
    *,
    labels: Sequence[int] | None = None,
    latents: np.ndarray | None = None,
    truncation: float = 1.0,
    batch_size: int = 64,
    mesh: Mesh,
) -> Iterator[np.ndarray]:
    """Batches of float images [b h w c] in [0, 1], one image per seed, in order.

    labels: the class of each; None: drawn from the seed. latents: [n d], used instead of those drawn from the seeds.
    batch_size: rounded up to a multiple of the devices of `mesh`; the last batch is shorter.
    """
    size = math.ceil(min(batch_size, len(seeds)) / mesh.size) * mesh.size
    sharding = batch_sharding(mesh)
    # A Task may hold what jit cannot hash.
    make = jax.jit(lambda *arguments: task.sample(*arguments), compiler_options=compiler_options())

    def dispatch(start: int) -> tuple[jax.Array, int]:
        chosen = np.minimum(np.arange(start, start + size), len(seeds) - 1)  # one shape: the last image fills the batch
        conditions: dict[str, Any] = {"truncation": np.float32(truncation)}
        if labels is not None:
            conditions["label"] = jax.device_put(np.asarray(labels, np.int32)[chosen], sharding)
        if latents is not None:
            conditions["latent"] = jax.device_put(np.asarray(latents, np.float32)[chosen], sharding)
        with jax.set_mesh(mesh):
            made = make(ema_params, jax.device_put(keys(np.asarray(seeds)[chosen]), sharding), conditions)
        return made, min(size, len(seeds) - start)

    ahead = dispatch(0)
    for start in range(0, len(seeds), size):
        (made, count), more = ahead, start + size < len(seeds)
        ahead = dispatch(start + size) if more else ahead  # the devices work while the host writes files
        host = np.asarray(made)[:count]
        if not np.isfinite(host).all():
            raise InputError("this checkpoint makes images that are not finite; try an earlier --step")
        yield host


def drawn_labels(task: Task, seeds: Sequence[int]) -> list[int] | None:
    """The class of the image of each seed where none is asked for; None for a model without classes."""
    drawn = task.label(keys(seeds))
    return None if drawn is None else np.asarray(drawn).tolist()


def refine(post: Chain, images: np.ndarray, seeds: Sequence[int]) -> np.ndarray:
    """Float images [n h w c] in [0, 1] after a chain. Random operators draw from each image's own seed alone."""
    if not post.random:
        return np.asarray(post(images))
    drawn = jax.vmap(lambda key: jax.random.fold_in(key, _REFINE))(keys(np.asarray(seeds)))
    return np.asarray(jax.vmap(lambda image, key: post(image, key=key))(images, drawn))


def interpolation(task: Task, seeds: Sequence[int], frames: int) -> np.ndarray:
    """Latents [n d] on the way from each seed to the next, `frames` of them per pair, and the last seed's."""
    ends = np.asarray(task.latent(keys(seeds)))
    path = [slerp(a, b, i / frames) for a, b in itertools.pairwise(ends) for i in range(frames)]
    return np.stack([*path, ends[-1]])
