"""From an image file of any kind to an upright, opaque, square uint8 array [h w c], c = 1 (grayscale) or 3 (sRGB)."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import IO

import numpy as np
from PIL import Image, ImageOps

from gen.errors import InputError, nearest

SMALL = ("refuse", "skip", "enlarge")
PADDINGS = ("zero", "edge")
_DEEP_MODES = ("I", "I;16", "I;16B", "I;16L", "I;16N")


class TooSmall(ValueError):
    """The image has fewer pixels along its shorter side than asked for."""


def open_image(file: Path | IO[bytes], *, grayscale: bool = False, background: tuple[int, int, int]) -> Image.Image:
    """Opens and decodes an image (the first frame of a moving one) in mode L or RGB.

    Turned upright by its EXIF orientation; transparent parts show `background`; palettes, CMYK and 16 bits a channel
    become 8-bit sRGB. Raises OSError or ValueError for what cannot be read whole.
    """
    with Image.open(file) as opened:
        opened.load()
        image = ImageOps.exif_transpose(opened)
    if image.mode in _DEEP_MODES:  # convert("L") would clip them at 255
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    elif image.mode == "F":
        raise ValueError("floating point pixels, whose range is unknown")
    elif image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, (*background, 255)), image)
    return image.convert("L" if grayscale else "RGB")


def _eight_bits(deep: np.ndarray) -> np.ndarray:
    if deep.min() < 0 or deep.max() > 65535:
        raise ValueError("more than 16 bits a pixel")
    return ((deep.astype(np.uint32) + 128) // 257).astype(np.uint8)


def fit(image: Image.Image, resolution: int, *, enlarge: bool = False) -> np.ndarray:
    """The central square of an image in mode L or RGB, area-averaged to uint8 [resolution, resolution, c].

    Raises TooSmall when that would need more pixels than there are, unless `enlarge` (bicubic).
    """
    width, height = image.size
    side = min(width, height)
    if side < resolution and not enlarge:
        raise TooSmall(f"is {width}x{height}, smaller than resolution={resolution}")
    left, top = (width - side) / 2, (height - side) / 2
    method = Image.Resampling.BICUBIC if side < resolution else Image.Resampling.BOX
    square = image.resize((resolution, resolution), method, box=(left, top, left + side, top + side))
    return np.asarray(square).reshape(resolution, resolution, -1)


def check_padding(padding: str, source: str) -> None:
    """Raises InputError unless `padding` is one of PADDINGS."""
    if padding not in PADDINGS:
        allowed = ", ".join(PADDINGS)
        raise InputError(f"{source}: padding={padding!r}: allowed are {allowed}{nearest(padding, PADDINGS)}")


def to_resolution(images: np.ndarray, resolution: int, padding: str) -> np.ndarray:
    """Images uint8 [n h w c] of one size as [n, resolution, resolution, c].

    Larger ones as `fit` does it; smaller ones get a border, of zeros or of their edge pixels, of at most a quarter of
    their side (28 to 32, say). Raises TooSmall beyond that.
    """
    height, width = images.shape[1:3]
    if height == width == resolution:
        return images
    if min(height, width) >= resolution:
        return np.stack([fit(Image.fromarray(x[..., 0] if x.shape[-1] == 1 else x), resolution) for x in images])
    if max(height, width) > resolution or resolution > 1.25 * min(height, width):
        raise TooSmall(f"images of {width}x{height} cannot be padded to resolution={resolution}: at most by a quarter")
    rows, columns = resolution - height, resolution - width
    border = ((0, 0), (rows // 2, rows - rows // 2), (columns // 2, columns - columns // 2), (0, 0))
    return np.pad(images, border, mode="edge" if padding == "edge" else "constant")


def position(data: bytes) -> float:
    """A number in [0, 1) that depends on `data` alone (sha256): what lies below a threshold is held out."""
    return int.from_bytes(hashlib.sha256(data).digest()[:6], "big") / 2**48
