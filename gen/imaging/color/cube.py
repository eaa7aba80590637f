"""Look-up tables of colors as .cube files.

A file is somebody else's: it is read up to a size, and no message repeats what is in it.
"""

from __future__ import annotations

import array
import hashlib
import io
import os
from collections.abc import Iterator

import numpy as np

from gen import files
from gen.errors import InputError
from gen.imaging.color.lut import Lut, Triple

# Keywords of a .cube file that stand before numbers, and how many of them.
_SIZES = {"LUT_1D_SIZE": (1, 2, 65536), "LUT_3D_SIZE": (3, 2, 256)}
_NUMBERS = {"DOMAIN_MIN": 3, "DOMAIN_MAX": 3, "LUT_1D_INPUT_RANGE": 2, "LUT_3D_INPUT_RANGE": 2}
_KEYWORDS = ("TITLE", *_SIZES, *_NUMBERS)
_MOST_BYTES, _LONGEST_LINE = 64 << 20, 1000  # 129^3 rows of 30 characters
_LARGEST = 1e6  # of the numbers: differences of larger ones overflow a float32
_LEAST_DOMAIN = 1e-6


def read_cube(path: str | os.PathLike[str], *, sha256: str | None = None) -> Lut:
    """Reads a .cube file (Adobe "Cube LUT Specification" 1.0, and the input ranges of DaVinci Resolve).

    One table a file, of one or three dimensions, of float32 up to 1e6; a regular file of at most 64 MiB. sha256: of
    the content that it must have; None: any. Raises InputError with the file and the line otherwise.
    """
    content = _content(path)
    if sha256 is not None and hashlib.sha256(content).hexdigest() != sha256:
        raise InputError(f"{files.printable(path)}: another file than the expected one: its sha256 differs")
    return _parse(files.printable(path), content)


def cube_digest(path: str | os.PathLike[str]) -> str:
    """Computes the sha256 of what `read_cube` reads."""
    return hashlib.sha256(_content(path)).hexdigest()


def _content(path: str | os.PathLike[str]) -> bytes:
    try:
        return files.read_regular(files.expand(path), most=_MOST_BYTES)
    except OSError as error:
        raise InputError(f"{files.printable(path)}: cannot be read: {error.strerror}") from None


def _lines(file: str, content: bytes) -> Iterator[tuple[str, list[str]]]:
    """Yields the place, for messages, and the words of each line that is neither empty nor a comment."""
    text = io.TextIOWrapper(io.BytesIO(content), encoding="utf-8-sig")
    number = 0
    try:
        while line := text.readline(_LONGEST_LINE + 1):
            number += 1
            if len(line) > _LONGEST_LINE:
                raise InputError(f"{file}, line {number}: too long; allowed: {_LONGEST_LINE} characters")
            if (words := line.split()) and not words[0].startswith("#"):
                yield f"{file}, line {number}", words
    except UnicodeDecodeError:
        raise InputError(f"{file}: not a text file; allowed: a .cube file") from None


def _finite(place: str, words: list[str], count: int) -> list[float]:
    """`count` finite numbers."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = []
    if len(numbers) != count or not all(abs(number) <= _LARGEST for number in numbers):
        raise InputError(f"{place}: allowed: {count} finite numbers, up to {_LARGEST:g}")
    return numbers


def _parse(file: str, content: bytes) -> Lut:
    known: dict[str, list[float]] = {}
    rows = array.array("f")
    title, dimensions, size, last = "", 0, 0, file
    for place, words in _lines(file, content):
        keyword, last = words[0], place
        if keyword[0] in "+-.0123456789":
            if not size:
                raise InputError(f"{place}: numbers before the size; allowed: {' or '.join(_SIZES)} first")
            rows.extend(_finite(place, words, 3))
            if len(rows) > 3 * size**dimensions:
                raise InputError(f"{place}: one row too many; allowed: the {size**dimensions} of its size")
            continue
        if keyword not in _KEYWORDS:
            raise InputError(f"{place}: neither three numbers nor a keyword; allowed: {', '.join(_KEYWORDS)}")
        if rows or keyword in known or (keyword in _SIZES and size):
            why = "after the table" if rows else "a second time" if keyword in known else "after another size"
            raise InputError(f"{place}: {keyword} {why}; allowed: one table, and its keywords once, before its rows")
        if keyword == "TITLE":
            title, known[keyword] = " ".join(words[1:]).strip('"'), []
        elif keyword in _SIZES:
            dimensions, least, most = _SIZES[keyword]
            (number,) = known[keyword] = _finite(place, words[1:], 1)
            if number != int(number) or not least <= number <= most:
                raise InputError(f"{place}: {keyword}; allowed: an integer from {least} to {most}")
            size = int(number)
        else:
            known[keyword] = _finite(place, words[1:], _NUMBERS[keyword])
    if len(rows) != 3 * size**dimensions or not size:
        missing = f"{len(rows) // 3} rows; allowed: {size**dimensions}" if size else f"no {' or '.join(_SIZES)}"
        raise InputError(f"{last}: the file ends with {missing}")
    between = known.get(f"LUT_{dimensions}D_INPUT_RANGE", [0.0, 1.0])
    low, high = known.get("DOMAIN_MIN", between[:1] * 3), known.get("DOMAIN_MAX", between[1:] * 3)
    if any(b - a < _LEAST_DOMAIN for a, b in zip(low, high, strict=True)):
        raise InputError(f"{file}: its domain is empty; allowed: each maximum above its minimum")
    table = np.array(rows, np.float32).reshape(*(size,) * dimensions, 3)
    if dimensions == 3:
        table = table.transpose(2, 1, 0, 3)  # in the file red changes fastest
    return Lut(np.ascontiguousarray(table), (low[0], low[1], low[2]), (high[0], high[1], high[2]), title)


def write_cube(lut: Lut, path: str | os.PathLike[str]) -> None:
    """Writes a .cube file from which read_cube gets the same Lut, to the last digit of its float32 table."""
    table = np.asarray(lut.table, np.float32)
    sizes = table.shape[:-1]
    dimensions, least, most = _SIZES.get(f"LUT_{len(sizes)}D_SIZE", (0, 0, 0))
    if table.shape[-1:] != (3,) or not dimensions or len(set(sizes)) > 1 or not least <= sizes[0] <= most:
        raise InputError(f"write_cube: table has shape {list(table.shape)}; allowed: [n 3] or [n n n 3] with 2 <= n")
    if not np.isfinite(table).all():
        raise InputError(f"write_cube: table has {(~np.isfinite(table)).sum()} values that are NaN or infinite")

    def row(values: np.ndarray | Triple) -> str:
        return " ".join(np.format_float_positional(np.float32(value), trim="0") for value in values)

    head = [f'TITLE "{lut.title}"'] if lut.title else []
    head += [f"LUT_{dimensions}D_SIZE {sizes[0]}", f"DOMAIN_MIN {row(lut.low)}", f"DOMAIN_MAX {row(lut.high)}"]
    rows = table if dimensions == 1 else table.transpose(2, 1, 0, 3).reshape(-1, 3)
    files.atomic_write(files.expand(path), "\n".join([*head, *map(row, rows)]) + "\n")
