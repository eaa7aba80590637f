"""Measures by captions: whether an image shows what it was asked for rather than what others were."""

from __future__ import annotations

import numpy as np

from gen.errors import InputError
from gen.metrics.arrays import pair
from gen.metrics.bootstrap import REPLICATES, Value
from gen.metrics.memorization import clopper_pearson

_ROWS = 512  # images at once


def retrieved(
    images: np.ndarray, texts: np.ndarray, captions: np.ndarray, *, candidates: int = 100, seed: int = 0
) -> np.ndarray:
    """Returns of each image whether its own caption is more similar to it than `candidates` - 1 others, bool [n].

    images, texts: [n d], unit vectors of n images and of their captions; captions: int [n], equal where the texts are.
    The others are drawn by chance from the captions that differ. InputError for too few of them.
    """
    images, texts = pair(images, texts)
    _, firsts, numbers = np.unique(captions, return_index=True, return_inverse=True)
    if len(firsts) < candidates:
        raise InputError(f"{len(firsts)} different captions are fewer than the {candidates} to choose from")
    rng, distinct = np.random.default_rng(seed), texts[firsts]
    right = np.zeros(len(images), bool)
    for start in range(0, len(images), _ROWS):
        rows = slice(start, start + _ROWS)
        similarity, own = images[rows] @ distinct.T, numbers[rows]
        order = rng.random(similarity.shape)
        order[np.arange(len(own)), own] = np.inf
        others = np.argpartition(order, candidates - 2, axis=1)[:, : candidates - 1]
        best = np.take_along_axis(similarity, others, axis=1).max(axis=1)
        right[rows] = similarity[np.arange(len(own)), own] > best
    return right


def r_precision(
    images: np.ndarray,
    texts: np.ndarray,
    captions: np.ndarray,
    *,
    candidates: int = 100,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> Value:
    """Computes the share of `retrieved` images, 0 to 1, higher is better; by chance 1 / candidates (Xu et al. 2018).

    The interval is exact.
    """
    right = retrieved(images, texts, captions, candidates=candidates, seed=seed)
    return clopper_pearson(int(right.sum()), len(right)) if replicates >= 2 else Value(float(right.mean()))
