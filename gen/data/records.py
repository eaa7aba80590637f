"""A record of a shard: a header of 16 bytes, the pixels as they are, then each caption after its length.

    "gen1", height, width, channels (uint16), label (int32), number of captions (uint16); all little-endian

Pixels are not compressed: at 64 x 64 they are read twenty times as fast as PNG is decoded (docs/data.md).
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

_HEADER = struct.Struct("<4sHHHiH")
_LENGTH = struct.Struct("<I")
_MAGIC = b"gen1"


def pack(image: np.ndarray, label: int, *, captions: Sequence[bytes] = ()) -> bytes:
    """Makes a record of an image uint8 [h w c] with its label and captions."""
    head = _HEADER.pack(_MAGIC, *image.shape, label, len(captions))
    texts = (part for text in captions for part in (_LENGTH.pack(len(text)), text))
    return b"".join([head, image.tobytes(), *texts])


def unpack_image(record: bytes, *, out: np.ndarray) -> None:
    """Copies the image of a record to `out`, uint8 [h w c]. Raises ValueError for another shape, or no record."""
    magic, *shape, _, _ = _HEADER.unpack_from(record) if len(record) >= _HEADER.size else (b"", 0, 0)
    if magic != _MAGIC or tuple(shape) != out.shape or len(record) < _HEADER.size + out.size:
        raise ValueError(f"a record holds no image of {list(out.shape)}")
    out[...] = np.frombuffer(record, np.uint8, out.size, _HEADER.size).reshape(out.shape)


def captions_of(record: bytes) -> list[bytes]:
    """Returns the captions of a record. Raises ValueError for what is none."""
    try:
        magic, height, width, channels, _, count = _HEADER.unpack_from(record)
        at, found = _HEADER.size + height * width * channels, list[bytes]()
        for _ in range(count):
            (size,) = _LENGTH.unpack_from(record, at)
            at += _LENGTH.size + size
            found.append(record[at - size : at])
    except struct.error:
        magic = b""
    if magic != _MAGIC or at > len(record):
        raise ValueError("a record is cut")
    return found
