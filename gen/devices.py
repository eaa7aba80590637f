"""Devices: the mesh, and where arrays lie on it.

The mesh has two axes: "data" splits the batch, "fsdp" splits the batch and also large state arrays. Batches are uint8
[b h w c] in 0..255 with int32 [b] labels, split over all devices along b.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import math
import os
import sys
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gen.errors import InputError

BATCH = P(("data", "fsdp"))
_EACH = {"cpu": 8}  # images that a device makes at once, by its kind; else 64, which a GPU makes as quickly as a few
_MIN_SPLIT = 2**12  # elements; splitting a smaller array costs more in communication than it saves in memory


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


def return_memory() -> None:
    """Gives what was freed back to the system, where the C library is glibc: what a checkpoint takes from it in small
    pieces lies between others, and would add up. The next step takes what it needs again."""
    with contextlib.suppress(AttributeError, OSError):
        ctypes.CDLL(None).malloc_trim(0)


def compiler_options() -> dict[str, str | bool]:
    """Options for programs with convolutions on the default backend.

    On CPUs jaxlib 0.10 to 0.12 hands convolutions to YNNPACK, which is up to twice slower with them than the Eigen it
    replaces, and three times with the gradients of kernels (benchmarks/train_step.py); matrix products may stay there.
    """
    options: dict[str, str | bool] = {"xla_cpu_experimental_ynn_fusion_type": "LIBRARY_FUSION_TYPE_DOT"}
    return options if jax.default_backend() == "cpu" and _understands(tuple(options.items())) else {}


def training_options() -> dict[str, str | bool]:
    """Options for programs with gradients: `compiler_options`, and on CPUs what lets networks compute blocks again.

    XLA:CPU takes out early the barriers that keep `remat` from being undone.
    """
    barriers: dict[str, str | bool] = {"xla_disable_hlo_passes": "cse_barrier_expander"}
    return compiler_options() | (barriers if jax.default_backend() == "cpu" else {})


@functools.cache
def _understands(options: tuple[tuple[str, str | bool], ...]) -> bool:
    """Returns whether this jaxlib knows these options of its compiler."""
    try:
        jax.jit(lambda x: x + 1).lower(0.0).compile(dict(options))
    except jax.errors.JaxRuntimeError:
        return False
    return True


def mesh(data: int, fsdp: int, *, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Makes a mesh of `data` x `fsdp` devices with Auto axes; -1 for one of them: as many as are left.

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


def single_device() -> Mesh:
    """Makes a mesh of one device of this process."""
    return mesh(1, 1, devices=jax.local_devices()[:1])


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Splits the leading axis over all devices."""
    return NamedSharding(mesh, BATCH)


def state_sharding(mesh: Mesh, abstract_tree: Any) -> Any:
    """Splits the largest axis of each leaf that "fsdp" divides over it; small arrays are copied. NamedShardings."""
    size = mesh.shape["fsdp"]

    def place(leaf: Any) -> NamedSharding:
        axes = [axis for axis, length in enumerate(leaf.shape) if length % size == 0]
        if size == 1 or not axes or math.prod(leaf.shape) < _MIN_SPLIT:
            return NamedSharding(mesh, P())
        largest = max(axes, key=lambda axis: leaf.shape[axis])
        return NamedSharding(mesh, P(*("fsdp" if axis == largest else None for axis in range(len(leaf.shape)))))

    return jax.tree.map(place, abstract_tree)


def check_batch(batch_size: int, mesh: Mesh, *, parts: int = 1) -> None:
    """Raises InputError when the devices cannot share `batch_size` images equally, or each of its parts."""
    if parts > 1 and batch_size % (parts * mesh.size):
        whole = parts * mesh.size
        raise InputError(
            f"accumulate={parts} does not divide batch_size={batch_size} over {mesh.size} devices; "
            f"allowed: a batch_size that is a multiple of {whole}"
        )
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


def interleave(a: jax.Array, b: jax.Array) -> jax.Array:
    """Interleaves [n ...] and [n ...] as a0 b0 a1 b1 ... [2n ...], so that each device keeps the rows it has."""
    return jnp.stack([a, b], axis=1).reshape(2 * a.shape[0], *a.shape[1:])


def rows(arrays: Any, start: int, size: int, mesh: Mesh) -> Any:
    """Puts rows `start` to `start + size` of every array [n ...] of a tree on the devices of `mesh`, split.

    The last row fills what is missing.
    """

    def place(array: Any) -> jax.Array:
        numbers = np.minimum(np.arange(start, start + size), len(array) - 1)
        part = np.asarray(array)[numbers]
        return jax.make_array_from_callback(part.shape, batch_sharding(mesh), lambda index: part[index])

    return jax.tree.map(place, arrays)


def batched(function: Callable[[Any, Any], jax.Array], mesh: Mesh) -> Callable[..., Iterator[np.ndarray]]:
    """Compiles function(fixed, rows of a tree of arrays [b ...]) -> [b ...] for arrays [n ...] of any length.

    run(fixed, arrays, *, each=None, at_once=64) yields the results, one part [b ...] after the other. A compiler makes
    other machine code for other shapes, which rounds in another way. So every device always gets `each` rows, by
    default as many as suit its kind: a row has the same result to the bit whatever it is done with, n, and `at_once`
    (how many may be on their way, rounded up). Other numbers of virtual devices of a CPU round otherwise (4e-7 seen).
    """
    # A Task may hold what jit cannot hash.
    compiled = jax.jit(lambda fixed, part: function(fixed, part), compiler_options=compiler_options())

    def run(fixed: Any, arrays: Any, *, each: int | None = None, at_once: int = 64) -> Iterator[np.ndarray]:
        n = len(jax.tree.leaves(arrays)[0])
        size = (each or _EACH.get(mesh.devices.flat[0].platform, 64)) * mesh.size
        ahead = deque[tuple[jax.Array, int]]()  # the devices work while the host writes files
        for start in range(0, n, size):
            with jax.set_mesh(mesh):
                ahead.append((compiled(fixed, rows(arrays, start, size, mesh)), n - start))
            if len(ahead) > math.ceil(at_once / size):
                made, count = ahead.popleft()
                yield _on_host(made)[:count]
        for made, count in ahead:
            yield _on_host(made)[:count]

    return run


def _on_host(made: jax.Array) -> np.ndarray:
    """Returns an array as a whole, in every process."""
    if not made.is_fully_addressable:
        from jax.experimental import multihost_utils

        made = multihost_utils.process_allgather(made, tiled=True)
    return np.asarray(made)
