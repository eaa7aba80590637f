"""Encodes images as PNG, JPEG, WebP and GIF: what each format can hold, and with which options.

Frames are [h w c]: uint8, uint16, or float in [0, 1], all finite. c: 1 gray, 2 gray and alpha, 3 RGB, 4 RGB and alpha.
"""

from __future__ import annotations

import functools
import hashlib
import io
import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageCms

from gen.errors import InputError
from gen.files import printable
from gen.image_io.pixels import to_uint8
from gen.outputs import deep_png
from gen.provenance import pixels_digest

STILLS, ANIMATIONS = ("png", "jpeg"), ("webp", "gif")  # formats
FORMATS = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".webp": "webp", ".gif": "gif"}
_FRAME_MILLISECONDS = 40
_LONGEST_SIDE = {"jpeg": 65_500, "webp": 16_383, "gif": 65_535}  # pixels
_QUALITY: dict[str, dict[str, Any]] = {"jpeg": {"quality": 95, "subsampling": 0}, "webp": {"quality": 90}}


def suffix(format: str) -> str:
    """Returns the suffix of files of this format."""
    return ".jpg" if format == "jpeg" else f".{format}"


def not_finite(images: np.ndarray) -> str:
    """Says how many values are not finite; "" where all are."""
    bad = images.size - int(np.isfinite(images).sum())
    return f"{bad:,} of its {images.size:,} values are NaN or infinite" if bad else ""


def digest(frames: Sequence[np.ndarray]) -> str:
    """Returns the `pixels_digest` of a frame, or of several as [t h w c]; if gray and colors are mixed, of each."""
    if len({frame.shape for frame in frames}) > 1:
        return hashlib.sha256("\n".join(map(pixels_digest, frames)).encode()).hexdigest()
    return pixels_digest(frames[0] if len(frames) == 1 else np.stack(frames))


def as_written(frames: Sequence[np.ndarray], format: str) -> list[np.ndarray]:
    """Converts frames to the pixels that a file of this format holds, but for what its compression loses.

    uint8, or uint16 in a still PNG; JPEG without alpha, on white; in GIF alpha is 0 or 255, of colors. Raises
    InputError for values that are not finite, and sizes that cannot be encoded.
    """
    height, width = frames[0].shape[:2]
    if max(height, width) > (most := _LONGEST_SIDE.get(format, 2**31)):
        raise InputError(f"{width}x{height} pixels cannot become {format}: at most {most:,} on a side")
    if format == "png" and len(frames) == 1 and frames[0].dtype == np.uint16:
        return list(frames)
    pixels = [_eight_bits(frame) for frame in frames]
    if format == "jpeg":
        return list(map(on_white, pixels))
    if format == "gif":
        return [_on_or_off(frame) if frame.shape[-1] in (2, 4) else frame for frame in pixels]
    return pixels


def encode(
    frames: Sequence[np.ndarray], format: str, *, durations: Sequence[float] | None, plays: int, **options: Any
) -> bytes:
    """Encodes frames of `as_written`; several become an animation, in all formats but JPEG. Raises InputError.

    durations: of the frames, milliseconds. plays: how often an animation is shown, 0 = without end. options: as Pillow
    takes them: texts, EXIF, profile.
    """
    if frames[0].dtype == np.uint16:
        return deep_png.encode(frames[0], **options)
    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    options |= _QUALITY.get(format, {})
    if format in ANIMATIONS or len(frames) > 1:
        options |= _animated(pictures, format, durations, plays)
    buffer = io.BytesIO()
    try:
        pictures[0].save(buffer, format=format.upper(), **options)
    except (OSError, ValueError, OverflowError, struct.error) as error:
        size = "x".join(map(str, pictures[0].size))
        raise InputError(f"{size} pixels cannot become {format} ({printable(error)})") from error
    return buffer.getvalue()


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


def _eight_bits(frame: np.ndarray) -> np.ndarray:
    if frame.dtype == np.uint16:
        return ((frame.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if bad := not_finite(frame):
        raise InputError(bad)
    return to_uint8(frame)


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
