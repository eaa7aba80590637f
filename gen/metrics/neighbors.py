"""Nearest neighbors, and precision, recall, density and coverage, which are counted with them.

Squared distances come from |x|^2 + |y|^2 - 2 x.y block by block, in float64 and about the mean of y: without the mean,
features of mean 30 and deviation 0.01 lose all their digits in float32 and half of them in float64. The distances that
are returned are then computed once more from differences, so that a copy is at distance 0 exactly.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import checked, same_dimensions, slices
from gen.metrics.bootstrap import LEVEL, REPLICATES, Value

BLOCK = 2048  # rows and columns of the distances that are held at a time: 32 MiB
SUBSAMPLES, LARGEST = 20, 1000  # for intervals: how many, and of how many points at most
# What rounding may add to a squared distance, as a share of |x|^2 + |y|^2: nearer to a border than this is on it,
# and so inside the ball.
ROUNDING = 64 * float(np.finfo(np.float64).eps)


class Neighbors(NamedTuple):
    """The nearest points of y for each x, nearest first: distances float64 [n k] and indices int64 [n k] into y."""

    distances: np.ndarray
    indices: np.ndarray


class Manifold(NamedTuple):
    """A set of points [n d] with the distances [n k] from each to its k nearest others: a ball about each point.

    Make it once by `manifold` for real features that many generated sets are compared with.
    """

    points: np.ndarray
    distances: np.ndarray


class PrecisionRecall(NamedTuple):
    """Two shares in [0, 1]: how real the images are, and how much of what is real they reach."""

    precision: Value
    recall: Value


class DensityCoverage(NamedTuple):
    """density >= 0, about 1 for equal distributions; coverage in [0, 1]."""

    density: Value
    coverage: Value


def nearest(x: np.ndarray, y: np.ndarray, k: int, *, exclude_self: bool = False) -> Neighbors:
    """Finds the k nearest points of y [m d] for each point of x [n d], Euclidean; of equals, any.

    exclude_self: x and y are one set, and no point is its own neighbor (a copy of it elsewhere in the set may be).
    InputError if y has fewer than k points to choose from.
    """
    x, y = checked(x, "x"), checked(y, "y")
    same_dimensions(x.shape[1], y.shape[1], "x", "y")
    if exclude_self and len(x) != len(y):
        raise InputError(f"exclude_self wants one set twice; x has {len(x)} points, y {len(y)}")
    if not 1 <= k <= len(y) - exclude_self:
        raise InputError(f"k = {k} nearest of {len(y) - exclude_self} points; k must be from 1 to that number")
    squared, indices = np.full((len(x), k), np.inf), np.zeros((len(x), k), np.int64)
    for rows, columns, block in squared_distances(x, y):
        if exclude_self:
            block[np.arange(rows.start, rows.stop)[:, None] == np.arange(columns.start, columns.stop)] = np.inf
        best = _least(block, min(k, block.shape[1]))
        found = np.concatenate([squared[rows], np.take_along_axis(block, best, 1)], axis=1)
        where = np.concatenate([indices[rows], best + columns.start], axis=1)
        kept = _least(found, k)
        squared[rows], indices[rows] = np.take_along_axis(found, kept, 1), np.take_along_axis(where, kept, 1)
    return _measured(x, y, indices)


def _least(x: np.ndarray, k: int) -> np.ndarray:
    """Where the k least of each row of x [n m] are, [n k], in any order."""
    return x.argmin(axis=1)[:, None] if k == 1 else np.argpartition(x, k - 1, axis=1)[:, :k]


def squared_distances(x: np.ndarray, y: np.ndarray, *, slack: float = 0.0) -> Iterator[tuple[slice, slice, np.ndarray]]:
    """Yields (rows of x, rows of y, squared distances [rows columns]) block by block; x [n d], y [m d].

    Of any real types; the distances are float64. slack: this share of |x|^2 + |y|^2 is added to each, but none
    falls below 0. The block is the caller's, to overwrite.
    """
    center = y.mean(axis=0, dtype=np.float64)
    for rows in slices(len(x), BLOCK):
        a = x[rows] - center
        a_norm = np.einsum("nd,nd->n", a, a)
        for columns in slices(len(y), BLOCK):
            b = y[columns] - center
            block = a @ (-2 * b).T
            block += (1 + slack) * a_norm[:, None]
            block += (1 + slack) * np.einsum("nd,nd->n", b, b)
            yield rows, columns, np.maximum(block, 0, out=block)


def manifold(x: np.ndarray, *, k: int = 5) -> Manifold:
    """Adds to points x [n d] the distances to their k nearest others, for every metric here up to that k."""
    x = checked(x, "x", least=k + 1)
    return Manifold(x, nearest(x, x, k, exclude_self=True).distances)


def precision_recall(
    generated: np.ndarray | Manifold,
    real: np.ndarray | Manifold,
    *,
    k: int = 3,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> PrecisionRecall:
    """Computes improved precision and recall (Kynkäänniemi et al. 2019, eq. 1 and 2) of features [n d] and [m d].

    Each point has a ball that reaches to its k-th nearest other point of the same set. Precision, higher is better: the
    share of generated points within some real ball; it falls with bad images. Recall, higher is better: the share of
    real points within some generated ball; it falls when modes are missing. One outlier with a wide ball raises either:
    see `density_coverage`. Both depend on n and m. A ball holds its border (<= in the paper; the package prdc has <),
    so that a set in which every point has k copies is within its own balls of radius 0.

    The interval is from subsamples (Politis, Romano and Wolf 1999): resampled points would be copies, whose balls are
    empty. At most 20 of the `replicates` are drawn, each a quarter of both sets and at most 1000 points; of 10,000
    points that costs less than the value does. Of normal samples it was 0.7 to 2 times as wide as it should be, where
    one with the balls held fixed was as little as half as wide. None (nan) where a quarter has k points or fewer.
    InputError for sets with k points or fewer.
    """
    sets = _as_manifold(generated, "generated", k), _as_manifold(real, "real", k)
    one, other = _with_intervals(_precision_recall, *sets, k, replicates, seed)
    return PrecisionRecall(one.within(0, 1), other.within(0, 1))


def density_coverage(
    generated: np.ndarray | Manifold,
    real: np.ndarray | Manifold,
    *,
    k: int = 5,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> DensityCoverage:
    """Computes density and coverage (Naeem et al. 2020, eq. 3 and 4) of features [n d] and [m d].

    Density, higher is better: in how many real balls a generated point lies, over k; it falls with bad images, is not
    fooled by one wide ball, and exceeds 1 where images crowd about what is typical. Coverage, higher is better: the
    share of real balls with a generated point inside; it falls when modes are missing. Equal distributions of n points
    each have coverage `expected_coverage(n, n, k)`, not 1. Intervals and errors as in `precision_recall`.
    """
    sets = _as_manifold(generated, "generated", 0), _as_manifold(real, "real", k)
    density, coverage = _with_intervals(_density_coverage, *sets, k, replicates, seed)
    return DensityCoverage(density.within(0), coverage.within(0, 1))


def expected_coverage(n: int, m: int, k: int) -> float:
    """Computes the coverage of m real points by n of the same distribution: 1 - prod_i (m - i) / (n + m - i).

    i from 1 to k: all of a real point's k nearest are real ones (Naeem et al. 2020, appendix; there n = m).
    """
    i = np.arange(1, k + 1)
    return float(1 - np.prod((m - i) / (n + m - i)))


def _precision_recall(generated: Manifold, real: Manifold, k: int) -> tuple[float, float]:
    inside, reached, _ = _membership(generated, real, k)
    return float((inside > 0).mean()), float(reached.mean())


def _density_coverage(generated: Manifold, real: Manifold, k: int) -> tuple[float, float]:
    inside, _, covered = _membership(generated, real, k)
    return float(inside.mean() / k), float(covered.mean())


def _with_intervals(
    metric: Callable[[Manifold, Manifold, int], tuple[float, float]],
    generated: Manifold,
    real: Manifold,
    k: int,
    replicates: int,
    seed: int,
) -> list[Value]:
    """Both numbers of `metric` with their intervals, see `precision_recall`."""
    values = metric(generated, real, k)
    share = min(0.25, LARGEST / max(len(generated.points), len(real.points)))
    drawn, rng = [], np.random.default_rng(seed)
    if min(len(generated.points), len(real.points)) * share < k + 1 or replicates < 2:
        return [Value(value) for value in values]
    for _ in range(min(replicates, SUBSAMPLES)):
        some = [x.points[rng.permutation(len(x.points))[: int(share * len(x.points))]] for x in (generated, real)]
        own = k if generated.distances.shape[1] else 0
        drawn.append(metric(_as_manifold(some[0], "generated", own), _as_manifold(some[1], "real", k), k))
    from scipy.special import stdtrit

    # The variance of a share s of the sample about the sample's own value is (1 - s) / s of the variance wanted.
    deviation = np.std(drawn, axis=0, ddof=1) * np.sqrt(share / (1 - share))
    deviation[deviation == 0] = np.nan  # all in or all out, which does not say how sure that is
    halves = deviation * stdtrit(len(drawn) - 1, (1 + LEVEL) / 2)
    return [Value(value, value - half, value + half) for value, half in zip(values, halves, strict=True)]


def _membership(generated: Manifold, real: Manifold, k: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each generated point the number [n] of real balls it is in; for each real point whether it is in a generated
    ball [m], where those were measured, and whether its ball has a generated point inside [m]."""
    same_dimensions(generated.points.shape[1], real.points.shape[1])
    if k < 1:
        raise InputError(f"k = {k}; balls reach to the k-th nearest other point, k at least 1")
    inside = np.zeros(len(generated.points), np.int64)
    reached, covered = np.zeros(len(real.points), bool), np.zeros(len(real.points), bool)
    radius = np.square(real.distances[:, k - 1])
    reach = np.square(generated.distances[:, k - 1]) if generated.distances.shape[1] else None
    for rows, columns, block in squared_distances(generated.points, real.points, slack=-ROUNDING):
        within = block <= radius[columns]
        inside[rows] += within.sum(axis=1)
        covered[columns] |= within.any(axis=0)
        if reach is not None:
            reached[columns] |= (block <= reach[rows, None]).any(axis=0)
    return inside, reached, covered


def _as_manifold(x: np.ndarray | Manifold, name: str, k: int) -> Manifold:
    """`x` with the distances to at least k nearest others; with k = 0, to none."""
    if not isinstance(x, Manifold):
        x = checked(x, name, least=k + 1)
        return manifold(x, k=k) if k else Manifold(x, np.zeros((len(x), 0)))
    if k == 0:
        return x._replace(distances=x.distances[:, :0])
    if k > x.distances.shape[1]:
        raise InputError(f"{name} is a manifold with k = {x.distances.shape[1]}; k = {k} is asked for")
    return x


def _measured(x: np.ndarray, y: np.ndarray, indices: np.ndarray) -> Neighbors:
    """Distances from differences, and all in the order of distance."""
    distances = np.empty(indices.shape)
    for rows in slices(len(x), BLOCK):
        for column in range(indices.shape[1]):
            difference = x[rows].astype(np.float64) - y[indices[rows, column]]
            distances[rows, column] = np.sqrt(np.einsum("nd,nd->n", difference, difference))
    order = np.lexsort((indices, distances), axis=1)
    return Neighbors(np.take_along_axis(distances, order, 1), np.take_along_axis(indices, order, 1))
