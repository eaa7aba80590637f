"""Sets of images with their features, which metrics compare."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from gen import __version__, cli, processes
from gen.data import DatasetSplits, Examples
from gen.features import Extractor, array_cache
from gen.metrics import moments, neighbors, spectrum
from gen.metrics.neighbors import Manifold, Neighbors

K = 5  # nearest others that are looked for
_AT_ONCE = 1024  # images that features are computed of before progress is shown


@dataclass(frozen=True)
class FeatureSet:
    """Images uint8 [n h w c] with features float32 [n d]; labels, class logits and captions where there are any."""

    images: np.ndarray
    features: np.ndarray
    labels: np.ndarray | None = None  # int32 [n], as asked for or as the data says
    logits: np.ndarray | None = None  # float32 [n k], by the extractor's classifier
    captions: np.ndarray | None = None  # str [n]: what was asked for, or one that the data has; "" where there is none

    def take(self, indices: np.ndarray) -> FeatureSet:
        """Selects images."""
        parts = {each.name: getattr(self, each.name) for each in dataclasses.fields(self)}
        return dataclasses.replace(self, **{name: x[indices] for name, x in parts.items() if x is not None})

    @functools.cached_property
    def captioned(self) -> FeatureSet | None:
        """Selects the images with a caption; None where no image has one."""
        has = np.flatnonzero([] if self.captions is None else self.captions != "")
        return self.take(has) if len(has) else None

    @functools.cached_property
    def manifold(self) -> Manifold:
        """Adds to the features the distances to their 5 nearest others. Raises InputError for fewer than 6 images."""
        return neighbors.manifold(self.features, k=K)

    @functools.cached_property
    def line_power(self) -> np.ndarray:
        """Computes the power spectrum of the rows and columns of each image. Raises InputError for small images."""
        return spectrum.line_power(self.images)

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
        """Finds the nearest training image of each held-out one."""
        return neighbors.nearest(self.held_out.features, self.train.features, 1)

    def write_statistics(self, path: Path) -> None:
        """Writes mean and covariance of the features of `real` to an .npz file, making its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        moments.write_statistics(path, moments.moments(self.real.features))


def extract_features(examples: Examples, extractor: Extractor, *, labeled: bool, cached_as: str = "") -> FeatureSet:
    """Computes the features of images; adds their labels, if wanted, unless some are -1, unknown.

    cached_as: what the images are, a digest and a split, if their features may be kept in the data cache.
    """
    images, labels = (
        examples.images[:],
        np.asarray(examples.labels),
    )  # a mapped array is checked when read
    if len(images) == 0:
        return FeatureSet(images, np.zeros((0, 1), np.float32))
    key = f"{cached_as} {extractor.digest} {__version__} {images.shape}"
    name = f"measured-{hashlib.sha256(key.encode()).hexdigest()[:16]}" if cached_as and extractor.cacheable else ""
    arrays = array_cache.of_first(lambda: array_cache.read(name)) if name else None
    if arrays is None:
        arrays = _extracted(images, extractor)
        if name and processes.writes():
            array_cache.write(arrays, name)
    known = labels if labeled and (labels >= 0).all() else None
    return FeatureSet(images, arrays["features"], known, arrays.get("logits"), _captions(examples))


def _captions(examples: Examples) -> np.ndarray | None:
    """Draws a caption of each image, always the same, "" where there is none; None without any."""
    given = examples.captions
    if given is None or not given.counts.any():
        return None
    drawn = given.drawn(np.arange(len(given.counts)), np.random.default_rng(0).random(len(given.counts)))
    return np.array([(text or b"").decode("utf-8", "surrogateescape") for text in drawn], object)


def _extracted(images: np.ndarray, extractor: Extractor) -> dict[str, np.ndarray]:
    """Computes features, and logits of an extractor that classifies, in parts, so that progress shows.

    Several processes share the images.
    """
    count, mine = len(images), images if processes.alone() else images[processes.share(len(images))]
    batches = (mine[start : start + _AT_ONCE] for start in range(0, len(mine), _AT_ONCE))
    parts = [extractor.apply(batch) for batch in cli.progress(batches, len(mine), size=len)]
    arrays = {"features": np.concatenate([part.features for part in parts])}
    logits = [part.logits for part in parts if part.logits is not None]
    arrays |= {"logits": np.concatenate(logits)} if logits else {}
    return {name: processes.gathered(array, count) for name, array in arrays.items()}


def reference(
    splits: DatasetSplits, extractor: Extractor, *, split: str = "train", references: int = 10_000, most: int = 100_000
) -> Reference:
    """Returns the real images of a data set; features come from the data cache where they are there.

    split: "train" or "held_out", of which at most `references` random images are compared with. most: at most as many
    training images may be found to have been copied. Which ones is a function of the data alone.
    """
    digest = str(splits.metadata.get("digest", ""))
    sets = {"train": random_subset(splits.train, most), "held_out": random_subset(splits.held_out, references)}
    found = {
        name: extract_features(
            examples, extractor, labeled=bool(splits.num_classes), cached_as=digest and f"{digest} {name}"
        )
        for name, examples in sets.items()
    }
    chosen = found[split]
    real = chosen if len(chosen) <= references else chosen.take(subset(len(chosen), references))
    return Reference(digest, split, real, found["train"], found["held_out"], splits.class_names)


def folder_reference(splits: DatasetSplits, extractor: Extractor, digest: str) -> Reference:
    """Returns the images of a folder as a reference."""
    real = extract_features(splits.train, extractor, labeled=False, cached_as=f"{digest} all")
    return Reference(digest, "all", real, real, real.take(np.arange(0)))


def subset(count: int, limit: int) -> np.ndarray:
    """Draws `limit` of `count` indices, or all, always the same, in order: sets may come by class."""
    return np.sort(np.random.default_rng(0).permutation(count)[:limit])


def random_subset(examples: Examples, limit: int) -> Examples:
    """Draws at most `limit` examples, always the same, in order."""
    if len(examples.images) <= limit:
        return examples
    chosen = subset(len(examples.images), limit)
    captions = None if examples.captions is None else examples.captions.subset(chosen)
    return Examples(examples.images[chosen], examples.labels[chosen], captions)
