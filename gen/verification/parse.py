"""Parses untrusted files in a child process with limits on memory and time; what comes back is checked plain data.

A child serves many files, and is replaced by a new one when a file ends it. Only its answers are believed, and of those
only what has the right types, sizes and bounds: whoever takes over the child can say what he likes about his own file,
and of the files after it, but nothing else.
"""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np

from gen.errors import InputError
from gen.files import printable, read_regular
from gen.provenance import Record
from gen.provenance.c2pa_report import Signature
from gen.verification import protocol

SECONDS = 30.0  # for one file
_START_SECONDS = 60.0  # for a child to start on a busy machine
_LONGEST, _MOST = 300, 20  # characters of a text of a signature; actions and problems
_STATES = Literal["trusted", "valid", "broken", "absent"]
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")  # of the environment


ABSENT = Signature("absent")


@dataclass(frozen=True)
class Parsed:
    """What is known about a file when it was parsed."""

    path: Path
    error: str = ""  # why it is no image that can be read; then all else is empty
    format: str = ""  # Pillow's name, such as "PNG"
    frames: int = 0
    sides: tuple[int, int] = (0, 0)  # height and width
    pixels: np.ndarray = field(default_factory=lambda: np.zeros((0, 0, 0, 0), np.uint8))  # uint8 or uint16 [n h w c]
    records: Mapping[str, Record] = field(default_factory=dict)  # by the place where they stand
    claimed: str = ""  # of a file without a record: IPTC's digital source type in its XMP
    signature: Signature = ABSENT


class Parser:
    """A child process that parses files; for `with`.

    anchors: certificates of the authorities to trust, PEM. seconds, memory: for one file; bytes of address space.
    """

    def __init__(self, anchors: str = "", *, seconds: float = SECONDS, memory: int = protocol.MEMORY) -> None:
        self._anchors, self._seconds, self._memory = anchors.encode(), seconds, memory
        self._child: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Parser:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()

    def parse(self, path: Path, *, frames: int = 1, whole: bool = False) -> Parsed:
        """Parses a file. frames: how many of an animation, at most. whole: large pictures are not reduced."""
        try:
            content = read_regular(path, most=protocol.MOST_CONTENT)
        except InputError as error:
            return Parsed(path, error=str(error).removeprefix(f"{printable(path)}: "))
        except OSError as error:
            return Parsed(path, error=error.strerror or printable(error))
        return self.parse_content(content, path=path, frames=frames, whole=whole)

    def parse_content(self, content: bytes, *, path: Path, frames: int = 1, whole: bool = False) -> Parsed:
        """Parses the content of a file; path: what it is called."""
        try:
            child, deadline = self._started(), time.monotonic() + self._seconds
            _write(child, {"frames": frames, "whole": whole}, content, deadline=deadline)
            parsed = _picture(path, *_read(child, deadline))
        except _Ended as ended:
            self._end()
            return Parsed(path, error=f"it cannot be read within the limits of verification ({ended})")
        except _Untrue as untrue:
            self._end()
            return Parsed(path, error=f"its parser answered what cannot be ({untrue})")
        try:
            signature = _signature(_read(child, deadline)[0])
        except (_Ended, _Untrue) as ended:
            self._end()
            problem = f"the manifest cannot be read within the limits of verification ({ended})"
            signature = Signature("broken", problems=[problem])
        return parsed if parsed.error else Parsed(**{**vars(parsed), "signature": signature})

    def _started(self) -> subprocess.Popen[bytes]:
        if self._child is None:
            self._child = subprocess.Popen(
                [sys.executable, "-s", "-P", "-m", "gen.verification.child"],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                cwd="/",
                bufsize=0,
            )
            for pipe in (self._child.stdin, self._child.stdout):
                assert pipe is not None
                os.set_blocking(pipe.fileno(), False)
            deadline = time.monotonic() + _START_SECONDS
            try:
                _write(self._child, {"memory": self._memory}, self._anchors, deadline=deadline)
                _read(self._child, deadline)
            except _Ended as ended:
                self._end()
                raise InputError(f"the process that parses files does not start ({ended})") from None
        return self._child

    def _end(self) -> None:
        if self._child is not None:
            self._child.kill()
            for pipe in (self._child.stdin, self._child.stdout):
                if pipe is not None:
                    with contextlib.suppress(OSError):
                        pipe.close()
            self._child.wait()
            self._child = None


class _Ended(Exception):
    """The child ended, or took too long."""


class _Untrue(Exception):
    """The child answered what cannot be."""


def _environment() -> dict[str, str]:
    """Returns the environment of the child: where modules are, and no secret."""
    places = [str(Path(__file__).parents[2]), *(place for place in sys.path if os.path.isabs(place))]
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    single = dict.fromkeys(("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "MALLOC_ARENA_MAX"), "1")
    return kept | single | {"PYTHONPATH": os.pathsep.join(dict.fromkeys(places)), "PYTHONDONTWRITEBYTECODE": "1"}


def _write(child: subprocess.Popen[bytes], header: dict[str, Any], content: bytes, *, deadline: float) -> None:
    assert child.stdin is not None
    for part in (protocol.packed(header, content), content):
        left = memoryview(part)
        while left:
            _wait(child.stdin.fileno(), select.POLLOUT, deadline)
            try:
                left = left[os.write(child.stdin.fileno(), left) :]
            except BlockingIOError:
                continue
            except OSError:
                raise _Ended(_reason(child)) from None


def _read(child: subprocess.Popen[bytes], deadline: float) -> tuple[dict[str, Any], bytearray]:
    """Reads a message: its header, and its content."""
    length = protocol.LENGTH.unpack(_bytes(child, protocol.LENGTH.size, deadline))[0]
    if length > protocol.MOST_HEADER:
        raise _Untrue("a header that is too long")
    try:
        header = json.loads(bytes(_bytes(child, length, deadline)))
    except (ValueError, RecursionError):
        raise _Untrue("no JSON") from None
    size = header.get("size") if isinstance(header, dict) else None
    if type(size) is not int or not 0 <= size <= protocol.MOST_PIXELS:
        raise _Untrue("a size out of bounds")
    return header, _bytes(child, size, deadline)


def _bytes(child: subprocess.Popen[bytes], count: int, deadline: float) -> bytearray:
    assert child.stdout is not None
    found, done = bytearray(count), 0
    while done < count:
        _wait(child.stdout.fileno(), select.POLLIN, deadline)
        try:
            got = os.readv(child.stdout.fileno(), [memoryview(found)[done:]])
        except BlockingIOError:
            continue
        if not got:
            raise _Ended(_reason(child))
        done += got
    return found


def _wait(descriptor: int, event: int, deadline: float) -> None:
    poll = select.poll()
    poll.register(descriptor, event)
    if not poll.poll(max(0.0, deadline - time.monotonic()) * 1000):
        raise _Ended("it takes too long")


def _reason(child: subprocess.Popen[bytes]) -> str:
    try:
        code = child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return "its parser does not answer"
    return f"its parser ended with {'signal' if code < 0 else 'code'} {abs(code)}"


def _picture(path: Path, header: Mapping[str, Any], content: bytearray) -> Parsed:
    """Checks the first answer about a file."""
    if "error" in header:
        return Parsed(path, error=printable(header["error"]) or "it cannot be read")
    shape, kind, format, frames = (header.get(name) for name in ("shape", "dtype", "format", "frames"))
    known = isinstance(shape, list) and len(shape) == 4 and all(type(side) is int and side > 0 for side in shape)
    if not known or shape[3] > 4 or kind not in ("uint8", "uint16"):  # type: ignore[index]
        raise _Untrue("pixels of an unknown kind")
    if len(content) != math.prod(shape) * np.dtype(kind).itemsize:  # type: ignore[arg-type]
        raise _Untrue("pixels of another size")
    sides = header.get("sides")
    if not isinstance(sides, list) or len(sides) != 2 or not all(type(side) is int and side > 0 for side in sides):
        raise _Untrue("no size")
    if not isinstance(format, str) or type(frames) is not int or frames < 1:
        raise _Untrue("no format")
    records = header.get("records")
    if not isinstance(records, dict):
        raise _Untrue("no records")
    return Parsed(
        path,
        format=printable(format, longest=20),
        frames=frames,
        sides=(sides[0], sides[1]),
        pixels=np.frombuffer(content, kind).reshape(shape),
        records={printable(place, longest=40): _record(record) for place, record in records.items()},
        claimed=printable(header.get("claimed") or "", longest=_LONGEST),
    )


def _record(record: Any) -> Record:
    if not isinstance(record, dict):
        raise _Untrue("a record that is none")
    return protocol.plain_record(record)


def _signature(header: Mapping[str, Any]) -> Signature:
    """Checks the second answer about a file."""
    state, record = header.get("state"), header.get("record")
    if state not in get_args(_STATES):
        raise _Untrue("no state of a signature")
    text = lambda name: printable(header.get(name) or "", longest=_LONGEST)  # noqa: E731
    many = lambda name: [printable(one, longest=_LONGEST) for one in _list(header.get(name))[:_MOST]]  # noqa: E731
    return Signature(
        state,  # type: ignore[arg-type]
        signer=text("signer"),
        issuer=text("issuer"),
        time=text("time") or None,
        source_type=text("source_type") or None,
        record=None if record is None else _record(record),
        actions=many("actions"),
        problems=many("problems"),
    )


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
