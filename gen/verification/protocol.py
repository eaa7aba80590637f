"""Messages between gen.verify and the process that parses untrusted files: plain data, never objects.

A message is the length of a header (4 bytes, big-endian), the header (a JSON object), and as many bytes as its
"size" says. The child answers each file by two messages: the picture with its pixels, then the signature.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

from gen.files import printable
from gen.provenance import Record, reading

MOST_HEADER = 2**23  # bytes
MOST_CONTENT = 2**28  # bytes of a file
MOST_PIXELS = 2**29  # bytes of decoded pixels
MOST_FRAMES = 10_000  # of an animation
MEMORY = 2**31  # bytes of address space that the child may use
LENGTH = struct.Struct(">I")
_MOST_FIELDS, _LONGEST_NAME, _LONGEST = 200, 80, 20_000  # of a record: fields, characters of a name and of a value


def packed(header: dict[str, Any], content: bytes | memoryview = b"") -> bytes:
    """Returns the beginning of a message: all but its content."""
    text = json.dumps(header | {"size": len(content)}).encode()
    return LENGTH.pack(len(text)) + text


def plain_record(record: Mapping[str, Any]) -> Record:
    """Returns the plain values of a record, as many and as long as one has at most."""
    plain = (reading.plain_record(record) or {}).items()
    short = [(name, value) for name, value in plain if len(name) <= _LONGEST_NAME and not isinstance(value, bool)]
    return {printable(name): _cut(value) for name, value in short[:_MOST_FIELDS]}


def _cut(value: Any) -> Any:
    return printable(value, longest=_LONGEST) if isinstance(value, str) else value
