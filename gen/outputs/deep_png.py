"""Encodes PNG files of 16 bits a channel, of which Pillow writes only gray ones."""

from __future__ import annotations

import struct
import zlib

import numpy as np
from PIL import Image
from PIL.PngImagePlugin import PngInfo

_COLOR_TYPES = {1: 0, 2: 4, 3: 2, 4: 6}  # by channels
_SUB, _UP = 1, 2  # PNG's filters


def encode(
    image: np.ndarray, *, pnginfo: PngInfo, exif: Image.Exif | None = None, icc_profile: bytes | None = None
) -> bytes:
    """Encodes uint16 [h w c], c = 1 to 4, as a PNG file; texts, EXIF and profile as Pillow takes them."""
    height, width, channels = image.shape
    chunks = [(b"IHDR", struct.pack(">2I5B", width, height, 16, _COLOR_TYPES[channels], 0, 0, 0))]
    if icc_profile is not None:
        chunks.append((b"iCCP", b"ICC Profile\0\0" + zlib.compress(icc_profile)))
    chunks += [(kind, content) for kind, content, *_ in pnginfo.chunks]
    if exif is not None:
        chunks.append((b"eXIf", exif.tobytes().removeprefix(b"Exif\0\0")))
    chunks += [(b"IDAT", zlib.compress(_filtered(image))), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, content) for kind, content in chunks)


def _filtered(image: np.ndarray) -> bytes:
    """Filters each row: smaller differences, from its left or from the row above, after the number of the filter."""
    height, width, channels = image.shape
    rows = image.astype(">u2").view(np.uint8).reshape(height, width * channels * 2)
    sub, up = rows.copy(), rows.copy()
    sub[:, channels * 2 :] -= rows[:, : -channels * 2]
    up[1:] -= rows[:-1]
    size = [np.abs(plane.view(np.int8).astype(np.int32)).sum(1) for plane in (sub, up)]
    first = (size[0] <= size[1])[:, None]
    return np.concatenate([np.where(first, _SUB, _UP).astype(np.uint8), np.where(first, sub, up)], 1).tobytes()


def _chunk(kind: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
