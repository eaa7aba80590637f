"""Reads the objects of `scenes` off images by a detector trained on renders; gen.features.scene_fit refines them."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen.cli import progress_bar
from gen.data.outlines import KINDS
from gen.data.scene_world import COLORS, SIZES
from gen.data.scenes import MOST_THINGS, UNSEEN_START, pack, paint, scene
from gen.devices import compiler_options
from gen.errors import InputError
from gen.features import array_cache
from gen.metrics.composition import Found
from gen.models.detector import Detector
from gen.tasks.muon import muon

_VERSION = 2  # raise it when the network or its training changes
SIDE, GRID = 32, 8  # pixels of the images read, and cells along each side
SURE = 0.4  # least probability of an object
_LEAST_APART = 0.2  # of two objects of one kind
_PARTS = (len(KINDS), len(KINDS) * (1 + len(COLORS)))  # where the outputs of a cell are split
_NETWORK = Detector(_PARTS[1] + 3 * len(KINDS))  # of each kind: is it there, its color, and its x, y and radius
_LARGE = (SIZES["small"][1] + SIZES["large"][0]) / 2
_RARE = 4.0  # taken off the logits of objects, which are improbable at first
_START = 2**29  # training scenes of the reader, which no data set has


class Reader(NamedTuple):
    """The parameters of a detector of images of 32 x 32 pixels."""

    params: Any

    def read(self, images: np.ndarray, *, most: int = MOST_THINGS, batch_size: int = 128) -> list[list[Found]]:
        """Lists the objects in each of the images, float [n 32 32 3] in [0, 1] or uint8; the surest first.

        most: at most so many, by default as many as a scene has. To count what a model drew, one more is needed: else
        five are taken for four. The fit of gen.features.scene_fit takes MOST_THINGS.
        """
        if images.ndim != 4 or images.shape[1:] != (SIDE, SIDE, 3):
            raise InputError(f"images have shape {images.shape}; allowed: [n {SIDE} {SIDE} 3]")
        found = []
        for start in range(0, len(images), batch_size):
            some = np.asarray(images[start : start + batch_size], np.float32) / (255 if images.dtype == np.uint8 else 1)
            padded = np.concatenate([some, np.zeros((batch_size - len(some), *some.shape[1:]), np.float32)])
            heat, geometry = (np.asarray(part) for part in _outputs(self.params, jnp.asarray(padded)))
            found += [_things(*both, most) for both in zip(heat[: len(some)], geometry[: len(some)], strict=True)]
        return found


def trained_reader(*, steps: int = 3000, batch_size: int = 64, seed: int = 0) -> Reader:
    """Returns the reader: from the data cache, or trained by `train_reader` (some minutes)."""
    make = functools.partial(train_reader, steps=steps, batch_size=batch_size, seed=seed)
    return Reader(
        array_cache.kept_params(f"scene-reader-{_VERSION}-{steps}-{batch_size}-{seed}", lambda: make().params)
    )


def train_reader(*, steps: int, batch_size: int, seed: int = 0) -> Reader:
    """Trains a detector on renders of all combinations, those that are never learned from included."""
    optimizer = muon(optax.cosine_decay_schedule(1e-3, steps))

    def loss(params: Any, images: jax.Array, heat: jax.Array, geometry: jax.Array) -> jax.Array:
        outputs: Any = _NETWORK.apply(params, 2 * images - 1)
        present, color, said = _split(outputs)
        there = heat.max(-1)  # [b g g kinds]
        # Few of all the cells hold an object: those that are told well already count little (Lin et al. 2017, eq. 4).
        missed = optax.sigmoid_focal_loss(present, there, alpha=0.75, gamma=2.0).sum((1, 2, 3)).mean()
        miscolored = (optax.softmax_cross_entropy(color, heat) * there).sum((1, 2, 3)).mean()
        off = (jnp.square(said - geometry).sum(-1) * there).sum((1, 2, 3)).mean()
        return 4 * missed + 0.5 * miscolored + off

    @functools.partial(jax.jit, compiler_options=compiler_options())
    def update(params: Any, opt_state: Any, *batch: jax.Array) -> tuple[Any, Any]:
        updates, opt_state = optimizer.update(jax.grad(loss)(params, *batch), opt_state, params)
        return optax.apply_updates(params, updates), opt_state

    params = _NETWORK.init(jax.random.key(seed), jnp.zeros((1, SIDE, SIDE, 3)))
    opt_state = optimizer.init(params)
    with progress_bar(steps, "steps", doing="training the reader") as bar:
        for step in range(steps):
            half = batch_size // 2
            indices = [start + step * half + n for start in (_START, UNSEEN_START + _START // 2) for n in range(half)]
            drawn = [scene(index, seed=seed) for index in indices]
            packed = pack(drawn)
            images = paint(jax.tree.map(jnp.asarray, packed), resolution=SIDE)[0]
            names = [[list(COLORS).index(thing.color) for thing in each.things] for each in drawn]
            params, opt_state = update(params, opt_state, images, *_targets(packed, names))
            bar.update()
    return Reader(jax.device_get(params))


def _split(outputs: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """Splits outputs [b g g k] into logits [b g g kinds] and [b g g kinds colors], and x, y, radius [b g g kinds 3]."""
    present, color, geometry = jnp.split(outputs, _PARTS, -1)
    cells = outputs.shape[:3]
    return present - _RARE, color.reshape(*cells, len(KINDS), len(COLORS)), geometry.reshape(*cells, len(KINDS), 3)


@jax.jit
def _outputs(params: Any, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Computes the probability of each kind and color [b g g kinds colors], and the geometry of `_split`."""
    outputs: Any = _NETWORK.apply(params, 2 * images - 1)
    present, color, geometry = _split(outputs)
    return jax.nn.sigmoid(present)[..., None] * jax.nn.softmax(color), geometry


def _targets(packed: dict[str, np.ndarray], colors: Sequence[Sequence[int]]) -> tuple[np.ndarray, np.ndarray]:
    """Makes what the network should say: 1 in the cell of each center, and where in the cell it is."""
    n = len(colors)
    heat = np.zeros((n, GRID, GRID, len(KINDS), len(COLORS)), np.float32)
    geometry = np.zeros((n, GRID, GRID, len(KINDS), 3), np.float32)
    for b, names in enumerate(colors):
        for k, color in enumerate(names):
            x, y = packed["x"][b, k] * GRID, packed["y"][b, k] * GRID
            row, column, kind = int(y), int(x), packed["kind"][b, k]
            heat[b, row, column, kind, color] = 1
            geometry[b, row, column, kind] = x - column - 0.5, y - row - 0.5, packed["radius"][b, k] * GRID
    return heat, geometry


def _things(heat: np.ndarray, geometry: np.ndarray, most: int) -> list[Found]:
    """Lists the objects that one image's outputs name, at most `most`."""
    peak = heat.max(-1)  # [g g kinds]
    found = list[Found]()
    for at in np.argsort(-peak, axis=None)[: 4 * most]:
        row, column, kind = (int(i) for i in np.unravel_index(at, peak.shape))
        if peak[row, column, kind] < SURE or len(found) == most:
            break
        dx, dy, radius = geometry[row, column, kind].tolist()
        x, y, radius = (column + 0.5 + dx) / GRID, (row + 0.5 + dy) / GRID, max(radius / GRID, 0.05)
        same = (other for other in found if other.kind == KINDS[kind])
        if all(np.hypot(x - other.x, y - other.y) > _LEAST_APART for other in same):
            color = tuple(COLORS)[int(heat[row, column, kind].argmax())]
            found.append(Found(KINDS[kind], color, _size(radius), x, y, radius))
    return found


def _size(radius: float) -> str:
    return "large" if radius > _LARGE else "small"
