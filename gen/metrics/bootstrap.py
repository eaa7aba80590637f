"""Numbers with intervals: what a metric returns, and how its interval is found by resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from gen.errors import InputError

LEVEL = 0.95  # of every interval
REPLICATES = 200


class Value(NamedTuple):
    """A number and the ends of its 95 % interval; the ends are nan where no interval was asked for."""

    value: float
    low: float = np.nan
    high: float = np.nan

    def within(self, least: float, most: float = np.inf) -> Value:
        """Cuts the interval to what is possible."""
        low, high = np.clip([self.low, self.high], least, most)
        return Value(self.value, float(low), float(high))


def bootstrap(
    statistic: Callable[[np.ndarray], float], n: int, *, replicates: int = REPLICATES, seed: int = 0
) -> Value:
    """Computes a statistic of n samples with a centered percentile interval (Efron and Tibshirani 1993, ch. 13).

    statistic: from indices int64 [n] into the samples to a number; its value is that of all of them. The replicates are
    shifted by value - mean(replicates) first: a biased statistic, such as a Fréchet distance, would else be biased
    twice. Fewer than two replicates: no interval.
    """
    if n < 1:
        raise InputError("no samples: a metric needs at least one")
    value = float(statistic(np.arange(n)))
    if replicates < 2:
        return Value(value)
    rng = np.random.default_rng(seed)
    return centered(np.array([statistic(rng.integers(0, n, n)) for _ in range(replicates)], np.float64), value)


def bootstrap_mean(contributions: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0) -> Value:
    """Computes the mean of one number for each sample [n] with its interval."""
    contributions = np.asarray(contributions, np.float64)
    return bootstrap(lambda at: contributions[at].mean(), len(contributions), replicates=replicates, seed=seed)


def centered(drawn: np.ndarray, value: float) -> Value:
    """Adds to `value` the percentile interval of replicates `drawn` [r], their mean moved onto it."""
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(drawn - drawn.mean(), [tail, 1 - tail])
    return Value(float(value), float(value + low), float(value + high))
