"""How images are sampled, and what a program wrote of them."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

DRAWN = -1  # as a class


class Each(NamedTuple):
    """What each image is of."""

    seeds: list[int]
    labels: list[int] | None  # DRAWN: from the seed, as of all where it is None
    prompts: list[str] | None


class Settings(NamedTuple):
    """How images are sampled."""

    seeds: Sequence[int]
    labels: Sequence[int] | None  # classes, each with every seed; None: drawn from the seed, or unknown
    truncation: float
    conditions: Mapping[str, float]  # temperature, top_k, top_p, guidance, steps, where given
    batch_size: int  # images on their way at once
    mesh: Mesh
    prompts: Sequence[str] = ()  # each with every seed and class; (): without
    negative: str | None = None  # what guidance leads away from; None: no prompt
    own: Sequence[tuple[int | None, int | None]] = ()  # seed and class of each prompt instead; None: as the others

    @property
    def each(self) -> Each:
        """What each image is of: every prompt with every class with every seed, but where it has its own."""
        seeds, labels, prompts = list[int](), list[int](), list[str]()
        for index, prompt in enumerate(self.prompts or ("",)):
            own_seed, own_label = self.own[index] if self.own else (None, None)
            classes = (self.labels or (DRAWN,)) if own_label is None else (own_label,)
            for label in classes:
                each = self.seeds if own_seed is None else (own_seed,)
                seeds += each
                labels += [label] * len(each)
                prompts += [prompt] * len(each)
        known = any(label != DRAWN for label in labels)
        return Each(seeds, labels if known else None, prompts if self.prompts else None)

    @property
    def drawing(self) -> dict[str, Any]:
        """Returns the arguments of `by_seed.images` that all images share."""
        conditions = {name: np.float32(value) for name, value in self.conditions.items()}
        options = {"truncation": self.truncation, "batch_size": self.batch_size, "mesh": self.mesh}
        return {"conditions": conditions, **options}


class SampleResult(NamedTuple):
    """What was written."""

    files: list[Path]
    num_images: int
    step: int  # of the checkpoint
    seconds: float  # without loading the run


def seeds_text(seeds: Sequence[int]) -> str:
    """Writes seeds as --seeds reads them: "0-63", "3,7,11"."""
    runs = itertools.groupby(enumerate(seeds), lambda pair: pair[1] - pair[0])
    parts = [[seed for _, seed in group] for _, group in runs]
    return ",".join(f"{part[0]}-{part[-1]}" if len(part) > 1 else str(part[0]) for part in parts)
