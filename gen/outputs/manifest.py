"""Keeps a list of the files that gen wrote into a folder, which it may replace.

A folder that `write` wrote into holds `.gen-written.jsonl`, with a line for each file: the name and the sha256 of what
was written. A file that has another content now was changed by its owner, and is theirs.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

from gen.errors import InputError
from gen.files import printable, sha256, write_result

MANIFEST = ".gen-written.jsonl"
_LARGEST = 2**28  # bytes of a manifest that are read


def check(
    paths: Iterable[Path],
    *,
    is_own: Callable[[Path], bool] = lambda path: wrote(path),
    what: str = "--out",
    remedy: str = "name another place, or move it away",
) -> None:
    """Raises InputError unless each of `paths` is free or has what gen wrote there; nothing is written.

    is_own: whether a file is gen's; by default by the manifest. what: how the message begins. remedy: how it ends, what
    the user can do.
    """
    foreign = [path for path in paths if os.path.lexists(path) and not is_own(path)]
    if foreign:
        more = f" and {len(foreign) - 1:,} more are" if len(foreign) > 1 else " is"
        raise InputError(f"{what}: {printable(foreign[0])}{more} there, not written by gen or changed since; {remedy}")


def wrote(path: Path) -> bool:
    """Returns whether `write` wrote the present content of a file."""
    try:
        known = _digests(path.parent, path.name) if stat.S_ISREG(os.lstat(path).st_mode) else set()
        return bool(known) and sha256(path) in known
    except OSError:
        return False


def write(path: Path, content: bytes, *, overwrite: bool = False) -> None:
    """Writes a file whole, makes its folder, and enters it in the manifest.

    Raises InputError for a file that gen did not write, unless `overwrite`, and for what the system refuses.
    """
    if not overwrite:
        check([path], what="cannot write")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        enter(path, content)
    except OSError as error:
        raise InputError(f"cannot write {printable(path)}: {error.strerror or error}") from error
    write_result(path, content)


def enter(path: Path, content: bytes) -> None:
    """Enters a file that will get this content in the manifest of its folder. Raises OSError.

    Before it is written: after a crash between the two, an old file is still known by its older line.
    """
    digest = hashlib.sha256(content).hexdigest()
    if digest not in _digests(path.parent, path.name):
        _append(path.parent, {"name": path.name, "sha256": digest})


def written(folder: Path) -> dict[str, set[str]]:
    """Returns the sha256 of all that gen wrote into a folder, by name; {} for a manifest that is missing or damaged."""
    found = dict[str, set[str]]()
    for line in _content(folder).splitlines():
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            entry = json.loads(line)
            found.setdefault(str(entry["name"]), set()).add(str(entry["sha256"]))
    return found


def _content(folder: Path) -> bytes:
    """Reads the manifest of a folder; b"" where there is none that can be read."""
    try:
        with os.fdopen(_open(folder, os.O_RDONLY), "rb") as file:
            return file.read(_LARGEST)
    except OSError:
        return b""


def _digests(folder: Path, name: str) -> set[str]:
    """Returns the digests in the lines about `name`; none for a manifest that is missing or damaged."""
    content, found, at = _content(folder), set[str](), 0
    beginning = f'{{"name": {json.dumps(name)}, '.encode()  # found by bytes: thousands of files ask, one by one
    while (at := content.find(beginning, at)) >= 0:
        end = content.find(b"\n", at)
        with contextlib.suppress(ValueError, KeyError, TypeError, RecursionError):
            found.add(str(json.loads(content[at : None if end < 0 else end])["sha256"]))
        at += len(beginning)
    return found


def _append(folder: Path, line: dict[str, str]) -> None:
    with os.fdopen(_open(folder, os.O_WRONLY | os.O_APPEND | os.O_CREAT), "ab") as file:
        file.write(json.dumps(line).encode() + b"\n")


def _open(folder: Path, flags: int) -> int:
    """Opens the manifest of a folder, through no link, and only a regular file."""
    safe = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0)
    descriptor = os.open(folder / MANIFEST, flags | safe, 0o666)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(f"{MANIFEST} is not a regular file")
    return descriptor
