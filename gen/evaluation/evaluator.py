"""Evaluates a model in training: the numbers are those of gen.evaluate of the checkpoint of that step."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from gen.config import Config
from gen.config.values import require, strict_json
from gen.data import DatasetSplits
from gen.errors import InputError, nearest
from gen.evaluation.comparison import Comparison
from gen.evaluation.feature_sets import extract_features, reference
from gen.evaluation.metric_suite import METRICS, measure
from gen.evaluation.results import MetricResult
from gen.evaluation.samples import model_images, subject
from gen.features import self_supervised_extractor
from gen.files import atomic_write, printable, read_regular, set_aside
from gen.tasks import Task
from gen.tasks.state import Tree

_log = logging.getLogger(__name__)


class Best(NamedTuple):
    """The checkpoint that a metric prefers: best.json in the run folder."""

    step: int
    metric: str
    value: float


class NoEvaluator:
    """The `Evaluator` of a run that is not measured: it is never due, and does nothing."""

    best_step: int | None = None

    def due(self, step: int, total: int) -> bool:
        return False

    def check(self, ema_params: Mapping[str, Tree]) -> None:
        pass

    def __call__(self, ema_params: Mapping[str, Tree], step: int) -> dict[str, float]:
        return {}

    def remember(self) -> None:
        pass


class Evaluator:
    """Measures a model in training every `evaluation.every` steps, and remembers which step was the best.

    The real images' features are computed once, so that each time costs the samples alone.
    """

    def __init__(
        self, config: Config, task: Task, source: DatasetSplits, mesh: Mesh, workdir: Path, start: int
    ) -> None:
        """start: the step that training goes on from. Raises InputError for metrics that cannot be computed."""
        if jax.process_count() > 1:
            raise InputError(
                "evaluation.every measures in one process; with several, run gen.evaluate beside the training"
            )
        if not (task.can_sample or task.can_reconstruct):
            raise InputError("evaluation.every: this task neither samples nor reconstructs; allowed: 0")
        _check_best_metric(config.evaluation.best_metric)  # before minutes of work
        self._config, self._task, self._source, self._mesh = config, task, source, mesh
        self._extractor = self_supervised_extractor(source)
        self._reference = reference(source, self._extractor)
        self._path = workdir / "best.json"
        self.best = read_best(self._path, config.evaluation.best_metric, start)

    @property
    def best_step(self) -> int | None:
        """Returns the step of the best checkpoint so far."""
        return self.best.step if self.best else None

    def due(self, step: int, total: int) -> bool:
        """Returns whether to measure at this step."""
        return step % self._config.evaluation.every == 0 or step == total

    def check(self, ema_params: Mapping[str, Tree]) -> None:
        """Raises InputError, before the first step, where best_metric is no metric that will be measured."""
        if self._config.evaluation.best_metric and self.best is None:
            _find(self._results(ema_params, 0), self._config.evaluation.best_metric)

    def __call__(self, ema_params: Mapping[str, Tree], step: int) -> dict[str, float]:
        """Measures these weights; returns the numbers by metric. The best so far becomes `best`."""
        results = self._results(ema_params, step)
        if metric := self._config.evaluation.best_metric:
            result = _find(results, metric)
            sign = -1 if result.better == "higher" else 1
            if self.best is None or sign * result.value < sign * self.best.value:
                self.best = Best(step, metric, result.value)
        return {result.metric: result.value for result in results}

    def remember(self) -> None:
        """Writes best.json; call it when the checkpoint that it names is being written."""
        if self.best is not None:
            atomic_write(self._path, json.dumps(self.best._asdict()) + "\n")

    def _results(self, ema_params: Mapping[str, Tree], step: int) -> list[MetricResult]:
        count = self._config.evaluation.num_samples
        examples = model_images(self._task, ema_params, self._source, count, mesh=self._mesh)
        generated = extract_features(examples, self._extractor, labeled=bool(self._source.num_classes))
        comparison = Comparison(generated, self._reference, self._extractor, {"step": step} | subject(self._task))
        return measure(comparison, groups=self._config.evaluation.metrics)


def evaluator(
    config: Config, task: Task, source: DatasetSplits, mesh: Mesh, workdir: Path, start: int
) -> Evaluator | NoEvaluator:
    """Returns the evaluator of a run that goes on from step `start`. Raises InputError for bad metrics."""
    return Evaluator(config, task, source, mesh, workdir, start) if config.evaluation.every else NoEvaluator()


def _check_best_metric(name: str) -> None:
    """Raises InputError unless a metric, by the networks that training measures with, may have this name."""
    if name and not any(metric.matches(name, "own") for metric in METRICS):
        known = [metric.full_name("own", "...") for metric in METRICS]
        raise InputError(
            f"evaluation.best_metric is '{name}'{nearest(name, known)}; training measures by networks of its own; "
            f"allowed: {', '.join(known)}"
        )


def _find(results: Sequence[MetricResult], metric: str) -> MetricResult:
    found = {result.metric: result for result in results}
    if metric not in found:
        raise InputError(
            f"evaluation.best_metric is '{metric}'{nearest(metric, found)}; measured are: {', '.join(found)}"
        )
    if found[metric].better == "neither":
        better = ", ".join(result.metric for result in results if result.better != "neither")
        raise InputError(f"evaluation.best_metric is '{metric}', which is best neither low nor high; allowed: {better}")
    return found[metric]


def read_best(path: Path, metric: str, start: int) -> Best | None:
    """Reads the best so far by this metric, unless it is of a step after `start`, which will be trained again.

    Puts a damaged file aside, with one warning.
    """
    if not os.path.lexists(path):
        return None
    try:
        best = Best(**strict_json(read_regular(path, most=10_000).decode(), "it"))
        for name, kind in (("step", int), ("metric", str), ("value", float)):
            require(getattr(best, name), kind, name)
    except (OSError, ValueError, TypeError) as error:
        kept = set_aside(path).name
        _log.warning("%s is damaged (%s): kept as %s; the best is looked for anew", path, printable(error), kept)
        return None
    return best if best.metric == metric and best.step <= start else None
