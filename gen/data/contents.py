"""Digests of the contents of files, read again only when the file system reports a possible change."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path

from gen.data.add_images import in_threads
from gen.files import atomic_write, cache_home, private_folder, sha256

_SETTLED = 2.0  # seconds after which another change shows in the times of a file on any file system


def fingerprint(root: Path, names: Iterable[str]) -> str:
    """Computes the sha256 of the names and whole contents of files below `root`: sizes and times may be equal.

    The result is remembered in the cache by place, size, times and inode of every file, so that contents are read only
    at the first use, after a change and after a move. A file that cannot be read, or is none, counts by its name.
    """
    names = list(names)
    states = [state(root / name) for name in names]
    place = os.fsencode(root.resolve())
    seen = hashlib.sha256(place + repr(list(zip(names, states, strict=True))).encode()).hexdigest()
    memory = cache_home() / "fingerprints" / f"{hashlib.sha256(place).hexdigest()[:32]}.json"
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        private_folder(cache_home())
        stored = json.loads(private_folder(memory.parent).joinpath(memory.name).read_text())
        if stored["seen"] == seen:
            return str(stored["fingerprint"])
    hasher = hashlib.sha256()
    for name, content in in_threads(lambda name: _content(root / name), names, doing="reading", unit="files"):
        hasher.update(f"{len(os.fsencode(name))} ".encode() + os.fsencode(name) + content)
    found = hasher.hexdigest()
    newest = max((times for state in states if state for times in state[1:3]), default=0)
    if newest < time.time_ns() - _SETTLED * 1e9 and states == [state(root / name) for name in names]:
        with contextlib.suppress(OSError):
            private_folder(cache_home())
            atomic_write(private_folder(memory.parent) / memory.name, json.dumps({"seen": seen, "fingerprint": found}))
    return found


def state(file: Path) -> tuple[int, ...] | None:
    """Returns what changes with the content: size, times (the inode's cannot be set) and place on the disk."""
    try:
        found = file.stat()
    except OSError:
        return None
    regular = stat.S_ISREG(found.st_mode)
    return (found.st_size, found.st_mtime_ns, found.st_ctime_ns, found.st_ino) if regular else None


def _content(file: Path) -> bytes:
    try:
        return bytes.fromhex(sha256(file)) if stat.S_ISREG(file.stat().st_mode) else b"none"
    except OSError:
        return b"none"
