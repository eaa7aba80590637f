"""Finds image files by the names of files and folders."""

from __future__ import annotations

import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.image_io.open import FORMATS

_OF_FORMAT = {
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif", ".mpo"),
    "PNG": (".png", ".apng"),
    "WEBP": (".webp",),
    "BMP": (".bmp", ".dib"),
    "GIF": (".gif",),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm"),
    "AVIF": (".avif",),
    "JPEG2000": (".jp2", ".j2k", ".j2c", ".jpc", ".jpx", ".jpf"),
}
SUFFIXES: tuple[str, ...] = tuple(suffix for name in FORMATS for suffix in _OF_FORMAT[name])
_SYSTEM_NAMES = {"@eadir", "__macosx", "#recycle", "$recycle.bin", "system volume information", "lost+found"}
_SYSTEM_FILES = {"thumbs.db", "desktop.ini", "ehthumbs.db"}
_MOST_SAID = 5  # suffixes in a line


class Found(NamedTuple):
    """Image files, and what was passed over beside them."""

    files: list[Path]
    ignored: dict[str, int]  # how many, by suffix (".avif") or reason ("unreadable folder NAME")


def find_images(inputs: Iterable[str | os.PathLike[str]]) -> Found:
    """Finds the files that `inputs`, files and folders, name; folders with their subfolders, in order of names.

    A file named by itself is taken whatever its name. In folders, files count that end in one of SUFFIXES. Linked
    subfolders are followed, each folder once. Passed over without a word are names with a dot in front and what
    systems put into folders; whatever else is passed over is counted. Raises InputError when there is no image.
    """
    found, ignored = list[Path](), Counter[str]()
    for text in inputs:
        if not os.fspath(text).strip():  # of a variable of a shell that is not set; for pathlib the current folder
            raise InputError("the name of a file or folder is empty")
        path = expand(text)
        if os.path.isdir(path):
            names, others = names_in(path)
            if not names:
                said = ignored_line(Found([], others)) or "it is empty"
                raise InputError(f"{printable(path)}: no image files in this folder; {said}")
            found += [path / name for name in names]
            ignored.update(others)
        elif not os.path.lexists(path):
            beside = os.listdir(path.parent) if os.path.isdir(path.parent) and len(path.name) <= 80 else []
            meant = nearest(path.name, beside)
            raise InputError(f"{printable(path)}: there is no such file or folder{meant}")
        elif not os.path.isfile(path):
            raise InputError(f"{printable(path)}: is neither a file nor a folder")
        else:
            found.append(path)
    return Found(found, dict(ignored))


def names_in(root: Path) -> tuple[list[str], dict[str, int]]:
    """Finds the image files of a folder with its subfolders: names in it, in order, and what was passed over."""
    names, ignored, start = list[str](), Counter[str](), len(os.path.join(root, ""))
    for entry in _walk(root, ignored):
        suffix = os.path.splitext(entry.name)[1].lower()
        if suffix not in SUFFIXES:
            ignored[printable(suffix, longest=20) or "without a suffix"] += 1
        elif not os.path.isfile(entry.path):  # entry.is_file() raises for links that lead to each other
            broken = entry.is_symlink() and not os.path.exists(entry.path)
            ignored["links that lead nowhere" if broken else "no regular files"] += 1
        else:
            names.append(entry.path[start:])
    return sorted(names, key=_order), dict(ignored)


def _order(name: str) -> tuple[str, str]:
    """Returns a key that sorts by names, however they are composed (é as one sign or two)."""
    composed = name if name.isascii() else unicodedata.normalize("NFC", name)
    return composed.replace("/", "\0"), name


def ignored_line(found: Found) -> str:
    """Returns what was passed over in one line, "30 files ignored: 30 .avif"; "" for nothing."""
    count = sum(found.ignored.values())
    if not count:
        return ""
    most = sorted(found.ignored.items(), key=lambda entry: (-entry[1], entry[0]))
    said = ", ".join(f"{number:,} {what}" for what, number in most[:_MOST_SAID])
    more = f", {sum(number for _, number in most[_MOST_SAID:]):,} others" if len(most) > _MOST_SAID else ""
    return f"{count:,} file{'' if count == 1 else 's'} ignored: {said}{more}"


def is_hidden(name: str) -> bool:
    """Returns whether a name begins with a dot, or is one that systems put into folders."""
    return name.startswith(".") or name.lower() in _SYSTEM_NAMES | _SYSTEM_FILES


def _walk(root: Path, ignored: Counter[str]) -> Iterator[os.DirEntry[str]]:
    """Yields all but folders below one; each folder once, by its own place, else by the first link to it."""
    pending, links, seen = [os.fspath(root)], list[str](), set[tuple[int, int]]()
    while pending or links:
        folder = pending.pop() if pending else links.pop(0)
        try:
            status = os.stat(folder)
            if (status.st_dev, status.st_ino) in seen:
                continue
            seen.add((status.st_dev, status.st_ino))
            with os.scandir(folder) as entries:
                visible = sorted((entry for entry in entries if not is_hidden(entry.name)), key=lambda e: e.name)
        except OSError as error:
            name = printable(os.path.relpath(folder, root), longest=80)
            ignored[f"folder that cannot be read ({name}: {error.strerror})"] += 1
            continue
        for entry in visible:
            if not os.path.isdir(entry.path) if entry.is_symlink() else not entry.is_dir():
                yield entry
            else:
                (links if entry.is_symlink() else pending).append(entry.path)
