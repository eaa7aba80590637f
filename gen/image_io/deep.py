"""Scales gray images of more than 8 bits to the full range of 16 bits, and from there to 8.

What the values mean is taken from the file: TIFF's BitsPerSample, MaxSampleValue and WhiteIsZero, PNG's sBIT. Without
these 0..65535 is black to white, also where the values happen to be small; floats must lie in [0, 1].
"""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from PIL import Image

DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N", "F")
_BITS_PER_SAMPLE, _PHOTOMETRIC, _MAX_SAMPLE_VALUE = 258, 262, 281  # TIFF tags
_NATIVE = {"F;32BF": "F;32NF", "I;32BS": "I;32NS", "I;16BS": "I;16NS"}
_FULL = 65535


def significant_bits(opened: Any) -> int:
    """Reads sBIT of a 16-bit gray PNG that is not yet decoded; 16 where it has none. Raises OSError."""
    stream, start = opened.fp, opened.fp.tell()
    stream.seek(8)
    try:
        while len(head := stream.read(8)) == 8:
            length, kind = int.from_bytes(head[:4], "big"), head[4:]
            if kind == b"sBIT":
                return int.from_bytes(stream.read(1), "big")
            if kind in (b"IDAT", b"IEND"):
                break
            stream.seek(length + 4, os.SEEK_CUR)
    finally:
        stream.seek(start)
    return 16


def set_byte_order(opened: Any) -> None:
    """Corrects the byte order of a TIFF before decoding: Pillow swaps native bytes in modes I and F once more."""
    if opened.format == "TIFF":
        opened.tile = [
            tile._replace(args=(_NATIVE.get(tile.args[0], tile.args[0]), *tile.args[1:]))
            if tile[0] == "libtiff"
            else tile
            for tile in opened.tile
        ]


def deep_gray(image: Any, significant_bits: int = 16) -> tuple[Image.Image, Image.Image | None]:
    """Returns gray and alpha (None: opaque), in mode I;16, of a decoded image of one of DEEP_MODES.

    significant_bits: by PNG's sBIT. Raises ValueError for values that have no place in 0..65535 or [0, 1].
    """
    values = np.asarray(image)
    transparent = image.info.get("transparency")
    alpha = np.where(values == transparent, 0, _FULL) if isinstance(transparent, int) else None
    tags = getattr(image, "tag_v2", {})
    gray = _of_floats(values) if image.mode == "F" else _of_integers(values, _highest(values, tags, significant_bits))
    if tags.get(_PHOTOMETRIC) == 0:  # WhiteIsZero, which Pillow minds only in 8 bits and less
        gray = _FULL - gray
    return _image(gray), None if alpha is None else _image(alpha)


def to_eight_bits(image: Image.Image) -> Image.Image:
    """Rounds an image of mode I;16 to mode L; any other stays as it is."""
    if image.mode != "I;16":
        return image
    return Image.fromarray(((np.asarray(image).astype(np.uint32) + 128) // 257).astype(np.uint8))


def _image(values: np.ndarray) -> Image.Image:
    return Image.fromarray(values.astype(np.uint16))


def _of_floats(values: np.ndarray) -> np.ndarray:
    low, high = values.min(), values.max()
    if not (low >= 0 and high <= 1):  # NaN is neither
        raise ValueError(f"its floating point pixels lie in [{low:g}, {high:g}]; allowed is [0, 1]")
    return np.rint(values * _FULL)


def _of_integers(values: np.ndarray, highest: int) -> np.ndarray:
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > _FULL:
        raise ValueError(f"its pixels lie in [{low}, {high}]; allowed is [0, {_FULL}]")
    if highest == _FULL:
        return values
    return np.minimum((values.astype(np.uint64) * _FULL + highest // 2) // highest, _FULL)


def _highest(values: np.ndarray, tags: Any, significant_bits: int) -> int:
    """Returns the value of white."""
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    declared = tags.get(_MAX_SAMPLE_VALUE)
    declared = declared[0] if isinstance(declared, tuple) and declared else declared
    if isinstance(declared, int) and 255 < declared < _FULL and values.max() <= declared:
        return declared
    if isinstance(bits, int) and 8 < bits < 16:
        return int(2**bits - 1)
    if 8 < significant_bits < 16 and values.max() < 2**significant_bits and _is_right_aligned(values, significant_bits):
        return int(2**significant_bits - 1)
    return _FULL


def _is_right_aligned(values: np.ndarray, bits: int) -> bool:
    """Returns whether bits are set that a PNG whose significant bits are on top, as they must be, leaves unset."""
    return bool((values & (2 ** (16 - bits) - 1)).any())
