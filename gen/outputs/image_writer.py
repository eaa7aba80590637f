"""Image files as gen writes them: whole or not at all, with the record of how they were made, and never over a file
that has no such record.

Frames are [h w c]: uint8, uint16, or float in [0, 1], all finite. c: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import functools
import io
import struct
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from gen.errors import InputError
from gen.files import printable, write_result
from gen.image_io.pixels import to_uint8
from gen.outputs import deep_png, manifest
from gen.provenance import Record, read_all, save_options, with_xmp

STILLS, ANIMATIONS = ("png", "jpeg"), ("webp", "gif")  # formats
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".webp": "webp", ".gif": "gif"}
_FRAME_MILLISECONDS = 40
_LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383, "gif": 65_535}  # pixels


def suffix(format: str) -> str:
    """Returns the suffix of files of this format."""
    return ".jpg" if format == "jpeg" else f".{format}"


def check(paths: Iterable[Path]) -> None:
    """Raises InputError unless each of `paths` is free, or an image with a record of gen, which may be replaced."""
    manifest.check(paths, is_own=is_own, what="cannot write")


def is_own(path: Path) -> bool:
    """Returns whether an image file carries a record of gen."""
    try:
        return path.is_file() and not path.is_symlink() and bool(read_all(path))
    except (InputError, OSError):
        return False


def check_finite(images: np.ndarray, what: str | Path) -> None:
    """Raises InputError when images, of any shape, that `what` shall show are not finite."""
    if bad := _not_finite(images):
        raise InputError(f"cannot write {printable(what)}: {bad}")


def save(path: Path, frames: Sequence[np.ndarray], *, format: str, record: Record) -> None:
    """Writes an image with its record, making the folder; several frames as an endless animation.

    Raises InputError when the file cannot be written, when another one is in its place (see `check`), and when the
    image is not finite.
    """
    check([path])
    try:
        content = encode(frames, format=format, record=record)
    except InputError as error:
        raise InputError(f"cannot write {printable(path)}: {error}") from error
    write_result(path, content)


def encode(
    frames: Sequence[np.ndarray],
    *,
    format: str,
    record: Record,
    about: Mapping[str, str] | None = None,
    durations: Sequence[float] | None = None,
    plays: int = 0,
    tagged: bool = False,
) -> bytes:
    """Encodes an image; several frames become an animation, in all formats but JPEG.

    about: the author's texts to carry over: author, copyright, date. durations: of the frames, milliseconds. plays: how
    often an animation is shown, 0 = without end. tagged: with a color profile, that of sRGB. What a format cannot hold
    is left out: transparency in JPEG (on white), degrees of it in GIF, more than 8 bits in all but a still PNG, texts
    and profiles in GIF. Raises InputError for values that are not finite, and what cannot be encoded.
    """
    height, width = frames[0].shape[:2]
    if max(height, width) > (most := _LONGEST_SIDE.get(format, 2**31)):
        raise InputError(f"{width}x{height} pixels cannot become {format}: at most {most:,} on a side")
    options = save_options(record, format.upper(), about or {})
    if tagged and format != "gif" and frames[0].shape[-1] > 2:  # for gray a profile of colors is none
        options["icc_profile"] = srgb_profile()
    if format == "png" and len(frames) == 1 and frames[0].dtype == np.uint16:
        return deep_png.encode(frames[0], **options)
    pictures = [_picture(_eight_bits(frame), format) for frame in frames]
    if format == "jpeg":
        options |= {"quality": 95, "subsampling": 0}
    if format == "webp":
        options |= {"quality": 90}
    if format in ANIMATIONS or len(frames) > 1:
        options |= _animated(pictures, format, durations, plays)
    buffer = io.BytesIO()
    try:
        pictures[0].save(buffer, format=format.upper(), **options)
    except (OSError, ValueError, OverflowError, struct.error) as error:
        raise InputError(f"{width}x{height} pixels cannot become {format} ({printable(error)})") from error
    return with_xmp(buffer.getvalue(), record) if format == "gif" else buffer.getvalue()


def on_white(image: np.ndarray) -> np.ndarray:
    """Composites uint8 [h w c] on white: gray or RGB."""
    if image.shape[-1] in (1, 3):
        return image
    color, alpha = image[..., :-1].astype(np.uint32), image[..., -1:].astype(np.uint32)
    return ((color * alpha + 255 * (255 - alpha) + 127) // 255).astype(np.uint8)


@functools.cache
def srgb_profile() -> bytes:
    """Returns the ICC profile of sRGB, always the same bytes."""
    profile = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    profile[24:36] = struct.pack(">6H", 2000, 1, 1, 0, 0, 0)  # littleCMS puts the time there
    profile[84:100] = bytes(16)  # a digest of the rest, which may be missing
    return bytes(profile)


def _not_finite(images: np.ndarray) -> str:
    bad = images.size - int(np.isfinite(images).sum())
    return f"{bad:,} of its {images.size:,} values are NaN or infinite" if bad else ""


def _eight_bits(frame: np.ndarray) -> np.ndarray:
    if frame.dtype == np.uint16:
        return ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if bad := _not_finite(frame):
        raise InputError(bad)
    return to_uint8(frame)


def _picture(frame: np.ndarray, format: str) -> Image.Image:
    if format == "jpeg":
        frame = on_white(frame)
    elif format == "gif" and frame.shape[-1] in (2, 4):
        frame = _on_or_off(frame)
    return Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame)


def _on_or_off(frame: np.ndarray) -> np.ndarray:
    """Converts uint8 with alpha to RGBA with an alpha of 0 or 255, all that GIF has; Pillow would lose the rest."""
    color = frame[..., :-1].repeat(3, -1) if frame.shape[-1] == 2 else frame[..., :3]
    opaque = frame[..., -1:] >= 128
    return np.concatenate([color * opaque, opaque * np.uint8(255)], -1)


def _animated(
    pictures: Sequence[Image.Image], format: str, durations: Sequence[float] | None, plays: int
) -> dict[str, Any]:
    """Returns the options of Pillow for an animation."""
    times = [round(t) for t in durations] if durations else [_FRAME_MILLISECONDS] * len(pictures)
    options: dict[str, Any] = {"save_all": True, "append_images": pictures[1:], "duration": times, "loop": plays}
    if format == "gif":
        if pictures[0].mode in ("LA", "RGBA"):
            options["disposal"] = 2  # else an older frame shows where this one is transparent
        if plays == 1:
            del options["loop"]  # a GIF counts what follows the first time
        elif plays:
            options["loop"] = plays - 1
    return options
