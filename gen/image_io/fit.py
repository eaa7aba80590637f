"""Fits images in mode L or RGB: uint8 arrays [h w c] of one size, c = 1 (grayscale) or 3 (sRGB)."""

from __future__ import annotations

import hashlib
from typing import Literal

import numpy as np
from PIL import Image

from gen.config.values import require

Small = Literal["skip", "enlarge", "refuse"]  # what to do with images smaller than resolution
Padding = Literal["zero", "edge"]  # the border of images that are a little smaller than resolution


class TooSmall(ValueError):
    """The image has fewer pixels along its shorter side than needed."""


def center_crop_resize(
    image: Image.Image, height: int, width: int | None = None, *, enlarge: bool = False
) -> np.ndarray:
    """Crops the center of an image in mode L or RGB and averages areas: uint8 [height width c].

    width: None: a square. Raises TooSmall when that would need more pixels than there are, unless `enlarge` (bicubic).
    """
    width = width or height
    smaller = image.width < width or image.height < height
    if smaller and not enlarge:
        wanted = f"resolution={height}" if width == height else f"{width}x{height}"
        raise TooSmall(f"is {image.width}x{image.height}, smaller than {wanted}")
    wide, high = min(image.width, image.height * width / height), min(image.height, image.width * height / width)
    left, top = (image.width - wide) / 2, (image.height - high) / 2
    method = Image.Resampling.BICUBIC if smaller else Image.Resampling.BOX
    cropped = image.resize((width, height), method, box=(left, top, left + wide, top + high))
    return np.asarray(cropped).reshape(height, width, -1)


def to_resolution(images: np.ndarray, resolution: int, padding: Padding) -> np.ndarray:
    """Fits images uint8 [n h w c] of one size: [n resolution resolution c].

    Larger ones as by `center_crop_resize`; smaller ones get a border of zeros or of their edge pixels, of at most a
    quarter of their side (28 to 32, say). Raises TooSmall beyond that, InputError for another padding.
    """
    require(padding, Padding, "padding")
    height, width = images.shape[1:3]
    if height == width == resolution:
        return images
    if min(height, width) >= resolution:
        return np.stack(
            [center_crop_resize(Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x), resolution) for x in images]
        )
    if max(height, width) > resolution or resolution > 1.25 * min(height, width):
        raise TooSmall(f"images of {width}x{height} cannot be padded to resolution={resolution}: at most by a quarter")
    rows, columns = resolution - height, resolution - width
    border = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return np.pad(images, border, mode="edge" if padding == "edge" else "constant")


def hash_fraction(data: bytes) -> float:
    """Returns a number in [0, 1) that depends on `data` alone (sha256); those below a threshold are held out."""
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48
