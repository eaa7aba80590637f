"""Host arrays through a jitted function of one shape, split over the devices of a mesh."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from gen.devices import batch_sharding, compiler_options
from gen.tasks.state import Tree


def fitting(batch_size: int, count: int, mesh: Mesh) -> int:
    """The rows of a batch for `count` images: at most `batch_size`, rounded up to a multiple of the devices."""
    return math.ceil(min(batch_size, count) / mesh.size) * mesh.size


def rows(tree: Tree, start: int, size: int, mesh: Mesh) -> Tree:
    """Rows `start` to `start + size` of every array of a tree, on the devices; the last row fills what is missing."""

    def place(array: Any) -> jax.Array:
        numbers = np.minimum(np.arange(start, start + size), len(array) - 1)
        return jax.device_put(np.asarray(array)[numbers], batch_sharding(mesh))

    return jax.tree.map(place, tree)


def over(tree: Tree, function: Callable[..., Any], params: Tree, *, batch_size: int, mesh: Mesh) -> np.ndarray:
    """function(params, batch), an array of a row per image, over all images: the leading axis of `tree`."""
    count = len(jax.tree.leaves(tree)[0])
    size = fitting(batch_size, count, mesh)
    made, call = [], jax.jit(function, compiler_options=compiler_options())
    with jax.set_mesh(mesh):
        for start in range(0, count, size):
            made.append(np.asarray(call(params, rows(tree, start, size, mesh)))[: count - start])
    return np.concatenate(made)
