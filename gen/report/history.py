"""Reads metrics.jsonl: every valid line is kept, and no damage stops a run."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from gen.errors import InputError
from gen.files import parse_json, read_regular

_LARGEST = 1e100  # of a number: float32 ends long before, and what is drawn of it must not overflow
_MOST_BYTES = 2**30  # of a file

_BEGINNING = b'{"step": '

Line = dict[str, Any]  # {"step": 20, "images": 640, "seconds": 3.1, "d_loss": 0.7, ...}; None for what was not finite


class Found(NamedTuple):
    """The content of a metrics.jsonl."""

    lines: list[Line]  # by step
    fault: str  # what else it holds, in words; "" for nothing but half a last line, as a kill leaves it


def read(path: Path) -> Found:
    """Reads the records of a metrics.jsonl, which may be absent, damaged, or no file at all."""
    try:
        if not path.is_file():
            return Found([], "it is no file" if path.exists() else "")
        texts = read_regular(path, most=_MOST_BYTES).split(b"\n")
    except OSError as error:
        return Found([], f"it cannot be read: {error.strerror}")
    except InputError:
        return Found([], f"it is too large; at most {_MOST_BYTES:,} bytes are read")
    lines: list[Line] = []
    bad: list[int] = []
    for number, text in enumerate(texts, 1):
        line = _record(text)
        if line is not None and (not lines or line["step"] > lines[-1]["step"]):
            lines.append(line)
        elif text.strip() and not (number == len(texts) and line is None and _may_be_cut(text)):
            bad.append(number)
    more = f", nor are {len(bad) - 1:,} more" if len(bad) > 1 else ""
    return Found(lines, f"line {bad[0]:,} is no record of a later step{more}" if bad else "")


def _may_be_cut(text: bytes) -> bool:
    """Tests whether this can be the beginning of a line of ours."""
    return text[: len(_BEGINNING)] == _BEGINNING[: len(text)]


def _record(text: bytes) -> Line | None:
    try:
        line = parse_json(text)
    except ValueError:
        return None
    if not isinstance(line, dict) or type(line.get("step")) is not int or not all(map(_is_number, line.values())):
        return None
    counted = [line[name] for name in ("step", "images", "seconds") if name in line]
    return line if all(value is not None and value >= 0 for value in counted) else None


def _is_number(value: Any) -> bool:
    if type(value) is int:
        return abs(value) < 2**63
    return value is None or (type(value) is float and abs(value) < _LARGEST)
