"""SIGTERM and Ctrl-C as a request: the loop finishes its step, saves, and exits."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Iterator
from types import FrameType

import jax
import numpy as np
from jax.experimental import multihost_utils


class Interrupt:
    """Remembers the signal that asked the run to end."""

    def __init__(self) -> None:
        self._signal = 0

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self._signal = number
        signal.signal(
            number, signal.default_int_handler if number == signal.SIGINT else signal.SIG_DFL
        )  # the second one kills

    def code(self, agree: bool) -> int:
        """The exit code to stop with, 0 to go on. Several processes stop together, at a call in which all `agree`."""
        if jax.process_count() > 1:
            if not agree:
                return 0
            self._signal = int(multihost_utils.process_allgather(np.array(self._signal)).max())
        return 128 + self._signal if self._signal else 0


@contextlib.contextmanager
def interrupts() -> Iterator[Interrupt]:
    """Turns SIGTERM and Ctrl-C into a request to save and exit; puts the handlers back afterwards."""
    stop = Interrupt()
    try:
        before = {number: signal.signal(number, stop) for number in (signal.SIGTERM, signal.SIGINT)}
    except ValueError:  # not the main thread, such as in a notebook's executor: signals stay as they are
        before = {}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
