"""Notices in training that the variety of samples falls."""

from __future__ import annotations

import math
from collections.abc import Mapping

MEASURED = ("recall", "coverage")  # how much of the real images samples reach; more is more varied
FALLEN, RECOVERED = 0.8, 0.9  # of the best so far
LEAST = 0.03  # what it must have fallen by at least: of a few hundred samples less is noise
_IN_A_ROW = 2  # measurements below it, for one alone may be noise
# Farther than so many times the lowest distance so far does not count: the balls of scattered samples are wide.
_GOOD = 1.5


class Variety:
    """Follows recall and coverage over a training, and says once when one of them falls, until it has recovered."""

    def __init__(self, distance: str) -> None:
        """distance: the name of the number, lower for better samples, that tells which measurements count."""
        self._distance = distance
        self._history: list[tuple[int, Mapping[str, float | None]]] = []
        self._below = dict.fromkeys(MEASURED, 0)  # measurements in a row
        self._said = set[str]()

    def __call__(self, step: int, numbers: Mapping[str, float | None]) -> str:
        """Adds what was measured at a step. Returns the line to say, "" for none."""
        self._history.append((step, numbers))
        return "; ".join(filter(None, (self._of(name, step, numbers) for name in MEASURED)))

    @property
    def fallen(self) -> bool:
        """Whether one of them was lower at the last measurement than it had been, said or not."""
        return any(self._below.values())

    def _of(self, name: str, step: int, numbers: Mapping[str, float | None]) -> str:
        value, (best, at) = numbers.get(name), self._best(name)
        if value is None or best <= 0:
            return ""
        fallen = value < min(FALLEN * best, best - LEAST)
        self._below[name] = self._below[name] + 1 if fallen else 0
        if value >= RECOVERED * best:
            self._said.discard(name)
        if self._below[name] < _IN_A_ROW or name in self._said:
            return ""
        self._said.add(name)
        return f"{name} fell to {value:.2g} at step {step:,}, from {best:.2g} at step {at:,}"

    def _best(self, name: str) -> tuple[float, int]:
        """Returns the best value so far among good measurements, and its step."""
        lowest = min((_number(numbers.get(self._distance)) for _, numbers in self._history), default=math.inf)
        good = [(step, n) for step, n in self._history if _number(n.get(self._distance)) <= _GOOD * lowest]
        return max(((n.get(name) or 0.0, step) for step, n in good), default=(0.0, 0))


def _number(value: float | None) -> float:
    return math.inf if value is None else value
