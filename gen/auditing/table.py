"""All images of an audit in arrays: what is known of 100,000 takes some 700 MB."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from gen.audit_checks.fingerprints import SIDE
from gen.audit_checks.measures import Measures
from gen.auditing.inspection import COLORS, Inspected
from gen.auditing.items import Item

NUMBERS = (*Measures._fields, "aspect", "quality")


@dataclass(frozen=True)
class Table:
    """What is known of n images, in their order; `gray` and `color` are black for those that cannot be read."""

    items: Sequence[Item]
    numbers: np.ndarray  # float32 [n k], nan where unknown, of NUMBERS
    gray: np.ndarray  # uint8 [n 48 48]
    color: np.ndarray  # uint8 [n 32 32 3]
    sizes: np.ndarray  # int64 [n 3]: bytes, width, height
    sha256: list[str]
    pixels: list[str]  # digest of the pixels; "" where they cannot be read
    formats: list[str]
    errors: dict[int, tuple[str, str]]  # kind and reason, by position
    facts: dict[int, dict[str, str]]  # kinds and words, by position

    @property
    def readable(self) -> np.ndarray:
        """Positions of the images that were decoded: int [m]."""
        return np.array([i for i in range(len(self.items)) if i not in self.errors], int)

    def of(self, i: int) -> dict[str, float]:
        """Returns the numbers of an image."""
        return dict(zip(NUMBERS, self.numbers[i].tolist(), strict=True))

    def splits(self) -> np.ndarray:
        """Returns whether each image is held out: bool [n]."""
        return np.array([item.split == "held_out" for item in self.items], bool)


def table(items: Sequence[Item], seen: Iterable[Inspected]) -> Table:
    """Collects what is known of images."""
    count = len(items)
    numbers = np.full((count, len(NUMBERS)), np.nan, np.float32)
    gray, color = np.zeros((count, SIDE, SIDE), np.uint8), np.zeros((count, COLORS, COLORS, 3), np.uint8)
    sizes = np.zeros((count, 3), np.int64)
    made = Table(items, numbers, gray, color, sizes, [], [], [], {}, {})
    for i, one in enumerate(seen):
        sizes[i] = one.size, one.width, one.height
        made.sha256.append(one.sha256)
        made.pixels.append(one.pixels)
        made.formats.append(one.format)
        if one.error_kind:
            made.errors[i] = one.error_kind, one.error
            continue
        numbers[i] = [one.numbers.get(name, np.nan) for name in NUMBERS]
        gray[i] = np.frombuffer(one.gray, np.uint8).reshape(SIDE, SIDE)
        color[i] = np.frombuffer(one.color, np.uint8).reshape(COLORS, COLORS, 3)
        if one.facts:
            made.facts[i] = dict(one.facts)
    return made
