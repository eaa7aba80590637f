"""Labels in doubt, by what a classifier that did not see them says: confident learning."""

from __future__ import annotations

import numpy as np


def in_doubt(probabilities: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns for each example a score of its label, 1 and more in doubt, and the class that it looks like: [n], [n].

    probabilities: float [n k], of classes, by a classifier that did not learn from that example. After Northcutt, Jiang
    and Chuang, "Confident learning", JAIR 2021: a label is in doubt where another class is as probable as that class
    is, on average, for examples labeled so. The score is how much more probable than the given class, 1 at half of all
    there is: below that the two are merely alike.
    """
    count, classes = probabilities.shape
    usual = np.array([probabilities[labels == c, c].mean() if (labels == c).any() else 2.0 for c in range(classes)])
    given = probabilities[np.arange(count), labels]
    others = np.where(probabilities >= np.minimum(usual, 0.9), probabilities, 0.0)
    others[np.arange(count), labels] = 0
    looks, best = others.argmax(1), others.max(1)
    return np.where(best > 0, np.maximum(best - given, 0) * 2, 0.0), looks
