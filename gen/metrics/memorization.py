"""Tests whether generated images are copies: nearer to training images than new images are.

Everything rests on distances to the nearest training sample, in features of one extractor: from the generated, and from
held-out real samples, which come from the distribution of the training set and were not trained on. A model that
learned the distribution makes samples like held-out ones; smaller distances than theirs need another explanation.

`near` and `held_out_near` are nearest(generated, train, 1) and nearest(held_out, train, 1) of gen.metrics.neighbors:
give them where several of these numbers are wanted, for finding them is nearly all of the cost.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gen.errors import InputError
from gen.metrics.bootstrap import LEVEL, REPLICATES, Value, centered
from gen.metrics.neighbors import Neighbors, nearest

LEAST_IN_CELL = 20  # generated samples, for a cell of C_T to count


class Memorization(NamedTuple):
    """Copying in numbers, and the training image that each generated one is nearest to.

    share: of generated samples nearer to a training sample than `threshold`, in [0, 1], with an exact interval.
    expected: that share for samples that are like held-out ones.
    p_value: of distances so small, were the generated samples like held-out ones.
    threshold: the quantile of the distances from held-out samples to their nearest training samples.
    distances, indices: to the nearest training sample and which one it is, [n] each.
    """

    share: Value
    expected: float
    p_value: float
    threshold: float
    distances: np.ndarray
    indices: np.ndarray


def memorization(
    generated: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    *,
    quantile: float = 0.01,
    near: Neighbors | None = None,
    held_out_near: Neighbors | None = None,
) -> Memorization:
    """Computes the share of generated samples [n d] nearer to `train` [t d] than nearly all of `held_out` [m d] are.

    Lower is better, and `expected` is what an honest model has; copies, exact or nearly so, raise it. The threshold is
    the j-th smallest of the m held-out distances, j = max(1, floor(quantile m)): an estimate, for which a binomial test
    of share against `quantile` would see copies where there are none. Exact is this: if generated and held-out
    distances have one distribution, any order of the n + m is equally likely, and the number of generated ones below
    the j-th held-out one is beta-binomial(n, j, m - j + 1), whatever that distribution is (Wilks 1942). Few exact
    copies stand out most at small j, many near ones at large: p_value is the least over j, j / 2, j / 4 ... 1, times
    the number of these (Bonferroni). The interval of the share is Clopper's and Pearson's (1934) at this threshold.

    A small p says "nearer than new images are". Samples that all look typical may be, too: look at the pairs. Held-out
    images that are also in `train` hide copying: InputError where they are so many that the threshold is 0.
    """
    if not 0 < quantile < 1:
        raise InputError(f"quantile = {quantile} of the held-out distances; it must be between 0 and 1")
    near = near or nearest(generated, train, 1)
    held_out_near = held_out_near or nearest(held_out, train, 1)
    distances, limits = near.distances[:, 0], np.sort(held_out_near.distances[:, 0])
    n, m = len(distances), len(limits)
    j = max(1, math.floor(quantile * m))
    threshold = float(limits[j - 1])
    if threshold == 0:
        raise InputError(
            f"{np.sum(limits == 0)} of {m} held-out samples are copies of training samples, so that copying cannot be"
            f" told at quantile = {quantile}; leave them out of the held-out set"
        )
    ranks = [j >> halvings for halvings in range(j.bit_length())]
    tails = [rank_tail(int(np.sum(distances < limits[rank - 1])), n, rank, m) for rank in ranks]
    return Memorization(
        share=clopper_pearson(int(np.sum(distances < threshold)), n),
        expected=j / (m + 1),
        p_value=min(1.0, len(ranks) * min(tails)),
        threshold=threshold,
        distances=distances,
        indices=near.indices[:, 0],
    )


def rank_tail(count: int, n: int, rank: int, m: int) -> float:
    """Computes the probability that `count` or more of n values lie below the rank-th least of m, all exchangeable.

    The upper tail of the beta-binomial distribution with parameters rank and m - rank + 1.
    """
    from scipy.special import betaln

    i = np.arange(count, n + 1)
    choose = -betaln(i + 1, n - i + 1) - math.log(n + 1)
    log_share = choose + betaln(i + rank, n - i + m - rank + 1) - betaln(rank, m - rank + 1)
    return float(min(1.0, np.exp(log_share).sum()))


def clopper_pearson(count: int, n: int) -> Value:
    """Computes count / n with its exact 95 % interval (Clopper and Pearson 1934), never too narrow, even at 0 and 1."""
    from scipy.special import betaincinv

    tail = (1 - LEVEL) / 2
    low = float(betaincinv(count, n - count + 1, tail)) if count else 0.0
    high = float(betaincinv(count + 1, n - count, 1 - tail)) if count < n else 1.0
    return Value(count / n, low, high)


def auth_pct(
    generated: np.ndarray,
    train: np.ndarray,
    *,
    near: Neighbors | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes AuthPct (Alaa et al. 2022), the per cent of generated samples [n d] that are authentic; copies lower it.

    A sample is authentic if its nearest training sample is nearer to another training sample than to it. For
    comparison only: an honest model has far less than 100, how much depends on the data, and 2 % copies do not show.
    The interval is that of a share, exact, with `train` as it is; `seed` changes nothing.
    """
    near = near or nearest(generated, train, 1)
    train = np.asarray(train)
    hit, which = np.unique(near.indices[:, 0], return_inverse=True)
    # Of the two nearest of a training sample, one is itself or a copy of it: the other is nearest of the rest.
    others = nearest(train[hit], train, 2).distances[:, 1]
    authentic, n = int(np.sum(others[which] < near.distances[:, 0])), len(which)
    return Value(*(100 * x for x in clopper_pearson(authentic, n))) if replicates >= 2 else Value(100 * (authentic / n))


def c_t(
    generated: np.ndarray,
    train: np.ndarray,
    held_out: np.ndarray,
    *,
    cells: int = 3,
    near: Neighbors | None = None,
    held_out_near: Neighbors | None = None,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes C_T (Meehan et al. 2020): are samples [n d] nearer to `train` [t d] than held-out ones [m d] are?

    In each of the `cells` of a k-means partition of `train`, the Mann-Whitney statistic U of the two sets of distances
    to the nearest training sample, as a z-score; then their mean, weighted by the held-out samples in the cell. Far
    below 0 (-3): copied. Near 0: like new samples. Far above: underfitted. For comparison only: it compares whole
    distributions, and 2 % copies do not show. Distances are to all of `train`, not to what of it is in the cell.

    Cells with fewer than 20 generated samples or no held-out one are left out; InputError if that leaves none. The
    interval is of both sets of distances resampled within the cells.
    """
    near = near or nearest(generated, train, 1)
    held_out_near = held_out_near or nearest(held_out, train, 1)
    centers = _centers(np.asarray(train), cells, np.random.default_rng(seed))
    mine, theirs = (nearest(x, centers, 1).indices[:, 0] for x in (generated, held_out))
    pairs = [(near.distances[mine == c, 0], held_out_near.distances[theirs == c, 0]) for c in range(len(centers))]
    pairs = [(a, b) for a, b in pairs if len(a) >= LEAST_IN_CELL and len(b)]
    if not pairs:
        raise InputError(
            f"none of {cells} cells has {LEAST_IN_CELL} generated and a held-out sample; give more, or fewer cells"
        )
    weights = [len(b) for _, b in pairs]
    value = float(np.average([_z_score(a, b) for a, b in pairs], weights=weights))
    if replicates < 2:
        return Value(value)
    rng = np.random.default_rng(seed)
    again = lambda x: rng.choice(x, len(x))  # noqa: E731
    drawn = [np.average([_z_score(again(a), again(b)) for a, b in pairs], weights=weights) for _ in range(replicates)]
    return centered(np.array(drawn), value)


def _z_score(a: np.ndarray, b: np.ndarray) -> float:
    """The z-score of U, the number of pairs with a above b, half a pair for equals (Mann and Whitney 1947)."""
    b = np.sort(b)
    u = (np.searchsorted(b, a, "left") + np.searchsorted(b, a, "right")).sum() / 2
    pairs = len(a) * len(b)
    return float((u - pairs / 2) / math.sqrt(pairs * (len(a) + len(b) + 1) / 12))


def _centers(x: np.ndarray, cells: int, rng: np.random.Generator, *, steps: int = 20) -> np.ndarray:
    """Centers [k d], k <= cells, by k-means++ (Arthur and Vassilvitskii 2007) and `steps` of Lloyd's algorithm."""
    if not 1 <= cells <= len(x):
        raise InputError(f"cells = {cells} for {len(x)} training samples; it must be from 1 to that number")
    centers = x[rng.integers(len(x), size=1)].astype(np.float64)
    while len(centers) < cells:
        squared = np.square(nearest(x, centers, 1).distances[:, 0])
        if not squared.any():  # fewer different samples than cells
            break
        centers = np.concatenate([centers, x[rng.choice(len(x), 1, p=squared / squared.sum())]])
    for _ in range(steps):
        cell = nearest(x, centers, 1).indices[:, 0]
        kept = [c for c in range(len(centers)) if (cell == c).any()]
        moved = np.array([x[cell == c].mean(axis=0, dtype=np.float64) for c in kept])
        if np.array_equal(moved, centers):
            break
        centers = moved
    return centers
