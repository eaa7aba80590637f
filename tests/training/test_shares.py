"""What each of several devices does and holds: its share. Compiled and counted; nothing of this size is run."""

import math

import jax
import numpy as np
import pytest
import tiny
from jax.sharding import NamedSharding
from jax.sharding import PartitionSpec as P

from gen import devices
from gen.config import build_task, experiment
from gen.runs.trained_run import abstract

SHAPE = (*tiny.IMAGE_SHAPE[:2], 3)


def sampling_flops(kind: str, count: int) -> float:
    """The FLOPs of each of `count` devices for 64 images; an autoencoder gives images back."""
    task = build_task(tiny.config(task=tiny.TASKS[kind]()), SHAPE, tiny.NUM_CLASSES)
    mesh = devices.mesh(count, 1, devices=jax.devices()[:count])
    whole = NamedSharding(mesh, P())
    params = jax.tree.map(
        lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype, sharding=whole), abstract(task).ema_params
    )

    def make(params, batch):
        if not task.can_sample:
            return task.reconstruct(params, batch)
        return task.sample(params, jax.vmap(jax.random.key)(batch), {})

    given = np.arange(64, dtype=np.uint32) if task.can_sample else np.zeros((64, *SHAPE), np.float32)
    with jax.set_mesh(mesh):
        compiled = jax.jit(make).lower(params, devices.rows(given, 0, 64, mesh)).compile()
    return compiled.cost_analysis()["flops"]


@pytest.mark.parametrize("kind", tiny.TASKS)
def test_sampling_on_eight_devices_is_an_eighth_of_the_work_for_each(kind):
    assert sampling_flops(kind, 8) <= 0.15 * sampling_flops(kind, 1)


def test_fsdp_splits_the_state_of_the_largest_experiment():
    """ffhq256 with --config.mesh.fsdp=8: parameters and optimizer take at most 0.2 of the bytes on each device."""
    task = build_task(experiment.load("experiments/ffhq256.py", ()), (256, 256, 3), 0)
    state = abstract(task)
    held = (state.params, state.opt_state)
    shardings = jax.tree.leaves(devices.state_sharding(devices.mesh(1, 8), held))
    leaves = jax.tree.leaves(held)

    def size(shape: tuple[int, ...], leaf: jax.ShapeDtypeStruct) -> int:
        return math.prod(shape) * np.dtype(leaf.dtype).itemsize

    total = sum(size(leaf.shape, leaf) for leaf in leaves)
    each = sum(size(s.shard_shape(leaf.shape), leaf) for s, leaf in zip(shardings, leaves, strict=True))
    assert total > 2**28  # it is the real network
    assert each <= 0.2 * total, each / total
