"""How two sets of images differ: in their numbers, and by the images that are farthest from the other set."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from gen.audit_checks.outliers import distances, kolmogorov_smirnov
from gen.auditing.table import NUMBERS, Table

_LEAST = 0.1  # difference of the shares that is told
_SURE = 1e-3
_MOST = 4000  # images of each set that are compared by what they show
_TITLES = {
    "edge_width": "width of edges, pixels",
    "detail": "fine detail, log2",
    "noise": "noise, levels",
    "blocking": "blocks of JPEG",
    "brightest": "brightest parts",
    "palest": "palest parts",
    "contrast": "contrast",
    "chroma": "color",
    "mean": "mean brightness",
    "information": "difference of areas, levels",
    "border": "borders",
    "aspect": "aspect",
    "quality": "quality of JPEG",
}


@dataclass(frozen=True)
class Difference:
    """A number that is distributed otherwise."""

    number: str
    title: str
    difference: float  # of the shares, 0 to 1 (Kolmogorov and Smirnov)
    median: float
    reference: float  # its median there


@dataclass(frozen=True)
class Drift:
    """How a set differs from a reference."""

    reference: str
    differences: list[Difference]
    unlike: float  # share of the images farther from the reference than 99 % of the reference's own
    drivers: list[str]  # images that are farthest, the farthest first


def drift(table: Table, reference: Table, name: str) -> Drift:
    """Compares the readable images of two tables."""
    found = list[Difference]()
    ours, theirs = table.readable, reference.readable
    for column, number in enumerate(NUMBERS):
        if number not in _TITLES:
            continue
        first, second = table.numbers[ours, column], reference.numbers[theirs, column]
        size, probability = kolmogorov_smirnov(first, second)
        if size >= _LEAST and probability <= _SURE:
            medians = (float(np.nanmedian(x)) for x in (first, second))
            found.append(Difference(number, _TITLES[number], round(size, 3), *(round(m, 3) for m in medians)))
    found.sort(key=lambda difference: -difference.difference)
    ours, theirs = _some(ours), _some(theirs)
    if len(theirs) < 10 or not len(ours):
        return Drift(name, found, 0.0, [])
    features = [
        t.color[i].astype(np.float32).reshape(len(i), 8, 4, 8, 4, 3).mean((2, 4))
        for t, i in ((table, ours), (reference, theirs))
    ]
    mine, other = (x.reshape(len(x), -1) for x in features)
    usual = np.quantile(distances(other), 0.99)
    far = distances(mine, reference=other)
    order = np.argsort(-far)
    drivers = [table.items[ours[i]].name for i in order[:48] if far[i] > usual]
    return Drift(name, found, round(float((far > usual).mean()), 4), drivers)


def _some(positions: np.ndarray) -> np.ndarray:
    return np.sort(np.random.default_rng(0).permutation(positions)[:_MOST])
