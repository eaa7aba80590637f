"""Images that a page hands over: parsed in a child process with limits, kept as files that only this program names."""

from __future__ import annotations

import base64
import binascii
import secrets
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gen.errors import InputError
from gen.files import printable
from gen.outputs import encoding
from gen.verification.parse import Parser

_MOST_BYTES, _MOST_PIXELS, _MOST_KEPT = 32 * 2**20, 40_000_000, 24
_SUFFIXES = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "MPO": ".jpg",
    "WEBP": ".webp",
    "GIF": ".gif",
    "TIFF": ".tif",
    "BMP": ".bmp",
}


class Upload(NamedTuple):
    """An image that was handed over."""

    name: str  # to be shown, and in commands
    path: Path
    height: int
    width: int
    pixels: np.ndarray  # uint8 [h w 3], on white

    @property
    def argument(self) -> str:
        """Its name as an argument of a command, which is no flag."""
        return f"./{self.name}" if self.name.startswith("-") else self.name


class Uploads:
    """The newest images that were handed over, by a number that nobody can guess."""

    def __init__(self, parser: Parser) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="gen-studio-")
        self._parser, self._kept = parser, OrderedDict[str, Upload]()

    def add(self, content: bytes, name: str) -> str:
        """Keeps an image; returns its number. Raises InputError for what is none, or too large."""
        if len(content) > _MOST_BYTES:
            raise InputError(f"the file has {len(content) / 2**20:.0f} MiB; allowed are {_MOST_BYTES // 2**20}")
        shown = printable(Path(name.replace("\\", "/")).name, longest=60) or "image"
        parsed = self._parser.parse_content(content, path=Path(shown), whole=True)
        if parsed.error:
            raise InputError(f"{shown} cannot be used: {parsed.error}")
        height, width = parsed.pixels.shape[1:3]
        if height * width > _MOST_PIXELS:
            raise InputError(f"{shown} has {height * width:,} pixels; allowed are {_MOST_PIXELS:,}")
        number = secrets.token_hex(8)
        path = Path(self._folder.name) / f"{number}{_SUFFIXES.get(parsed.format, '.png')}"
        path.write_bytes(content)
        self._kept[number] = Upload(shown, path, height, width, on_white(parsed.pixels[0]))
        while len(self._kept) > _MOST_KEPT:
            self._kept.popitem(last=False)[1].path.unlink(missing_ok=True)
        return number

    def find(self, number: str) -> Upload:
        """Returns an image by its number. Raises InputError."""
        if number not in self._kept:
            raise InputError("this image is not there any more; hand it over again")
        self._kept.move_to_end(number)
        return self._kept[number]

    def paths(self) -> list[Path]:
        """The files of all."""
        return [kept.path for kept in self._kept.values()]

    def close(self) -> None:
        """Deletes all."""
        self._folder.cleanup()


def decoded(text: str) -> bytes:
    """Returns the bytes of base64. Raises InputError."""
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise InputError("the content is no base64") from None


def on_white(pixels: np.ndarray) -> np.ndarray:
    """Converts pixels as they are parsed, 8 or 16 bits, 1 to 4 channels, to uint8 RGB on white."""
    eight = pixels if pixels.dtype == np.uint8 else (pixels >> 8).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(encoding.on_white(eight), (*eight.shape[:2], 3)))
