"""Intervals of costly statistics: one evaluation and the influence of each sample, instead of hundreds of evaluations.

A smooth statistic of samples moves, to first order, by the mean of an influence over the samples (Hampel 1974; the
infinitesimal jackknife, Efron 1982, chapter 6). So the replicates of a bootstrap are means of resampled influences.
"""

from __future__ import annotations

import numpy as np

from gen.metrics.bootstrap import Value, centered


def linearized(value: float, *influences: np.ndarray, replicates: int, seed: int) -> Value:
    """Adds to `value` the interval of the bootstrap, each group of samples resampled by itself.

    influences: for each independent group the derivative [n] of the statistic by the weight of each of its samples,
    times n, up to a constant. Fewer than two replicates, or no groups: no interval. Where the two sets are alike the
    first order vanishes, and what is left overstates the spread, by up to the square root of 2: the interval is wide,
    not narrow.
    """
    if replicates < 2 or not influences:
        return Value(float(value))
    rng = np.random.default_rng(seed)
    drawn = np.zeros(replicates)
    for influence in influences:
        n = len(influence)
        drawn += [influence[rng.integers(0, n, n)].mean() for _ in range(replicates)]
    return centered(drawn, value)
