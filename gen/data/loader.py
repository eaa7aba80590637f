"""Batches on the devices: a small set lies there as a whole, of a larger one the next batch is on its way."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, cast

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from gen.data.dataset import Batch, BatchSampler
from gen.devices import batch_sharding, check_batch


class DeviceLoader:
    """Loads device batches by step: {"image": uint8 [b h w c], "label": int32 [b]}, split over all devices; where the
    data has captions, also {"caption": int32 [b l]}.

    A data set of at most `device_bytes` is put on every device once and gathered there. From a larger one the rows of
    each device are read on the host, those of the next step in the background. The batches are the same either way.
    """

    def __init__(self, dataset: BatchSampler, mesh: Mesh, *, device_bytes: int = 2**30) -> None:
        self._dataset = dataset
        self._batch_size = len(dataset.indices(0))
        self._sharding = batch_sharding(mesh)
        self._resident: tuple[jax.Array, ...] | None = None
        self._background = ThreadPoolExecutor(1, thread_name_prefix="feed")
        self._ahead: tuple[int, Future[Batch]] | None = None
        check_batch(self._batch_size, mesh)
        if dataset.examples.images.nbytes <= device_bytes:
            everywhere = NamedSharding(mesh, P())
            self._resident = tuple(_place(np.asarray(array), everywhere) for array in dataset.examples[:2])
            self._gather = jax.jit(_gather, out_shardings=self._sharding)

    def __call__(self, step: int) -> Batch:
        """Returns the batch of `step`; asking for steps in order is fast, any order is right."""
        if self._resident is not None:
            batch: Batch = self._gather(
                *self._resident, _place(self._dataset.indices(step).astype(np.int32), self._sharding)
            )
            if (captions := self._dataset.captions(step)) is not None:
                batch["caption"] = _place(captions, self._sharding)
            return batch
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
        names: Any = next(iter(blocks.values())).keys()
        found: Any = {name: self._split({start: block[name] for start, block in blocks.items()}) for name in names}  # type: ignore[literal-required]
        return cast(Batch, found)

    def _split(self, blocks: dict[int, np.ndarray]) -> jax.Array:
        """Makes one device array from host blocks by the row that each starts at."""
        shape = (self._batch_size, *next(iter(blocks.values())).shape[1:])
        return jax.make_array_from_callback(shape, self._sharding, lambda index: blocks[self._start(index)])

    def _start(self, index: Any) -> int:
        """Returns the first row of a shard, of which jax gives one slice per axis."""
        return index[0].indices(self._batch_size)[0]


def _place(array: np.ndarray, sharding: NamedSharding) -> jax.Array:
    return jax.make_array_from_callback(array.shape, sharding, lambda index: array[index])


def _gather(images: jax.Array, labels: jax.Array, indices: jax.Array) -> Batch:
    # "clip" because the default for out-of-range indices fills, which costs a second pass over the batch.
    return Batch(
        image=jnp.take(images, indices, axis=0, mode="clip"), label=jnp.take(labels, indices, axis=0, mode="clip")
    )
