"""Turns photos upright by the one EXIF tag that matters, whatever else their EXIF holds."""

from __future__ import annotations

from typing import Any

from PIL import Image

_TAG = 0x0112
_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def load(opened: Any) -> int:
    """Decodes an opened file and returns its orientation: 1 (upright) to 8, as EXIF counts.

    It is 1 where the tag is missing, damaged or has another value. Pillow turns TIFF by itself while it decodes, and
    may stumble over the other tags then: it gets to see this one only.
    """
    if opened.format != "TIFF":
        opened.load()
        return _allowed(_read(lambda: opened.getexif().get(_TAG)))
    exif = Image.Exif()
    if (found := _allowed(_read(lambda: opened.tag_v2.get(_TAG)))) != 1:
        exif[_TAG] = found
    opened.__dict__["getexif"] = lambda: exif
    try:
        opened.load()
    finally:
        del opened.__dict__["getexif"]
    return 1


def turned(image: Image.Image, orientation: int) -> Image.Image:
    """Turns an image upright."""
    return image if orientation == 1 else image.transpose(_TURNS[orientation])


def _read(value: Any) -> Any:
    try:
        return value()
    except Exception:  # EXIF that cannot be parsed says nothing
        return 1


def _allowed(value: Any) -> int:
    value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    return value if isinstance(value, int) and value in _TURNS else 1
