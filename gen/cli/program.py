"""How a program ends: exit codes, and one line for an error. Imports no jax."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from collections.abc import Callable
from typing import NoReturn

from gen.cli.progress import clear_bars
from gen.errors import InputError
from gen.files import printable, storage_fault

_LONGEST = 800  # characters of a message; of a longer one the middle is left out


def guard(call: Callable[[], int | None]) -> NoReturn:
    """Calls and exits: with the returned code, with 2 and one line on stderr after InputError, with 130 after Ctrl-C.

    Whoever reads the output may stop early (`| head`): that is no error, and ends the program with 141 as it would C's.
    What the system refuses (a disk that is full, memory) is one line too, and code 2.

    Any other exception is a bug in gen and keeps its traceback.
    """
    _mend_streams()
    if getattr(signal.getsignal(signal.SIGINT), "__module__", "") == "gen":  # which is for imports alone
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(handlers=[Warnings()])
    try:
        code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush at exit goes nowhere
        code = 141
    except InputError as error:
        say(str(error))
        code = 2
    except KeyboardInterrupt:
        say("stopped by Ctrl-C")
        code = 130
    except (OSError, MemoryError, RuntimeError) as error:
        if not (refused := _of_system(error)):
            raise
        say(refused)
        code = 2
    sys.exit(code or 0)


def _of_system(error: Exception) -> str:
    """Describes what the system refused; "" for a bug."""
    if isinstance(error, MemoryError):
        return "out of memory; give less at once, by a smaller --batch_size for one"
    if isinstance(error, OSError) and error.errno is not None and error.errno not in (errno.EBADF, errno.EINVAL):
        if not error.filename:  # what stdout cannot take any more must not fail again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return f"standard output or a file: {error.strerror}"
        return storage_fault(error)
    if "RESOURCE_EXHAUSTED" in str(error):  # what jax raises
        return f"out of memory ({str(error).splitlines()[0]}); try a smaller --batch_size"
    return ""


def _mend_streams() -> None:
    """Opens streams that are closed, to nowhere, and escapes what the encoding of a stream lacks."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets this number: no file of ours may become what libraries print to
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Warnings(logging.Handler):
    """Shows what is logged as `say` does. Orbax logs through absl what is of no use to a person."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "absl" or record.levelno >= logging.ERROR:
            say(record.getMessage())


def say(text: str) -> None:
    """Writes one line to stderr that any terminal can show."""
    clear_bars()
    print("gen: " + printable(" ".join(text.splitlines()), longest=_LONGEST), file=sys.stderr, flush=True)
