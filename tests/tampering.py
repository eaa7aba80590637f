"""What may happen to the bytes of a signed file; each way takes a random generator and the file."""

from __future__ import annotations

import struct
from collections.abc import Callable

import numpy as np


def tampered(way: str, rng: np.random.Generator, content: bytes) -> bytes:
    """Returns a file that was changed in a way of WAYS, and is not the same."""
    while (changed := WAYS[way](rng, content)) == content:
        pass
    return changed


def flipped(rng: np.random.Generator, content: bytes, at: int) -> bytes:
    """Returns a file of which one bit of a byte is changed."""
    return _put(content, at, bytes([content[at] ^ 1 << int(rng.integers(8))]))


def _byte(rng: np.random.Generator, content: bytes) -> bytes:
    return _put(content, int(rng.integers(len(content))), rng.bytes(1))


def _bit(rng: np.random.Generator, content: bytes) -> bytes:
    return flipped(rng, content, int(rng.integers(len(content))))


def _appended(rng: np.random.Generator, content: bytes) -> bytes:
    return content + rng.bytes(int(rng.integers(1, 100)))


def _deleted(rng: np.random.Generator, content: bytes) -> bytes:
    at = int(rng.integers(len(content)))
    return content[:at] + content[at + int(rng.integers(1, 100)) :]


def _inserted(rng: np.random.Generator, content: bytes) -> bytes:
    at = int(rng.integers(len(content)))
    return content[:at] + rng.bytes(int(rng.integers(1, 100))) + content[at:]


def _swapped(rng: np.random.Generator, content: bytes) -> bytes:
    head, *parts = chunks(content)
    one, other = rng.choice(len(parts), 2, replace=False)
    parts[one], parts[other] = parts[other], parts[one]
    return head + b"".join(parts)


def _left_out(rng: np.random.Generator, content: bytes) -> bytes:
    """Without a chunk, but not without the signature: that is a file that is not signed."""
    head, *parts = chunks(content)
    left_out = int(rng.choice([number for number, part in enumerate(parts) if b"c2pa.signature" not in part]))
    return head + b"".join(parts[:left_out] + parts[left_out + 1 :])


def _put(content: bytes, at: int, more: bytes) -> bytes:
    return content[:at] + more + content[at + len(more) :]


WAYS: dict[str, Callable[[np.random.Generator, bytes], bytes]] = {
    "bytes": _byte,
    "bits": _bit,
    "appended": _appended,
    "deleted": _deleted,
    "inserted": _inserted,
    "swapped chunks": _swapped,
    "a chunk left out": _left_out,
}


def chunks(content: bytes) -> list[bytes]:
    """Splits a PNG, JPEG, WebP or GIF file into its head and its chunks, segments or blocks."""
    if content.startswith(b"\x89PNG"):
        head, size = 8, lambda at: 12 + struct.unpack_from(">I", content, at)[0]
    elif content.startswith(b"\xff\xd8"):
        head, size = 2, lambda at: _segment(content, at)
    elif content.startswith(b"RIFF"):
        head, size = 12, lambda at: 8 + (struct.unpack_from("<I", content, at + 4)[0] + 1) // 2 * 2
    else:
        head, size = 13 + _colors(content[10]), lambda at: _block(content, at)
    found, at = [content[:head]], head
    while at < len(content):
        found.append(content[at : at + size(at)])
        at += size(at)
    return found


def _segment(content: bytes, at: int) -> int:
    """The scan, which ends the file, is one segment."""
    return len(content) - at if content[at + 1] == 0xDA else 2 + struct.unpack_from(">H", content, at + 2)[0]


def _colors(flags: int) -> int:
    return 3 * 2 ** (flags % 8 + 1) if flags & 0x80 else 0


def _block(content: bytes, at: int) -> int:
    """Returns the size of a GIF's block: an extension, an image, or its end."""
    if content[at] == 0x3B:
        return 1
    end = at + 2 if content[at] == 0x21 else at + 11 + _colors(content[at + 9])
    while content[end]:
        end += 1 + content[end]
    return end + 1 - at
