"""Steps that were skipped, as a metric, a gradient or a parameter was not finite: counted, and too many in a row."""

from __future__ import annotations

from collections import deque

import jax
import numpy as np

from gen.tasks import Metrics

SKIPPED = "skipped"  # the share of steps that changed nothing, as something in them was not finite


class NonFiniteError(ArithmeticError):
    """A metric became nan or infinite; the message names the step and the quantity."""


class Skips:
    """Averages metrics, and counts the steps that were skipped."""

    def __init__(self, most: int) -> None:
        self._most, self._in_a_row, self._why = most, 0, ""
        self.first = 0  # step of those that are in a row now

    def average(self, pending: deque[Metrics], step: int) -> dict[str, float]:
        """Averages and empties `pending`, the metrics of the steps up to `step`, but for skipped ones.

        Their share is there if it is not 0. Raises NonFiniteError when more than `most` were skipped in a row.
        """
        host = jax.device_get(list(pending))
        pending.clear()
        good = [metrics for at, metrics in enumerate(host, step - len(host) + 1) if self._is_good(at, metrics)]
        averages = {name: float(np.mean([each[name] for each in good])) for name in good[0]} if good else {}
        return averages | {SKIPPED: 1 - len(good) / len(host)} if len(good) < len(host) else _without_skips(averages)

    def _is_good(self, step: int, metrics: Metrics) -> bool:
        if not metrics[SKIPPED]:
            self._in_a_row = 0
            return True
        self._in_a_row += 1
        if self._in_a_row == 1:
            bad = [f"{name} is {float(value)}" for name, value in metrics.items() if not np.isfinite(value)]
            self.first, self._why = step, ", ".join(bad) or "a gradient or a parameter is not finite"
        if self._in_a_row > self._most:
            more = f"; {self._in_a_row} steps in a row were skipped" if self._most else ""
            raise NonFiniteError(f"step {self.first}: {self._why}{more}")
        return False


def _without_skips(averages: dict[str, float]) -> dict[str, float]:
    return {name: value for name, value in averages.items() if name != SKIPPED}
