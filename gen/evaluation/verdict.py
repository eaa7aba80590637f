"""Judges a set of images in words: single images, variety and copies, of which the weakest decides.

No single number can be good for both a set of a few clean images over and over (precision 0.9) and a set of varied
noise (recall, Vendi). Each aspect is therefore the lowest of several numbers, and each number is a share of what real
images get in the same place: the real images are split in two, one half is the reference, the other stands in for the
model, and both it and the model's images are measured at equal numbers. So a verdict needs no held-out set, and no rule
of thumb for the data.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from gen.evaluation.comparison import Comparison
from gen.evaluation.results import MetricResult
from gen.metrics import diversity, neighbors

LEAST = 100  # real images, and images to judge: fewer say nothing
_MOST = 1000  # images a side
_GOOD, _FAIR = 0.8, 0.5  # of what real images get
_COPIES = 1e-6  # probability of so many near ones, were the images new
_LEVELS = ("poor", "fair", "good")


class Verdict(NamedTuple):
    """`level`: good, fair, poor or unknown, that of the weakest aspect; `words`: one sentence for each aspect."""

    level: str
    words: tuple[str, ...]

    def __str__(self) -> str:
        return f"verdict: {self.level}. {' '.join(self.words)}"


def verdict(comparison: Comparison, results: Sequence[MetricResult] = ()) -> Verdict:
    """Judges the generated images of a comparison by its real ones; whether they are copies, by `results`."""
    real, generated = comparison.reference.real, comparison.generated
    if min(len(real), len(generated)) < LEAST:
        few = f"{len(generated):,} images against {len(real):,} real ones are too few: {LEAST} of each say something."
        return Verdict("unknown", (few,))
    ours, theirs = _numbers(comparison)
    aspects = [_single(ours, theirs), _variety(ours, theirs), *_copied(results)]
    return Verdict(_LEVELS[min(level for level, _ in aspects)], tuple(words for _, words in aspects))


def _numbers(comparison: Comparison) -> tuple[dict[str, float], dict[str, float]]:
    """The same numbers of generated images and of real ones, each as many, against the same other real images."""
    real, generated = comparison.reference.real.features, comparison.generated.features
    rng = np.random.default_rng(0)
    order = rng.permutation(len(real))[: 2 * _MOST]
    count = min(len(order) // 2, len(generated))
    reference = neighbors.manifold(real[order[count:]], k=5)
    sets = generated[rng.permutation(len(generated))[:count]], real[order[:count]]
    ours, theirs = (_measured(x, reference) for x in sets)
    return ours, theirs


def _measured(x: np.ndarray, reference: neighbors.Manifold) -> dict[str, float]:
    own = neighbors.manifold(x, k=5)
    values = neighbors.precision_recall(own, reference, k=3, replicates=0)._asdict()
    values |= neighbors.density_coverage(own, reference, k=5, replicates=0)._asdict()
    found = {name: value.value for name, value in values.items()}
    return found | {"vendi": diversity.vendi(_centered(x, reference), replicates=0).value}


def _centered(x: np.ndarray, reference: neighbors.Manifold) -> np.ndarray:
    """Features about the mean of real ones, without which all seem alike to a cosine; none of them is 0."""
    centered = x.astype(np.float64) - reference.points.mean(axis=0, dtype=np.float64)
    return centered + 1e-9 * (np.abs(centered).max() or 1.0)


def _share(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> float:
    return ours[name] / theirs[name] if theirs[name] > 0 else 1.0


def _level(shares: Sequence[float]) -> int:
    return sum(min(shares) >= limit for limit in (_FAIR, _GOOD))


def _single(ours: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[int, str]:
    level = _level([_share(name, ours, theirs) for name in ("precision", "density")])
    what = ("Few single images look real", "Single images look real in part", "Single images look real")[level]
    return level, f"{what}: {_of('precision', ours, theirs)}, {_of('density', ours, theirs)}."


def _variety(ours: Mapping[str, float], theirs: Mapping[str, float]) -> tuple[int, str]:
    level = _level([_share(name, ours, theirs) for name in ("recall", "coverage", "vendi")])
    what = ("Much of what is real is missing", "Some of what is real is missing", "All that is real is there")[level]
    numbers = f"{_of('recall', ours, theirs)}, {_of('coverage', ours, theirs)}"
    return (
        level,
        f"{what}: {numbers}; as varied as {ours['vendi']:.3g} unlike images (new: {theirs['vendi']:.3g}).",
    )


def _of(name: str, ours: Mapping[str, float], theirs: Mapping[str, float]) -> str:
    return f"{name} {ours[name]:.2f} (new real images: {theirs[name]:.2f})"


def _copied(results: Sequence[MetricResult]) -> list[tuple[int, str]]:
    """Whether training images were copied, where that was measured; no aspect else."""
    found = {result.metric: result for result in results}
    if "memorized" not in found or "memorized-p" not in found:
        return []
    share, p = found["memorized"].value, found["memorized-p"].value
    if p < _COPIES:
        return [(0, f"Training images are copied: {share:.1%} are nearer to one than 99 % of new images are.")]
    return [(2, f"No sign of copies: {share:.1%} are nearer to a training image than 99 % of new images are.")]
