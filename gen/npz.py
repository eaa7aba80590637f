"""Arrays out of .npz files that others made: what a file declares is checked before anything of it is read."""

from __future__ import annotations

import contextlib
import math
import os
import unicodedata
import warnings
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import BinaryIO

import numpy as np

from gen.errors import InputError
from gen.files import printable

_MOST, _RATIO = 2**28, 100  # bytes that any file may hold in all; a larger one this many times its own size
_MEMBERS, _HEADER = 100_000, 2**14  # arrays; bytes of the header of one, of which NumPy reads 10,000
_KINDS = "biufSU"  # truth, numbers and texts: no objects, records, dates

File = str | os.PathLike[str] | BinaryIO


def read_npz(file: File, names: Sequence[str] | None = None) -> dict[str, np.ndarray]:
    """Those of the arrays `names` that an .npz file holds; None: all. Numbers come in the byte order of this machine.

    Plain and deflated members, as NumPy writes them. Raises InputError, in one line without the name of the file: for
    what is no .npz file or damaged, for pickled objects and records, and for more bytes than the file can hold.
    """
    with _opened(file) as archive:
        members = _members(archive)
        wanted = {name: members[name] for name in (members if names is None else names) if name in members}
        _check_sizes(archive, list(wanted.values()))
        return {name: _read(archive, member, name) for name, member in wanted.items()}


def npz_names(file: File) -> list[str]:
    """What the arrays in an .npz file are called. Raises InputError."""
    with _opened(file) as archive:
        return [printable(name, longest=100) for name in _members(archive)]


def texts(array: np.ndarray, what: str) -> tuple[str, ...]:
    """The texts (str or UTF-8 bytes) or whole numbers in an array [n], each of which can be printed.

    Raises InputError, naming `what`, for anything else and for a text that is there twice.
    """
    if array.ndim != 1 or array.dtype.kind not in "SUiu":
        raise InputError(f"{what} is {array.dtype} {list(array.shape)}; it must be [n] texts")
    try:
        found = tuple(unicodedata.normalize("NFC", printable(item)) for item in array.tolist())
    except (ValueError, SystemError):  # NumPy's texts can hold numbers that are no characters
        raise InputError(f"{what} holds what is no text") from None
    if len(set(found)) != len(found):
        twice = next(text for text in found if found.count(text) > 1)
        raise InputError(f"{what} holds {twice!r} twice")
    return found


@contextlib.contextmanager
def _opened(file: File) -> Iterator[zipfile.ZipFile]:
    try:
        with contextlib.ExitStack() as stack:
            stack.enter_context(warnings.catch_warnings())
            warnings.simplefilter("ignore")  # NumPy's remarks about files of Python 2
            if isinstance(file, str | os.PathLike):
                if not Path(file).is_file():
                    raise InputError("no such file" if not Path(file).exists() else "not a regular file")
                file = stack.enter_context(open(file, "rb"))
            start = file.read(6)
            file.seek(0)
            if start == b"\x93NUMPY":
                raise InputError("a single .npy array; save arrays with their names by numpy.savez")
            yield stack.enter_context(zipfile.ZipFile(file))
    except InputError:
        raise
    except MemoryError:
        raise InputError("its arrays do not fit into the memory of this machine") from None
    except OSError as error:
        raise InputError(error.strerror or printable(error)) from None
    except Exception as error:  # zipfile, zlib and NumPy have a dozen for bytes that nobody wrote
        raise InputError(f"a damaged file: {printable(error) or type(error).__name__}") from None


def _members(archive: zipfile.ZipFile) -> dict[str, zipfile.ZipInfo]:
    members = archive.infolist()
    if len(members) > _MEMBERS:
        raise InputError(f"a zip file of {len(members):,} files; an .npz file of at most {_MEMBERS:,} arrays is read")
    found = {}
    for member in members:
        name = member.filename.removesuffix(".npy")
        if name == member.filename:
            raise InputError(f"a zip file with {printable(name, longest=100)}, which is no array")
        if name in found:
            raise InputError(f"it holds {printable(name, longest=100)} twice")
        found[name] = member
    return found


def _check_sizes(archive: zipfile.ZipFile, members: list[zipfile.ZipInfo]) -> None:
    """Compares what members declare with the size of the file, before any is unpacked."""
    stream = archive.fp
    assert stream is not None
    there = stream.seek(0, os.SEEK_END)
    for member in members:
        name = printable(member.filename, longest=100)
        if member.flag_bits & 1:
            raise InputError(f"{name} is encrypted")
        if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
            raise InputError(f"{name} is compressed in a way that NumPy does not use")
    packed, size = sum(m.compress_size for m in members), sum(m.file_size for m in members)
    most = max(_MOST, _RATIO * there)
    if packed > there:
        raise InputError(f"a damaged file: it declares {packed:,} packed bytes, and has {there:,}")
    if size > most:
        raise InputError(
            f"it declares {size:,} bytes and has {there:,}; at most {most:,} are unpacked (numpy.savez packs nothing)"
        )


def _read(archive: zipfile.ZipFile, member: zipfile.ZipInfo, name: str) -> np.ndarray:
    name = printable(name, longest=100)
    with archive.open(member) as stream:
        version = np.lib.format.read_magic(stream)
        start = stream.tell()
        length = int.from_bytes(stream.read(2 if version == (1, 0) else 4), "little")  # all of it NumPy would read
        stream.seek(start)
        if length > _HEADER:
            raise InputError(f"a damaged file: {name} declares a header of {length:,} bytes")
        header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, _, dtype = header(stream)
        if dtype.kind not in _KINDS:
            what = "pickled objects" if dtype.hasobject else f"of type {printable(dtype, longest=60)}"
            raise InputError(f"{name} is {what}; only plain numbers and texts are read")
        count, there = math.prod(list[int](shape)), member.file_size - stream.tell()
        size = count * dtype.itemsize
        if min(shape, default=0) < 0 or size > there or (count and not dtype.itemsize):
            raise InputError(f"a damaged file: {name} declares {size:,} bytes and has {there:,}")
    with archive.open(member) as stream:
        array = np.lib.format.read_array(stream, allow_pickle=False)
        while stream.read(2**20):  # to the end, where the checksum is compared
            pass
    return array.astype(array.dtype.newbyteorder("="), copy=False)
