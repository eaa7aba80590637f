"""What is measured: generated images against real ones, by one extractor."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen.evaluation.feature_sets import FeatureSet, Reference
from gen.features import Extractor
from gen.metrics import bootstrap, neighbors
from gen.metrics.neighbors import Neighbors


@dataclass(frozen=True)
class Question:
    """What is measured: generated images, against real ones, by an extractor; where they came from, for the cards."""

    generated: FeatureSet
    reference: Reference
    extractor: Extractor
    of: Mapping[str, Any] = field(default_factory=dict)
    seed: int = 0
    replicates: int = bootstrap.REPLICATES
    path: tuple[np.ndarray, np.ndarray] | None = None  # images, float [n h w c], EPSILON apart on ways between latents

    @property
    def options(self) -> dict[str, Any]:
        """What every metric takes."""
        return {"replicates": self.replicates, "seed": self.seed}

    @functools.cached_property
    def near(self) -> Neighbors:
        """Of each generated image, the nearest training image."""
        return neighbors.nearest(self.generated.features, self.reference.train.features, 1)
