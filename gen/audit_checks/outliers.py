"""Images far from all others, by features, and two sets that differ."""

from __future__ import annotations

import math

import numpy as np

_NEIGHBOR = 5
_SPREADS = 6.0  # of the distances below the median, beyond which a distance is an outlier's
_AT_ONCE = 1024


def distances(features: np.ndarray, *, reference: np.ndarray | None = None, k: int = _NEIGHBOR) -> np.ndarray:
    """Returns the distance of each of n feature vectors [n d] to its k-th nearest other, or reference [m d]: [n]."""
    among = features if reference is None else reference
    squares = (among.astype(np.float32) ** 2).sum(1)
    k, found = min(k, len(among) - (reference is None)), np.zeros(len(features))
    if k < 1:
        return found
    for start in range(0, len(features), _AT_ONCE):
        part = features[start : start + _AT_ONCE].astype(np.float32)
        square = squares - 2 * part @ among.T.astype(np.float32) + (part**2).sum(1, keepdims=True)
        if reference is None:
            square[np.arange(len(part)), np.arange(start, start + len(part))] = np.inf
        found[start : start + _AT_ONCE] = np.sqrt(np.maximum(np.partition(square, k - 1, axis=1)[:, k - 1], 0))
    return found


def outlying(distance: np.ndarray) -> np.ndarray:
    """Returns how far each distance lies out, 1 at the threshold: float [n].

    In logarithms above the median, by the spread below it, which outliers do not widen.
    """
    logs = np.log(np.maximum(distance, 1e-9))
    middle = np.median(logs)
    spread = max(float(middle - np.quantile(logs, 0.16)), 0.02)
    return np.maximum(logs - middle, 0) / (_SPREADS * spread)


def kolmogorov_smirnov(first: np.ndarray, second: np.ndarray) -> tuple[float, float]:
    """Returns the largest difference of two distributions' shares, and its probability if they were one.

    By the asymptotic formula (Smirnov 1948); nan do not count. (0, 1) where one has no numbers.
    """
    first, second = (np.sort(x[~np.isnan(x)]) for x in (first, second))
    if not len(first) or not len(second):
        return 0.0, 1.0
    both = np.concatenate([first, second])
    shares = [np.searchsorted(x, both, side="right") / len(x) for x in (first, second)]
    largest = float(np.abs(shares[0] - shares[1]).max())
    scaled = largest * math.sqrt(len(first) * len(second) / (len(first) + len(second)))
    terms = [(-1) ** (j - 1) * math.exp(-2 * j**2 * scaled**2) for j in range(1, 101)]
    return largest, float(np.clip(2 * sum(terms), 0, 1)) if scaled > 0.2 else 1.0
