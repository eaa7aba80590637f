"""Devices: the mesh, where arrays lie on it, and how batches get there.

The mesh has two axes: "data" splits the batch, "fsdp" splits the batch and also large state arrays. Batches are uint8
[b h w c] in 0..255 with int32 [b] labels, split over all devices along b.
"""

from __future__ import annotations

import ctypes
import functools
import math
import os
import sys
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gen.data import Batch, Dataset
from gen.errors import InputError

BATCH = P(("data", "fsdp"))
_MIN_SPLIT = 2**12  # elements; splitting a smaller array costs more in communication than it saves in memory


def distributed_init() -> None:
    """Joins the other processes when the environment says that there are some; call it before any other use of jax.

    It says so with: several tasks in a Slurm step, several TPU hosts, JAX_COORDINATOR_ADDRESS, or GEN_DISTRIBUTED=1
    (for clusters that jax recognizes by itself, such as a Cloud TPU slice).
    """
    several_tasks = int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1) > 1
    several_hosts = "," in os.environ.get("TPU_WORKER_HOSTNAMES", "")
    told = bool(os.environ.get("JAX_COORDINATOR_ADDRESS")) or os.environ.get("GEN_DISTRIBUTED") == "1"
    if several_tasks or several_hosts or told:
        jax.distributed.initialize()


def tune_allocator() -> None:
    """Makes glibc keep the memory that a step frees; call it before jax starts its threads. Elsewhere it does nothing.

    XLA:CPU takes the memory for its intermediate values from malloc and gives it back at every step. By default glibc
    returns blocks of this size to the system at once, and the next step spends a quarter of its time in page faults.
    """
    if not sys.platform.startswith("linux") or os.environ.get("MALLOC_ARENA_MAX"):
        return
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):  # another C library
        return
    trim_threshold, top_pad, mmap_max, arena_max = -1, -2, -4, -8  # malloc.h
    for parameter, value in ((arena_max, 1), (mmap_max, 0), (trim_threshold, 2**31 - 1), (top_pad, 2**28)):
        mallopt(parameter, value)


def compiler_options() -> dict[str, str | bool]:
    """Options for programs with convolutions on the default backend.

    On CPUs jaxlib 0.10 to 0.12 hands convolutions to YNNPACK, which is up to twice slower with them than the Eigen it
    replaces, and three times with the gradients of kernels (benchmarks/train_step.py); matrix products may stay there.
    """
    options: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
    return options if jax.default_backend() == "cpu" and _understands(tuple(options.items())) else {}


@functools.cache
def _understands(options: tuple[tuple[str, str | bool], ...]) -> bool:
    """Does this jaxlib know these options of its compiler?"""
    try:
        jax.jit(lambda x: x + 1).lower(0.0).compile(dict(options))
    except jax.errors.JaxRuntimeError:
        return False
    return True


def mesh(data: int, fsdp: int, *, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """A mesh of `data` x `fsdp` devices with Auto axes; -1 for one of them: as many as are left.

    `devices` defaults to all devices of all processes. Raises InputError when the product is not their number.
    """
    count = len(jax.devices() if devices is None else devices)
    asked = {"mesh.data": data, "mesh.fsdp": fsdp}
    for name, size in asked.items():
        if size != -1 and size < 1:
            raise InputError(f"{name}={size}; allowed: 1 or more, or -1 for all devices that are left")
    if data == -1:
        data = max(1, count // max(1, fsdp))
    if fsdp == -1:
        fsdp = max(1, count // data)
    if data * fsdp != count:
        fitting = ", ".join(f"{count // n} x {n}" for n in range(1, count + 1) if count % n == 0)
        raise InputError(
            f"mesh.data={data} x mesh.fsdp={fsdp} = {data * fsdp}, but there are {count} devices; allowed: {fitting}"
        )
    # make_mesh defaults to Explicit axes, under which reshapes and gathers of sharded arrays are errors.
    return jax.make_mesh((data, fsdp), ("data", "fsdp"), axis_types=(AxisType.Auto,) * 2, devices=devices)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Splits the leading axis over all devices."""
    return NamedSharding(mesh, BATCH)


def state_sharding(mesh: Mesh, abstract_tree: Any) -> Any:
    """A NamedSharding per leaf: the largest axis that "fsdp" divides is split over it; small arrays are copied."""
    size = mesh.shape["fsdp"]

    def place(leaf: Any) -> NamedSharding:
        axes = [axis for axis, length in enumerate(leaf.shape) if length % size == 0]
        if size == 1 or not axes or math.prod(leaf.shape) < _MIN_SPLIT:
            return NamedSharding(mesh, P())
        largest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, P(*("fsdp" if axis == largest else None for axis in range(len(leaf.shape)))))

    return jax.tree.map(place, abstract_tree)


def check_batch(batch_size: int, mesh: Mesh) -> None:
    """Raises InputError when the devices cannot share `batch_size` images equally."""
    if batch_size < 1 or batch_size % mesh.size:
        below = batch_size // mesh.size * mesh.size
        near = f"{below} or {below + mesh.size}" if below > 0 else str(mesh.size)
        raise InputError(
            f"batch_size={batch_size} is not divisible by {mesh.size} devices; "
            f"allowed: multiples of {mesh.size}, nearest {near}"
        )


def constrain(x: jax.Array) -> jax.Array:
    """Splits an array [b ...] that was made inside a jitted step, such as noise, over the devices of jax.set_mesh.

    Without this every device computes the whole array and all that follows from it. Does nothing when no mesh is set or
    when the devices cannot share b equally, so models work anywhere.
    """
    current = jax.sharding.get_abstract_mesh()
    if current.empty or x.shape[0] % current.size:
        return x
    return jax.lax.with_sharding_constraint(x, BATCH)


class Feed:
    """Device batches by step: feed(step) -> {"image": uint8 [b h w c], "label": int32 [b]}, split over all devices.

    A data set of at most `device_bytes` is put on every device once and gathered there. From a larger one the rows of
    each device are read on the host, those of the next step in the background. The batches are the same either way.
    """

    def __init__(self, dataset: Dataset, mesh: Mesh, *, device_bytes: int = 2**30) -> None:
        self._dataset = dataset
        self._batch_size = len(dataset.indices(0))
        self._sharding = batch_sharding(mesh)
        self._resident: tuple[jax.Array, ...] | None = None
        self._background = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._ahead: tuple[int, Future[Batch]] | None = None
        check_batch(self._batch_size, mesh)
        if dataset.examples.images.nbytes <= device_bytes:
            everywhere = NamedSharding(mesh, P())
            self._resident = tuple(_place(np.asarray(array), everywhere) for array in dataset.examples)
            self._gather = jax.jit(_gather, out_shardings=self._sharding)

    def __call__(self, step: int) -> Batch:
        """The batch of `step`; asking for steps in order is fast, any order is right."""
        if self._resident is not None:
            return self._gather(*self._resident, _place(self._dataset.indices(step).astype(np.int32), self._sharding))
        if self._ahead is None or self._ahead[0] != step:
            self._ahead = step, self._background.submit(self._fetch, step)
        batch = self._ahead[1].result()
        self._ahead = step + 1, self._background.submit(self._fetch, step + 1)
        return batch

    def _fetch(self, step: int) -> Batch:
        """Reads the rows of this process's devices, whichever these are, and puts them there."""
        shards = self._sharding.addressable_devices_indices_map((self._batch_size,)).values()
        width = self._batch_size // self._sharding.num_devices
        starts = {self._start(index) for index in shards}
        blocks = {start: self._dataset.batch(step, rows=slice(start, start + width)) for start in starts}
        return Batch(
            image=self._split({start: block["image"] for start, block in blocks.items()}),
            label=self._split({start: block["label"] for start, block in blocks.items()}),
        )

    def _split(self, blocks: dict[int, np.ndarray]) -> jax.Array:
        """One device array from host blocks by the row that each starts at."""
        shape = (self._batch_size, *next(iter(blocks.values())).shape[1:])
        return jax.make_array_from_callback(shape, self._sharding, lambda index: blocks[self._start(index)])

    def _start(self, index: Any) -> int:
        """The first row of a shard, of which jax gives one slice per axis."""
        return index[0].indices(self._batch_size)[0]


def _place(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _gather(images: jax.Array, labels: jax.Array, indices: jax.Array) -> Batch:
    # "clip" because the default for out-of-range indices fills, which costs a second pass over the batch.
    return Batch(
        image=jnp.take(images, indices, axis=0, mode="clip"), label=jnp.take(labels, indices, axis=0, mode="clip")
    )
