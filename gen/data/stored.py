"""Images in shards that look like an array, and are read when they are indexed; and the captions beside them.

What is held in memory does not grow with the images, but for 10 bytes each, where their records begin.
"""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np

from gen.data.captions import Captions
from gen.data.records import captions_of, unpack_image
from gen.data.shard_index import Index, Shard
from gen.errors import InputError
from gen.files import printable

_THREADS = 8  # that wait for a disk, more than that decode
_EACH = 8  # records that are worth a thread
# Random access: nothing is read ahead, and at once what a record of some ten thousand bytes needs.
_OPTIONS, _BUFFER = "readahead_buffer_size:0,max_parallelism:0", 2**14


class Store:
    """The records of one split, by number."""

    def __init__(self, index: Index, split: str, kept: np.ndarray | None = None) -> None:
        """kept: the numbers of the images that count, in order; None: all."""
        self.kept, self.shape, self.has_captions = kept, index.image_shape, bool(index.captions)
        self._readers = [_Reader(index.folder, shard) for shard in index.splits[split]]
        self._ends = np.cumsum([shard.images for shard in index.splits[split]])
        self._pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="records")
        self._last = threading.local()  # the captions that came with the images this thread read

    def __len__(self) -> int:
        return int(self._ends[-1]) if self.kept is None else len(self.kept)

    def images(self, indices: np.ndarray) -> np.ndarray:
        """Reads images [k] in 0..n-1: uint8 [k h w c]. Raises InputError, which names a shard that is damaged."""
        images = np.empty((len(indices), *self.shape), np.uint8)
        texts = self._read(indices, images)
        self._last.read = (indices.copy(), texts)
        return images

    def texts(self, indices: np.ndarray) -> list[list[bytes]]:
        """Reads the captions of images [k]; again those that came with the images that were just read."""
        known, texts = getattr(self._last, "read", (None, []))
        return texts if known is not None and np.array_equal(known, indices) else self._read(indices, None)

    def _read(self, indices: np.ndarray, images: np.ndarray | None) -> list[list[bytes]]:
        texts: list[list[bytes]] = [[]] * len(indices)
        indices = indices if self.kept is None else self.kept[indices]
        shard_of = np.searchsorted(self._ends, indices, side="right")

        def read(rows: np.ndarray) -> None:
            for row in rows.tolist():
                number = shard_of[row]
                record = self._readers[number](int(indices[row] - self._ends[number]))
                try:
                    if images is not None:
                        unpack_image(record, out=images[row])
                    if self.has_captions:
                        texts[row] = captions_of(record)
                except ValueError as error:
                    raise self._readers[number].fault(error) from None

        order = np.lexsort((indices, shard_of))  # along each file
        parts = np.array_split(order, max(1, min(_THREADS, len(order) // _EACH)))
        list(self._pool.map(read, parts)) if len(parts) > 1 else read(parts[0])
        return texts


class _Reader:
    """One shard, opened at its first use. A lock, as a reader has one position."""

    def __init__(self, folder: Path, shard: Shard) -> None:
        self._file, self._shard = folder / shard.name, shard
        self._lock, self._opened = threading.Lock(), None

    def __call__(self, place: int) -> bytes:
        """Reads the record that is so far from the end, -count..-1. Raises InputError."""
        with self._lock:
            try:
                reader: Any = self._opened or self._open()
                reader.seek(self._shard.images + place)
                return bytes(reader.read())
            except (OSError, RuntimeError, ValueError, IndexError) as error:
                raise self.fault(error) from None

    def _open(self) -> Any:
        from array_record.python.array_record_module import ArrayRecordReader

        reader = ArrayRecordReader(str(self._file), _OPTIONS, file_reader_buffer_size=_BUFFER)
        if reader.num_records() != self._shard.images:
            raise ValueError(f"it holds {reader.num_records():,} records instead of {self._shard.images:,}")
        self._opened = reader
        return reader

    def fault(self, error: Exception) -> InputError:
        why = printable(error, longest=120)
        return InputError(f"shards: {printable(self._file)} is damaged ({why}); gen.convert --verify tells what else")


class StoredImages:
    """Looks like an array uint8 [n h w c]: what is indexed along its first axis is read then, and is an array."""

    dtype, ndim = np.dtype(np.uint8), 4

    def __init__(self, store: Store) -> None:
        self._store = store
        self.shape: tuple[int, ...] = (len(store), *store.shape)

    @property
    def size(self) -> int:
        """How many numbers there are."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def nbytes(self) -> int:
        """How many bytes they would take in memory."""
        return self.size

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, key: Any) -> np.ndarray:
        """Reads images by number, slice, or an array of numbers [k] or of truths [n]; the rest of a tuple as usual."""
        if isinstance(key, tuple):
            rows = self[key[0]]
            return rows[key[1:]] if np.ndim(key[0]) == 0 and not isinstance(key[0], slice) else rows[:, *key[1:]]
        if isinstance(key, slice):
            return self._store.images(np.arange(*key.indices(len(self))))
        indices = np.asarray(key)
        if indices.dtype == bool and indices.shape == self.shape[:1]:
            indices = np.flatnonzero(indices)
        if indices.size == 0:
            return np.empty((*indices.shape, *self.shape[1:]), np.uint8)
        if indices.dtype.kind not in "iu":
            raise IndexError(f"images are indexed by whole numbers, not {indices.dtype} {list(indices.shape)}")
        if indices.min() < -len(self) or indices.max() >= len(self):
            raise IndexError(f"there are {len(self)} images; {indices.min()} to {indices.max()} was asked for")
        flat = indices.reshape(-1) % len(self)
        return self._store.images(flat).reshape(*indices.shape, *self.shape[1:])

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """Reads all images."""
        found = self[:]
        return found if dtype is None else found.astype(dtype, copy=False)


class StoredCaptions:
    """The captions beside `StoredImages`, as gen.data.captions.Captions has them in memory."""

    def __init__(self, store: Store, counts: np.ndarray) -> None:
        self._store = store
        self.counts = counts  # how many each image has

    def of(self, image: int) -> list[str]:
        """Returns all captions of an image."""
        return [text.decode("utf-8", "surrogateescape") for text in self._store.texts(np.array([image]))[0]]

    def drawn(self, images: np.ndarray, uniform: np.ndarray) -> list[bytes | None]:
        """Returns for each of `images` [k] the caption that `uniform` [k] in [0, 1) chooses; None where it has none."""
        texts = self._store.texts(np.asarray(images))
        return [each[int(u * len(each))] if each else None for each, u in zip(texts, uniform.tolist(), strict=True)]

    def subset(self, images: np.ndarray) -> Captions:
        """Returns the captions of some images, in their order."""
        return Captions.packed(self._store.texts(np.asarray(images)))
