"""Image files by relative name, in a folder or in a zip archive that is never unpacked to disk."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import posixpath
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import IO, Protocol

from gen.data.contents import fingerprint
from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.image_io.find import SUFFIXES, Found, ignored_line, is_hidden, names_in

# Beside them lie the folders whose names they use.
_LISTS = ("dataset.json", "metadata.jsonl", "metadata.csv")
_LARGEST = 2**28  # bytes of one file in an archive
_FREE, _RATIO = 2**26, 100  # bytes that any file may unfold to; a larger one this many times its packed size
_MOST = 2**30  # bytes that a small archive may hold in all; a large one 100 times its own size


class BadMember(ValueError):
    """A member of an archive cannot be read; the text says why."""


class Files(Protocol):
    """The image files below a folder or in an archive; `open_files` makes one."""

    names: list[str]  # of image files, relative, with slashes, sorted
    ignored: dict[str, int]  # how many other files there are, by suffix or reason

    def open(self, name: str) -> Path | IO[bytes]:
        """Opens a file for an image reader. Raises BadMember."""

    def beside(self, name: str) -> bytes | None:
        """Reads a small file of this name among the images, or beside the folder or archive; None without one."""

    def others(self) -> list[str]:
        """Lists the other files in the folders of the images and above, sorted; hidden ones apart."""

    def text(self, name: str) -> bytes:
        """Reads one of `others`. Raises InputError."""

    def fingerprint(self, names: Sequence[str]) -> str:
        """Computes the sha256 of these names and of the contents of the files."""


def open_files(path: str | os.PathLike[str], source: str) -> Files:
    """Finds the image files below a folder or in a zip archive. Raises InputError, which names the `source`."""
    if not os.fspath(path):
        raise InputError(f"{source}: path is empty: name a folder of images, or a zip of one")
    place = expand(path)
    if place.is_dir():
        files: Files = _Folder(place)
    elif place.exists():
        files = Zip(place, source)
    else:
        beside = os.listdir(place.parent) if place.parent.is_dir() else []
        meant = nearest(place.name, beside) or "; name a folder of images, or a zip of one, by --config.data.path"
        raise InputError(f"{source}: {printable(place)} does not exist{meant}")
    if not files.names:
        why = ignored_line(Found([], files.ignored)) or "it is empty"
        raise InputError(f"{source}: {printable(place)}: {why}; an image ends in {' '.join(SUFFIXES)}")
    return files


class _Folder:
    def __init__(self, root: Path) -> None:
        self._root = root
        self.names, self.ignored = names_in(root)

    def open(self, name: str) -> Path:
        return self._root / name

    def beside(self, name: str) -> bytes | None:
        inside = [self._root / name, *(self._root / part / name for part in {Path(n).parts[0] for n in self.names[:1]})]
        return _small([*inside, *_outside(self._root, name)])

    def others(self) -> list[str]:
        folders = {parent for name in self.names for parent in _parents(name)}
        images = set(self.names)
        found = list[str]()
        for folder in sorted(folders):
            with contextlib.suppress(OSError), os.scandir(self._root / folder) as entries:
                found += [posixpath.join(folder, e.name) for e in entries if not is_hidden(e.name) and e.is_file()]
        return sorted(name for name in found if name not in images)

    def text(self, name: str) -> bytes:
        path = self._root / name
        try:
            if path.stat().st_size > _LARGEST:
                raise InputError(f"{printable(path)} has more than {_LARGEST:,} bytes")
            return path.read_bytes()
        except OSError as error:
            raise InputError(f"{printable(path)} cannot be read ({error.strerror})") from None

    def fingerprint(self, names: Sequence[str]) -> str:
        return fingerprint(self._root, names)


class Zip:
    """A zip archive; what its members are called never becomes a path on this disk."""

    def __init__(self, file: Path, source: str) -> None:
        """Reads the list of members. Raises InputError, which names the `source`, for a file that is no zip archive."""
        self._file = file
        try:
            if not file.is_file():
                raise ValueError("no regular file")
            self._archive = zipfile.ZipFile(file)
        except (OSError, ValueError, zipfile.BadZipFile) as error:
            why = "is a file, neither a folder of images nor a zip of one"
            raise InputError(f"{source}: {printable(file)} {why}: {printable(error)}") from None
        self._members = {
            i.filename: i for i in self._archive.infolist() if not i.is_dir() and not _passed_over(i.filename)
        }
        size, most = sum(i.file_size for i in self._members.values()), max(_MOST, 100 * file.stat().st_size)
        if size > most:
            raise InputError(
                f"{source}: {printable(file)} says that it holds {size:,} bytes; at most {most:,} are read"
            )
        images = [name for name in self._members if name.lower().endswith(SUFFIXES)]
        lists = [name for name in self._members if posixpath.basename(name) in _LISTS]
        self._top = _shared_folder([*images, *lists])
        self.names = sorted(name.removeprefix(self._top) for name in images)
        others = [posixpath.splitext(name)[1].lower() for name in self._members.keys() - {*images, *lists}]
        self.ignored = {
            printable(suffix, longest=20) or "without a suffix": others.count(suffix) for suffix in set(others)
        }

    def open(self, name: str) -> IO[bytes]:
        return io.BytesIO(self._read(self._top + name))

    def beside(self, name: str) -> bytes | None:
        inside = next((member for member in sorted(self._members) if posixpath.basename(member) == name), None)
        return self._list(inside) if inside else _small(_outside(self._file, name))

    def read(self, name: str) -> bytes | None:
        """Reads a member; None without one. Raises InputError when it cannot be read."""
        return self._list(self._top + name) if self._top + name in self._members else None

    def others(self) -> list[str]:
        inside = (name.removeprefix(self._top) for name in self._members if name.startswith(self._top))
        return sorted(set(inside) - set(self.names))

    def text(self, name: str) -> bytes:
        return self._list(self._top + name)

    def _list(self, name: str) -> bytes:
        try:
            return self._read(name)
        except BadMember as error:
            raise InputError(f"{printable(self._file)}: {printable(name)} {error}") from None

    def fingerprint(self, names: Sequence[str]) -> str:
        """Digests the checksums that the archive keeps of its members; they are verified at reading."""
        found = [(name, self._members[self._top + name]) for name in names]
        listed = [(name, member.CRC, member.file_size) for name, member in found]
        return hashlib.sha256(repr([self._file.stat().st_size, listed]).encode()).hexdigest()

    def _read(self, name: str) -> bytes:
        member = self._members[name]
        if member.file_size > _LARGEST:
            raise BadMember(f"has {member.file_size:,} bytes; at most {_LARGEST:,} are read")
        if member.file_size > max(_FREE, _RATIO * member.compress_size):
            raise BadMember(f"unfolds {member.compress_size:,} bytes to {member.file_size:,}, as no image does")
        try:
            with self._archive.open(member) as stream:
                return stream.read(member.file_size)  # `read()` unfolds all that is there, whatever is declared
        except (
            RuntimeError,
            NotImplementedError,
            zipfile.BadZipFile,
            zlib.error,
            EOFError,
            OSError,
            ValueError,
        ) as error:
            raise BadMember(printable(error)) from None  # encrypted, packed in a way of its own, damaged


def _parents(name: str) -> list[str]:
    """Returns the folders above a name, up to the root, ""."""
    parts = name.split("/")[:-1]
    return ["/".join(parts[:count]) for count in range(len(parts) + 1)]


def _shared_folder(names: list[str]) -> str:
    """Returns the folder that holds all names, as "a/b/", or "": an archive of one folder is read as that folder."""
    folders = {posixpath.dirname(name) for name in names}
    shared = (
        posixpath.commonpath(folders) if "" not in folders and len({f.startswith("/") for f in folders}) == 1 else ""
    )
    return f"{shared}/" if shared and all(name.startswith(f"{shared}/") for name in names) else ""


def _passed_over(name: str) -> bool:
    return any(is_hidden(part) for part in name.split("/") if part != "..")


def _outside(place: Path, name: str) -> list[Path]:
    """Lists where a file may lie beside a folder or archive: as downloaded, or in the folders of the original."""
    parent = place.resolve().parent
    return [parent / name, parent / "Anno" / name, parent / "Eval" / name]


def _small(places: list[Path]) -> bytes | None:
    for place in places:
        if place.is_file() and place.stat().st_size <= _LARGEST:
            return place.read_bytes()
    return None
