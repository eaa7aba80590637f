"""Images as pixels and as PNG files.

Images are [n h w c] with c = 1 or 3, float in [0, 1] or uint8. Pictures are uint8 [H W 3].
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from gen.files import atomic_write

_TILE = 96  # pixels: small images are enlarged to about this


def enlargement(height: int, width: int) -> int:
    """Returns how many times a small image is enlarged to be seen well: 3 for 32 pixels, 1 from 64 pixels on."""
    return max(1, _TILE // max(height, width))


def enlarged(images: np.ndarray, *, times: int | None = None) -> np.ndarray:
    """Enlarges images [... h w c], every pixel to a square of `times` pixels; None: of `enlargement`."""
    times = times or enlargement(*images.shape[-3:-1])
    return images.repeat(times, axis=-3).repeat(times, axis=-2)


def encode_png(array: np.ndarray, *, text: Mapping[str, str] | None = None) -> bytes:
    """Encodes uint8 [H W 3] or [H W 1] as PNG, with optional text chunks."""
    chunks = PngImagePlugin.PngInfo()
    for key, value in (text or {}).items():
        chunks.add_itxt(key, value)
    buffer = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(buffer, format="PNG", pnginfo=chunks)
    return buffer.getvalue()


def save_png(path: str | Path, array: np.ndarray, *, text: Mapping[str, str] | None = None) -> None:
    """Writes uint8 [H W 3] or [H W 1] as PNG, replacing the file at once, with optional text chunks.

    Another one, gen:shows, says that this is a figure, which nothing takes for an image to measure or to learn from.
    """
    atomic_write(path, encode_png(array, text={"gen:shows": "figure"} | dict(text or {})))
