"""What orbax and tensorstore print beside the errors that they raise, which gen.runs.checkpoint says in one line.

When one of the many writes of a checkpoint fails, the error of the first is raised. Those of the others reach the log
of orbax, asyncio's of tasks that nobody waits for, and, as the event loop is closed by then, the hooks that Python
calls for exceptions outside of any call.
"""

from __future__ import annotations

import functools
import logging
import sys
from types import TracebackType
from typing import Any


@functools.cache
def silence_orbax() -> None:
    """Drops all that, for this process; everything else goes where it went before."""
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
