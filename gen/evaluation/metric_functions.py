"""Applies each metric to a comparison: yields its numbers, and raises InputError for what it lacks."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import numpy as np

from gen.errors import InputError
from gen.evaluation.comparison import Comparison
from gen.evaluation.feature_sets import FeatureSet, K, subset
from gen.files import printable
from gen.metrics import diversity, kernel, labels, memorization, moments, neighbors, retrieval, sliced, spectrum
from gen.metrics.bootstrap import Value

EPSILON = 1e-4  # of a way between latents (Karras et al. 2019)
CANDIDATES = 100  # captions to choose from
_WORDS, _MOST_SHARE = 12, 0.5  # words that captions are grouped by, each in that share of the captions at most
LEAST_HELD_OUT = 100  # images: fewer say nothing of their 1 % quantile


class Number:
    """A result of a metric.

    name: of the record in gen.evaluation.metric_suite. part: the class or the size that it is of. split: of the real
    images, "none" for none; None: of those to compare with. counts: of generated and real images, if not all. settings:
    others that the number depends on.
    """

    def __init__(
        self,
        name: str,
        value: Value,
        *,
        part: str = "",
        split: str | None = None,
        counts: tuple[int, int] | None = None,
        **settings: Any,
    ) -> None:
        self.name, self.value, self.settings = name, value, settings
        self.part, self.split, self.counts = part, split, counts


Numbers = Iterable[Number]


def frechet(c: Comparison) -> Numbers:
    """Yields the Fréchet distance."""
    value = moments.frechet_distance(c.generated.features, c.reference.real.features, **c.options)
    yield Number("FD-{extractor}", value.within(0))


def frechet_infinite(c: Comparison) -> Numbers:
    """Yields the Fréchet distance of infinitely many samples, from at least four times as many as dimensions."""
    count, dimensions = c.generated.features.shape
    if count < 4 * dimensions:
        raise InputError(f"{count} samples of {dimensions} features: below {4 * dimensions} it is far too low")
    value = moments.frechet_infinite(c.generated.features, c.reference.real.features, **c.options)
    yield Number("FD-{extractor}-infinite", value)


def kernel_distance(c: Comparison) -> Numbers:
    """Yields the kernel distance over subsets of at most 1,000 images."""
    size = min(1000, len(c.generated), len(c.reference.real))
    value = kernel.kernel_distance(c.generated.features, c.reference.real.features, size=size, **c.options)
    yield Number("KD-{extractor}", value, subset=size)


def rbf(c: Comparison) -> Numbers:
    """Yields MMD with a kernel as wide as real images are apart: features of this repository have no fixed scale."""
    real = c.reference.real.features
    some = real[subset(len(real), 500)]
    sigma = float(f"{np.median(neighbors.nearest(some, some, len(some) - 1, exclude_self=True).distances):.4g}")
    value = kernel.rbf_mmd(c.generated.features, real, sigma=sigma, **c.options).within(0)
    yield Number("MMD-{extractor}", value, sigma=sigma)


def mind(c: Comparison) -> Numbers:
    """Yields MIND."""
    value = sliced.mind(c.generated.features, c.reference.real.features, **c.options)
    yield Number("MIND-{extractor}", value.within(0))


def neighbor_shares(c: Comparison) -> Numbers:
    """Yields precision and recall with 3 neighbors, density and coverage with 5."""
    generated, real = c.generated.manifold, c.reference.real.manifold
    for name, value in neighbors.precision_recall(generated, real, k=3, **c.options)._asdict().items():
        yield Number(name, value, k=3)
    for name, value in neighbors.density_coverage(generated, real, k=K, **c.options)._asdict().items():
        yield Number(name, value, k=K)


def copies(c: Comparison) -> Numbers:
    """Yields the share of samples that are nearer to training images than new images are, and its p-value."""
    held_out = _enough_held_out(c)
    sets = (c.generated.features, c.reference.train.features, held_out.features)
    found = memorization.memorization(*sets, near=c.near, held_out_near=c.reference.held_out_near)
    about: dict[str, Any] = {"split": "train", "held_out": len(held_out)}
    yield Number("memorized", found.share, expected=round(found.expected, 6), **about)
    yield Number("memorized-p", Value(found.p_value), **about)


def nearer_than_new(c: Comparison) -> Numbers:
    """Yields the z-score of being nearer to training images than new images are."""
    held_out = _enough_held_out(c)
    sets = (c.generated.features, c.reference.train.features, held_out.features)
    value = memorization.c_t(*sets, near=c.near, held_out_near=c.reference.held_out_near, **c.options)
    yield Number("C_T", value, split="train", held_out=len(held_out))


def authentic(c: Comparison) -> Numbers:
    """Yields the share of authentic samples."""
    value = memorization.auth_pct(c.generated.features, c.reference.train.features, near=c.near, **c.options)
    yield Number("AuthPct", value, split=None if c.reference.split == "all" else "train")


def _enough_held_out(c: Comparison) -> FeatureSet:
    held_out = c.reference.held_out
    if len(held_out) < LEAST_HELD_OUT:
        raise InputError(f"{len(held_out)} held-out images do not tell how near new ones are; {LEAST_HELD_OUT} do")
    return held_out


def patch_energy(c: Comparison) -> Numbers:
    """Yields the energy at the frequency of each size of patches, over that of real images."""
    yield from _of_patches("patch-energy-{part}", spectrum.patch_energy, c)


def checkerboard(c: Comparison) -> Numbers:
    """Yields how far each of these energies stands out from the spectrum."""
    yield from _of_patches("checkerboard-{part}", spectrum.checkerboard, c)


def _of_patches(name: str, function: Callable[..., dict[int, Value]], c: Comparison) -> Numbers:
    sets = (c.generated.line_power, c.reference.real.line_power)
    for period, value in function(*sets, **c.options).items():
        yield Number(name, value, part=str(period), counts=(len(sets[0]), len(sets[1])))


def vendi(c: Comparison) -> Numbers:
    """Yields the Vendi scores of orders 1 and 2."""
    for order in (1.0, 2.0):
        value = diversity.vendi(c.generated.features, q=order, **c.options)
        yield Number(f"Vendi-{{extractor}}-q{order:g}", value, split="none")


def inception_score(c: Comparison) -> Numbers:
    """Yields the Inception score of the extractor's class logits."""
    logits = np.random.default_rng(c.seed).permutation(_logits(c))  # it is of parts, and images may come by class
    value = diversity.inception_score(logits, **c.options)
    yield Number("IS-{extractor}", value, split="none", **_accuracy(c))


def modes(c: Comparison) -> Numbers:
    """Yields how many classes there are among the samples, and how far their shares are from the real ones."""
    logits, counts = _class_logits(c)
    if not counts.all():
        raise InputError(f"no real image of class {c.reference.class_names[int(counts.argmin())]} to compare with")
    found = labels.modes(logits.argmax(1), counts / counts.sum(), **c.options)
    yield Number("modes-covered", found.covered, classes=len(counts), **_accuracy(c))
    yield Number("modes-divergence", found.divergence, classes=len(counts), **_accuracy(c))


def agreement(c: Comparison) -> Numbers:
    """Yields the share of samples of the class that was asked for."""
    logits, _ = _class_logits(c)
    value = labels.agreement(logits.argmax(1), _wanted_classes(c), **c.options)
    yield Number("class-agreement", value, split="none", **_accuracy(c))


def class_distances(c: Comparison) -> Numbers:
    """Yields the Fréchet distance within each class of at least two images."""
    real, asked = c.reference.real, _wanted_classes(c)
    assert real.labels is not None
    found = labels.class_distances(c.generated.features, asked, real.features, real.labels, **c.options)
    for k, value in found.items():
        if np.isfinite(value.value):  # else a class with one image at most
            name, counts = c.reference.class_names[k], (int(np.sum(asked == k)), int(np.sum(real.labels == k)))
            yield Number("FD-{extractor}-class-{part}", value.within(0), part=printable(name), counts=counts)


def prompt_agreement(c: Comparison) -> Numbers:
    """Yields the share of samples to which their own caption is nearer than 99 others are."""
    if c.described is None or c.text_image is None:
        raise InputError("the images have no captions")
    value = retrieval.r_precision(*c.described, candidates=CANDIDATES, **c.options)
    yield Number("R-precision", value, split="none", candidates=CANDIDATES, model=c.text_image.digest[:12])


def word_distances(c: Comparison) -> Numbers:
    """Yields the Fréchet distance within the images whose captions have a word, of the most frequent words."""
    generated, real = c.generated.captioned, c.reference.real.captioned
    if generated is None or real is None or generated.captions is None or real.captions is None:
        raise InputError("the images have no captions")
    mine, theirs = (_words(captions) for captions in (generated.captions, real.captions))
    counts = Counter(word for words in theirs for word in words)
    usual = (word for word, count in counts.most_common() if count <= _MOST_SHARE * len(theirs))
    for word in itertools.islice(usual, _WORDS):
        has = [np.array([word in words for words in each]) for each in (mine, theirs)]
        counts_of = int(has[0].sum()), int(has[1].sum())
        if min(counts_of) >= 2:
            value = moments.frechet_distance(generated.features[has[0]], real.features[has[1]], **c.options)
            yield Number("FD-{extractor}-word-{part}", value.within(0), part=printable(word), counts=counts_of)


def _words(captions: np.ndarray) -> list[set[str]]:
    return [set(re.findall(r"\w+", caption.lower())) for caption in captions]


def _logits(c: Comparison) -> np.ndarray:
    if c.generated.logits is None:
        raise InputError(f"the extractor {c.extractor.name} does not classify these images")
    return c.generated.logits


def _class_logits(c: Comparison) -> tuple[np.ndarray, np.ndarray]:
    """Logits of the classes of the data, and how many real images each class has."""
    real, names = c.reference.real, c.reference.class_names
    logits = _logits(c)
    if real.labels is None or logits.shape[1] != len(names):
        raise InputError(f"the extractor {c.extractor.name} knows {logits.shape[1]} classes, the data has {len(names)}")
    return logits, np.bincount(real.labels, minlength=len(names))


def _wanted_classes(c: Comparison) -> np.ndarray:
    if c.generated.labels is None or c.reference.real.labels is None:
        raise InputError("the images have no classes")
    return c.generated.labels


def _accuracy(c: Comparison) -> dict[str, Any]:
    """The numbers of a classifier are no better than it is."""
    return {} if c.extractor.accuracy is None else {"classifier_accuracy": round(c.extractor.accuracy, 4)}


def path_length(c: Comparison) -> Numbers:
    """Yields the perceptual path length."""
    if c.path is None:
        raise InputError("these images come from no latents to walk between")
    value = diversity.path_length(*map(c.extractor.features, c.path), epsilon=EPSILON, **c.options)
    yield Number("PPL-{extractor}", value, split="none", pairs=len(c.path[0]), epsilon=EPSILON)


def sliced_wasserstein(c: Comparison) -> Numbers:
    """Yields the sliced Wasserstein distance of patches at each level of the pyramid."""
    levels = sliced.sliced_wasserstein(c.generated.images, c.reference.real.images, **c.options)
    for level, value in levels.items():
        yield Number("SWD-{part}", value.within(0), part=str(level))


def ms_ssim(c: Comparison) -> Numbers:
    """Yields the mean similarity of pairs of samples; of fewer than 20 pairs without an interval."""
    pairs = min(1000, max(1, len(c.generated) // 2))  # more would share their images, and not be as sure as they seem
    options = c.options if pairs >= 20 else {"seed": c.seed, "replicates": 0}
    value = diversity.ms_ssim_diversity(c.generated.images, labels=c.generated.labels, pairs=pairs, **options)
    yield Number("MS-SSIM", value, split="none")
