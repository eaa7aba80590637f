"""Which run folders are meant, and what they are called. Imports no jax."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from itertools import count
from pathlib import Path

from gen.errors import InputError, nearest
from gen.files import expand, printable

_CONFIG = "config.json"


def run_folders(
    names: Sequence[str | os.PathLike[str]], program: str, *, most: int | None = None, by: Sequence[str] = (_CONFIG,)
) -> list[Path]:
    """Lists the run folders that are named, in this order; those of a folder of runs, as a sweep makes it, by name.

    A folder that is named twice counts once. by: what a run folder holds at least one of. Raises InputError for what is
    no run folder, for none, when it names the `program`, and for more than `most`.
    """
    found = dict[Path, Path]()
    for name in names:
        for path in _expanded(expand(name), by):
            found.setdefault(path.resolve(), path)
    if not found:
        raise InputError(f"no runs: name run folders, python -m gen.{program} RUN...")
    if most is not None and len(found) > most:
        raise InputError(f"{len(found):,} runs; allowed: at most {most} on a page")
    return list(found.values())


def _expanded(path: Path, by: Sequence[str]) -> Iterator[Path]:
    if not path.is_dir():
        if path.exists():
            raise InputError(f"{printable(path)} is a file; name the folder of a run")
        siblings = [other.name for other in path.parent.iterdir()] if path.parent.is_dir() else []
        raise InputError(f"{printable(path)}: there is no such folder{nearest(path.name, siblings)}")
    if _is_run(path, by):
        yield path
    elif inner := sorted(other for other in path.iterdir() if _is_run(other, by)):
        yield from inner
    else:
        raise InputError(f"{printable(path)} is not a run folder: it has no config.json, and no folder in it has one")


def _is_run(path: Path, by: Sequence[str]) -> bool:
    return path.is_dir() and any(os.path.lexists(path / name) for name in by)


def names_of(paths: Sequence[Path]) -> list[str]:
    """Names each of these folders by as few of the last parts of its path as tell them apart."""
    resolved = [path.resolve() for path in paths]
    for depth in count(1):
        names = [printable("/".join(path.parts[-depth:])) for path in resolved]
        if len(set(names)) == len(names) or depth >= max(len(path.parts) for path in resolved):
            break
    return names
