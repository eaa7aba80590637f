"""Examples, splits and batches. Images are uint8 [n h w c] in 0..255, labels int32 [n]; numpy only, on the host."""

from __future__ import annotations

import functools
from dataclasses import dataclass, field
from typing import Any, NamedTuple, NotRequired, TypedDict

import numpy as np

from gen.data import captions
from gen.data.captions import Captioned
from gen.errors import InputError

_CAPTION = 0xCA9  # what separates the random numbers of captions from those of the order


class Batch(TypedDict):
    """The arrays of one step: image [b h w c] (uint8 on the host, float in [0, 1] on the device), label int32 [b], and
    where the data has captions their tokens, int32 [b l], see gen.text."""

    image: Any
    label: Any
    caption: NotRequired[Any]


class Examples(NamedTuple):
    """One split: images uint8 [n h w c], labels int32 [n], zeros if unlabeled.

    The images are an array, a read-only memory map, or what reads them when it is indexed, see gen.data.stored.
    """

    images: np.ndarray
    labels: np.ndarray
    captions: Captioned | None = None


@dataclass(frozen=True)
class DatasetSplits:
    """Real images, split once into a part to learn from and a part that is held out.

    `class_names` is () when the images are unlabeled. `metadata` is JSON-able and says where the images came from:
    at least "digest" (sha256 over all images and labels), "source", "options" and "skipped" (files with reasons).
    """

    name: str
    train: Examples
    held_out: Examples
    class_names: tuple[str, ...] = ()
    metadata: dict[str, Any] = field(default_factory=dict)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.train.images.shape[1:]
        return height, width, channels

    @property
    def num_classes(self) -> int:
        """Number of classes; 0 when unlabeled."""
        return len(self.class_names)

    @property
    def caption_length(self) -> int:
        """Tokens of a caption, as it is learned; 0 without captions."""
        return int(self.metadata.get("captions", {}).get("length", 0))


@functools.lru_cache(maxsize=2)  # a batch may straddle two epochs; of 10 million images each is 40 MB
def _permutation(seed: int, epoch: int, count: int) -> np.ndarray:
    order = np.arange(count, dtype=np.int32 if count < 2**31 else np.int64)
    np.random.default_rng((seed, epoch)).shuffle(order)
    return order


class BatchSampler:
    """An endless, shuffled sequence of batches in which every batch is a pure function of (seed, step).

    Each epoch is a new permutation of all examples, and epochs follow each other without a gap: a batch may straddle
    two epochs, or span many when it is larger than the set. Nothing needs to be stored to resume, and the global
    batch does not depend on how many processes share it.
    """

    def __init__(self, examples: Examples, batch_size: int, seed: int = 0, *, caption_length: int = 0) -> None:
        """`batch_size` is global: images per step over all processes. caption_length: tokens of a caption; 0: without.

        Raises InputError for an empty set.
        """
        if len(examples.images) == 0:
            raise InputError("the data set has no images")
        if batch_size < 1 or seed < 0:
            raise InputError(f"batch_size={batch_size}, seed={seed}: batch_size must be at least 1, seed at least 0")
        self.examples = examples
        self._batch_size = batch_size
        self._seed = seed
        self._caption_length = caption_length

    @property
    def num_examples(self) -> int:
        """Number of different images."""
        return len(self.examples.images)

    @property
    def image_shape(self) -> tuple[int, int, int]:
        """(height, width, channels)."""
        height, width, channels = self.examples.images.shape[1:]
        return height, width, channels

    def indices(self, step: int, *, rows: slice = slice(None)) -> np.ndarray:
        """Returns the indices of the examples in the batch of `step`: int64 [b], or only its `rows`."""
        positions = np.arange(step * self._batch_size, (step + 1) * self._batch_size, dtype=np.int64)[rows]
        epochs, offsets = np.divmod(positions, self.num_examples)
        result = np.empty_like(positions)
        for epoch in np.unique(epochs):
            inside = epochs == epoch
            result[inside] = _permutation(self._seed, int(epoch), self.num_examples)[offsets[inside]]
        return result

    def batch(self, step: int, *, rows: slice = slice(None)) -> Batch:
        """Returns the batch of `step`: image uint8 [b h w c], label int32 [b], and captions; `rows` picks a share."""
        indices = self.indices(step, rows=rows)
        made = Batch(image=np.asarray(self.examples.images[indices]), label=self.examples.labels[indices])
        if (tokens := self.captions(step, rows=rows)) is not None:
            made["caption"] = tokens
        return made

    def captions(self, step: int, *, rows: slice = slice(None)) -> np.ndarray | None:
        """Draws one caption of each image of the batch of `step`: tokens int32 [b l]; None without captions."""
        if not self._caption_length or self.examples.captions is None:
            return None
        uniform = np.random.default_rng((self._seed, _CAPTION, step)).random(self._batch_size)[rows]
        indices = self.indices(step, rows=rows)
        return captions.tokens(self.examples.captions, indices, uniform, length=self._caption_length)
