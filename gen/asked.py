"""What flags ask for as text: seeds, classes, where to write. Imports no jax."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from gen import pictures
from gen.errors import InputError, nearest
from gen.files import printable

_SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}
_MAX_SEEDS = 1_000_000


class Target(NamedTuple):
    """Where images go: to `file`, or with names of their own into `folder`; in which format."""

    folder: Path
    file: Path | None
    format: str

    @property
    def suffix(self) -> str:
        return pictures.suffix(self.format)

    @property
    def refinement(self) -> Path:
        """The page that shows the images before and after refinement."""
        return self.folder / (f"{self.file.stem}-refinement.html" if self.file else "refinement.html")


def parse_seeds(text: str, *, repeated: bool = False) -> list[int]:
    """The seeds in "5", "0-63" (both ends included), "3,7,11" or "0-3,9", in that order. repeated: one may come again.

    Raises InputError.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if not found:
            raise InputError(f"--seeds={text}: '{part}' is not a seed; allowed: 5, or 0-63, or 3,7,11")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise InputError(f"--seeds={text}: {first} is larger than {last}")
        if last >= 2**32:
            raise InputError(f"--seeds={text}: {last} is too large; the largest seed is {2**32 - 1}")
        if len(seeds) + last - first >= _MAX_SEEDS:
            raise InputError(f"--seeds={text}: more than {_MAX_SEEDS:,} seeds; make them in several parts")
        seeds.extend(range(first, last + 1))
    if not repeated and (again := _first_repeated(seeds)) is not None:
        raise InputError(f"--seeds={text}: seed {again} is named twice, and would make the same image; name each once")
    return seeds


def _first_repeated(values: Sequence[int]) -> int | None:
    seen = set[int]()
    return next((value for value in values if value in seen or seen.add(value)), None)  # type: ignore[func-returns-value]


def parse_labels(text: str | None, class_names: Sequence[str]) -> list[int] | None:
    """Class numbers for a name, a number, several with commas, or "all"; None when `text` is. Raises InputError."""
    if text is None:
        return None
    if not class_names:
        raise InputError(f"--label={text}: this model was learned without classes; leave --label out")
    names, text = list(map(printable, class_names)), printable(text)
    lowered = [name.lower() for name in names]
    if text.lower() == "all":
        return list(range(len(class_names)))
    labels = []
    for part in [text] if text.lower() in lowered else text.split(","):  # a name may hold a comma
        name = part.strip().lower()
        if part.strip() in names:
            labels.append(names.index(part.strip()))
        elif name in lowered:
            labels.append(lowered.index(name))
        elif name.isdecimal() and int(name) < len(class_names):
            labels.append(int(name))
        else:
            known = ", ".join(names[:20]) + (", ..." if len(class_names) > 20 else "")
            meant = nearest(name, lowered)
            raise InputError(
                f"--label={text}: no class '{part.strip()}'{meant}; allowed: all, 0-{len(lowered) - 1}, {known}"
            )
    if (again := _first_repeated(labels)) is not None:
        raise InputError(f"--label={text}: class '{names[again]}' is named twice; name each once")
    return labels


def where(out: str | None, format: str | None, animated: bool) -> Target:
    """Where to write, from --out and --format. Raises InputError when they do not fit each other or what is made."""
    if not out:
        raise InputError("--out is missing: a folder for the images, or a file for a grid of them")
    path, allowed = Path(out), pictures.ANIMATIONS if animated else pictures.STILLS
    by_suffix = _SUFFIXES.get(path.suffix.lower())
    if by_suffix is None and path.suffix.lower() in Image.registered_extensions():
        raise InputError(
            f"--out={out}: cannot write {path.suffix}; allowed: a folder, or a file in {' or '.join(allowed)}"
        )
    if by_suffix and format and by_suffix != format:
        raise InputError(f"--out={out} and --format={format} contradict each other; leave one out")
    chosen = by_suffix or format or allowed[0]
    if chosen not in allowed:
        what = "an animation" if animated else "a still image (--interpolate makes animations)"
        raise InputError(f"cannot write {what} as {chosen}; allowed: {' or '.join(allowed)}")
    return Target(path.parent, path, chosen) if by_suffix else Target(path, None, chosen)


def check_writable(folder: Path, flag: str = "--out") -> None:
    """Raises InputError, naming the flag, unless files can be written into a folder, made with the first one."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not existing.is_dir():
        raise InputError(f"{flag}: cannot make the folder {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{flag}: the folder {existing} cannot be written to")
