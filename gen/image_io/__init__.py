"""Finds, opens and fits image files, in one way for training, loading, refining and evaluating."""

from gen.image_io.find import SUFFIXES, Found, find_images, ignored_line
from gen.image_io.open import (
    FORMATS,
    MAX_PIXELS,
    Picture,
    Unreadable,
    composed,
    open_frames,
    open_image,
    open_picture,
    opening,
)

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "Found",
    "Picture",
    "Unreadable",
    "composed",
    "find_images",
    "ignored_line",
    "open_frames",
    "open_image",
    "open_picture",
    "opening",
]
