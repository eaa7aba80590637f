"""Writes a folder of files whole or not at all, and never over what is not of gen.

A new folder is filled under a temporary name beside it and renamed. In one that is there, the new files first go into a
temporary folder in it; when all are on the disk, they take their places one after the other, and those that the new
content lacks go.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
from collections.abc import Iterable, Mapping
from pathlib import Path

from gen.errors import InputError
from gen.files import printable
from gen.outputs import manifest


def check(folder: Path, names: Iterable[str]) -> None:
    """Raises InputError unless `folder` may get files of these names."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise InputError(f"{printable(folder)} is a file; name a folder")
    manifest.check([folder / name for name in names], what=f"cannot export to {printable(folder)}")


def write(folder: Path, content: Mapping[str, bytes], *, known: Iterable[str]) -> None:
    """Writes files by name. known: the names of all files that may be there from an earlier time.

    Raises InputError for what is in the way, and for what the system refuses.
    """
    check(folder, {*content, *known})
    folder = folder.absolute()
    parent = folder if folder.exists() else folder.parent
    partial = parent / f".{folder.name[:100]}.{secrets.token_hex(6)}.partial"
    try:
        for name, file in content.items():
            manifest.write(partial / name, file)
        if not folder.exists():
            partial.rename(folder)
        else:
            _replace(folder, partial, content, known)
    except OSError as error:
        raise InputError(f"cannot write {printable(folder)}: {error.strerror or error}") from None
    finally:
        if partial.exists():
            shutil.rmtree(partial, ignore_errors=True)


def _replace(folder: Path, partial: Path, content: Mapping[str, bytes], known: Iterable[str]) -> None:
    for name, file in content.items():
        manifest.enter(folder / name, file)
    for name in content:
        os.replace(partial / name, folder / name)
    for name in {*known} - {*content}:
        with contextlib.suppress(FileNotFoundError):
            (folder / name).unlink()
