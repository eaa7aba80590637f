"""Image files of many kinds, and what bad copies, cut downloads and hostile people make of them; all by a seed."""

from __future__ import annotations

import functools
import io
from collections.abc import Callable
from typing import Any

import numpy as np
from PIL import Image, features

SIDE = 24

# name of the file -> mode of the image and what Pillow is told when it writes it
KINDS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "gray.png": ("L", "PNG", {}),
    "color.png": ("RGB", "PNG", {}),
    "alpha.png": ("RGBA", "PNG", {}),
    "gray_alpha.png": ("LA", "PNG", {}),
    "palette.png": ("P", "PNG", {"transparency": 3}),
    "bits.png": ("1", "PNG", {}),
    "deep.png": ("I;16", "PNG", {}),
    "frames.png": ("RGB", "PNG", {"save_all": True}),
    "color.jpg": ("RGB", "JPEG", {}),
    "gray.jpg": ("L", "JPEG", {}),
    "cmyk.jpg": ("CMYK", "JPEG", {}),
    "progressive.jpg": ("RGB", "JPEG", {"progressive": True}),
    "lossy.webp": ("RGB", "WEBP", {}),
    "lossless.webp": ("RGBA", "WEBP", {"lossless": True}),
    "frames.webp": ("RGB", "WEBP", {"save_all": True}),
    "frames.gif": ("P", "GIF", {"save_all": True}),
    "color.bmp": ("RGB", "BMP", {}),
    "palette.bmp": ("P", "BMP", {}),
    "color.tif": ("RGB", "TIFF", {}),
    "lzw.tif": ("RGBA", "TIFF", {"compression": "tiff_lzw"}),
    "deep.tif": ("I;16", "TIFF", {"compression": "tiff_adobe_deflate"}),
    "cmyk.tif": ("CMYK", "TIFF", {"compression": "packbits"}),
    "color.ppm": ("RGB", "PPM", {}),
    "gray.pgm": ("L", "PPM", {}),
}
if features.check("avif"):
    KINDS["color.avif"] = ("RGB", "AVIF", {})
if features.check("jpg_2000"):
    KINDS["color.jp2"] = ("RGB", "JPEG2000", {})


@functools.cache
def whole(kind: str) -> bytes:
    """A whole file of a kind, with EXIF (an orientation) where the format has it."""
    mode, format, options = KINDS[kind]
    rng = np.random.default_rng(0)
    images = []
    for _ in range(3 if "save_all" in options else 1):
        pixels = (rng.random((SIDE, SIDE + 6, 3)) * 80 + np.linspace(0, 170, SIDE + 6)[:, None]).astype(np.uint8)
        deep = Image.fromarray(pixels[..., 0].astype(np.uint16) * 257)
        images.append(deep if mode == "I;16" else Image.fromarray(pixels).convert(mode))
    if len(images) > 1:
        options = {**options, "append_images": images[1:], "duration": 40}
    if format in ("JPEG", "PNG", "WEBP", "TIFF", "AVIF"):
        tags = Image.Exif()
        tags[0x0112], tags[0x010E] = 6, "a description"
        options = {**options, "exif": tags}
    buffer = io.BytesIO()
    images[0].save(buffer, format=format, **options)
    return buffer.getvalue()


def damaged(rng: np.random.Generator, content: bytes) -> bytes:
    """One of many ways in which a file may be wrong; every now and then it is still a picture."""
    way = WAYS[rng.integers(len(WAYS))]
    return bytes(way(rng, bytearray(content)))


def _place(rng: np.random.Generator, content: bytearray) -> int:
    """Anywhere, but half of the time in the head, where sizes and offsets stand."""
    return int(rng.integers(max(1, min(len(content), 120 if rng.random() < 0.5 else len(content)))))


def _flip_bits(rng: np.random.Generator, content: bytearray) -> bytearray:
    for _ in range(int(rng.integers(1, 9))):
        content[_place(rng, content)] ^= 1 << int(rng.integers(8))
    return content


def _cut(rng: np.random.Generator, content: bytearray) -> bytearray:
    return content[: int(rng.integers(len(content)))]


def _zeros(rng: np.random.Generator, content: bytearray) -> bytearray:
    at, length = _place(rng, content), int(rng.integers(1, 200))
    content[at : at + length] = bytes(min(length, len(content) - at))
    return content


def _large_number(rng: np.random.Generator, content: bytearray) -> bytearray:
    at = _place(rng, content)
    number = int(rng.choice([0, 1, 2**15, 2**16 - 1, 2**31 - 1, 2**31, 2**32 - 1]))
    content[at : at + 4] = number.to_bytes(4, "big" if rng.random() < 0.5 else "little")
    return content


def _noise(rng: np.random.Generator, content: bytearray) -> bytearray:
    at, length = _place(rng, content), int(rng.integers(1, 60))
    content[at : at + length] = rng.bytes(length)
    return content


def _insert(rng: np.random.Generator, content: bytearray) -> bytearray:
    at = _place(rng, content)
    return content[:at] + rng.bytes(int(rng.integers(1, 60))) + content[at:]


def _repeat(rng: np.random.Generator, content: bytearray) -> bytearray:
    at, length = _place(rng, content), int(rng.integers(1, 300))
    return content[: at + length] + content[at:]


def _left_out(rng: np.random.Generator, content: bytearray) -> bytearray:
    at, length = _place(rng, content), int(rng.integers(1, 60))
    return content[:at] + content[at + length :]


def _other_head(rng: np.random.Generator, content: bytearray) -> bytearray:
    """The beginning of another kind, PostScript among them."""
    kinds = sorted(KINDS)
    heads = [
        whole(kinds[int(rng.integers(len(kinds)))])[:40],
        b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
        b"",
    ]
    head = heads[int(rng.integers(3))]
    return bytearray(head) + content[len(head) :]


WAYS: tuple[Callable[[np.random.Generator, bytearray], bytearray], ...] = (
    *(_flip_bits, _flip_bits, _cut, _zeros, _large_number, _large_number, _noise, _insert, _repeat, _left_out),
    _other_head,
)
