"""Sets of images with features drawn from known distributions, as the metrics want them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gen.evaluation import Comparison, FeatureSet, Reference
from gen.features import Extractor
from gen.features.extractor import ExtractorOutput

NAMES = ("circle", "square", "star")


def extractor(name: str = "own", *, classes: int = 3, accuracy: float | None = 0.9) -> Extractor:
    """Features of an image: its mean by channel and by quarter; class logits: the means of its first rows."""

    def apply(images: np.ndarray) -> ExtractorOutput:
        x = images.astype(np.float32) / (255 if images.dtype == np.uint8 else 1)
        parts = [p.mean((1, 2)) for rows in np.array_split(x, 2, axis=1) for p in np.array_split(rows, 2, axis=2)]
        return ExtractorOutput(np.concatenate(parts, axis=1), 9 * x[:, :classes].mean((2, 3)) if classes else None)

    return Extractor(name, "d" * 64, "none at all", apply, accuracy if classes else None)


def drawn(
    count: int, *, seed: int, shift: float = 0.0, side: int = 16, channels: int = 3, features: int = 8, labeled=True
) -> FeatureSet:
    """Noise, with normal features of mean `shift`, of each class in turn, which the logits see nine times in ten."""
    rng = np.random.default_rng(seed)
    labels = np.arange(count, dtype=np.int32) % len(NAMES)
    seen = np.where(rng.random(count) < 0.9, labels, (labels + 1) % len(NAMES))
    return FeatureSet(
        rng.integers(0, 256, (count, side, side, channels), dtype=np.uint8),
        (rng.normal(size=(count, features)) + shift).astype(np.float32),
        labels if labeled else None,
        4 * np.eye(len(NAMES), dtype=np.float32)[seen] if labeled else None,
    )


def comparison(
    count: int = 60,
    *,
    real: int = 150,
    held_out: int = 110,
    shift: float = 0.0,
    by: Extractor | None = None,
    subject: dict[str, Any] | None = None,
    **options: Any,
) -> Comparison:
    """Generated images against real ones of the same distribution, but for the shift."""
    train = drawn(real, seed=1, **options)
    names = NAMES if train.labels is not None else ()
    reference = Reference("e" * 64, "train", train, train, drawn(held_out, seed=2, **options), names)
    generated = drawn(count, seed=3, shift=shift, **options)
    return Comparison(generated, reference, by or extractor(), subject or {"step": 7}, replicates=20)
