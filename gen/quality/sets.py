"""Sets of images with their features: what a metric compares."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from dataclasses import dataclass

import numpy as np

from gen import __version__, cli
from gen.data import Examples, Source
from gen.features import Extractor, kept
from gen.features.extractor import Seen
from gen.metrics import neighbours
from gen.metrics.neighbours import Manifold, Neighbours

K = 5  # nearest others that are looked for
_AT_ONCE = 1024  # images that features are computed of before progress is shown


@dataclass(frozen=True)
class Images:
    """Images uint8 [n h w c] with features float32 [n d]; labels and class logits where there are classes."""

    images: np.ndarray
    features: np.ndarray
    labels: np.ndarray | None = None  # int32 [n], as asked for or as the data says
    logits: np.ndarray | None = None  # float32 [n k], by the extractor's classifier

    def take(self, indices: np.ndarray) -> Images:
        """Some of them."""
        parts = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return dataclasses.replace(self, **{name: x[indices] for name, x in parts.items() if x is not None})

    @functools.cached_property
    def manifold(self) -> Manifold:
        """The features with the distances to their 5 nearest others. Raises InputError for fewer than 6 images."""
        return neighbours.manifold(self.features, k=K)

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

    @functools.cached_property
    def held_out_near(self) -> Neighbours:
        """Of each held-out image, the nearest training image."""
        return neighbours.nearest(self.held_out.features, self.train.features, 1)


def described(examples: Examples, extractor: Extractor, *, labelled: bool) -> Images:
    """Images with what an extractor says of them; with their labels, if wanted, unless some are -1, unknown."""
    images, labels = (
        examples.images[:],
        np.asarray(examples.labels),
    )  # a mapped array stays so, and is checked when read
    if len(images) == 0:
        return Images(images, np.zeros((0, 1), np.float32))
    seen, began = list[Seen](), time.monotonic()
    for start in range(0, len(images), _AT_ONCE):
        seen.append(extractor.see(images[start : start + _AT_ONCE]))
        cli.tell(min(start + _AT_ONCE, len(images)), len(images), began)
    features = np.concatenate([some.features for some in seen])
    logits = [some.logits for some in seen if some.logits is not None]
    told = labels if labelled and (labels >= 0).all() else None
    return Images(images, features, told, np.concatenate(logits) if logits else None)


def reference(
    source: Source, extractor: Extractor, *, split: str = "train", references: int = 10_000, most: int = 100_000
) -> Reference:
    """The real images of a source, their features from the data cache where they are there.

    split: "train" or "held_out", of which at most `references` random images are compared with. most: at most as many
    training images may be found to have been copied. Which ones is a function of the data alone.
    """
    digest, labelled = str(source.facts.get("digest", "")), bool(source.num_classes)
    train = _cached(part(source.train, most), extractor, digest, "train", labelled)
    held_out = _cached(part(source.held_out, references), extractor, digest, "held_out", labelled)
    chosen = train if split == "train" else held_out
    real = chosen if len(chosen) <= references else chosen.take(subset(len(chosen), references))
    return Reference(digest, split, real, train, held_out, source.class_names)


def folder_reference(source: Source, extractor: Extractor, digest: str) -> Reference:
    """The images of a folder, to compare others with."""
    real = _cached(source.train, extractor, digest, "all", False)
    return Reference(digest, "all", real, real, real.take(np.arange(0)))


def subset(count: int, limit: int) -> np.ndarray:
    """Indices of `limit` of `count` (or of all), at random but always the same, in order: sets may come by class."""
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])


def part(examples: Examples, limit: int) -> Examples:
    """At most `limit` of them, at random but always the same, in order."""
    if len(examples.images) <= limit:
        return examples
    chosen = subset(len(examples.images), limit)
    return Examples(examples.images[chosen], examples.labels[chosen])


def _cached(examples: Examples, extractor: Extractor, digest: str, split: str, labelled: bool) -> Images:
    """`described`, kept in the data cache by data, extractor and version of gen, where their digests tell all."""
    about = f"{digest} {extractor.digest} {__version__} {split} {examples.images.shape}"
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    name = f"measured-{key}" if digest and extractor.lasting else ""
    stored = kept.read(name) if name else None
    if stored is not None:
        labels = np.asarray(examples.labels) if labelled else None
        return Images(examples.images[:], stored["features"], labels, stored.get("logits"))
    made = described(examples, extractor, labelled=labelled)
    if name:
        logits = {} if made.logits is None else {"logits": made.logits}
        kept.write({"features": made.features, **logits}, name)
    return made
