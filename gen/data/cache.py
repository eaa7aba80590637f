"""Images decoded once, kept as uint8 .npy files that are memory-mapped afterwards.

An entry is a folder CACHE/<name>-<key> that holds train_images.npy, train_labels.npy, the same for held_out, and
metadata.json with size and digests of each. The key digests the options, the identity of what was decoded and the
version of the decoder. An entry is written under a hidden name and renamed when it is whole, so that a crash leaves
nothing that looks finished. CACHE is $GEN_CACHE, else $XDG_CACHE_HOME/gen, else ~/.cache/gen; it is used only while
nobody else can write there.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import secrets
import shutil
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import PIL

from gen.data.captions import Captions, described
from gen.data.dataset import DatasetSplits, Examples
from gen.data.mapped import Mapped
from gen.data.quick_audit import QuickAudit
from gen.files import cache_home, printable, private_folder


class Add(Protocol):
    """Adds images uint8 [k h w c] with labels [k] and, for all or none, captions, to "train" or "held_out"."""

    def __call__(
        self, split: str, images: Any, labels: Any, captions: Sequence[Sequence[bytes]] | None = None
    ) -> None: ...


Made = tuple[tuple[str, ...], dict[str, Any]]  # class names, metadata

_Stored = tuple[dict[str, np.ndarray], tuple[str, ...], dict[str, Any]]  # arrays by part, names, metadata

_DAMAGE = (OSError, ValueError, KeyError, TypeError, RecursionError)
_PARTS = ("train_images", "train_labels", "held_out_images", "held_out_labels")
_OF_CAPTIONS = ("text", "sizes", "counts")
_CAPTIONS = tuple(f"{split}_caption_{part}" for split in ("train", "held_out") for part in _OF_CAPTIONS)
_VERSION = 4  # raise it when the files or the way of decoding change
# Larger files are read again as a whole only if their times say that they were written to since; else some blocks.
_VERIFY_BYTES = 256 * 2**20
_BLOCKS, _BLOCK = 64, 2**16
_STALE_SECONDS = 24 * 3600

log = logging.getLogger(__name__)


class _WriteError(Exception):
    """The cache cannot be written. Trouble with the images themselves has other names."""


def cached(name: str, options: Mapping[str, Any], make: Callable[[Add], Made], *, identity: Any) -> DatasetSplits:
    """Returns the splits that `make` fills, from the cache when they were made before.

    `make(add)` calls `add(split, images, labels)` for chunk after chunk, with captions always or never, and returns
    class names and metadata. `options` and `identity` are JSON-able; what must lead to other images must change one of
    them. A cache that cannot be written is replaced by memory, with one warning; a damaged entry is made again.
    """
    key = json.dumps([_VERSION, PIL.__version__, name, options, identity], sort_keys=True)
    entry = cache_home() / f"{name}-{hashlib.sha256(key.encode()).hexdigest()[:16]}"
    make, stored = _with_quick_look(make), None
    try:
        with _as_write_error():
            private_folder(entry.parent)
        stored = _read(entry)
        if stored is None:
            _write(entry, make)
            stored = _read(entry)
    except _WriteError as error:
        log.warning("the data cache %s is not used (%s): images stay in memory", printable(entry.parent), error)
    stored = stored or _in_memory(make)
    arrays, class_names, metadata = stored
    files = metadata.pop("files")
    parts = [part for part in (*_PARTS, *_CAPTIONS) if part in files]
    content = hashlib.sha256("".join(files[part]["sha256"] for part in parts).encode()).hexdigest()
    train, held_out = (_examples(arrays, split) for split in ("train", "held_out"))
    metadata |= {"captions": about} if (about := described(_captions(arrays, "train"))) else {}
    counts = {"num_train": len(train.images), "num_held_out": len(held_out.images)}
    return DatasetSplits(
        name, train, held_out, class_names, {"digest": content, "options": dict(options), **counts, **metadata}
    )


def _with_quick_look(make: Callable[[Add], Made]) -> Callable[[Add], Made]:
    """Makes the splits, and looks at the images on the way."""

    def made(add: Add) -> Made:
        quick = QuickAudit()

        def adding(split: str, images: Any, labels: Any, captions: Sequence[Sequence[bytes]] | None = None) -> None:
            add(split, images, labels, captions)
            quick.add(np.asarray(images, np.uint8), split)

        class_names, metadata = make(adding)
        found = quick.result()
        return class_names, metadata | ({"quick_audit": found} if found else {})

    return made


def _examples(arrays: Mapping[str, np.ndarray], split: str) -> Examples:
    return Examples(arrays[f"{split}_images"], arrays[f"{split}_labels"], _captions(arrays, split))


def _captions(arrays: Mapping[str, np.ndarray], split: str) -> Captions | None:
    text, sizes, counts = (arrays.get(f"{split}_caption_{part}") for part in _OF_CAPTIONS)
    return None if text is None or sizes is None or counts is None else Captions(text, sizes, counts)


def _parts_of(
    split: str, images: Any, labels: Any, captions: Sequence[Sequence[bytes]] | None
) -> dict[str, np.ndarray]:
    """Returns the arrays that `Add` adds, by part."""
    found: dict[str, np.ndarray] = {
        f"{split}_images": np.asarray(images, np.uint8),
        f"{split}_labels": np.asarray(labels, np.int32),
    }
    if captions is not None:
        packed = Captions.packed(captions)
        found |= {f"{split}_caption_{part}": getattr(packed, part) for part in _OF_CAPTIONS}
    return found


def _digest(array: np.ndarray) -> str:
    """Computes the sha256 of the elements, then of type and shape: it can be computed while an array grows."""
    hasher = hashlib.sha256(np.ascontiguousarray(array).data)
    hasher.update(f"{array.dtype.str}{array.shape}".encode())
    return hasher.hexdigest()


class _NpyFile:
    """Appends arrays to one .npy file; its header is corrected at the end."""

    def __init__(self, path: Path, like: np.ndarray, stack: contextlib.ExitStack) -> None:
        self._file: BinaryIO = stack.enter_context(path.open("wb+"))
        self._item_shape, self._dtype, self._count = like.shape[1:], like.dtype, 0
        self._hasher = hashlib.sha256()
        self._write_header()

    def _write_header(self) -> None:
        # numpy pads this header, so that a first axis that grows does not change its length.
        shape = (self._count, *self._item_shape)
        header = {"descr": self._dtype.str, "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(self._file, header)

    def append(self, array: np.ndarray) -> None:
        data = np.ascontiguousarray(array).data
        self._file.write(data)
        self._hasher.update(data)
        self._count += len(array)

    def finish(self) -> dict[str, Any]:
        self._file.seek(0)
        self._write_header()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._hasher.update(f"{self._dtype.str}{(self._count, *self._item_shape)}".encode())
        state = _state(self._file)
        return {"size": state[0], "sha256": self._hasher.hexdigest(), "blocks": _blocks(self._file), "state": state}


def _write(entry: Path, make: Callable[[Add], Made]) -> None:
    """Makes the entry under another name and renames it. Raises _WriteError; what `make` raises passes through."""
    folder = entry.with_name(f".{entry.name}.{os.getpid()}.{secrets.token_hex(4)}")
    files: dict[str, _NpyFile] = {}

    def add(split: str, images: Any, labels: Any, captions: Sequence[Sequence[bytes]] | None = None) -> None:
        for part, array in _parts_of(split, images, labels, captions).items():
            with _as_write_error():
                if part not in files:
                    files[part] = _NpyFile(folder / f"{part}.npy", array, stack)
                files[part].append(array)

    try:
        with contextlib.ExitStack() as stack:
            with _as_write_error():
                folder.mkdir(mode=0o700)
                _remove_stale(entry)
            class_names, metadata = make(add)
            with _as_write_error():
                missing = [part for part in _PARTS if part not in files]
                assert not missing, missing
                metadata = {"files": {part: file.finish() for part, file in files.items()}, **metadata}
                (folder / "metadata.json").write_text(
                    json.dumps({"class_names": class_names, "metadata": metadata}, indent=1)
                )
        with _as_write_error():
            _publish(folder, entry)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def _as_write_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _WriteError(printable(error.strerror or error)) from error


def _publish(folder: Path, entry: Path) -> None:
    """Renames a whole `folder` to `entry`, unless another process was first; what is damaged there makes way."""
    try:
        folder.rename(entry)
    except OSError:
        try:
            _load(entry)
        except _DAMAGE:
            damaged = folder.with_name(f"{folder.name}.damaged")
            entry.rename(damaged)
            folder.rename(entry)
            shutil.rmtree(damaged, ignore_errors=True)


def _remove_stale(entry: Path) -> None:
    """Removes what a process that crashed over a day ago left of this entry."""
    for folder in entry.parent.glob(f".{entry.name}.*"):
        newest = max((path.stat().st_mtime for path in (folder, *folder.iterdir())), default=0.0)
        if time.time() - newest > _STALE_SECONDS:
            shutil.rmtree(folder, ignore_errors=True)


def _read(entry: Path) -> _Stored | None:
    """Reads arrays, class names and metadata of an entry; None when it is missing or damaged, which is logged."""
    if not entry.exists():
        return None
    try:
        return _load(entry)
    except _DAMAGE as error:
        log.warning("the data cache %s is damaged (%s): it is made again", printable(entry), printable(error))
        return None


def _load(entry: Path) -> _Stored:
    """Loads an entry. Raises one of _DAMAGE unless it is as written, in a folder where nobody else can write."""
    private_folder(entry)
    stored = json.loads((entry / "metadata.json").read_text())
    files = stored["metadata"]["files"]
    missing = [part for part in _PARTS if part not in files]
    if missing or not all(part in (*_PARTS, *_CAPTIONS) for part in files):
        raise ValueError(f"it lists {', '.join(files)}")
    arrays = {part: _read_array(entry / f"{part}.npy", **about) for part, about in files.items()}
    return arrays, tuple(stored["class_names"]), stored["metadata"]


def _read_array(path: Path, size: int, sha256: str, blocks: str, state: list[int]) -> np.ndarray:
    with path.open("rb") as file:
        now = _state(file)
        if now[0] != size:
            raise ValueError(f"{path.name} has {now[0]} bytes instead of {size}")
        if _blocks(file) != blocks:
            raise ValueError(f"{path.name} has other content than when it was written")
    mapped = not path.stem.endswith(_OF_CAPTIONS)  # these may be empty, which cannot be mapped
    array = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    if (size <= _VERIFY_BYTES or now != state) and _digest(array) != sha256:
        raise ValueError(f"{path.name} has another sha256 than when it was written")
    return Mapped.of(array, path) if mapped else array


def _state(file: BinaryIO) -> list[int]:
    """Returns size, times and inode, which show whether a file was written to, except just after its last change."""
    found = os.fstat(file.fileno())
    return [found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino]


def _blocks(file: BinaryIO) -> str:
    """Computes the sha256 of a whole small file, or of blocks spread over a large one with its head and end."""
    size = os.fstat(file.fileno()).st_size
    hasher = hashlib.sha256()
    for start in sorted({max(0, size - _BLOCK) * number // (_BLOCKS - 1) for number in range(_BLOCKS)}):
        file.seek(start)
        hasher.update(file.read(_BLOCK))
    return hasher.hexdigest()


def _in_memory(make: Callable[[Add], Made]) -> _Stored:
    chunks: dict[str, list[np.ndarray]] = {}

    def add(split: str, images: Any, labels: Any, captions: Sequence[Sequence[bytes]] | None = None) -> None:
        for part, array in _parts_of(split, images, labels, captions).items():
            chunks.setdefault(part, []).append(np.array(array))

    class_names, metadata = make(add)
    arrays = {part: np.concatenate(chunks.pop(part)) for part in list(chunks)}
    files = {part: {"sha256": _digest(array)} for part, array in arrays.items()}
    return arrays, class_names, {"files": files, **metadata}
