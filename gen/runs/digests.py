"""Digests of the steps in a checkpoint folder: what a step is of, and whether its files are unchanged. No jax here.

A step is a folder named by its number. Its file DIGESTS has two lines: the digest of the second, and JSON of a `Table`.
The step, and what it belongs to, stand in there: a folder that was renamed, or copied from another run, is noticed.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

from gen.errors import InputError
from gen.files import parse_json, printable, read_regular

NAME = "DIGESTS"
_LARGEST = 16 * 2**20  # bytes of a DIGESTS
_STEP = re.compile(r"0|[1-9][0-9]{0,17}")  # as str() writes it: other digits, or zeros in front, name no step


class CorruptError(Exception):
    """A step is corrupt; the message is one line."""


class ForeignError(CorruptError):
    """A step is of another run, config or step than its place says."""


class Table(NamedTuple):
    """The content of DIGESTS."""

    step: int
    marks: dict[str, str]  # what the step belongs to: "run", "config", "data", see gen/runs/identity.py
    leaves: dict[str, list[Any]]  # "params/generator/kernel" -> [dtype, shape, digest of the values or None]
    files: dict[str, str]  # path inside the step -> digest of the content


def steps(folder: Path) -> list[int]:
    """Lists the steps in a checkpoint folder, oldest first. Raises InputError for what is there and is no folder."""
    try:
        with os.scandir(folder) as entries:
            names = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return []
    except NotADirectoryError:
        raise InputError(f"{printable(folder)} is a file; checkpoints go into a folder of this name: move it") from None
    except OSError as error:
        raise InputError(f"{printable(folder)} cannot be read: {error.strerror}") from None
    return sorted(int(name) for name in names if _STEP.fullmatch(name))


def newest_marks(folder: Path) -> dict[str, str]:
    """Reads the marks of the newest step whose DIGESTS can be read; {} when there is none."""
    for step in reversed(steps(folder)):
        with contextlib.suppress(CorruptError):
            return read(folder / str(step), step).marks
    return {}


def hasher() -> Any:
    """Makes the hash of all digests here."""
    return hashlib.blake2b(digest_size=16)  # 1.6 times as fast as sha256


def in_threads(function: Callable[[Any], Any], values: Iterable[Any]) -> list[Any]:
    """Maps in threads; returns a list, in order."""
    with ThreadPoolExecutor() as pool:  # hashing releases the GIL
        return list(pool.map(function, values))


def write(directory: Path, step: int, marks: Mapping[str, str], leaves: Mapping[str, list[Any]]) -> None:
    """Writes DIGESTS of the files in `directory`, and syncs all. Raises OSError."""
    found = sorted(directory.rglob("*"))
    files = [path for path in found if path.is_file()]
    names = [path.relative_to(directory).as_posix() for path in files]
    digests = dict(zip(names, in_threads(_digest_and_sync, files), strict=True))
    text = json.dumps(Table(step, dict(marks), dict(leaves), digests)._asdict()).encode()
    (directory / NAME).write_bytes(_hexdigest(text).encode() + b"\n" + text)
    _digest_and_sync(directory / NAME)
    for folder in (*(path for path in found if path.is_dir()), directory):
        sync_folder(folder)


def sync_folder(folder: Path) -> None:
    """Waits until the names in a folder are on the disk, where its file system can do that."""
    with contextlib.suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read(directory: Path, step: int) -> Table:
    """Reads the table of a step folder. Raises CorruptError when it is absent, damaged, or that of another step."""
    try:
        digest, _, text = read_regular(directory / NAME, most=_LARGEST).partition(b"\n")
    except OSError as error:
        raise CorruptError(f"{NAME}: {error.strerror}") from None
    except InputError as error:
        raise CorruptError(str(error)) from None
    if _hexdigest(text).encode() != digest:
        raise CorruptError(f"{NAME} is damaged")
    try:
        table = Table(**parse_json(text))
    except (ValueError, TypeError):
        table = None
    if table is None or not _is_well_formed(table):
        raise CorruptError(f"{NAME} is no table of digests")
    if table.step != step:
        raise ForeignError(f"it is step {table.step} under another name")
    return table


def check_files(directory: Path, digests: Mapping[str, str]) -> None:
    """Raises CorruptError unless each file is there with its digest."""

    def fault(name: str) -> str | None:
        try:
            return None if _digest_file(directory / name) == digests[name] else f"{name} was changed"
        except OSError as error:
            return f"{name}: {error.strerror}"

    for reason in in_threads(fault, digests):
        if reason:
            raise CorruptError(printable(reason))


def _hexdigest(content: bytes) -> str:
    hashed = hasher()
    hashed.update(content)
    return hashed.hexdigest()


def _digest_file(path: Path) -> str:
    if not stat.S_ISREG(os.lstat(path).st_mode):
        raise OSError(0, "not a regular file")
    with path.open("rb") as file:
        return hashlib.file_digest(file, hasher).hexdigest()


def _digest_and_sync(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, hasher).hexdigest()
        os.fsync(file.fileno())
    return digest


def _is_well_formed(table: Table) -> bool:
    return (
        type(table.step) is int
        and all(isinstance(part, dict) for part in table[1:])
        and all(isinstance(value, str) for value in (*table.marks.values(), *table.files.values()))
        and all(map(_is_leaf, table.leaves.values()))
        and len(table.files) > 0
        and all(map(_is_inside, table.files))
    )


def _is_leaf(entry: Any) -> bool:
    if not isinstance(entry, list) or len(entry) != 3:
        return False
    dtype, shape, digest = entry
    shaped = isinstance(shape, list) and all(type(side) is int and side >= 0 for side in shape)
    return isinstance(dtype, str) and shaped and (digest is None or isinstance(digest, str))


def _is_inside(name: str) -> bool:
    """Returns whether it is the plain path of a file inside a folder."""
    path = PurePosixPath(name)
    plain = name == path.as_posix() and name.isprintable()
    return plain and path.parts != () and not path.is_absolute() and ".." not in path.parts
