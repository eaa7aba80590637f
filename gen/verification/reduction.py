"""Makes large images smaller before they are looked at, so that memory is bounded; the mark survives it."""

from __future__ import annotations

import math

import numpy as np
from PIL import Image

MOST_PIXELS = 2**23  # of an image in which the mark is looked for; it is not finer than 2,048 pixels to a side


def reduced(image: np.ndarray, *, most: int = MOST_PIXELS) -> np.ndarray:
    """Returns an image of at most so many pixels: itself, or uint8 whose pixels are averages of squares of its own.

    image: uint8 or uint16 [h w c], c = 1 to 4.
    """
    height, width, channels = image.shape
    factor = math.ceil(math.sqrt(height * width / most))
    if factor <= 1:
        return image
    eight = image if image.dtype == np.uint8 else (image >> 8).astype(np.uint8)
    planes = [Image.fromarray(eight[..., c]).reduce(factor) for c in range(channels)]
    return np.stack([np.asarray(plane) for plane in planes], -1)
