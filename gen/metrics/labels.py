"""Measures by labels: whether images show the class that was asked for, and whether a class is missing.

`predicted` [n] are classes that a classifier gives generated images, `asked` [n] those the generator was asked for;
both are whole numbers. Every number here is no better than the classifier: give its value on real images beside it.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import pair
from gen.metrics.bootstrap import REPLICATES, Value, centered
from gen.metrics.memorization import clopper_pearson
from gen.metrics.moments import frechet_distance


class Modes(NamedTuple):
    """covered: the number of classes with an image; divergence: KL(generated || real) of the class shares, in nats."""

    covered: Value
    divergence: Value


def agreement(predicted: np.ndarray, asked: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0) -> Value:
    """Computes the share of images that show the class asked for; higher is better (Ravuri and Vinyals 2019).

    The interval is exact; `seed` changes nothing.
    """
    predicted, asked = _labels(predicted, "predicted"), _labels(asked, "asked", predicted)
    right, n = int(np.sum(predicted == asked)), len(asked)
    return clopper_pearson(right, n) if replicates >= 2 else Value(right / n)


def by_class(
    predicted: np.ndarray, asked: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0
) -> dict[int, Value]:
    """Computes `agreement` for each class that was asked for, in the order of classes."""
    predicted, asked = _labels(predicted, "predicted"), _labels(asked, "asked", predicted)
    return {
        int(c): agreement(predicted[asked == c], asked[asked == c], replicates=replicates, seed=seed)
        for c in np.unique(asked)
    }


def class_distances(
    generated: np.ndarray,
    labels: np.ndarray,
    real: np.ndarray,
    real_labels: np.ndarray,
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[int, Value]:
    """Computes the Fréchet distance within each class of `real`, of features [n d] with labels [n]; lower is better.

    It rises where a class has bad images or little variety, which the distance of all classes together can miss. With
    fewer samples than dimensions it is far above 0 for a perfect generator, too: compare classes and models at equal
    numbers only. Mean over classes: Benny et al. 2021, WCFID. nan for a class with fewer than 2 samples on either side;
    InputError for generated samples of a class that `real` does not have.
    """
    generated, real = pair(generated, real)
    labels, real_labels = _labels(labels, "labels", generated), _labels(real_labels, "real_labels", real)
    classes, unknown = np.unique(real_labels), np.setdiff1d(labels, real_labels)
    if len(unknown):
        raise InputError(f"class {unknown[0]} is not among the {len(classes)} classes of the real samples")

    def distance(mine: np.ndarray, theirs: np.ndarray) -> Value:
        if min(len(mine), len(theirs)) < 2:
            return Value(np.nan)
        return frechet_distance(mine, theirs, replicates=replicates, seed=seed)

    return {int(c): distance(generated[labels == c], real[real_labels == c]) for c in classes}


def modes(predicted: np.ndarray, real_share: np.ndarray, *, replicates: int = REPLICATES, seed: int = 0) -> Modes:
    """Counts the classes among the images, and compares their shares with those of real images (Metz et al. 2017).

    predicted: int [n] in 0 .. k - 1; real_share: [k], each more than 0, scaled to a sum of 1 here. covered, 1 to k:
    higher is better; it falls when modes are dropped, and grows with n. divergence, nats: lower is better; 0 for equal
    shares, about (k - 1) / (2 n) for a perfect generator.
    """
    predicted, share = _labels(predicted, "predicted"), np.asarray(real_share, np.float64)
    if share.ndim != 1 or not (np.isfinite(share).all() and (share > 0).all()):
        raise InputError("real_share must be one positive number for each class")
    if predicted.min() < 0 or predicted.max() >= len(share):
        raise InputError(
            f"predicted holds classes {predicted.min()} to {predicted.max()}; allowed 0 to {len(share) - 1}"
        )
    n, share = len(predicted), share / share.sum()
    counts = np.bincount(predicted, minlength=len(share))

    def divergence(counts: np.ndarray) -> np.ndarray:
        mine = counts / n
        return (mine * np.log(np.where(mine > 0, mine, 1) / share)).sum(axis=-1)

    covered, kl = Value(float((counts > 0).sum())), Value(float(divergence(counts)))
    if replicates >= 2:
        drawn = np.random.default_rng(seed).multinomial(n, counts / n, replicates)
        covered, kl = centered((drawn > 0).sum(axis=-1), covered.value), centered(divergence(drawn), kl.value)
    return Modes(covered.within(0, len(share)), kl.within(0))


def _labels(x: np.ndarray, name: str, beside: np.ndarray | None = None) -> np.ndarray:
    """`x` as labels [n], as many as `beside` has rows."""
    x = np.asarray(x)
    if x.ndim != 1 or not len(x) or not np.issubdtype(x.dtype, np.integer):
        raise InputError(f"{name} is {x.dtype} of shape {x.shape}; it must be whole numbers, one for each sample")
    if beside is not None and len(x) != len(beside):
        raise InputError(f"{name} has {len(x)} labels for {len(beside)} samples")
    return x
