"""Maximum mean discrepancies (Gretton et al. 2012) of features [n d]: no Gaussian is assumed. 0 at best, more is worse.

float64 on the host, in blocks. Intervals are linearized: the influence of a sample is its mean kernel with its own set
less that with the other one, which falls out of the sums that the value needs.
"""

from __future__ import annotations

import jax
import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import checked, pair, same_dimensions
from gen.metrics.bootstrap import REPLICATES, Value
from gen.metrics.influence import linearized

TILE = 512  # rows and columns of a kernel matrix that are held at once: 2 MiB stay in the cache


def kernel_distance(
    generated: np.ndarray | jax.Array,
    real: np.ndarray | jax.Array,
    *,
    subsets: int = 100,
    size: int = 1000,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes KID, the mean unbiased squared MMD of random subsets, kernel (x.y / d + 1)^3 (Binkowski et al. 2018).

    Unbiased, so it may be negative, and sizes may be compared. subsets, size: how many, and of how many samples of each
    set (all, where there are fewer); with the same seed they are the subsets of torch-fidelity. Scale the features as
    their extractor does: the kernel is made for values about 1.
    """
    x, y = checked(generated, "generated", least=2), checked(real, "real", least=2)
    same_dimensions(x.shape[1], y.shape[1])
    size = min(size, len(x), len(y))
    if subsets < 1 or size < 2:
        raise InputError(f"subsets={subsets}, size={size}; allowed: at least 1 subset of 2 samples")
    subsets = 1 if size == len(x) == len(y) else subsets  # else the same samples again, in another order
    rng = np.random.RandomState(seed)  # frozen by NumPy, and what torch-fidelity draws from: one set, then the other
    values, sums, counts = np.zeros(subsets), (np.zeros(len(x)), np.zeros(len(y))), (np.zeros(len(x)), np.zeros(len(y)))
    for index in range(subsets):
        at = [rng.choice(len(x), size, replace=False), rng.choice(len(y), size, replace=False)]
        values[index], *witnesses = _unbiased(x[at[0]].astype(np.float64), y[at[1]].astype(np.float64))
        for total, count, i, witness in zip(sums, counts, at, witnesses, strict=True):
            total[i] += witness
            count[i] += 1
    # A subset's value is the mean of its witnesses; a sample counts as often as it was drawn.
    influences = [
        2 * (total - count * (total.sum() / count.sum())) * len(total) / (subsets * size)
        for total, count in zip(sums, counts, strict=True)
    ]
    return linearized(values.mean(), *influences, replicates=replicates, seed=seed)


def rbf_mmd(
    generated: np.ndarray | jax.Array,
    real: np.ndarray | jax.Array,
    *,
    sigma: float = 10.0,
    scale: float = 1000.0,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes `scale` times the squared MMD of exp(-|x - y|^2 / (2 sigma^2)), as CMMD (Jayasumana et al. 2024, eq. 3).

    At least 0, and biased upwards as 1 / n: the estimator of least variance, as in CMMD's code. sigma is in units of
    the features, which are taken as they are: CMMD's are CLIP embeddings of length 1, to which its sigma belongs.
    All pairs count: time goes as (n + m)^2 d.
    """
    if not (sigma > 0 and scale > 0):
        raise InputError(f"sigma={sigma}, scale={scale}; allowed: both above 0")
    x, y = pair(generated, real)
    center = y.mean(axis=0)  # distances of features far from 0 would lose their digits
    (x, from_x), (y, from_y) = (_sides((z - center) / sigma) for z in (x, y))
    xx, _ = _row_means(x, from_x, mirrored=True)
    xy, yx = _row_means(x, from_y)
    yy, _ = _row_means(y, from_y, mirrored=True)
    value = max(float(xx.mean() + yy.mean() - 2 * xy.mean()), 0.0)
    influences = [2 * scale * (xx - xy), 2 * scale * (yy - yx)]
    return linearized(scale * value, *influences, replicates=replicates, seed=seed)


def _unbiased(x: np.ndarray, y: np.ndarray) -> tuple[float, np.ndarray, np.ndarray]:
    """The unbiased squared MMD (Gretton et al. 2012, eq. 3) of x and y [s d], and how each of their rows leans, [s]:
    to its own set, itself left out, less to the other.
    """
    size, d = x.shape
    xx, xy, yy = (_cubic(a, b, d) for a, b in ((x, x), (x, y), (y, y)))
    own = [(k.sum(axis=1) - np.diag(k)) / (size - 1) for k in (xx, yy)]
    other = [xy.mean(axis=1), xy.mean(axis=0)]
    value = own[0].mean() + own[1].mean() - 2 * other[0].mean()
    return value, own[0] - other[0], own[1] - other[1]


def _cubic(x: np.ndarray, y: np.ndarray, d: int) -> np.ndarray:
    k = x @ y.T
    k /= d
    k += 1
    return k * k * k


def _sides(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Two factors [n d+2] whose products, of any two sets, are -|x - y|^2 / 2."""
    half, one = -0.5 * np.sum(np.square(x), axis=1, keepdims=True), np.ones((len(x), 1))
    return np.concatenate([x, half, one], axis=1), np.concatenate([x, one, half], axis=1)


def _row_means(x: np.ndarray, y: np.ndarray, *, mirrored: bool = False) -> tuple[np.ndarray, np.ndarray]:
    """Means over y [n] and over x [m] of exp(x y') [n m], tile by tile; half of the tiles if they are `mirrored`."""
    over_y, over_x = np.zeros(len(x)), np.zeros(len(y))
    for i in range(0, len(x), TILE):
        for j in range(i if mirrored else 0, len(y), TILE):
            k = x[i : i + TILE] @ y[j : j + TILE].T
            np.exp(np.minimum(k, 0, out=k), out=k)
            over_y[i : i + TILE] += k.sum(axis=1)
            over_x[j : j + TILE] += k.sum(axis=0)
            if mirrored and i != j:
                over_y[j : j + TILE] += k.sum(axis=0)
    return over_y / len(y), over_x / len(x)
