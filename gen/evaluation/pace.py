"""When a model in training is measured."""

from __future__ import annotations

import time
from collections.abc import Callable

SHARE = 0.03  # of the time of a training, at most, that measuring may take by default
MOMENTS = 32  # in a training, at most, at which it is measured by default


class Pace:
    """Chooses the steps at which a training is measured.

    every > 0: each multiple of it, and the last step. every = -1: the first of the steps that are logged in each of
    `MOMENTS` equal parts of the training, and the last one; of these it leaves out what would take more than `SHARE` of
    the time since `begin`, and what would leave too little time for the last step. So how fast a machine is decides
    how often it measures, and with it which checkpoint is the best; never what training learns.
    """

    def __init__(
        self,
        every: int,
        log_every: int,
        *,
        clock: Callable[[], float] = time.monotonic,
        agree: Callable[[bool], bool] = lambda affords: affords,
    ) -> None:
        """agree: makes one answer of those of several processes, whose clocks differ."""
        self._agree = agree
        self._every, self._log_every, self._clock = every, log_every, clock
        self._began = clock()
        self._spent = 0.0
        self.cost = 0.0  # seconds that one measurement takes

    def begin(self, cost: float) -> None:
        """Begins to count the time. cost: a guess of the seconds of the first measurement."""
        self._began, self.cost = self._clock(), cost

    def due(self, step: int, total: int) -> bool:
        """Returns whether to measure at this step of a training of `total` steps."""
        if self._every > 0:
            return step % self._every == 0 or step == total
        return self._is_moment(step, total) and self.affords(step, total)

    def affords(self, step: int, total: int) -> bool:
        """Returns whether there is time for another measurement, and until the last step for that one too."""
        if self._every > 0:
            return True
        needed = self.cost * (1 if step == total and self._spent else 2)  # a guess may be too low
        return self._agree(self._spent + needed <= SHARE * (self._clock() - self._began))

    def charge(self, seconds: float) -> None:
        """Counts time that measuring has taken."""
        self._spent += seconds

    def _is_moment(self, step: int, total: int) -> bool:
        if step == total:
            return True
        part = lambda at: MOMENTS * at // total  # noqa: E731
        return step % self._log_every == 0 and part(step) > part(max(0, step - self._log_every))
