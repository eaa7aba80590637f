"""Image files as gen writes them: whole or not at all, with the record of how they were made."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen.errors import InputError
from gen.files import atomic_write
from gen.provenance import Record, save_options

STILLS, ANIMATIONS = ("png", "jpeg"), ("webp", "gif")  # formats
_FRAME_MILLISECONDS = 40


def suffix(format: str) -> str:
    """How the name of a file of this format ends."""
    return ".jpg" if format == "jpeg" else f".{format}"


def save(path: Path, frames: Sequence[np.ndarray], *, format: str, record: Record) -> None:
    """Writes uint8 [h w c] with its record, making the folder; several frames as an endless animation.

    c: 1 or 3, and in a PNG file one more for transparency. Raises InputError when the file cannot be written.
    """
    pictures = [Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame) for frame in frames]
    options: dict[str, Any] = save_options(record, format.upper())
    if format == "jpeg":
        options |= {"quality": 95, "subsampling": 0}
    if format in ANIMATIONS:
        options |= {"save_all": True, "append_images": pictures[1:], "duration": _FRAME_MILLISECONDS, "loop": 0}
    if format == "webp":
        options |= {"quality": 90}
    buffer = io.BytesIO()
    try:
        pictures[0].save(buffer, format=format.upper(), **options)
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, buffer.getvalue())
    except OSError as error:
        raise InputError(f"cannot write {path}: {error.strerror or error}") from error
