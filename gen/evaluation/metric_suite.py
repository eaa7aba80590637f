"""The suite of metrics: each is one record in METRICS, where a new one is added."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

from gen.config import FAST, MetricGroup
from gen.errors import InputError, nearest
from gen.evaluation import metric_functions as functions
from gen.evaluation.comparison import Comparison
from gen.evaluation.metric_functions import Number, Numbers
from gen.evaluation.results import Better, MetricResult

_OF_FID = {"FD-fid": "FID", "KD-fid": "KID", "IS-fid": "IS"}  # only the FID Inception gives these names
_PIXELS = "pixels alone"


class Metric(NamedTuple):
    """A metric: how it is named, computed and read.

    The page, the flag --metrics and the table in docs/metrics.md are made from these records. Metrics that are computed
    together share a function.
    """

    name: str  # {extractor}: the name of the network; {part}: a class or a size, of a metric with several numbers
    function: Callable[[Comparison], Numbers]
    better: Better
    group: MetricGroup  # one name of --metrics
    description: str
    misses: str  # what it does not see, and other traps
    of_pixels: bool = False  # computed without an extractor

    def full_name(self, extractor: str, part: str = "") -> str:
        """Returns the name by an extractor; only the FID Inception makes it FID, KID or IS."""
        name = self.name.format(extractor=extractor, part=part)
        return _OF_FID[name[:6]] + name[6:] if extractor == "fid" and name[:6] in _OF_FID else name

    def matches(self, name: str, extractor: str) -> bool:
        """Returns whether a number of this name, by this extractor, is of this metric."""
        begins = self.full_name(extractor)
        return name.startswith(begins) if "{part}" in self.name else name == begins


# fmt: off
METRICS = (
    Metric("FD-{extractor}", functions.frechet, "lower", "frechet",
           "Fréchet distance of two Gaussians, fitted to the features of each set; falls with the number of samples",
           "copies; what a Gaussian cannot express; details that the network ignores"),
    Metric("FD-{extractor}-infinite", functions.frechet_infinite, "lower", "frechet_infinite",
           "the Fréchet distance extrapolated along a line in 1/N to infinitely many samples",
           "as FD; needs four times as many samples as dimensions"),
    Metric("KD-{extractor}", functions.kernel_distance, "lower", "kernel",
           "squared maximum mean discrepancy of features, kernel (x·y/d + 1)³, unbiased",
           "copies; small differences drown in the noise of the subsets; may be below 0"),
    Metric("MMD-{extractor}", functions.rbf, "lower", "rbf",
           "maximum mean discrepancy of features, Gaussian kernel as wide as real images are apart, x 1000",
           "copies; biased upwards for few images"),
    Metric("MIND-{extractor}", functions.mind, "lower", "mind",
           "mean squared transport of features along 1,000 random directions, x 3 d",
           "copies; differences that only show in several directions together"),
    Metric("precision", functions.neighbor_shares, "higher", "neighbors",
           "share of samples inside a ball of a real image, which reaches to its third neighbor",
           "missing modes; an outlier among the real images has a ball that forgives much"),
    Metric("recall", functions.neighbor_shares, "higher", "neighbors",
           "share of real images inside a ball of a sample",
           "bad images: scattered samples have wide balls"),
    Metric("density", functions.neighbor_shares, "higher", "neighbors",
           "number of balls of real images that a sample lies in, over 5",
           "missing modes; above 1 samples crowd about what is typical, and higher is not better"),
    Metric("coverage", functions.neighbor_shares, "higher", "neighbors",
           "share of real images with a sample inside their ball, which reaches to the fifth neighbor",
           "a few bad images; equal sets have 0.97, not 1, and fewer samples less"),
    Metric("memorized", functions.copies, "lower", "memorization",
           "share of samples nearer to a training image than 99 % of held-out images are",
           "copies changed so much that the network takes them for other images"),
    Metric("memorized-p", functions.copies, "neither", "memorization",
           "probability of so many near samples if samples were new images; below 1e-6 look at the pairs",
           "one copy among thousands"),
    Metric("C_T", functions.nearer_than_new, "neither", "memorization",
           "z-score of samples being nearer to training images than held-out images are; below -3: copied",
           "some copies among many honest samples"),
    Metric("AuthPct", functions.authentic, "neither", "memorization",
           "per cent of samples farther from their nearest training image than that is from its own neighbor",
           "as C_T; the value of an honest model depends on the data"),
    Metric("patch-energy-{part}", functions.patch_energy, "neither", "spectrum",
           "energy at the frequency of a grid of patches, by their side in pixels, over that of real images; 1 is best",
           "whether it is a grid, noise or sharpness; where it is", of_pixels=True),
    Metric("checkerboard-{part}", functions.checkerboard, "lower", "spectrum",
           "the same ratio, over that at frequencies between those of patches; above 1 there is a grid",
           "a grid in a blurred image, of which patch-energy is low; grids of other sides", of_pixels=True),
    Metric("Vendi-{extractor}-q1", functions.vendi, "higher", "vendi",
           "number of samples, all unlike, that would be as varied",
           "quality: no real images take part"),
    Metric("Vendi-{extractor}-q2", functions.vendi, "higher", "vendi",
           "the same, where common kinds count more",
           "as Vendi-q1"),
    Metric("IS-{extractor}", functions.inception_score, "higher", "score",
           "exp of the mean divergence of a sample's class probabilities from the mean ones",
           "variety within classes; the Inception score only by the network of FID"),
    Metric("modes-covered", functions.modes, "higher", "classes",
           "number of classes that the classifier finds among the samples",
           "variety within classes; a class may be found by mistakes of the classifier"),
    Metric("modes-divergence", functions.modes, "lower", "classes",
           "KL divergence of the shares of classes from those of real images, nats",
           "as modes-covered"),
    Metric("class-agreement", functions.agreement, "higher", "classes",
           "share of samples that the classifier takes for the class that was asked for",
           "quality that a class does not need; no better than the classifier"),
    Metric("FD-{extractor}-class-{part}", functions.class_distances, "lower", "classes",
           "the Fréchet distance within one class",
           "as FD; with fewer images than dimensions compare at equal numbers only"),
    Metric("R-precision", functions.prompt_agreement, "higher", "captions",
           "share of samples nearer to their own caption than to 99 others, by a text-image model of the data",
           "what no caption says; no better than the text-image model: see held-out images; 0.01 by chance"),
    Metric("FD-{extractor}-word-{part}", functions.word_distances, "lower", "captions",
           "the Fréchet distance within the images whose captions have a word",
           "as FD; with fewer images than dimensions compare at equal numbers only"),
    Metric("PPL-{extractor}", functions.path_length, "lower", "path",
           "squared change of features along a ten-thousandth of the way between two latents, over its length squared",
           "quality and variety; models without latents have none"),
    Metric("SWD-{part}", functions.sliced_wasserstein, "lower", "sliced",
           "transport of 7 x 7 patches of pixels at one level of a pyramid, by its side in pixels, x 1000",
           "what is larger than a patch; brightness and contrast of the set", of_pixels=True),
    Metric("MS-SSIM", functions.ms_ssim, "lower", "ms_ssim",
           "mean structural similarity of random pairs of samples, of one class where there are classes",
           "quality: noise is varied; compare with real images of the same size", of_pixels=True),
)
# fmt: on
GROUPS = tuple(dict.fromkeys(metric.group for metric in METRICS))


def check_groups(names: Sequence[str]) -> None:
    """Raises InputError for a name that is none of GROUPS."""
    for name in names:
        if name not in GROUPS:
            raise InputError(f"no metric '{name}'{nearest(name, GROUPS)}; allowed: all, fast, {', '.join(GROUPS)}")


def parse_groups(text: str) -> tuple[str, ...]:
    """The groups of "all", "fast", or names with commas, of groups or metrics. Raises InputError for an unknown one."""
    several = {metric.name: (metric.group,) for metric in METRICS} | {"all": GROUPS, "fast": FAST}
    names = [name.strip() for name in text.split(",")]
    groups = tuple(dict.fromkeys(group for name in names for group in several.get(name, (name,))))
    check_groups(groups)
    return groups


def measure(
    comparison: Comparison, *, groups: Sequence[str] = GROUPS, say: Callable[[str], None] = lambda text: None
) -> list[MetricResult]:
    """Computes the metrics of these groups, in order.

    A metric that these images do not allow, too few of them for one, is left out. say: is given that, with the reason,
    and how long each group took.
    """
    check_groups(groups)
    results = list[MetricResult]()
    for group in groups:
        began, before, reasons = time.monotonic(), len(results), list[str]()
        metrics = {metric.name: metric for metric in METRICS if metric.group == group}
        for function in dict.fromkeys(metric.function for metric in metrics.values()):
            try:
                for number in function(comparison):
                    results.append(_result(comparison, metrics[number.name], number))
            except InputError as error:
                reasons.append(str(error))
        without = f"left out: {'; '.join(dict.fromkeys(reasons))}"
        took = f"{group} in {time.monotonic() - began:.1f} s" + (f"; {without}" if reasons else "")
        say(took if len(results) > before else f"{group} {without}")
    return results


def _result(comparison: Comparison, metric: Metric, number: Number) -> MetricResult:
    reference, extractor = comparison.reference, comparison.extractor
    real = {"train": len(reference.train), "none": 0}.get(number.split or "", len(reference.real))
    samples, references = number.counts or (len(comparison.generated), real)
    reconstructed = {"reconstructed": True} if comparison.subject.get("reconstructed") else {}
    return MetricResult(
        metric=metric.full_name(extractor.name, number.part),
        value=float(number.value.value),
        low=_finite(number.value.low),
        high=_finite(number.value.high),
        better=metric.better,
        extractor=_PIXELS if metric.of_pixels else extractor.name,
        extractor_digest="" if metric.of_pixels else extractor.digest,
        resize="none" if metric.of_pixels else extractor.resize,
        split=number.split or reference.split,
        num_samples=samples,
        num_references=references,
        seed=comparison.seed,
        data_digest=reference.digest,
        settings=number.settings | reconstructed,
        subject=dict(comparison.subject),
    )


def _finite(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
