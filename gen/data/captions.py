"""Captions of images: their texts in one array of bytes, any number for each image, of which a step draws one."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

import numpy as np

from gen.text import MOST_BYTES, cut, to_bytes, tokens_of

_ROUND = 8  # lengths are multiples of it
_LEAST = 64  # tokens: a prompt may be longer than the captions are


class Captioned(Protocol):
    """The captions of n images: in memory as `Captions`, or beside the images, see gen.data.stored."""

    @property
    def counts(self) -> np.ndarray:
        """How many each image has: integers [n]."""

    def of(self, image: int) -> list[str]:
        """Returns all captions of an image."""

    def drawn(self, images: np.ndarray, uniform: np.ndarray) -> list[bytes | None]:
        """Returns for each of `images` [k] the caption that `uniform` [k] in [0, 1) chooses; None where it has none."""

    def subset(self, images: np.ndarray) -> Captions:
        """Returns the captions of some images, in their order."""


@dataclass(frozen=True, eq=False)
class Captions:
    """The captions of n images, m in all."""

    text: np.ndarray  # uint8: the bytes of all captions, one after another
    sizes: np.ndarray  # int32 [m]: bytes of each
    counts: np.ndarray  # int32 [n]: how many each image has

    @cached_property
    def _starts(self) -> np.ndarray:
        """Where each caption starts: int64 [m + 1]."""
        return np.concatenate([[0], np.cumsum(self.sizes, dtype=np.int64)])

    @cached_property
    def _firsts(self) -> np.ndarray:
        """The first caption of each image: int64 [n + 1]."""
        return np.concatenate([[0], np.cumsum(self.counts, dtype=np.int64)])

    def bytes_of(self, caption: int) -> bytes:
        """Returns a caption by its number in 0..m-1."""
        return bytes(self.text[self._starts[caption] : self._starts[caption + 1]])

    def of(self, image: int) -> list[str]:
        """Returns all captions of an image."""
        first, last = self._firsts[image : image + 2]
        return [self.bytes_of(number).decode("utf-8", "surrogateescape") for number in range(first, last)]

    def drawn(self, images: np.ndarray, uniform: np.ndarray) -> list[bytes | None]:
        """Returns for each of `images` [k] the caption that `uniform` [k] in [0, 1) chooses; None where it has none."""
        counts = self.counts[images]
        chosen = self._firsts[images] + (uniform * counts).astype(np.int64)
        return [
            self.bytes_of(number) if count else None
            for number, count in zip(chosen.tolist(), counts.tolist(), strict=True)
        ]

    def subset(self, images: np.ndarray) -> Captions:
        """Returns the captions of some images, in their order."""
        return Captions.packed([[self.bytes_of(n) for n in range(*self._firsts[i : i + 2])] for i in images.tolist()])

    @classmethod
    def packed(cls, texts: Sequence[Sequence[bytes]]) -> Captions:
        """Packs the captions of each image."""
        flat = [text for each in texts for text in each]
        return cls(
            np.frombuffer(b"".join(flat), np.uint8),
            np.array([len(text) for text in flat], np.int32),
            np.array([len(each) for each in texts], np.int32),
        )


def shortened(texts: Iterable[str]) -> list[bytes]:
    """Encodes captions as a data set keeps them: without space about them, without empty ones, cut to MOST_BYTES."""
    return [cut(data, MOST_BYTES) for text in texts if (data := to_bytes(text.strip()))]


def described(captions: Captions | None) -> dict[str, Any]:
    """Describes the captions to learn from, for data.json. length: tokens of a caption; {} without captions."""
    if captions is None:
        return {}
    return described_by(captions.sizes, int((captions.counts > 0).sum()), bytes(np.unique(captions.text)))


def described_by(sizes: np.ndarray, images: int, used: bytes) -> dict[str, Any]:
    """Describes captions by the bytes of each, how many images have one, and which bytes they use."""
    if not len(sizes):
        return {}
    longest = int(sizes.max())
    length = max(_LEAST, -(-(longest + 2) // _ROUND) * _ROUND)
    return {
        "images": images,
        "captions": len(sizes),
        "median_bytes": float(np.median(sizes)),
        "longest_bytes": longest,
        "bytes": used.hex(),
        "length": length,
    }


def tokens(captions: Captioned, images: np.ndarray, uniform: np.ndarray, *, length: int) -> np.ndarray:
    """Draws a caption of each image and returns its tokens int32 [k length], see gen.text; longer ones are cut."""
    chosen = captions.drawn(images, uniform)
    return tokens_of((None if text is None else cut(text, length - 2) for text in chosen), length)
