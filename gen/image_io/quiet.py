"""Silences warnings and messages of decoders."""

from __future__ import annotations

import contextlib
import ctypes
import functools
import logging
import re
import threading
import warnings
from pathlib import Path


class Quiet:
    """A context without warnings, such as remarks about metadata, whatever python -W is.

    It may be entered by several threads at once, unlike `warnings.catch_warnings`, which exchanges a list for all.
    """

    def __init__(self) -> None:
        self._lock, self._users = threading.Lock(), 0

    def __enter__(self) -> None:
        with self._lock:
            self._users += 1
            if self._users == 1:
                _silence_readers()
                self._filters = warnings.catch_warnings()
                self._filters.__enter__()
                warnings.simplefilter("ignore")

    def __exit__(self, *_: object) -> None:
        with self._lock:
            self._users -= 1
            if self._users == 0:
                self._filters.__exit__(None, None, None)


@functools.cache
def _silence_readers() -> None:
    """Silences Pillow, which logs errors that it also raises, and libtiff, which prints them past Python.

    The latter can be mended only where the system tells which libraries a process has loaded (Linux).
    """
    logging.getLogger("PIL").setLevel(logging.CRITICAL)
    with contextlib.suppress(OSError, AttributeError):
        for path in set(re.findall(r"/\S*libtiff[^/\s]*\.so\S*", Path("/proc/self/maps").read_text())):
            library = ctypes.CDLL(path)
            for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
                function = getattr(library, name)
                function.argtypes, function.restype = [ctypes.c_void_p], ctypes.c_void_p
                function(None)
