"""Shards in an object storage, gs:// or s3://: copied once to the cache of this host, each with its sha256."""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from pathlib import Path
from typing import Any

from gen.cli import progress_bar
from gen.data.shard_index import INDEX, Shard, labels_file, parsed_index
from gen.errors import InputError
from gen.files import atomic_write, cache_home, printable, private_folder

SCHEMES = ("gs://", "s3://")
_BLOCK = 2**22


def is_remote(path: str | os.PathLike[str]) -> bool:
    """Returns whether it is an address, and no path."""
    return "://" in os.fspath(path)


def mirrored(address: str | os.PathLike[str]) -> Path:
    """Copies what gen.convert wrote to `address` into a folder of this host's cache, and returns the folder.

    What is there already in its size is not copied again. Every host copies all of it, since a batch may need any
    image: where that is more than its disk has, mount the storage. Raises InputError: no such address, no access, no
    room, a file with another sha256 than index.json says.
    """
    remote = _opened(os.fspath(address))
    try:
        content = (remote / INDEX).read_bytes()
    except Exception as error:  # each storage has its own
        raise InputError(f"shards: {printable(remote / INDEX)} cannot be read ({printable(error)})") from None
    folder = cache_home() / f"shards-{hashlib.sha256(content).hexdigest()[:16]}"
    index = parsed_index(folder, content)
    private_folder(folder.parent)
    folder.mkdir(exist_ok=True)
    wanted = [each for split in index.splits.values() for each in split if not _is_there(folder, each)]
    _require_room(folder, sum(shard.size for shard in wanted))
    if wanted:
        with progress_bar(sum(shard.size for shard in wanted), "B", doing="copying") as bar:
            for shard in wanted:
                for name, digest in _files(shard):
                    _copy(remote / name, folder / name, digest, bar)
    atomic_write(folder / INDEX, content)
    return folder


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


def _files(shard: Shard) -> tuple[tuple[str, str], ...]:
    """Returns the names and sha256 of its files. The records come last: where they are, all of it is."""
    return (labels_file(Path(shard.name)).name, shard.labels_sha256), (shard.name, shard.sha256)


def _is_there(folder: Path, shard: Shard) -> bool:
    file = folder / shard.name
    return file.is_file() and file.stat().st_size == shard.size and labels_file(file).is_file()


def _require_room(folder: Path, needed: int) -> None:
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise InputError(
            f"shards: {needed / 1e9:,.1f} GB do not fit in {printable(folder.parent)}, where {free / 1e9:,.1f} GB are "
            "free; set GEN_CACHE to another disk, or mount the storage and name the folder there"
        )


def _copy(source: Any, target: Path, digest: str, bar: Any) -> None:
    """Copies a file whole or not at all. Raises InputError when it is not what the index says."""
    unfinished = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
    hasher = hashlib.sha256()
    try:
        with source.open("rb") as read, unfinished.open("wb") as written:
            while block := read.read(_BLOCK):
                hasher.update(block)
                written.write(block)
                bar.update(len(block))
        if hasher.hexdigest() != digest:
            raise InputError("it has another sha256 than when it was written; convert again")
        os.replace(unfinished, target)
    except Exception as error:
        raise InputError(f"shards: {printable(source)}: {printable(error)}") from None
    finally:
        unfinished.unlink(missing_ok=True)
