"""What hostile files must not do: run anything, and take memory that the file does not have."""

from __future__ import annotations

import contextlib
import os
import pickle
import struct
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from gen.errors import InputError
from gen.image_io import Unreadable

MOST = 200  # MB
_STATUS, _RESET = Path("/proc/self/status"), Path("/proc/self/clear_refs")


class Evil:
    """Unpickling this makes a folder."""

    def __init__(self, canary: Path):
        self.canary = canary

    def __reduce__(self):
        return os.mkdir, (str(self.canary),)


def program(canary: Path) -> bytes:
    """A pickle that runs."""
    return pickle.dumps({"w": Evil(canary)})


@contextlib.contextmanager
def refused(canary: Path | None = None, match: str = ".") -> Iterator[None]:
    """What is inside must end with one line, make no canary, and take at most 200 MB more than there were."""
    before = _memory("VmRSS", reset=True)
    with pytest.raises((InputError, Unreadable), match=match) as caught:
        yield
    assert _memory("VmHWM") - before < MOST
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 1000
    assert canary is None or not canary.exists()


@contextlib.contextmanager
def bounded() -> Iterator[None]:
    """What is inside must take at most 200 MB more than there were."""
    before = _memory("VmRSS", reset=True)
    yield
    assert _memory("VmHWM") - before < MOST


def _memory(field: str, *, reset: bool = False) -> float:
    """MB of this process: now, VmRSS, or at most since the last reset, VmHWM; 0 where the kernel does not tell."""
    with contextlib.suppress(OSError):
        if reset:
            _RESET.write_text("5")
        return int(_STATUS.read_text().partition(f"{field}:")[2].split()[0]) / 1024
    return 0.0


def chunk(kind: bytes, content: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))


def png(width: int = 16, height: int = 16, *, extra: bytes = b"", pixels: bytes | None = None) -> bytes:
    """A black PNG file with chunks of one's own before its pixels, which are packed bytes."""
    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    pixels = zlib.compress(bytes(height * (3 * width + 1))) if pixels is None else pixels
    return b"\x89PNG\r\n\x1a\n" + head + extra + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
