"""What is measured: generated images against real ones, by one extractor."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen.features import Extractor
from gen.metrics import bootstrap, neighbours
from gen.metrics.neighbours import Neighbours
from gen.quality.sets import Images, Reference


@dataclass(frozen=True)
class Question:
    """What is measured: generated images, against real ones, by an extractor; where they came from, for the cards."""

    generated: Images
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
    def near(self) -> Neighbours:
        """Of each generated image, the nearest training image."""
        return neighbours.nearest(self.generated.features, self.reference.train.features, 1)
