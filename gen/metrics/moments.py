"""Fréchet distance between Gaussians fitted to features: FID where the features are Inception's, else FD of a name.

Features are real [n d]; a covariance has ddof 1. Everything is float64 on the host: in float32 the distance is wrong in
the second digit. Where there are fewer samples than dimensions no [d d] matrix is made.
"""

from __future__ import annotations

import io
import os
from typing import NamedTuple

import jax
import numpy as np

from gen.errors import InputError
from gen.files import atomic_write, printable
from gen.metrics.arrays import checked, features, rows, same_dimensions
from gen.metrics.bootstrap import REPLICATES, Value
from gen.metrics.influence import linearized
from gen.npz import read_npz


class Moments(NamedTuple):
    """Of `count` samples (0 where a file did not say): mean [d], covariance [d d] with ddof 1, float64."""

    count: int  # type: ignore[assignment]  # hides tuple.count
    mean: np.ndarray
    cov: np.ndarray


class Accumulator:
    """Moments of features that come in batches; memory is that of one covariance, however many come."""

    def __init__(self) -> None:
        self.count = 0
        self._mean: np.ndarray | None = None
        self._scatter = np.zeros((0, 0))

    def add(self, batch: np.ndarray | jax.Array) -> None:
        """Takes features [b d] in. Centers each batch before it squares (Chan, Golub and LeVeque 1983, eq. 2.1):
        a mean far from zero costs no digits.
        """
        x = features(batch, "batch")
        if self._mean is None:
            self._mean, self._scatter = np.zeros(x.shape[1]), np.zeros((x.shape[1],) * 2)
        if x.shape[1] != len(self._mean):
            raise InputError(f"batch has {x.shape[1]} dimensions; those before it had {len(self._mean)}")
        mean = x.mean(axis=0)
        x = x - mean
        step = mean - self._mean
        total = self.count + len(x)
        self._scatter += x.T @ x + np.outer(step, step) * (self.count * len(x) / total)
        self._mean = self._mean + step * (len(x) / total)
        self.count = total

    def moments(self) -> Moments:
        """Returns the moments of all that was added. Raises InputError for fewer than two samples."""
        if self._mean is None or self.count < 2:
            raise InputError(f"{self.count} samples have no covariance; allowed: at least 2")
        return Moments(self.count, self._mean.copy(), self._scatter / (self.count - 1))


def moments(x: np.ndarray | jax.Array, *, name: str = "features") -> Moments:
    """Computes mean and covariance of features [n d], upcast block by block. name: what messages call them."""
    accumulator = Accumulator()
    for block in rows(checked(x, name, least=2)):
        accumulator.add(block)
    return accumulator.moments()


def frechet(a: Moments, b: Moments) -> float:
    """Computes |m1 - m2|^2 + tr(S1 + S2 - 2 (S1 S2)^(1/2)), at least 0.

    0 for equal moments, more is worse; in squared units of the features (Dowson and Landau 1982; Heusel et al. 2017,
    eq. 6). With A A' = S1, the last trace is the sum of the roots of the eigenvalues of A' S2 A, a symmetric matrix:
    finite for any rank, where sqrtm(S1 S2) is not.
    """
    return _distance(_Side(a.mean, a.cov), _Side(b.mean, b.cov))


def frechet_distance(
    generated: np.ndarray | jax.Array | Moments,
    real: np.ndarray | jax.Array | Moments,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes `frechet` of two sets of features, [n d] and [m d], or of their moments; 0 at best, more is worse.

    Biased upwards by about a constant / n: compare at equal n only, or use `frechet_infinite`. The interval is that of
    a linearized bootstrap (one evaluation, at any d) over those sets that are given as features, and leaves this bias
    where it is.
    """
    one, other = _side(generated, "generated"), _side(real, "real")
    value = _distance(one, other)
    influences = _influences(one, other) if replicates > 1 else []
    return linearized(value, *influences, replicates=replicates, seed=seed)


def frechet_infinite(
    generated: np.ndarray | jax.Array,
    real: np.ndarray | jax.Array | Moments,
    *,
    points: int = 15,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Extrapolates `frechet_distance` to infinitely many generated samples (Chong and Forsyth 2020); lower is better.

    The intercept of a line in 1/N through distances of `points` random subsets, whose sizes N go evenly from a tenth
    of the samples, or 2 d where that is more (but at most half of them), to all. Removes the bias of `generated` only:
    hold `real` fixed. Can be slightly negative. With fewer than some 4 d samples it is no line, and the value far too
    low. The interval is linearized: an influence counts as often as the line uses its sample.
    """
    x = checked(generated, "generated", least=4)
    if points < 2:
        raise InputError(f"points={points}; a line needs at least 2")
    n, d = x.shape
    sizes = np.linspace(min(max(n // 10, 2 * d, 2), n // 2), n, points).astype(np.int64)
    intercept = np.linalg.pinv(np.stack([np.ones(points), 1 / sizes], axis=1))[0]  # weights of the distances
    rng = np.random.default_rng(seed)
    target = _side(real, "real")
    root = _root(target)
    value, use = 0.0, np.zeros(n)
    for size, weight in zip(sizes, intercept, strict=True):
        at = rng.permutation(n)[:size]
        value += weight * _distance(_side(x[at], "generated"), target, root)
        use[at] += weight * n / size
    influences = _influences(_side(x, "generated"), target) if replicates > 1 else []
    if influences:
        influences[0] = use * (influences[0] - influences[0].mean())
    return linearized(value, *influences, replicates=replicates, seed=seed)


def write_statistics(path: str | os.PathLike[str], statistics: Moments) -> None:
    """Writes moments as .npz with mu and sigma, as pytorch-fid and clean-fid read it, and count."""
    path = os.fspath(path)
    if not path.endswith(".npz"):
        raise InputError(f"{path}: statistics are written as .npz, by which other tools know them")
    buffer = io.BytesIO()
    np.savez(buffer, mu=statistics.mean, sigma=statistics.cov, count=statistics.count)
    atomic_write(path, buffer.getvalue())


def read_statistics(path: str | os.PathLike[str]) -> Moments:
    """Reads moments from .npz with mu [d] and sigma [d d], of pytorch-fid, clean-fid or `write_statistics`."""
    path = os.fspath(path)
    shown = printable(path)
    try:
        found = read_npz(path, ("mu", "sigma", "count"))
        mean, cov, count = found["mu"], found["sigma"], int(found.get("count", 0))
    except KeyError:
        raise InputError(f"{shown} lacks mu or sigma; statistics are .npz with mu [d] and sigma [d d]") from None
    except (ValueError, TypeError, ArithmeticError) as error:
        raise InputError(f"{shown} is no .npz of statistics with mu [d] and sigma [d d]: {error}") from None
    if mean.ndim != 1 or cov.shape != (len(mean),) * 2 or count < 0:
        raise InputError(f"{shown}: mu has shape {mean.shape} and sigma {cov.shape}; they must be [d] and [d d]")
    mean, cov = features(mean[None], f"mu of {shown}")[0], features(cov, f"sigma of {shown}")
    deviation = np.sqrt(np.maximum(np.diag(cov), 0))
    bound = np.outer(deviation, deviation) + 1e-6 * np.abs(cov).max()
    if not (np.abs(cov - cov.T) <= 1e-6 * np.abs(cov).max()).all() or not (np.abs(cov) <= bound).all():
        raise InputError(f"{shown}: sigma is no covariance; it must be symmetric and positive semidefinite")
    return Moments(count, mean, cov)


class _Side(NamedTuple):
    """One set. `few`: it has no more samples than dimensions."""

    mean: np.ndarray
    spread: np.ndarray  # the covariance S [d d]; of few samples C [n d], centered, over sqrt(n - 1), where C' C = S
    few: bool = False
    x: np.ndarray | None = None  # features [n d], as they came

    @property
    def rank(self) -> int:
        return len(self.spread)

    @property
    def variance(self) -> float:
        return float(np.sum(np.square(self.spread)) if self.few else np.trace(self.spread))

    def within(self, a: np.ndarray) -> np.ndarray:
        """a' S a for a [d r]."""
        projected = self.spread @ a
        return (projected if self.few else a).T @ projected


def _side(x: np.ndarray | jax.Array | Moments, name: str) -> _Side:
    if isinstance(x, Moments):
        return _Side(x.mean, x.cov)
    x = checked(x, name, least=2)
    if len(x) > x.shape[1]:
        _, mean, cov = moments(x, name=name)
        return _Side(mean, cov, x=x)
    full = x.astype(np.float64)
    mean = full.mean(axis=0)
    return _Side(mean, (full - mean) / np.sqrt(len(x) - 1), few=True, x=x)


def _root(side: _Side) -> np.ndarray:
    """A [d r] with A A' = S."""
    if side.few:
        return side.spread.T
    values, vectors = np.linalg.eigh(side.spread)
    keep = values > _floor(values)
    return vectors[:, keep] * np.sqrt(values[keep])


def _floor(eigenvalues: np.ndarray) -> float:
    """What is below is rounding; its square root would not be."""
    return len(eigenvalues) * np.finfo(np.float64).eps * max(float(eigenvalues.max(initial=0)), 0.0)


def _distance(one: _Side, other: _Side, root: np.ndarray | None = None) -> float:
    """root: that of `other`, where it is known."""
    same_dimensions(len(one.mean), len(other.mean))
    if root is None and other.rank > one.rank:
        one, other = other, one
    values = np.linalg.eigvalsh(one.within(_root(other) if root is None else root))
    overlap = np.sqrt(values[values > _floor(values)]).sum()
    squares = np.sum(np.square(one.mean - other.mean)) + one.variance + other.variance
    return max(float(squares - 2 * overlap), 0.0)


def _influences(one: _Side, other: _Side) -> list[np.ndarray]:
    """Of each sample on the distance, [n] and [m], for the sides that have samples.

    dFD = 2 (m1 - m2)' dm1 + tr((I - T) dS1), where T = S1^(-1/2) (S1^(1/2) S2 S1^(1/2))^(1/2) S1^(-1/2) carries one
    Gaussian to the other (Takatsu 2011); with A A' = S1 and A' S2 A = Q s^2 Q', T = A^+' Q s Q' A^+, and its inverse
    is A Q s^-1 Q' A'.
    """
    if one.rank > other.rank:
        return _influences(other, one)[::-1]
    a = _root(one)
    values, q = np.linalg.eigh(other.within(a))
    keep = values > _floor(values)
    s, q = np.sqrt(values[keep]), q[:, keep]
    if one.few:  # A c = x for c = sqrt(n - 1) times a column of I
        transported = np.square(q) @ s * (one.rank - 1)
    else:
        transported = _quadratic(one, (a / np.sum(np.square(a), axis=0)) @ (q * np.sqrt(s)))
    carried = [transported, _quadratic(other, (a @ q) / np.sqrt(s))]
    step = one.mean - other.mean
    found = []
    for side, direction, quadratic in zip((one, other), (step, -step), carried, strict=True):
        if side.x is not None:
            away = [2 * (b - side.mean) @ direction + np.square(b - side.mean).sum(axis=1) for b in rows(side.x)]
            found.append(np.concatenate(away) - quadratic)
    return found


def _quadratic(side: _Side, b: np.ndarray) -> np.ndarray:
    """|b' (x - mean)|^2 for each sample x [n]."""
    if side.x is None:
        return np.zeros(0)
    return np.concatenate([np.square((block - side.mean) @ b).sum(axis=1) for block in rows(side.x)])
