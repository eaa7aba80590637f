"""Evaluates a run: its samples against its data."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from gen import cli, devices, processes
from gen.data import DatasetSplits, Examples
from gen.errors import InputError, nearest
from gen.evaluation.comparison import Comparison
from gen.evaluation.feature_sets import extract_features, random_subset, reference
from gen.evaluation.metric_functions import EPSILON
from gen.evaluation.metric_suite import GROUPS, measure
from gen.evaluation.results import MetricResult
from gen.evaluation.samples import interpolated_pairs, model_images, subject
from gen.evaluation.verdict import Verdict, verdict
from gen.features import Extractor
from gen.features.text_image import text_image_model
from gen.imaging.chain import Chain
from gen.provenance import COMPOSITE, TRAINED, Record
from gen.runs.trained_run import TrainedRun

_PAIRS = 2000  # on ways between latents


@dataclass(frozen=True)
class Evaluation:
    """Results of sets of images by title ("samples", "refined", "real, held out"), and what they were computed from."""

    results: dict[str, list[MetricResult]]
    comparisons: dict[str, Comparison]
    record: Record | None = None  # of the run, for pictures of the first set

    @functools.cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """Judges each set of generated images, by title."""
        generated = {title: c for title, c in self.comparisons.items() if not c.subject.get("real")}
        return {title: verdict(comparison, self.results[title]) for title, comparison in generated.items()}

    @property
    def numbers(self) -> dict[str, float]:
        """The values of the first set, by metric."""
        return {result.metric: result.value for result in next(iter(self.results.values()), [])}

    def __getitem__(self, metric: str) -> float:
        """Returns the value of a metric of the first set. Raises InputError for one that was not computed."""
        found = self.numbers
        if metric not in found:
            raise InputError(f"no metric '{metric}'{nearest(metric, found)}; computed are: {', '.join(found)}")
        return found[metric]

    def __contains__(self, metric: object) -> bool:
        return metric in self.numbers

    def __iter__(self) -> Iterator[str]:
        """Goes through the metrics of the first set."""
        return iter(self.numbers)

    def __repr__(self) -> str:
        sets = (f"{title}: {len(results)} metrics" for title, results in self.results.items())
        return f"Evaluation({'; '.join(sets)})"


@dataclass(frozen=True, kw_only=True)
class EvaluationSettings:
    """What is measured of a run."""

    groups: Sequence[str] = GROUPS  # of metrics
    num_samples: int = 10_000  # of seed `seed` and up
    num_references: int = 10_000  # real images to compare with, at most
    split: Literal["train", "held_out"] = "train"  # of these real images
    seed: int = 0
    conditions: Mapping[str, float] | None = None  # of the sampler
    refine: Chain | None = None  # also measure the samples after this chain
    real_baseline: bool = False  # also measure held-out images in the samples' place


def evaluate_run(
    run: TrainedRun,
    splits: DatasetSplits,
    extractor: Extractor,
    settings: EvaluationSettings,
    *,
    about: Mapping[str, Any],
) -> Evaluation:
    """Compares images of a run's model with real ones of `splits`, its data.

    about: what every result says of the run. Tells the progress. Of several processes all make images and features, and
    process 0 alone measures: elsewhere there are no results. Raises InputError for a model that makes no images.
    """
    real = reference(splits, extractor, split=settings.split, references=settings.num_references)
    measures = processes.writes()
    captioned = measures and run.task.can_sample and bool(getattr(run.task, "caption_length", 0))
    text_image = text_image_model(splits) if captioned and "captions" in settings.groups else None
    source_type = TRAINED if run.task.can_sample else COMPOSITE
    evaluation = Evaluation({}, {}, run.record(shows="figure", digital_source_type=source_type))

    def add(title: str, examples: Examples, more: Mapping[str, Any], path: Any = None) -> None:
        generated = extract_features(examples, extractor, labeled=bool(splits.num_classes))
        if not measures:
            return
        options = {"seed": settings.seed, "text_image": text_image, "path": path}
        comparison = Comparison(generated, real, extractor, {**about, **more}, **options)
        evaluation.comparisons[title] = comparison
        say: Callable[[str], None] = lambda text: cli.say(f"{title}: {text}")  # noqa: E731
        evaluation.results[title] = measure(comparison, groups=settings.groups, say=say)

    conditions = {name: np.float32(value) for name, value in (settings.conditions or {}).items()}  # as in gen.sample
    options: dict[str, Any] = {"seed": settings.seed, "conditions": conditions, "mesh": devices.mesh(-1, 1)}
    chains = {"samples" if run.task.can_sample else "reconstructions": None}
    for title, chain in (chains | ({"refined": settings.refine} if settings.refine else {})).items():
        began = time.monotonic()
        made = model_images(run.task, run.ema_params, splits, settings.num_samples, refine=chain, **options)
        if measures:
            cli.say(f"{title}: {len(made.images):,} images in {time.monotonic() - began:.1f} s")
        path, more = None, subject(run.task) | ({} if chain is None else {"refine": str(chain)})
        if chain is None and "path" in settings.groups:
            count = min(settings.num_samples, _PAIRS)
            path = interpolated_pairs(run.task, run.ema_params, count, epsilon=EPSILON, **options)
        add(title, made, more, path)
    if settings.real_baseline:
        add("real, held out", random_subset(splits.held_out, settings.num_samples), {"real": True})
    return evaluation
