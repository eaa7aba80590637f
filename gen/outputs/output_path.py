"""Parsers of --out and --format: a folder or one file, and in which format."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from gen.errors import InputError
from gen.outputs import encoding


class OutputPath(NamedTuple):
    """Where images go: to `file`, or with names of their own into `folder`; in which format."""

    folder: Path
    file: Path | None
    format: str

    @property
    def suffix(self) -> str:
        return encoding.suffix(self.format)

    @property
    def refinement(self) -> Path:
        """The page that shows the images before and after refinement."""
        return self.folder / (f"{self.file.stem}-refinement.html" if self.file else "refinement.html")


def parse_output(out: str | Path, format: str | None, animated: bool) -> OutputPath:
    """Parses --out and --format. Raises InputError when they do not fit each other or what is made."""
    path, allowed = Path(out), encoding.ANIMATIONS if animated else encoding.STILLS
    by_suffix = encoding.FORMATS.get(path.suffix.lower())
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
    return OutputPath(path.parent, path, chosen) if by_suffix else OutputPath(path, None, chosen)


def parse_target(out: str | Path, suffixes: Sequence[str], what: str) -> Path:
    """Parses --out of a command, `what`, that writes files of these suffixes; "" is a folder. Raises InputError."""
    path = Path(out)
    if path.suffix.lower() not in suffixes:
        allowed = " or ".join(f"a {suffix} file" if suffix else "a folder" for suffix in suffixes)
        raise InputError(f"--out={path}: {what} cannot write that; allowed: {allowed}")
    check_writable(path.parent if path.suffix else path)
    return path


def check_writable(folder: Path, flag: str = "--out") -> None:
    """Raises InputError, naming the flag, unless files can be written into a folder, made with the first one."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not existing.is_dir():
        raise InputError(f"{flag}: cannot make the folder {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"{flag}: the folder {existing} cannot be written to")
