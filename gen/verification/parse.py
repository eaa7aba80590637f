"""Parses untrusted files in a child process with limits on memory and time; what comes back is checked plain data.

A child serves many files, and is replaced by a new one when a file ends it. Only its answers are believed, and of those
only what has the right types, sizes and bounds: whoever takes over the child can say what he likes about his own file,
and of the files after it, but nothing else.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from gen.errors import InputError
from gen.files import printable, read_regular
from gen.provenance.c2pa_report import Signature
from gen.verification import answers, protocol
from gen.verification.answers import Parsed, Untrue

SECONDS = 30.0  # for one file
_START_SECONDS = 60.0  # for a child to start on a busy machine
_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT")  # of the environment


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
            parsed = answers.picture(path, *_read(child, deadline))
        except _Ended as ended:
            self._end()
            return Parsed(path, error=f"it cannot be read within the limits of verification ({ended})")
        except Untrue as untrue:
            self._end()
            return Parsed(path, error=f"its parser answered what cannot be ({untrue})")
        try:
            signature = answers.signature(_read(child, deadline)[0])
        except (_Ended, Untrue) as ended:
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
        raise Untrue("a header that is too long")
    try:
        header = json.loads(bytes(_bytes(child, length, deadline)))
    except (ValueError, RecursionError):
        raise Untrue("no JSON") from None
    size = header.get("size") if isinstance(header, dict) else None
    if type(size) is not int or not 0 <= size <= protocol.MOST_PIXELS:
        raise Untrue("a size out of bounds")
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
