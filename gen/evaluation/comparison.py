"""Holds what metrics compare: generated images and real ones, by one extractor."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gen.evaluation.feature_sets import FeatureSet, Reference
from gen.features import Extractor
from gen.features.text_image import TextImageModel
from gen.metrics import bootstrap, neighbors
from gen.metrics.neighbors import Neighbors


@dataclass(frozen=True)
class Comparison:
    """Generated images and real ones, with their features by one extractor."""

    generated: FeatureSet
    reference: Reference
    extractor: Extractor
    subject: Mapping[str, Any] = field(default_factory=dict)  # what every result says of the generated images
    seed: int = 0
    replicates: int = bootstrap.REPLICATES
    text_image: TextImageModel | None = None  # of the data, where the images have captions
    path: tuple[np.ndarray, np.ndarray] | None = None  # images, float [n h w c], EPSILON apart on ways between latents

    @property
    def options(self) -> dict[str, Any]:
        """Returns the options that every metric takes."""
        return {"replicates": self.replicates, "seed": self.seed}

    @functools.cached_property
    def described(self) -> tuple[np.ndarray, np.ndarray, np.ndarray] | None:
        """Computes the vectors of the generated images that have captions and of these by the text-image model, and
        numbers the captions, equal ones alike; None without."""
        captioned = self.generated.captioned
        if captioned is None or captioned.captions is None or self.text_image is None:
            return None
        model, (distinct, numbers) = self.text_image, np.unique(captioned.captions, return_inverse=True)
        return model.images(captioned.images), model.texts(distinct.tolist())[numbers], numbers

    @functools.cached_property
    def near(self) -> Neighbors:
        """Finds the nearest training image of each generated one."""
        return neighbors.nearest(self.generated.features, self.reference.train.features, 1)
