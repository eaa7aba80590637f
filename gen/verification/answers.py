"""Checks what the child answers about a file: types, sizes and bounds. Nothing else of it is believed."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from gen.files import printable
from gen.provenance import Record
from gen.provenance.c2pa_report import Signature
from gen.verification import protocol

_LONGEST, _MOST = 300, 20  # characters of a text of a signature; actions and problems
_STATES = Literal["trusted", "valid", "broken", "absent"]
ABSENT = Signature("absent")


@dataclass(frozen=True)
class Parsed:
    """What is known about a file when it was parsed."""

    path: Path
    error: str = ""  # why it is no image that can be read; then all else is empty
    format: str = ""  # Pillow's name, such as "PNG"
    frames: int = 0
    sides: tuple[int, int] = (0, 0)  # height and width
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0, 0), np.uint8))  # uint8 or uint16 [n h w c]
    records: Mapping[str, Record] = field(default_factory=dict)  # by the place where they stand
    claimed: str = ""  # of a file without a record: IPTC's digital source type in its XMP
    signature: Signature = ABSENT


class Untrue(Exception):
    """The child answered what cannot be."""


def picture(path: Path, header: Mapping[str, Any], content: bytearray) -> Parsed:
    """Checks the first answer about a file."""
    if "error" in header:
        return Parsed(path, error=printable(header["error"]) or "it cannot be read")
    shape, kind, format, frames = (header.get(name) for name in ("shape", "dtype", "format", "frames"))
    known = isinstance(shape, list) and len(shape) == 4 and all(type(side) is int and side > 0 for side in shape)
    if not known or shape[3] > 4 or kind not in ("uint8", "uint16"):  # type: ignore[index]
        raise Untrue("pixels of an unknown kind")
    if len(content) != math.prod(shape) * np.dtype(kind).itemsize:  # type: ignore[arg-type]
        raise Untrue("pixels of another size")
    sides = header.get("sides")
    if not isinstance(sides, list) or len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise Untrue("no size")
    if not isinstance(format, str) or type(frames) is not int or frames < 1:
        raise Untrue("no format")
    records = header.get("records")
    if not isinstance(records, dict):
        raise Untrue("no records")
    return Parsed(
        path,
        format=printable(format, longest=20),
        frames=frames,
        sides=(sides[0], sides[1]),
        pixels=np.frombuffer(content, kind).reshape(shape),
        records={printable(place, longest=40): _record(record) for place, record in records.items()},
        claimed=printable(header.get("claimed") or "", longest=_LONGEST),
    )


def signature(header: Mapping[str, Any]) -> Signature:
    """Checks the second answer about a file."""
    state, record = header.get("state"), header.get("record")
    if state not in get_args(_STATES):
        raise Untrue("no state of a signature")
    text = lambda name: printable(header.get(name) or "", longest=_LONGEST)  # noqa: E731
    many = lambda name: [printable(one, longest=_LONGEST) for one in _list(header.get(name))[:_MOST]]  # noqa: E731
    return Signature(
        state,  # type: ignore[arg-type]
        signer=text("signer"),
        issuer=text("issuer"),
        time=text("time") or None,
        source_type=text("source_type") or None,
        record=None if record is None else _record(record),
        actions=many("actions"),
        problems=many("problems"),
    )


def _record(record: Any) -> Record:
    if not isinstance(record, dict):
        raise Untrue("a record that is none")
    return protocol.plain_record(record)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
