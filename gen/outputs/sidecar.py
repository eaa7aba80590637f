"""The record of an image once more, as a JSON file beside it: a.png.json. Programs write it on request, --sidecar.

It holds the whole record where the image has no room for all of it (JPEG), and survives whatever happens to the image.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from gen.errors import InputError
from gen.files import parse_json, read_regular, write_result
from gen.outputs import manifest
from gen.provenance import PREFIX, Record
from gen.provenance.reading import records_in

_LARGEST = 2**24  # bytes of a file that may be one


def beside(path: Path) -> Path:
    """Returns the place of the sidecar of an image file."""
    return path.with_name(f"{path.name}.json")


def text(record: Record, content: bytes) -> str:
    """Returns the content of the sidecar of an image file: its record, and what was entered as it was written.

    content: of the image file.
    """
    written = next(iter(records_in(content).values()), {})
    entered = {key: value for key, value in written.items() if key not in record}
    return json.dumps(record | entered, indent=1, ensure_ascii=False) + "\n"


def check(images: Iterable[Path]) -> None:
    """Raises InputError unless the places of the sidecars of these files are free, or hold sidecars of gen."""
    manifest.check(map(beside, images), is_own=_is_own, what="cannot write")


def write(path: Path, record: Record, content: bytes) -> None:
    """Writes the sidecar of an image file. Raises InputError for a file in its place, and what the system refuses."""
    check([path])
    write_result(beside(path), text(record, content))


def _is_own(path: Path) -> bool:
    """Returns whether a file is a sidecar: a JSON object of nothing but a record."""
    try:
        found = None if path.is_symlink() else parse_json(read_regular(path, most=_LARGEST))
    except (OSError, ValueError, InputError):
        return False
    return isinstance(found, dict) and bool(found) and all(key.startswith(PREFIX) for key in found)
