"""Sets of images with their features: what a metric compares."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import time
from dataclasses import dataclass

import numpy as np

from gen import __version__, cli
from gen.data import DatasetSplits, Examples
from gen.features import Extractor, array_cache
from gen.features.extractor import ExtractorOutput
from gen.metrics import neighbors
from gen.metrics.neighbors import Manifold, Neighbors

K = 5  # nearest others that are looked for
_AT_ONCE = 1024  # images that features are computed of before progress is shown


@dataclass(frozen=True)
class FeatureSet:
    """Images uint8 [n h w c] with features float32 [n d]; labels and class logits where there are classes."""

    images: np.ndarray
    features: np.ndarray
    labels: np.ndarray | None = None  # int32 [n], as asked for or as the data says
    logits: np.ndarray | None = None  # float32 [n k], by the extractor's classifier

    def take(self, indices: np.ndarray) -> FeatureSet:
        """Some of them."""
        parts = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return dataclasses.replace(self, **{name: x[indices] for name, x in parts.items() if x is not None})

    @functools.cached_property
    def manifold(self) -> Manifold:
        """The features with the distances to their 5 nearest others. Raises InputError for fewer than 6 images."""
        return neighbors.manifold(self.features, k=K)

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True)
class Reference:
    """The real images of a data set: all that may have been copied, a random part to compare with, and held-out ones.

    With a folder for a reference nothing is known to be held out: `held_out` is then empty.
    """

    digest: str  # of the data
    split: str  # which split `real` is a part of
    real: FeatureSet
    train: FeatureSet
    held_out: FeatureSet
    class_names: tuple[str, ...] = ()

    @functools.cached_property
    def held_out_near(self) -> Neighbors:
        """Of each held-out image, the nearest training image."""
        return neighbors.nearest(self.held_out.features, self.train.features, 1)


def extract_features(examples: Examples, extractor: Extractor, *, labeled: bool) -> FeatureSet:
    """Images with what an extractor says of them; with their labels, if wanted, unless some are -1, unknown."""
    images, labels = (
        examples.images[:],
        np.asarray(examples.labels),
    )  # a mapped array stays so, and is checked when read
    if len(images) == 0:
        return FeatureSet(images, np.zeros((0, 1), np.float32))
    seen, began = list[ExtractorOutput](), time.monotonic()
    for start in range(0, len(images), _AT_ONCE):
        seen.append(extractor.see(images[start : start + _AT_ONCE]))
        cli.tell(min(start + _AT_ONCE, len(images)), len(images), began)
    features = np.concatenate([some.features for some in seen])
    logits = [some.logits for some in seen if some.logits is not None]
    told = labels if labeled and (labels >= 0).all() else None
    return FeatureSet(images, features, told, np.concatenate(logits) if logits else None)


def reference(
    source: DatasetSplits, extractor: Extractor, *, split: str = "train", references: int = 10_000, most: int = 100_000
) -> Reference:
    """The real images of a source, their features from the data cache where they are there.

    split: "train" or "held_out", of which at most `references` random images are compared with. most: at most as many
    training images may be found to have been copied. Which ones is a function of the data alone.
    """
    digest, labeled = str(source.facts.get("digest", "")), bool(source.num_classes)
    train = _cached(random_subset(source.train, most), extractor, digest, "train", labeled)
    held_out = _cached(random_subset(source.held_out, references), extractor, digest, "held_out", labeled)
    chosen = train if split == "train" else held_out
    real = chosen if len(chosen) <= references else chosen.take(subset(len(chosen), references))
    return Reference(digest, split, real, train, held_out, source.class_names)


def folder_reference(source: DatasetSplits, extractor: Extractor, digest: str) -> Reference:
    """The images of a folder, to compare others with."""
    real = _cached(source.train, extractor, digest, "all", False)
    return Reference(digest, "all", real, real, real.take(np.arange(0)))


def subset(count: int, limit: int) -> np.ndarray:
    """Indices of `limit` of `count` (or of all), at random but always the same, in order: sets may come by class."""
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])


def random_subset(examples: Examples, limit: int) -> Examples:
    """At most `limit` of them, at random but always the same, in order."""
    if len(examples.images) <= limit:
        return examples
    chosen = subset(len(examples.images), limit)
    return Examples(examples.images[chosen], examples.labels[chosen])


def _cached(examples: Examples, extractor: Extractor, digest: str, split: str, labeled: bool) -> FeatureSet:
    """`described`, kept in the data cache by data, extractor and version of gen, where their digests tell all."""
    about = f"{digest} {extractor.digest} {__version__} {split} {examples.images.shape}"
    key = hashlib.sha256(about.encode()).hexdigest()[:16]
    name = f"measured-{key}" if digest and extractor.lasting else ""
    stored = array_cache.read(name) if name else None
    if stored is not None:
        labels = np.asarray(examples.labels) if labeled else None
        return FeatureSet(examples.images[:], stored["features"], labels, stored.get("logits"))
    made = extract_features(examples, extractor, labeled=labeled)
    if name:
        logits = {} if made.logits is None else {"logits": made.logits}
        array_cache.write({"features": made.features, **logits}, name)
    return made
