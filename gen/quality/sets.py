"""Sets of images with their features: what a metric compares."""

from __future__ import annotations

import dataclasses
import hashlib
from dataclasses import dataclass

import numpy as np

from gen.data import Examples, Source
from gen.features import Extractor, kept


@dataclass(frozen=True)
class Images:
    """Images uint8 [n h w c] with features float32 [n d]; labels and class logits where there are classes."""

    images: np.ndarray
    features: np.ndarray
    labels: np.ndarray | None = None  # int32 [n], as asked for or as the data says
    logits: np.ndarray | None = None  # float32 [n k], by the extractor's classifier

    def take(self, indices: np.ndarray) -> Images:
        """Some of them."""
        parts = {name: value for name, value in vars(self).items() if value is not None}
        return dataclasses.replace(self, **{name: value[indices] for name, value in parts.items()})

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Reference:
    """The real images of a data set: all that may have been copied, a random part to compare with, and held-out ones.

    With a folder for a reference nothing is known to be held out: `held_out` is then empty.
    """

    digest: str  # of the data
    split: str  # which split `real` is a part of
    real: Images
    train: Images
    held_out: Images
    class_names: tuple[str, ...] = ()


def described(examples: Examples, extractor: Extractor, *, labelled: bool) -> Images:
    """Images with what an extractor says of them."""
    images = np.asarray(examples.images)
    if len(images) == 0:
        return Images(images, np.zeros((0, 1), np.float32))
    logits = extractor.logits(images) if extractor.logits else None
    labels = np.asarray(examples.labels) if labelled else None
    return Images(images, extractor.features(images), labels, logits)


def reference(
    source: Source, extractor: Extractor, *, split: str = "train", references: int = 10_000, most: int = 100_000
) -> Reference:
    """The real images of a source, their features from the data cache where they are there.

    split: "train" or "held_out", of which at most `references` random images are compared with. most: at most as many
    training images may be found to have been copied. Which ones is a function of the data alone.
    """
    digest, labelled = str(source.facts.get("digest", "")), bool(source.num_classes)
    train = _cached(_part(source.train, most), extractor, digest, "train", labelled)
    held_out = _cached(_part(source.held_out, references), extractor, digest, "held_out", labelled)
    chosen = train if split == "train" else held_out
    real = chosen.take(_subset(len(chosen), references))
    return Reference(digest, split, real, train, held_out, source.class_names)


def folder_reference(source: Source, extractor: Extractor, digest: str) -> Reference:
    """The images of a folder, to compare others with."""
    real = _cached(source.train, extractor, digest, "all", False)
    return Reference(digest, "all", real, real, real.take(np.arange(0)))


def _subset(count: int, limit: int) -> np.ndarray:
    """Indices of `limit` of `count`, in order; all when there are no more."""
    return np.arange(count) if count <= limit else np.sort(np.random.default_rng(0).permutation(count)[:limit])


def _part(examples: Examples, limit: int) -> Examples:
    chosen = _subset(len(examples.images), limit)
    return Examples(examples.images[chosen], examples.labels[chosen])


def _cached(examples: Examples, extractor: Extractor, digest: str, part: str, labelled: bool) -> Images:
    """`described`, kept in the data cache by the digests of data and extractor, where the data has one."""
    key = hashlib.sha256(f"{digest} {extractor.digest} {part} {examples.images.shape}".encode()).hexdigest()[:16]
    stored = kept.read(f"measured-{key}") if digest else None
    if stored is not None:
        labels = np.asarray(examples.labels) if labelled else None
        return Images(np.asarray(examples.images), stored["features"], labels, stored.get("logits"))
    made = described(examples, extractor, labelled=labelled)
    if digest:
        kept.write(
            {"features": made.features} | ({} if made.logits is None else {"logits": made.logits}), f"measured-{key}"
        )
    return made
