"""Parses untrusted image files, of which it gets the content by its standard input: python -m gen.verification.child

It may use a limited address space, may open no file and no connection once it has begun, and holds no secret:
its parent starts it with an environment that has none, and ends it when a file takes too long. Imports no jax.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import itertools
import json
import os
import pkgutil
import resource
import sys
from collections.abc import Iterator
from typing import IO, Any

import numpy as np
from PIL import Image

from gen.errors import InputError
from gen.files import printable
from gen.image_io import Picture, Unreadable, open_frames, open_picture
from gen.provenance import c2pa_read
from gen.provenance.reading import records_in, source_type_in
from gen.verification import protocol
from gen.verification.reduction import reduced

_SECONDS = 120  # of computing for one file, should the parent be gone


def main() -> None:
    """Answers until its input ends."""
    source, target = sys.stdin.buffer, _private_output()
    header, content = _receive(source)
    anchors = content.decode()
    _prepare(anchors)
    _limit(header["memory"])
    _send(target, {"ready": True})
    while (asked := _receive(source, ends=True)) is not None:
        header, content = asked
        used = resource.getrusage(resource.RUSAGE_SELF)
        seconds = int(used.ru_utime + used.ru_stime) + _SECONDS
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, resource.RLIM_INFINITY))
        _send(target, *_picture(content, frames=header["frames"], whole=header["whole"]))
        _send(target, _signature(content, anchors))


def _picture(content: bytes, *, frames: int, whole: bool) -> tuple[dict[str, Any], bytes]:
    """Returns what an image file shows and says. frames: how many of an animation, at most. whole: not reduced."""
    try:
        pictures = [open_picture(content)]
        if frames > 1 and pictures[0].frames > 1:
            pictures = list(_frames(content, frames))
        arrays = [_stacked(picture) for picture in pictures]
        sides = arrays[0].shape[:2]
        if not whole:
            arrays = [reduced(array) for array in arrays]
        if sum(array.nbytes for array in arrays) > protocol.MOST_PIXELS:
            raise Unreadable(f"its pixels are more than {protocol.MOST_PIXELS // 2**20:,} MiB")
        pixels = np.stack(arrays) if len({array.shape for array in arrays}) == 1 else arrays[0][None]
        records = {place: protocol.plain_record(found) for place, found in records_in(content).items()}
        claimed = "" if records else source_type_in(content)
    except (Unreadable, InputError) as error:
        return {"error": printable(error)}, b""
    except MemoryError:
        return {"error": "it needs more memory than verification allows"}, b""
    first = pictures[0]
    header = {
        "format": first.format,
        "frames": first.frames,
        "sides": sides,
        "shape": pixels.shape,
        "dtype": str(pixels.dtype),
        "records": records,
        "claimed": claimed,
    }
    return header, np.ascontiguousarray(pixels).tobytes()


def _frames(content: bytes, count: int) -> Iterator[Picture]:
    """Yields so many frames at most. Raises Unreadable where they are too much."""
    total = 0
    for picture in itertools.islice(open_frames(content), count):
        total += picture.pixels.nbytes
        if total > protocol.MOST_PIXELS:
            raise Unreadable(f"its frames are more than {protocol.MOST_PIXELS // 2**20:,} MiB")
        yield picture


def _stacked(picture: Picture) -> np.ndarray:
    """Returns [h w c] with alpha, if there is one, last."""
    return picture.pixels if picture.alpha is None else np.concatenate([picture.pixels, picture.alpha[..., None]], -1)


def _signature(content: bytes, anchors: str) -> dict[str, Any]:
    """Returns the fields of the Signature of a file. anchors: certificates of the authorities to trust, PEM."""
    try:
        found = vars(c2pa_read.read(content, anchors=anchors))
    except InputError as error:  # without c2pa-python
        return {"state": "absent", "problems": [f"not looked for: {error}"]}
    record = found["record"]
    return {**found, "record": None if record is None else protocol.plain_record(record)}


def _prepare(anchors: str) -> None:
    """Imports all that is imported on the way, before files are closed: reads one file of each kind, and more."""
    for package in ("encodings", "cryptography"):  # whose modules are imported late, by the names in a file
        with contextlib.suppress(ImportError):
            for module in pkgutil.walk_packages(importlib.import_module(package).__path__, f"{package}."):
                with contextlib.suppress(Exception):
                    importlib.import_module(module.name)
    for format in ("PNG", "JPEG", "WEBP", "GIF", "TIFF", "BMP"):
        buffer = io.BytesIO()
        Image.new("RGB", (8, 8)).save(buffer, format=format)
        _picture(buffer.getvalue(), frames=1, whole=False)
        _signature(buffer.getvalue(), anchors)


def _limit(memory: int) -> None:
    """Gives up memory beyond these bytes, and files and connections."""
    with contextlib.suppress(ValueError, OSError):  # where the system knows no such limit
        resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))


def _private_output() -> IO[bytes]:
    """Returns standard output, and lets what libraries print go nowhere."""
    target = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    return target


def _receive(source: IO[bytes], *, ends: bool = False) -> Any:
    start = source.read(protocol.LENGTH.size)
    if ends and len(start) < protocol.LENGTH.size:
        return None
    header = json.loads(source.read(protocol.LENGTH.unpack(start)[0]))
    return header, source.read(header["size"])


def _send(target: IO[bytes], header: dict[str, Any], content: bytes = b"") -> None:
    target.write(protocol.packed(header, content))
    target.write(content)
    target.flush()


if __name__ == "__main__":
    main()
