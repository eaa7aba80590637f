"""Which run folders are meant, and what they are called. Imports no jax."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.runs.run_folder import RunFolder

MOST = 100  # runs on a page


def run_folders(names: Sequence[str | os.PathLike[str]]) -> list[Path]:
    """Lists the run folders that are named, in this order; those of a folder of runs, as a sweep makes it, by name.

    A folder that is named twice counts once. Raises InputError for what is no run folder, for none, and for too many.
    """
    found = dict[Path, Path]()
    for name in names:
        for path in _expanded(expand(name)):
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError("no runs: name run folders, python -m gen.compare RUN...")
    if len(found) > MOST:
        raise InputError(f"{len(found):,} runs; allowed: at most {MOST} on a page")
    return list(found.values())


def _expanded(path: Path) -> Iterator[Path]:
    if not path.is_dir():
        if path.exists():
            raise InputError(f"{printable(path)} is a file; name the folder of a run")
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{printable(path)}: there is no such folder{nearest(path.name, siblings)}")
    if _is_run(path):
        yield path
    elif inner := sorted(other for other in path.iterdir() if _is_run(other)):
        yield from inner
    else:
        raise InputError(f"{printable(path)} is not a run folder: it has no config.json, and no folder in it has one")


def _is_run(path: Path) -> bool:
    return path.is_dir() and os.path.lexists(RunFolder(path).config)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Names each of these folders by as few of the last parts of its path as tell them apart."""
    resolved = [path.resolve() for path in paths]
    for depth in count(1):
        names = [printable("/".join(path.parts[-depth:])) for path in resolved]
        if len(set(names)) == len(names) or depth >= max(len(path.parts) for path in resolved):
            break
    return names
