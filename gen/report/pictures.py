"""Images as pixels and as PNG files.

Images are [n h w c] with c = 1 or 3, float in [0, 1] or uint8. Pictures are uint8 [H W 3].
"""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen.files import atomic_write, read_regular
from gen.image_io import open_image
from gen.outputs import image_writer
from gen.provenance import PREFIX, Record, picture, read, save_options
from gen.provenance.policy import RECORD
from gen.report.html import data_uri

_MOST_BYTES = 2**28  # of a picture that is embedded
_TILE = 96  # pixels: small images are enlarged to about this


def enlargement(height: int, width: int) -> int:
    """Returns how many times a small image is enlarged to be seen well: 3 for 32 pixels, 1 from 64 pixels on."""
    return max(1, _TILE // max(height, width))


def enlarged(images: np.ndarray, *, times: int | None = None) -> np.ndarray:
    """Enlarges images [... h w c], every pixel to a square of `times` pixels; None: of `enlargement`."""
    times = times or enlargement(*images.shape[-3:-1])
    return images.repeat(times, axis=-3).repeat(times, axis=-2)


def encode_png(array: np.ndarray, *, record: Record | None = None) -> bytes:
    """Encodes uint8 [H W 3] or [H W 1] as PNG with a record, of what it shows; None: that it is a figure.

    The field gen:shows, which is added where it is missing, keeps the picture from being taken for an image to measure
    or to learn from.
    """
    record = picture("figure") if record is None else {PREFIX + "shows": "figure"} | record
    return image_writer.encode([array], format="png", record=record, policy=RECORD)


def save_png(path: str | Path, array: np.ndarray, *, record: Record | None = None) -> None:
    """Writes what `encode_png` encodes, replacing the file at once."""
    atomic_write(path, encode_png(array, record=record))


def webp_thumbnail(image: Image.Image, *, side: int) -> bytes:
    """Encodes an image in mode L or RGB, at most `side` pixels large, as WebP, a few kB.

    Small images are enlarged by whole pixels, so that they are seen as they are.
    """
    if (times := side // max(image.size)) > 1:
        image = image.resize((image.width * times, image.height * times), Image.Resampling.NEAREST)
    image = image.copy()
    image.thumbnail((side, side))
    buffer = io.BytesIO()
    image.save(buffer, format="WEBP", quality=75)
    return buffer.getvalue()


def embedded(path: Path, *, most: int) -> tuple[str, int]:
    """Returns a PNG file as a data URI, and its width: itself, or a JPEG, halved until it has at most `most` bytes.

    What is no larger than a pixel stays. Raises what a decoder raises, and OSError.
    """
    content, kind = read_regular(path, most=_MOST_BYTES), "png"
    smaller = open_image(content)
    width, options = smaller.width, dict[str, Any]()
    if len(content) > most and (record := read(path)):
        options = save_options(record, "JPEG")
    while len(content) > most:
        buffer = io.BytesIO()
        smaller.save(buffer, format="JPEG", quality=88, subsampling=0, **options)
        content, kind = buffer.getvalue(), "jpeg"
        if max(smaller.size) == 1:
            break
        smaller = smaller.reduce(2)
    return data_uri(content, kind=kind), width
