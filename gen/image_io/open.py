"""Decodes image files: upright, in sRGB, deep gray kept; bad content raises Unreadable and nothing else.

Pixels are uint8 or uint16 over their full range (0..255, 0..65535). Colors of 16 bits a channel keep
these in `open_picture`, unless their profile must be converted; elsewhere they come with their upper 8.
"""

from __future__ import annotations

import contextlib
import io
import os
import stat
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError, features

from gen.files import printable
from gen.image_io import orientation
from gen.image_io.color import keeps_colors, to_srgb
from gen.image_io.deep import DEEP_MODES, deep_gray, set_byte_order, significant_bits, to_eight_bits
from gen.image_io.deep_color import decode_lower_bytes, whole
from gen.image_io.metadata import composed_as, read_metadata
from gen.image_io.quiet import Quiet

_OPTIONAL = {"avif": "AVIF", "jpg_2000": "JPEG2000"}  # that a Pillow may have been built without
FORMATS: tuple[str, ...] = (
    "JPEG",  # MPO, JPEG with further pictures, among them
    "PNG",
    "WEBP",
    "BMP",
    "GIF",
    "TIFF",
    "PPM",
    *(name for feature, name in _OPTIONAL.items() if features.check(feature)),
)  # PostScript, which starts Ghostscript, and the rare ones stay closed
MAX_PIXELS = 2**27  # 134 million: a picture that declares more is refused before anything of it is decoded
_LARGE, _large = 2**24, threading.Lock()  # pixels above which only one picture is decoded at a time, for memory
_WHITE = (255, 255, 255)
_WIDENED = {"L;2": 85, "L;4": 17}  # what Pillow multiplies such pixels with, but not the transparent value

File = Path | IO[bytes] | bytes


class Unreadable(ValueError):
    """Why an image cannot be read whole: one short line that can be printed, without the name of the file."""


@dataclass(frozen=True)
class Picture:
    """A decoded image, or one frame of it."""

    pixels: np.ndarray  # uint8 or uint16 [h w c], c = 1 or 3, upright, sRGB; what is transparent keeps its color
    alpha: np.ndarray | None  # the same dtype [h w], 0 = transparent; None: opaque
    format: str  # Pillow's name, such as "PNG"
    frames: int  # frames or pages in the file
    frame: int  # which one this is, from 0
    duration: float | None  # milliseconds that this frame is shown; None: not animated
    icc_profile: bytes | None  # of the file, before the conversion to sRGB
    metadata: dict[str, str]  # plain texts of the file: author, copyright, date, description, where it has them


class _Layers:
    """Upright Pillow images of one frame: color in mode L, RGB or I;16, alpha in mode L or I;16 or None."""

    def __init__(self, opened: Any) -> None:
        large = opened.width * opened.height > _LARGE
        with _large if large else contextlib.nullcontext():
            self._decode(opened)

    def _decode(self, opened: Any) -> None:
        raw_mode = _raw_mode(opened)
        bits = significant_bits(opened) if raw_mode == "I;16B" else 16
        set_byte_order(opened)
        turn = orientation.load(opened)
        color, alpha = _separated(opened, raw_mode, bits)
        color = to_srgb(color, opened.info.get("icc_profile"))
        self.color = orientation.turned(color, turn)
        self.alpha = None if alpha is None else orientation.turned(alpha, turn)

    def in_eight_bits(self) -> tuple[Image.Image, Image.Image | None]:
        return to_eight_bits(self.color), None if self.alpha is None else to_eight_bits(self.alpha)


def open_picture(file: File, *, frame: int = 0) -> Picture:
    """Decodes an image file, or the content of one, with what a copy of it may carry over.

    frame: of an animation or of several pages. Raises Unreadable.
    """
    content = file if isinstance(file, Path | bytes) else file.read()
    with opening(content) as opened:
        picture = _picture(opened, frame, _count(content))
    if picture.frames > 1 or picture.pixels.dtype != np.uint8 or not keeps_colors(picture.icc_profile):
        return picture
    try:
        with opening(content) as opened:
            if not decode_lower_bytes(opened):
                return picture
            lower = _picture(opened, 0, 1)
    except Unreadable:  # never for the lower bytes alone
        return picture
    pixels, alpha = whole((picture.pixels, picture.alpha), (lower.pixels, lower.alpha))
    return replace(picture, pixels=pixels, alpha=alpha)


def open_frames(file: File) -> Iterator[Picture]:
    """Yields all frames or pages of an image file in order, each decoded once. Raises Unreadable."""
    content = file if isinstance(file, Path | bytes) else file.read()
    with opening(content) as opened:
        for frame in range(frames := _count(content)):
            yield _picture(opened, frame, frames)


def open_image(
    file: File, *, grayscale: bool = False, background: tuple[int, int, int] = _WHITE, single: bool = False
) -> Image.Image:
    """Decodes an image file, or the content of one, to 8 bits in mode RGB, or L when `grayscale`: its first frame.

    Transparent parts show `background` (RGB, 0..255). single: refuse what gen composed of images, see `composed`.
    Raises Unreadable.
    """
    with opening(file) as opened:
        if single and (shown := composed_as(opened)):
            raise Unreadable(f"it is no image itself but shows a {shown}, as gen wrote it")
        color, alpha = _Layers(opened).in_eight_bits()
        if alpha is not None:
            color = color.convert("RGB")
            color = Image.composite(color, Image.new("RGB", color.size, background), alpha)
        mode = "L" if grayscale else "RGB"
        return color if color.mode == mode else color.convert(mode)


def composed(file: File) -> str | None:
    """Returns what a file that gen composed shows, such as "grid"; None for images and unreadable files."""
    try:
        with opening(file) as opened:
            return composed_as(opened)
    except Unreadable:
        return None


def _picture(opened: Any, frame: int, frames: int) -> Picture:
    _seek(opened, frame)
    layers = _Layers(opened)
    pixels = np.array(layers.color)
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    alpha = None if layers.alpha is None else np.array(layers.alpha)
    profile, duration = opened.info.get("icc_profile"), opened.info.get("duration") if frames > 1 else None
    return Picture(
        pixels=pixels,
        alpha=alpha,
        format=str(opened.format),
        frames=frames,
        frame=frame,
        duration=float(duration) if isinstance(duration, int | float) else None,
        icc_profile=profile if isinstance(profile, bytes) else None,
        metadata=read_metadata(opened),
    )


def _separated(image: Any, raw_mode: str, bits: int) -> tuple[Image.Image, Image.Image | None]:
    """Returns color in mode L, RGB, CMYK, LAB or I;16, and alpha or None, of a decoded image of any mode."""
    if image.mode in DEEP_MODES:
        return deep_gray(image, bits)
    transparent = image.info.get("transparency")
    if image.mode == "RGB" and isinstance(transparent, tuple) and raw_mode == "RGB;16B":
        image.info["transparency"] = tuple(value >> 8 for value in transparent)  # of the pixels there are upper bits
    if image.mode == "L" and isinstance(transparent, int) and raw_mode in _WIDENED:
        image.info["transparency"] = min(255, transparent * _WIDENED[raw_mode])
    gray = image.mode in ("1", "L", "LA", "La") or raw_mode == "LA;16B"  # which Pillow opens as RGBA
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        return rgba.getchannel(0) if gray else rgba.convert("RGB"), rgba.getchannel(3)
    if image.mode in ("L", "RGB", "CMYK", "LAB"):
        return image, None
    return image.convert("L" if gray else "RGB"), None


def _raw_mode(opened: Any) -> str:
    """Returns how a PNG stores its pixels, which Pillow knows until it has decoded them; else ""."""
    arguments = opened.tile[0][3] if opened.format == "PNG" and opened.tile else ""
    return arguments if isinstance(arguments, str) else str(arguments[0])


def _count(file: Path | bytes) -> int:
    """Counts frames or pages, without the further pictures of a photo (MPO), and those behind a damaged place.

    The file is opened anew: to count them all may end in the middle of what is damaged.
    """
    try:
        with opening(file) as opened:
            return 1 if opened.format in ("JPEG", "MPO") else max(1, int(getattr(opened, "n_frames", 1)))
    except Unreadable:
        return 1


def _seek(opened: Any, frame: int) -> None:
    if frame != opened.tell():
        try:
            opened.seek(frame)
        except EOFError:
            raise Unreadable(f"it has no frame {frame}") from None
        _check_size(opened)


def _check_size(opened: Image.Image) -> None:
    width, height = opened.size
    if width * height > MAX_PIXELS:
        raise Unreadable(f"it is {width:,} x {height:,} pixels large; allowed are {MAX_PIXELS:,} in all")


@contextlib.contextmanager
def opening(file: File) -> Iterator[Any]:
    """Opens a file by Pillow, without decoding it; whatever is raised within becomes Unreadable.

    Without warnings, of FORMATS only, and of at most MAX_PIXELS.
    """
    try:
        with _quiet, contextlib.ExitStack() as stack:
            stream: Any = io.BytesIO(file) if isinstance(file, bytes) else file
            if isinstance(file, Path):
                stream = stack.enter_context(_regular(file))
            opened = stack.enter_context(Image.open(stream, formats=FORMATS))
            _check_size(opened)
            yield opened
    except Unreadable:
        raise
    except Exception as error:  # decoders raise whatever a damaged file makes them stumble over
        raise Unreadable(_reason(error)) from None


def _regular(path: Path) -> IO[bytes]:
    """Opens a file for reading; a pipe, which may never answer, or a device raises Unreadable."""
    descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise Unreadable("it is not a regular file")
    return os.fdopen(descriptor, "rb")


def _reason(error: Exception) -> str:
    if isinstance(error, UnidentifiedImageError):
        return f"it is no whole image of a format that is read: {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError):
        return f"it is too large; allowed are {MAX_PIXELS:,} pixels"
    if isinstance(error, MemoryError):
        return "it needs more memory than there is"
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    text = printable(error, longest=150)
    return text if type(error) in (OSError, ValueError, SyntaxError) and text else f"{type(error).__name__}: {text}"


_quiet = Quiet()
