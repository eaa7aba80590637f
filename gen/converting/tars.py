"""Webdataset tars: the members KEY.jpg, KEY.cls, KEY.txt and KEY.json of a tar are one sample.

KEY ends at the first dot of the file's name. A class is a whole number or a text in KEY.cls, else "label" or "cls" in
KEY.json; captions are the lines of KEY.txt, else "text", "caption" or "prompt" in KEY.json. Tars are read where they
are: one pass over the headers, then each member by its place.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gen.converting.listing import (
    Item,
    Listing,
    Picture,
    drawn_splits,
    identity_of,
    labeled_items,
    named_splits,
    refuse,
)
from gen.data.archive import BadMember
from gen.data.caption_files import COLUMNS
from gen.data.captions import shortened
from gen.files import printable
from gen.image_io import SUFFIXES

_LARGEST = 2**28  # bytes of a member
_SMALL = 2**20  # bytes of one that is no image
_TEXT, _JSON = 1, 2


class _Part(NamedTuple):
    offset: int
    size: int


@dataclass
class _Sample:
    image: _Part | None = None
    others: dict[str, _Part] = field(default_factory=dict)  # by suffix: cls, txt, json


@dataclass(frozen=True)
class _OfTars:
    """Reads the members of tars. place: number of the tar, offset, size, kind of caption (0: none), offset, size."""

    files: tuple[Path, ...]
    caption: str | None

    def __call__(self, item: Item) -> tuple[Picture, Sequence[bytes]]:
        number, offset, size, kind, *text = item.place
        with self.files[number].open("rb") as file:
            content = _content(file, _Part(offset, size), _LARGEST)
            if not kind:
                return content, ()
            data = _content(file, _Part(*text), _SMALL)
        try:
            texts = data.decode("utf-8-sig").splitlines() if kind == _TEXT else _of_json(_parsed(data), self.caption)
        except (UnicodeDecodeError, ValueError) as error:
            raise BadMember(f"its caption cannot be read ({printable(error, longest=100)})") from None
        return content, shortened(texts)


def of_tars(files: Sequence[Path], *, labeled: bool, caption: str | None, held_out: float) -> Listing:
    """Lists the samples of webdataset tars. Raises InputError for what is no plain tar, and where there is no image."""
    items, labels = list[Item](), list[int | str | None]()
    for number, file in enumerate(files):
        samples = {key: sample for key, sample in _samples(file).items() if sample.image}
        with file.open("rb") as opened:
            for key, sample in samples.items():
                place = (number, *sample.image, *_caption_of(sample, caption))  # type: ignore[misc]
                items.append(Item(f"{file.name}/{key}", "", 0, (), place))
                labels.append(_label(opened, sample) if labeled else None)
    if not items:
        refuse(files[0], f"no sample with an image; one ends in {' '.join(SUFFIXES)}")
    where = f"convert: {printable(files[0])}"
    kept, names, bare = labeled_items(items, labels, where) if any(x is not None for x in labels) else (items, (), [])
    drawn, named = drawn_splits([item.name for item in kept], held_out=held_out), named_splits(files)
    kept = [item._replace(split=named[item.place[0]] or split) for item, split in zip(kept, drawn, strict=True)]
    captioned = any(item.place[3] for item in kept)
    read = _OfTars(tuple(files), caption)
    return Listing("webdataset tars", kept, read, identity_of(files), names, captioned, bare)


def _samples(file: Path) -> dict[str, _Sample]:
    found = dict[str, _Sample]()
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                archive.members = []  # type: ignore[attr-defined]  # which it would keep, all of them
                if not member.isreg() or member.issparse():
                    continue
                folder, _, name = member.name.rpartition("/")
                base, _, suffix = name.partition(".")
                if not base:
                    continue
                sample, suffix = found.setdefault(f"{folder}/{base}" if folder else base, _Sample()), suffix.lower()
                part = _Part(member.offset_data, member.size)
                if f".{suffix}" in SUFFIXES:
                    sample.image = sample.image or part
                elif suffix in ("cls", "txt", "json"):
                    sample.others[suffix] = part
    except (tarfile.TarError, OSError, ValueError) as error:
        why = printable(error, longest=100)
        refuse(file, f"cannot be read as a tar that is not compressed ({why}); unpack a .tar.gz by gunzip first")
    return found


def _caption_of(sample: _Sample, caption: str | None) -> tuple[int, int, int]:
    if caption is None:
        return 0, 0, 0
    if "txt" in sample.others and caption == "auto":
        return _TEXT, *sample.others["txt"]
    return (_JSON, *sample.others["json"]) if "json" in sample.others else (0, 0, 0)


def _label(file: Any, sample: _Sample) -> int | str | None:
    """Returns the class that a sample names; None for none, or one that cannot be read."""
    try:
        if "cls" in sample.others:
            text = _content(file, sample.others["cls"], _SMALL).decode().strip()
            return text or None
        if "json" in sample.others:
            found = _parsed(_content(file, sample.others["json"], _SMALL))
            value = found.get("label", found.get("cls"))
            return value if isinstance(value, int | str) and not isinstance(value, bool) and value != "" else None
    except (BadMember, ValueError):
        pass
    return None


def _of_json(found: dict[str, Any], column: str | None) -> list[str]:
    names = COLUMNS if column == "auto" else (str(column),)
    value: Any = next((found[name] for name in names if found.get(name)), [])
    texts = value if isinstance(value, list) else [value]
    if not all(isinstance(text, str) for text in texts):
        raise ValueError("it must be a text, or a list of texts")
    return texts


def _parsed(content: bytes) -> dict[str, Any]:
    try:
        found = json.loads(content)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None
    if not isinstance(found, dict):
        raise ValueError("it is no object")
    return found


def _content(file: Any, part: _Part, most: int) -> bytes:
    if part.size > most:
        raise BadMember(f"has {part.size:,} bytes; at most {most:,} are read")
    content = os.pread(file.fileno(), part.size, part.offset)
    if len(content) < part.size:
        raise BadMember(f"is cut after {len(content):,} of {part.size:,} bytes")
    return content
