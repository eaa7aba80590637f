"""Looks for gen's mark in many images: as written, then in the frames of an animation together, then at other crops and
scales; and in all small images of a folder together.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from gen.verification.answers import Parsed
from gen.verification.findings import SMALL, Mark
from gen.verification.reduction import MOST_PIXELS, reduced

if TYPE_CHECKING:
    from gen.watermark import Detection, Key

SMALL_SIDE = 64  # pixels: an image with a shorter side may be too small to tell alone
FRAMES = 32  # of an animation that are looked at
_MOST_POOLED = 4096  # images of one folder
_AT_ONCE, _PIXELS_AT_ONCE = 32, 2**25  # images, and pixels, whose marks are looked for together
Search = Literal["aligned", "full"]


def chunked(files: Iterable[Parsed]) -> Iterator[list[Parsed]]:
    """Yields files in groups whose marks are looked for together."""
    group, pixels = list[Parsed](), 0
    for parsed in files:
        group.append(parsed)
        pixels += parsed.pixels.size
        if len(group) >= _AT_ONCE or pixels >= _PIXELS_AT_ONCE:
            yield group
            group, pixels = [], 0
    if group:
        yield group


class Marks:
    """Looks for the mark of one key, or of none."""

    def __init__(self, key: Key | None, search: Search) -> None:
        self._key, self._search = key, search
        self._small: dict[Path, list[np.ndarray]] = {}
        self._missed: set[Path] = set()  # folders with a small image in which it was not found

    def look(self, files: Sequence[Parsed]) -> list[Mark]:
        """Looks for the mark in each file, of an animation in its frames."""
        if self._key is None:
            return [Mark()] * len(files)
        readable = [i for i, parsed in enumerate(files) if not parsed.error]
        images = [reduced(files[i].pixels[0]) for i in readable]
        for i, image in zip(readable, images, strict=True):
            if min(image.shape[:2]) < SMALL_SIDE:
                pool = self._small.setdefault(files[i].path.parent, [])
                pool += [image] * (len(pool) < _MOST_POOLED)
        found = self._detect(images, "aligned", [self._tries(files[i]) for i in readable])
        for n, i in enumerate(readable):
            if not found[n].found and len(files[i].pixels) > 1:
                found[n] = self._in_frames(files[i], found[n])
        if self._search == "full":
            # What has an unbroken signature by a known signer is as it was written.
            again = [n for n, i in enumerate(readable) if not found[n].found and _may_have_changed(files[i])]
            tries = [self._tries(files[readable[n]]) for n in again]
            for n, mark in zip(again, self._detect([images[n] for n in again], "full", tries), strict=True):
                found[n] = mark
        self._missed |= {files[i].path.parent for n, i in enumerate(readable) if found[n].note == SMALL}
        marks = [Mark()] * len(files)
        for i, mark in zip(readable, found, strict=True):
            marks[i] = mark
        return marks

    def pooled(self) -> list[tuple[Path, int, Mark]]:
        """Looks for the mark in the small images of each folder together, where one of them did not tell it alone.

        Returns the folder, how many images, the mark.
        """
        from gen import watermark

        found = []
        for folder, images in self._small.items():
            if len(images) > 1 and folder in self._missed and self._key is not None:
                found.append((folder, len(images), _mark(watermark.pool(images, self._key))))
        return found

    def _tries(self, parsed: Parsed) -> int:
        """How often a mark may be looked for in a file: each time is a chance of a false alarm."""
        return 1 + (len(parsed.pixels) > 1) + (self._search == "full" and _may_have_changed(parsed))

    def _in_frames(self, parsed: Parsed, alone: Mark) -> Mark:
        """Looks for the mark in frames together. alone: what was found in the first."""
        from gen import watermark

        assert self._key is not None
        frames = parsed.pixels[:FRAMES]
        together = watermark.pool([reduced(frame, most=MOST_PIXELS // FRAMES) for frame in frames], self._key)
        mark = _mark(together, self._tries(parsed))
        return replace(mark, place=f"in {len(frames)} frames together") if mark.found else alone

    def _detect(self, images: Sequence[np.ndarray], search: Search, tries: Sequence[int]) -> list[Mark]:
        from gen import watermark

        if not images or self._key is None:
            return []
        found = map(_mark, watermark.detect(list(images), self._key, search=search), tries)
        return [
            replace(mark, note=SMALL) if min(image.shape[:2]) < SMALL_SIDE and not mark.found else mark
            for image, mark in zip(images, found, strict=True)
        ]


def _may_have_changed(parsed: Parsed) -> bool:
    return parsed.signature.state != "trusted" and min(parsed.pixels.shape[1:3]) >= SMALL_SIDE


def _mark(detection: Detection, tries: int = 1) -> Mark:
    """Returns what was found, with the bound of all tries together (Bonferroni)."""
    from gen import watermark

    p_value = min(1.0, tries * detection.p_value)
    if p_value >= watermark.THRESHOLD:
        return Mark(looked=True, p_value=p_value, note="")
    return Mark(
        looked=True,
        found=True,
        p_value=p_value,
        place=detection.place,
        tag=detection.tag,
        tag_bits=detection.tag_bits,
        note="",
    )
