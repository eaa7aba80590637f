"""SIGTERM and Ctrl-C: the loop finishes its step, saves, and exits. With nothing to save, or asked twice: at once."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from types import FrameType

_NAMES = {signal.SIGINT: "Ctrl-C", signal.SIGTERM: "SIGTERM"}


class Interrupt:
    """Remembers the signal that asked the run to end, and ends the process where it need not wait."""

    def __init__(self) -> None:
        self.saves = False  # is there anything to save?
        self.before_exit: Callable[[], None] = lambda: None  # called before the process is ended at once
        self._signal = 0
        self._count = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal in the main thread, when that comes back from compiled code."""
        self._signal = number

    def received(self, number: int) -> None:
        """Acts on one more signal; in a thread of its own, as compiling keeps the main thread for minutes."""
        self._signal = number
        self._count += 1
        name = _NAMES[signal.Signals(number)]
        if self.saves and self._count == 1:
            _say(f"{name}: stopping after this step, which will be saved; again: at once")
            return
        _say(f"stopped by {name}" + ("" if self._count == 1 else "; what came after the last checkpoint is lost"))
        with contextlib.suppress(Exception):
            self.before_exit()
        os._exit(128 + number)  # jax's threads crash when the interpreter is taken down beside them

    def exit_code(self, agree: bool) -> int:
        """Returns the exit code to stop with, 0 to go on. Several processes stop at a call where all `agree`."""
        import jax

        if jax.process_count() > 1:
            import numpy as np
            from jax.experimental import multihost_utils

            if not agree:
                return 0
            # A signal that comes while the others are asked is told the next time: now they do not know of it.
            agreed = int(multihost_utils.process_allgather(np.array(self._signal)).max())
            return 128 + agreed if agreed else 0
        return 128 + self._signal if self._signal else 0


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Turns SIGTERM and Ctrl-C into a request to save and exit; puts the handlers back afterwards.

    Python's handlers wait until the main thread runs Python again. Its C handler writes each signal's number into a
    pipe at once, and a thread reads it there.
    """
    stop = Interrupt()
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        wakeup = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    except ValueError:  # not the main thread, such as in a notebook's executor: signals stay as they are
        os.close(reader)
        os.close(writer)
        yield stop
        return
    before = {number: signal.signal(number, stop) for number in _NAMES}
    thread = threading.Thread(target=_watch, args=(reader, stop), daemon=True, name="signals")
    thread.start()
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(wakeup)
        os.close(writer)
        thread.join()
        os.close(reader)


def _watch(reader: int, stop: Interrupt) -> None:
    while numbers := os.read(reader, 64):
        for number in numbers:
            if number in tuple(_NAMES):  # other signals that have a handler come here too
                stop.received(number)


def _say(text: str) -> None:
    """Writes one line to stderr; not by print, whose lock the main thread may hold."""
    start = "\r\x1b[K" if sys.stderr is not None and sys.stderr.isatty() else ""
    with contextlib.suppress(OSError):
        os.write(2, f"{start}gen: {text}\n".encode())
