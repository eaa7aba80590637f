"""Captions beside image files: metadata.jsonl or metadata.csv as of Hugging Face's ImageFolder, else NAME.txt.

A line of metadata names a file, relative to where the metadata lie, and has its caption, or a list of them; several
lines of one file add up. Each line of NAME.txt (or NAME.caption) is a caption of the image NAME.
"""

from __future__ import annotations

import csv
import io
import json
import posixpath
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gen.data.captions import shortened
from gen.errors import InputError, nearest
from gen.files import printable

COLUMNS = ("text", "caption", "prompt")  # one of which holds the captions, if nothing else is said
METADATA = ("metadata.jsonl", "metadata.csv")
SIDECARS = (".txt", ".caption")
_NAME = "file_name"


class CaptionFiles(NamedTuple):
    """What the files say; nothing where there are none, or only texts that lie beside no image."""

    captions: dict[str, list[bytes]]  # by name of the image file, as gen.data.captions keeps them
    uncaptioned: list[str]  # image files without one, in order
    unmatched: list[str]  # what captions name, without such a file; metadata of which nothing is a caption, and why
    files: Counter[str]  # that were read, by suffix


def read_captions(
    root: Path, names: Sequence[str], listing: Sequence[str], read: Callable[[str], bytes], *, column: str | None
) -> CaptionFiles:
    """Reads the captions of the image files `names`. listing: the other files, relative to `root` too.

    column: of the metadata; "auto": one of COLUMNS; None: captions are not read. Raises InputError for metadata that
    cannot be read, and for a column that is not there.
    """
    if column is None:
        return CaptionFiles({}, [], [], Counter())
    tables = [name for name in listing if posixpath.basename(name) in METADATA]
    rows = [row for name in tables for row in _rows(root, name, read(name))]
    texts = _of_rows(root, tables, rows, column)
    unused = [] if texts else [f"{name}: no {', '.join(COLUMNS[:-1])} or {COLUMNS[-1]}" for name in tables]
    if not texts:
        if column != "auto" and not tables:
            raise InputError(
                f"folder: caption={column}: there is no metadata.jsonl or metadata.csv in {printable(root)}"
            )
        texts = _of_sidecars(root, names, listing, read)
        tables += [name for name in listing if name.endswith(SIDECARS)] if texts else []
    known = {_composed(name): name for name in names}
    found = {known[name]: kept for name, given in texts.items() if name in known and (kept := shortened(given))}
    uncaptioned = [name for name in names if name not in found] if texts else []
    unmatched = unused + sorted(name for name in texts if name not in known)
    return CaptionFiles(found, uncaptioned, unmatched, Counter(posixpath.splitext(name)[1] for name in tables))


class _Row(NamedTuple):
    """A line of a table."""

    place: str  # for errors
    folder: str  # that file names are relative to
    values: dict[str, Any]


def _rows(root: Path, name: str, data: bytes) -> Iterator[_Row]:
    file, folder = printable(root / name), posixpath.dirname(name)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"folder: {file} is not UTF-8 ({error.reason} at byte {error.start:,})") from None
    if name.endswith(".csv"):
        reader = csv.DictReader(io.StringIO(text, newline=""))
        try:
            for values in reader:
                yield _checked(_Row(f"{file}: line {reader.line_num}", folder, {k: v for k, v in values.items() if k}))
        except csv.Error as error:
            raise InputError(f"folder: {file}: line {reader.line_num}: {printable(error)}") from None
        return
    for number, line in enumerate(text.split("\n"), 1):
        if not line.strip():
            continue
        place = f"{file}: line {number}"
        try:
            values = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InputError(f"folder: {place} is not JSON ({printable(error, longest=100)})") from None
        if not isinstance(values, dict):
            raise InputError(f'folder: {place} must be an object, such as {{"file_name": "a.png", "text": "..."}}')
        yield _checked(_Row(place, folder, values))


def _checked(row: _Row) -> _Row:
    if not isinstance(row.values.get(_NAME), str) or not row.values[_NAME]:
        meant = nearest(_NAME, map(str, row.values))
        raise InputError(f"folder: {row.place} has no '{_NAME}'{meant}; --config.data.caption=None leaves captions out")
    return row


def _of_rows(root: Path, tables: Sequence[str], rows: Sequence[_Row], column: str) -> dict[str, list[str]]:
    """Returns the captions by file name; {} without a column of them."""
    columns = dict.fromkeys(key for row in rows for key in row.values if key != _NAME)
    if column == "auto":
        column = next((name for name in COLUMNS if name in columns), "")
    elif tables and column not in columns:
        there = ", ".join(map(str, columns)) or "none"
        raise InputError(
            f"folder: caption={column}: {printable(root / tables[0])} has no such column"
            f"{nearest(column, map(str, columns))}; it has: {there}"
        )
    found = defaultdict[str, list[str]](list)
    for row in rows if column else ():
        value = row.values.get(column)
        texts = [value] if isinstance(value, str) or value is None else value
        if not isinstance(texts, list) or not all(isinstance(text, str | None) for text in texts):
            raise InputError(f"folder: {row.place}: '{column}' must be a text, or a list of texts")
        name = posixpath.normpath(posixpath.join(row.folder, row.values[_NAME].replace("\\", "/")))
        found[_composed(name)] += [text for text in texts if text]
    return dict(found)


def _of_sidecars(
    root: Path, names: Iterable[str], listing: Sequence[str], read: Callable[[str], bytes]
) -> dict[str, list[str]]:
    """Returns the lines of the texts beside images by file name, or by their own where there is no such image."""
    images = defaultdict[str, list[str]](list)
    for name in names:
        images[posixpath.splitext(_composed(name))[0]].append(_composed(name))
    sidecars = {name: images.get(posixpath.splitext(_composed(name))[0]) for name in listing if name.endswith(SIDECARS)}
    if not any(sidecars.values()):
        return {}
    found = dict[str, list[str]]()
    for sidecar, beside in sidecars.items():
        try:
            lines = read(sidecar).decode("utf-8-sig").splitlines() if beside else []
        except UnicodeDecodeError as error:
            raise InputError(f"folder: {printable(root / sidecar)} is not UTF-8 (at byte {error.start:,})") from None
        for name in beside or [sidecar]:
            found.setdefault(name, []).extend(lines)
    return found


def _composed(name: str) -> str:
    return name if name.isascii() else unicodedata.normalize("NFC", name)
