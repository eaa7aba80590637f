"""Shards in an object storage, gs:// or s3://: copied once to the cache of this host, each with its sha256."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from gen.cli import progress_bar
from gen.data.shard_index import INDEX, Shard, labels_file, parsed_index
from gen.errors import InputError
from gen.files import atomic_write, cache_home, printable, private_folder

SCHEMES = ("gs://", "s3://")
_BLOCK = 2**22
_UNFINISHED = ".partial"


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Returns whether it is an address, and no path."""
    return "://" in os.fspath(path)


def mirrored(address: str | os.PathLike[str]) -> Path:
    """Copies what gen.convert wrote to `address` into a folder of this host's cache, and returns the folder.

    What is there already is not copied again; of several processes of a host one copies. Every host copies all of it,
    since a batch may need any image: where that is more than its disk has, mount the storage. Raises InputError: no
    such address, no access, no room, a file with another sha256 than index.json says.
    """
    remote = _opened(os.fspath(address))
    try:
        content = (remote / INDEX).read_bytes()
    except Exception as error:  # each storage has its own
        raise InputError(f"shards: {printable(remote / INDEX)} cannot be read ({printable(error)})") from None
    folder = cache_home() / f"shards-{hashlib.sha256(content).hexdigest()[:16]}"
    index = parsed_index(folder, content)
    try:
        private_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        with _alone(folder):
            _fill(folder, remote, [shard for split in index.splits.values() for shard in split])
            atomic_write(folder / INDEX, content)
    except OSError as error:
        raise InputError(f"shards: {printable(folder)}: {error.strerror or printable(error)}") from None
    return folder


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Holds other processes of this host back: the first copies, and they find it there."""
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _fill(folder: Path, remote: Any, shards: Sequence[Shard]) -> None:
    """Copies the shards that are not there."""
    for left in folder.glob(f".*{_UNFINISHED}"):  # of a process that was killed
        left.unlink()
    wanted = [shard for shard in shards if not _is_there(folder, shard)]
    _require_room(folder, sum(shard.size for shard in wanted))
    with progress_bar(sum(shard.size for shard in wanted), "B", doing="copying") as bar:
        for shard in wanted:
            _copy(remote / _labels(shard), folder / _labels(shard), shard.labels_sha256, lambda size: None)
            _copy(remote / shard.name, folder / shard.name, shard.sha256, bar.update)


def _opened(address: str) -> Any:
    if not address.startswith(SCHEMES):
        raise InputError(f"shards: {printable(address)}: allowed: a folder, {' or '.join(SCHEMES)}")
    from etils import epath  # comes with orbax

    try:
        remote = epath.Path(address)
        remote.exists()  # which loads what reads this storage
    except ImportError as error:
        raise InputError(f"shards: {printable(address)} needs a package more: {printable(error)}") from None
    except Exception as error:
        raise InputError(f"shards: {printable(address)} cannot be read ({printable(error)})") from None
    return remote


def _labels(shard: Shard) -> str:
    return labels_file(Path(shard.name)).name


def _is_there(folder: Path, shard: Shard) -> bool:
    """Returns whether records of its size and its labels are there."""
    file, labels = folder / shard.name, folder / _labels(shard)
    if not (file.is_file() and file.stat().st_size == shard.size and labels.is_file()):
        return False
    return hashlib.sha256(labels.read_bytes()).hexdigest() == shard.labels_sha256


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"shards: {needed / 1e9:,.1f} GB do not fit in {printable(folder.parent)}, where {free / 1e9:,.1f} GB are "
            "free; set GEN_CACHE to another disk, or mount the storage and name the folder there"
        )


def _copy(source: Any, target: Path, digest: str, seen: Callable[[int], Any]) -> None:
    """Copies a file whole or not at all. Raises InputError when it is not what the index says."""
    unfinished = target.with_name(f".{target.name}{_UNFINISHED}")
    hasher = hashlib.sha256()
    try:
        with source.open("rb") as read, unfinished.open("wb") as written:
            while block := read.read(_BLOCK):
                hasher.update(block)
                written.write(block)
                seen(len(block))
            written.flush()
            os.fsync(written.fileno())
        if hasher.hexdigest() != digest:
            raise InputError("it has another sha256 than when it was written, or did not come whole")
        os.replace(unfinished, target)
    except Exception as error:
        raise InputError(f"shards: {printable(source)}: {printable(error)}") from None
    finally:
        unfinished.unlink(missing_ok=True)
