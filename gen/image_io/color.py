"""Converts colors of any profile to sRGB, by littleCMS with relative colorimetric intent."""

from __future__ import annotations

import functools
import io
import logging
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageCms

from gen.files import printable

_LARGEST = 2**24  # bytes of a profile that is looked at
_ALIKE = 1  # levels of 255 by which a profile may differ from sRGB to be taken for it

log = logging.getLogger(__name__)


class _Gray(NamedTuple):
    """A conversion of gray levels."""

    table: np.ndarray  # float [256], in 0..255


_Conversion = ImageCms.ImageCmsTransform | _Gray | None


def to_srgb(image: Image.Image, profile: Any) -> Image.Image:
    """Converts an image in mode L, RGB, CMYK, LAB or I;16 to L, RGB or I;16 (gray stays gray) in sRGB.

    profile: of ICC, bytes; None, a damaged one, and one for other colors than the image has count as none.
    """
    conversion: _Conversion = None
    if isinstance(profile, bytes) and 0 < len(profile) <= _LARGEST:
        conversion = _conversion(profile, "L" if image.mode in ("L", "I;16") else image.mode)
    if isinstance(conversion, _Gray):
        return _by_table(image, conversion.table)
    if conversion is None and image.mode == "LAB":
        conversion = ImageCms.buildTransform(ImageCms.createProfile("LAB"), _srgb(), "LAB", "RGB", _INTENT)
    if conversion is not None:
        return conversion.apply(image)
    return image.convert("RGB") if image.mode == "CMYK" else image


def keeps_colors(profile: Any) -> bool:
    """Returns whether `to_srgb` leaves all images of this profile as they are."""
    if not isinstance(profile, bytes) or not 0 < len(profile) <= _LARGEST:
        return True
    return _conversion(profile, "RGB") is None and _conversion(profile, "L") is None


@functools.lru_cache(maxsize=32)
def is_srgb(profile: bytes) -> bool:
    """Returns whether a profile is a sound one of RGB that `to_srgb` takes for sRGB."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        of_colors = source.profile.xcolor_space.strip() == "RGB"
        return of_colors and _is_alike(ImageCms.buildTransform(source, _srgb(), "RGB", "RGB", _INTENT))
    except Exception:  # littleCMS cannot read it
        return False


_INTENT = ImageCms.Intent.RELATIVE_COLORIMETRIC


def _srgb() -> ImageCms.ImageCmsProfile:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))


@functools.lru_cache(maxsize=32)
def _conversion(profile: bytes, mode: str) -> _Conversion:
    """Returns the conversion from a profile to sRGB; None: nothing to do. Warns once of a damaged profile."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space.strip()
        if mode == "L":
            return _gray_conversion(source, "L" if space == "GRAY" else "RGB")
        if {"RGB": "RGB", "CMYK": "CMYK", "Lab": "LAB"}.get(space) != mode:
            return None
        transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", _INTENT)
        return None if mode == "RGB" and _is_alike(transform) else transform
    except Exception as error:  # littleCMS cannot read it
        _warn(f"a color profile cannot be used ({printable(error)}); its images are taken for sRGB")
        return None


@functools.cache
def _warn(text: str) -> None:
    log.warning("%s", text)


def _gray_conversion(source: ImageCms.ImageCmsProfile, mode: str) -> _Gray | None:
    """Returns the conversion of gray. mode: L for a profile of gray; RGB for one of colors, whose curve counts."""
    levels = Image.fromarray(np.arange(256, dtype=np.uint8)[None]).convert(mode)
    exact = ImageCms.Flags.NOOPTIMIZE  # else a coarse table, which is off by 9 levels in the dark of linear light
    transform = ImageCms.buildTransform(source, _srgb(), mode, "RGB", _INTENT, flags=exact)
    table = np.asarray(transform.apply(levels), np.float64)[0, :, 1]
    return None if np.abs(table - np.arange(256)).max() <= _ALIKE else _Gray(table)


def _is_alike(transform: ImageCms.ImageCmsTransform) -> bool:
    """Returns whether no color of a grid of 17 x 17 x 17 changes by more than _ALIKE."""
    steps = np.linspace(0, 255, 17).round().astype(np.uint8)
    grid = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), -1).reshape(17, -1, 3)
    moved = np.asarray(transform.apply(Image.fromarray(grid)), np.int64)
    return bool(np.abs(moved - grid).max() <= _ALIKE)


def _by_table(image: Image.Image, table: np.ndarray) -> Image.Image:
    if image.mode == "L":
        return image.point(table.round().astype(int).tolist())
    full = np.interp(np.arange(65536) / 257, np.arange(256), table) * 257
    return Image.fromarray(full.round().astype(np.uint16)[np.asarray(image)])
