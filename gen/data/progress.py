"""How far a long job is, on stderr: one line renewed on a terminal, a line every half minute in a log."""

from __future__ import annotations

import sys
import time
from types import TracebackType

_TERMINAL_SECONDS, _LOG_SECONDS = 0.5, 30.0


def say(text: str) -> None:
    """Prints one line on stderr, as the programs of gen do it."""
    print(f"gen: {text}", file=sys.stderr, flush=True)


class Progress:
    """Counts `unit`s of a job and shows count, speed and the time left. A job shorter than the interval shows nothing.

    total: None when it is not known. scale: units in one that is shown, such as 2**20 bytes in a MiB.
    """

    def __init__(self, doing: str, total: int | None, unit: str = "images", *, scale: int = 1, done: int = 0) -> None:
        self._doing, self._total, self._unit, self._scale = doing, total, unit, scale
        self._first = self._done = done
        self._terminal = sys.stderr.isatty()
        self._began = self._shown = time.monotonic()
        self._open = False  # a line on the terminal that has no end yet

    def add(self, count: int = 1) -> None:
        """Counts, and shows how far it is when that is due."""
        self._done += count
        if time.monotonic() - self._shown > (_TERMINAL_SECONDS if self._terminal else _LOG_SECONDS):
            self._show()

    def _show(self) -> None:
        self._shown = time.monotonic()
        speed = (self._done - self._first) / max(self._shown - self._began, 1e-9)
        of = f" of {self._total // self._scale:,}" if self._total else ""
        left = f", {_duration((self._total - self._done) / speed)} left" if self._total and speed else ""
        text = f"{self._doing}: {self._done // self._scale:,}{of} {self._unit}, {speed / self._scale:,.3g}/s{left}"
        if self._terminal:
            print(f"\r\x1b[Kgen: {text}", end="", file=sys.stderr, flush=True)
            self._open = True
        else:
            say(text)

    def __enter__(self) -> Progress:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._open:
            print(file=sys.stderr)


def _duration(seconds: float) -> str:
    seconds = max(0, round(seconds))
    if seconds < 120:
        return f"{seconds} s"
    return f"{seconds // 60} min" if seconds < 7200 else f"{seconds // 3600} h {seconds % 3600 // 60} min"
