"""Lists the files of a run folder, through no link, and which of them belong together. Imports no jax."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

MANIFEST = "manifest.json"
_STEP = re.compile(r"(checkpoints/[^/]+)/.+")
# What comes and goes while a run trains, and the manifest, which cannot hold its own digest.
_PASSED_OVER = re.compile(
    rf"\.lock|{re.escape(MANIFEST)}|(.*/)?\.[^/]*\.partial(/.*)?|checkpoints/(saving|deleting)-.*"
)
_MOST_LEVELS = 32


class Listing(NamedTuple):
    """What a folder holds, by relative path with slashes, sorted."""

    sizes: dict[str, int]  # of regular files, bytes
    others: dict[str, str]  # what is neither file nor folder, or cannot be looked at, and why

    def artefacts(self) -> dict[str, int]:
        """Returns what is judged as one, a checkpoint or a file, and its bytes."""
        found = dict[str, int]()
        for name, size in self.sizes.items():
            found[artefact(name)] = found.get(artefact(name), 0) + size
        return found


def artefact(name: str) -> str:
    """Returns the artefact that a file is of: "checkpoints/500", or itself."""
    found = _STEP.fullmatch(name)
    return found[1] if found else name


def list_files(run: Path) -> Listing:
    """Lists a run folder, but for what comes and goes in training."""
    found = Listing({}, {})
    for name, size, why in sorted(_below(run, "", _MOST_LEVELS)):
        if _PASSED_OVER.fullmatch(name):
            continue
        if why:
            found.others[name] = why
        else:
            found.sizes[name] = size
    return found


def _below(run: Path, folder: str, levels: int) -> Iterator[tuple[str, int, str]]:
    """Yields path, size, and what is wrong with it."""
    try:
        with os.scandir(run / folder) as entries:
            for entry in entries:
                name = f"{folder}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    if levels:
                        yield from _below(run, f"{name}/", levels - 1)
                    else:
                        yield name, 0, f"more than {_MOST_LEVELS} folders deep, which no run is"
                elif entry.is_file(follow_symlinks=False):
                    yield name, entry.stat(follow_symlinks=False).st_size, ""
                else:
                    yield name, 0, "a link, of which a run holds none" if entry.is_symlink() else "no file, no folder"
    except OSError as error:
        yield folder.rstrip("/") or ".", 0, f"cannot be listed: {error.strerror}"
