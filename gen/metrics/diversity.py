"""Measures how varied a set of images is, without a reference, from features, class probabilities or pixels."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import blocks, checked, features, images, rows
from gen.metrics.bootstrap import REPLICATES, Value, bootstrap, bootstrap_mean, centered
from gen.metrics.influence import linearized

# Weights of the scales of MS-SSIM, finest first, and the constants of SSIM (Wang et al. 2003, section 3).
SCALE_WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
C1, C2 = 0.01**2, 0.03**2
WINDOW = np.exp(-np.square(np.arange(11) - 5) / (2 * 1.5**2))
WINDOW /= WINDOW.sum()


def vendi(x: np.ndarray, *, q: float = 1.0, replicates: int = REPLICATES, seed: int = 0) -> Value:
    """Computes the Vendi score of order q >= 0 of features [n d]; from 1 to n.

    Higher is more varied: the number of samples, all different, that would be as varied as these (Friedman and Dieng
    2023; Pasarkar and Dieng 2024). It is the exponential of the Rényi entropy of order q of the eigenvalues l of K / n,
    where K holds the cosines: exp(-sum l log l) at q = 1, 1 / max l at infinity, else (sum l^q)^(1 / (1 - q)). Small q
    counts what is rare, large q what is common. Quality does not count. Cosines depend on where 0 is: features that are
    all positive seem alike.

    Eigenvalues are those of the smaller of [n n] and [d d]. The interval resamples the first order of the score in the
    weights of the samples, for eigenvalues of every replicate would take minutes. InputError for a sample that is 0.
    """
    x = checked(x, "x")
    if not q >= 0:
        raise InputError(f"q = {q}; the order of a Vendi score must be at least 0, inf included")
    small = _similarities(x)
    eigenvalues, vectors = np.linalg.eigh(small)
    positive = eigenvalues > len(small) * np.finfo(np.float64).eps * eigenvalues[-1]
    eigenvalues, vectors = eigenvalues[positive], vectors[:, positive]
    value, slope = _effective_number(eigenvalues, q)
    if len(small) == len(x):
        influence = len(x) * np.square(vectors) @ (eigenvalues * slope)
    else:
        influence = np.concatenate([np.square(block @ vectors) @ slope for block in _directions(x)])
    return linearized(value, influence, replicates=replicates, seed=seed)


def _similarities(x: np.ndarray) -> np.ndarray:
    """K / n of the cosines K of x [n d], or if d < n the [d d] matrix of the same positive eigenvalues."""
    n, d = x.shape
    if d < n:
        return sum((block.T @ block for block in _directions(x)), np.zeros((d, d))) / n
    directions = np.concatenate(list(_directions(x)))
    return directions @ directions.T / n


def _directions(x: np.ndarray) -> Iterator[np.ndarray]:
    """The rows of x over their lengths, in blocks."""
    for block in rows(x):
        lengths = np.linalg.norm(block, axis=1, keepdims=True)
        if not lengths.all():
            raise InputError("x has a sample that is 0; a Vendi score needs directions")
        yield block / lengths


def _effective_number(shares: np.ndarray, q: float) -> tuple[float, np.ndarray]:
    """exp of the Rényi entropy of order q of positive shares [r], and its derivative with respect to each, [r]."""
    if q == 1:
        value = math.exp(-(shares * np.log(shares)).sum())
        return value, -value * (1 + np.log(shares))
    if q == math.inf:
        return 1 / shares[-1], np.where(np.arange(len(shares)) == len(shares) - 1, -1 / shares[-1] ** 2, 0)
    total = (shares**q).sum()
    value = total ** (1 / (1 - q))
    return value, value * q / (1 - q) * shares ** (q - 1) / total


def inception_score(logits: np.ndarray, *, splits: int = 10, replicates: int = REPLICATES, seed: int = 0) -> Value:
    """Computes exp of the mean KL(p(y | image) || p(y)) of class logits [n k], 1 to k (Salimans et al. 2016, sec. 4).

    Higher is said to be better: images that the classifier is sure of, of many classes. It sees no variety within a
    class, and says little about images that the classifier was not trained on. Probabilities p go in as log p. The
    mean of the scores of `splits` equal parts in the order given, as usual; shuffle first if it means something. Fewer
    samples score lower. Only of the FID network's logits may it be called the Inception score.

    The interval resamples within the parts. InputError if a part would be empty.
    """
    logits = features(logits, "logits")
    if not 1 <= splits <= len(logits):
        raise InputError(f"splits = {splits} of {len(logits)} samples; it must be from 1 to that number")
    rng = np.random.default_rng(seed)
    scores, drawn = [], []
    for part in np.array_split(logits, splits):
        logs = part - part.max(axis=1, keepdims=True)
        logs -= np.log(np.exp(logs).sum(axis=1, keepdims=True))
        shares = np.exp(logs)
        certainty = (shares * logs).sum(axis=1)
        n = len(part)
        # A row of weights for the score itself, and one for each replicate.
        weights = np.concatenate([np.full((1, n), 1 / n), rng.multinomial(n, np.full(n, 1 / n), replicates) / n])
        marginal = weights @ shares
        score = np.exp(weights @ certainty - _xlogx(marginal).sum(axis=1))
        scores.append(score[0])
        drawn.append(score[1:])
    value = float(np.mean(scores))
    return centered(np.mean(drawn, axis=0), value) if replicates >= 2 else Value(value)


def _xlogx(x: np.ndarray) -> np.ndarray:
    return x * np.log(np.where(x > 0, x, 1))


def path_length(
    one: np.ndarray, other: np.ndarray, *, epsilon: float = 1e-4, replicates: int = REPLICATES, seed: int = 0
) -> Value:
    """Computes the perceptual path length, mean |one - other|^2 / epsilon^2 (Karras et al. 2019, section 4.1).

    one, other: features [n d] of images whose latents are `epsilon` of their way apart. Lower is a smoother latent
    space. The mean is over distances from the 1 % to the 99 % quantile, both among the samples and included, as in the
    paper's program. Images must go to the extractor as floats: rounded to uint8, they give the rounding's length, not
    the path's (measured elsewhere: 1147 in place of 31).
    """
    one, other = checked(one, "one"), checked(other, "other")
    if one.shape != other.shape:
        raise InputError(f"one has shape {one.shape}, other {other.shape}; they must be pairs of near points")
    if not epsilon > 0:
        raise InputError(f"epsilon = {epsilon}; it must be more than 0")
    lengths = np.concatenate([np.square(a - b).sum(axis=1) for a, b in zip(rows(one), rows(other), strict=True)])
    lengths /= epsilon**2

    def trimmed(at: np.ndarray) -> float:
        some = np.sort(lengths[at])
        last = len(some) - 1
        return float(some[math.floor(0.01 * last) : math.ceil(0.99 * last) + 1].mean())

    return bootstrap(trimmed, len(lengths), replicates=replicates, seed=seed)


def ms_ssim_diversity(
    x: np.ndarray,
    *,
    labels: np.ndarray | None = None,
    pairs: int = 1000,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes the mean MS-SSIM of random pairs of images [n h w c], 11 pixels or more a side (Odena et al. 2017, 4.2).

    Lower is more varied, 1 is one image over and over; compare with real images of the same size. Noise is varied, too.
    labels: int [n]; pairs are then of one class, as in the paper, the class drawn in proportion to its images. Without,
    pairs are of any two images. The interval is of the pairs, as if no two pairs shared an image.
    """
    x = images(x, "images", least=2, smallest=len(WINDOW))
    if pairs < 1:
        raise InputError(f"pairs = {pairs}; at least one pair of images is compared")
    first, second = _pairs(len(x), labels, pairs, np.random.default_rng(seed))
    similarity = [ms_ssim(x[first[at]], x[second[at]]) for at in blocks(pairs, 16 * x[0].size)]
    return bootstrap_mean(np.concatenate(similarity), replicates=replicates, seed=seed)


def _pairs(n: int, labels: np.ndarray | None, pairs: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Indices [pairs] of two different images each, of one class where there are labels."""
    labels = np.zeros(n, int) if labels is None else np.asarray(labels)
    if labels.shape != (n,):
        raise InputError(f"labels have shape {labels.shape}; one label for each of {n} images is wanted")
    order = np.argsort(labels, kind="stable")
    _, start, size = np.unique(labels[order], return_index=True, return_counts=True)
    start, size = start[size > 1], size[size > 1]
    if not len(size):
        raise InputError("no class has two images; MS-SSIM diversity compares pairs of one class")
    group = rng.choice(len(size), pairs, p=size / size.sum())
    first = rng.integers(size[group])
    second = (first + 1 + rng.integers(size[group] - 1)) % size[group]
    return order[start[group] + first], order[start[group] + second]


def ms_ssim(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Computes the multi-scale structural similarity [b] of images [b h w c], 1 if equal (Wang et al. 2003, eq. 7).

    As many of the five scales as the 11 pixel window fits on, with their weights scaled to the sum of all: five from
    176 pixels a side, two at 32. Contrast below 0 counts as 0. The channels' values are averaged, as in common use.
    """
    x, y = images(x, "x", smallest=len(WINDOW)), images(y, "y", smallest=len(WINDOW))
    if x.shape != y.shape:
        raise InputError(f"x has shape {x.shape}, y {y.shape}; pairs of images of one shape are compared")
    x, y = (a / 255.0 if a.dtype == np.uint8 else a.astype(np.float64) for a in (x, y))
    scales = min(len(SCALE_WEIGHTS), int(math.log2(min(x.shape[1:3]) / len(WINDOW))) + 1)
    weights = SCALE_WEIGHTS[:scales] * SCALE_WEIGHTS.sum() / SCALE_WEIGHTS[:scales].sum()
    value = np.ones((len(x), x.shape[-1]))
    for scale, weight in enumerate(weights):
        if scale:
            x, y = _halved(x), _halved(y)
        luminance, contrast = _ssim_parts(x, y)
        part = luminance * contrast if scale == scales - 1 else contrast
        value *= np.maximum(part.mean(axis=(1, 2)), 0) ** weight
    return value.mean(axis=1)


def _ssim_parts(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Luminance, and contrast times structure, at each place of the window: equations 2 to 6 of the paper."""
    mean_x, mean_y = _smoothed(x), _smoothed(y)
    products = mean_x**2 + mean_y**2
    covariance = _smoothed(x * y) - mean_x * mean_y
    variances = _smoothed(x * x + y * y) - products
    return (2 * mean_x * mean_y + C1) / (products + C1), (2 * covariance + C2) / (variances + C2)


def _smoothed(x: np.ndarray) -> np.ndarray:
    """`x` [b h w c] under the Gaussian window, where all of it fits."""
    for axis in (1, 2):
        size = x.shape[axis] - len(WINDOW) + 1
        x = sum(weight * x.take(range(i, i + size), axis) for i, weight in enumerate(WINDOW))
    return x


def _halved(x: np.ndarray) -> np.ndarray:
    """The mean of 2 x 2 pixels; an odd last row or column is dropped."""
    b, h, w, c = x.shape
    return x[:, : h // 2 * 2, : w // 2 * 2].reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))
