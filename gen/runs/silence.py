"""Silences what orbax and tensorstore print beside the error that they raise.

When writes of a checkpoint fail, the first error is raised. The others reach orbax's log, asyncio's log of tasks that
nobody awaits, and, as the event loop is closed by then, Python's hooks for uncaught exceptions.
"""

from __future__ import annotations

import functools
import logging
import sys
from types import TracebackType
from typing import Any


@functools.cache
def silence_orbax() -> None:
    """Drops these messages, for this process."""
    for name in ("absl", "asyncio"):
        logging.getLogger(name).addFilter(_is_not_of_orbax)
    excepthook, unraisablehook = sys.excepthook, sys.unraisablehook

    def uncaught(kind: type[BaseException], error: BaseException, at: TracebackType | None) -> None:
        if not _is_of_closed_loop(error):
            excepthook(kind, error, at)

    def unraisable(what: Any) -> None:
        code = getattr(what.object, "cr_code", None)
        if not (code is not None and "orbax" in code.co_filename) and not _is_of_closed_loop(what.exc_value):
            unraisablehook(what)

    sys.excepthook, sys.unraisablehook = uncaught, unraisable


def _is_not_of_orbax(record: logging.LogRecord) -> bool:
    return "orbax" not in record.pathname and "orbax" not in record.getMessage()


def _is_of_closed_loop(error: BaseException | None) -> bool:
    return isinstance(error, RuntimeError) and str(error) == "Event loop is closed"
