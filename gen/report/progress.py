"""Progress and speed of a training."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Callable, Mapping
from typing import TextIO

from gen.report.page import duration

MEASURED = ("step", "images", "seconds", "steps_per_second", "images_per_second")  # what `measure` adds to a log line


class Progress:
    """Measures progress and speed, as numbers for the log and as one line for a person.

    Call `measure` (or `show`) once after the first step: compilation lies before it, and counts in no speed.
    """

    def __init__(
        self,
        total_steps: int,
        batch_size: int,
        *,
        seconds: float = 0.0,
        stream: TextIO = sys.stderr,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`seconds`: trained before this process began, see `Report.seconds`."""
        self._total_steps = total_steps
        self._batch_size = batch_size
        self._clock = clock
        self._stream = stream
        self._began = clock() - seconds
        self._last: tuple[int, float] | None = None  # step and time of the last measurement

    def measure(self, step: int) -> dict[str, float]:
        """Measures images, seconds, and from the second call on steps_per_second and images_per_second."""
        now = self._clock()
        measured: dict[str, float] = {"images": step * self._batch_size, "seconds": round(now - self._began, 3)}
        if self._last is not None and step > self._last[0] and now > self._last[1]:
            speed = (step - self._last[0]) / (now - self._last[1])
            measured |= {"steps_per_second": speed, "images_per_second": speed * self._batch_size}
        self._last = (step, now)
        return measured

    def text(self, step: int, metrics: Mapping[str, float]) -> str:
        """Formats a line: step 500/2,000 · 25 % · 310 images/s · 4.8 steps/s · ETA 5 min 13 s · d_loss 0.69 ..."""
        total = self._total_steps
        parts = [f"step {step:,}/{total:,}", f"{100 * step // max(1, total)} %"]
        if speed := metrics.get("steps_per_second"):
            parts += [f"{metrics['images_per_second']:.3g} images/s", f"{speed:.3g} steps/s"]
            parts += [f"ETA {duration((total - step) / speed)}"] if step < total else []
        parts += [f"{name} {float(value):.3g}" for name, value in metrics.items() if name not in MEASURED]
        return " · ".join(parts)

    def show(self, step: int, metrics: Mapping[str, float]) -> None:
        """Prints `text`: on a terminal it rewrites one line, until the last step; elsewhere it adds a line."""
        text = self.text(step, metrics)
        if not self._stream.isatty():
            print(text, file=self._stream, flush=True)
            return
        columns = shutil.get_terminal_size().columns
        end = "\n" if step >= self._total_steps else ""
        print(f"\r\x1b[K{text[: max(20, columns - 1)]}", end=end, file=self._stream, flush=True)
