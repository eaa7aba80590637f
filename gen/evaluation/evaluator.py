"""Evaluates a model in training: by default cheaply, see `Pace`; the best checkpoint is kept.

The numbers are those of gen.evaluate of the checkpoint of that step, with as many samples and real images, and of a
flow as many steps.
"""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh

from gen import cli
from gen.config import Config, EvaluationConfig
from gen.data import DatasetSplits, Examples
from gen.errors import InputError, nearest
from gen.evaluation.comparison import Comparison
from gen.evaluation.feature_sets import Reference, extract_features, random_subset, reference
from gen.evaluation.metric_suite import METRICS, measure
from gen.evaluation.pace import Pace
from gen.evaluation.results import MetricResult
from gen.evaluation.samples import model_images, subject
from gen.evaluation.variety import Variety
from gen.features import Extractor, parse_extractor
from gen.files import printable
from gen.processes import of_first
from gen.report import history
from gen.runs import best
from gen.runs.best import Best
from gen.runs.run_folder import RunFolder
from gen.sampling import by_seed
from gen.tasks import Task
from gen.tasks.state import Tree

REFERENCES = 2000  # real images that samples are compared with, but by networks of their own
_PROBED = 16  # images that tell how long sampling takes, for each device


class NoEvaluator:
    """The `Evaluator` of a run that is not measured: it is never due."""

    best_step: int | None = None

    def __init__(self, workdir: Path) -> None:
        self._folder = RunFolder(workdir)

    def due(self, step: int, total: int) -> bool:
        return False

    def check(self, ema_params: Mapping[str, Tree]) -> None:
        pass

    def begin(self, compiling: float) -> None:
        pass

    def __call__(self, ema_params: Mapping[str, Tree], step: int, total: int) -> dict[str, float]:
        return {}

    def charge(self, seconds: float) -> None:
        pass

    def remember(self) -> None:
        """Removes best.json of an earlier training: what is trained now is the newest, and not known to be worse."""
        if jax.process_index() == 0:
            best.write(self._folder, None)


class Evaluator:
    """Measures a model in training, remembers which step was the best, and says when variety falls.

    The real images' features are computed once, so that each time costs the samples alone. Nothing that training
    depends on is touched: samples are drawn from keys of their own.
    """

    def __init__(
        self,
        config: Config,
        task: Task,
        source: DatasetSplits,
        mesh: Mesh,
        workdir: Path,
        start: int,
        *,
        program: by_seed.Program | None = None,
    ) -> None:
        """start: the step that training goes on from. program: of the task, compiled for others, too; None: its own.

        Raises InputError for metrics that cannot be computed.
        """
        self._options, self._folder = config.evaluation, RunFolder(workdir)
        self._task, self._source, self._mesh = task, source, mesh
        self._metric = _best_metric(self._options)  # before minutes of work
        self._own = self._options.extractor == "own"
        self._program = program or (by_seed.compiled(task, mesh) if task.can_sample else None)
        self._conditions = by_seed.steps_of(task, self._options.steps)
        self._pace = Pace(self._options.every, config.log_every, agree=lambda affords: bool(of_first(affords)))
        self._probed = self._options.every > 0
        self.best = best.resume(self._folder, self._metric, start)
        self._distance = f"FD-{self._options.extractor}"
        self._variety = Variety(self._distance)
        if self._own:
            _ = self._reference  # before the first step, as its networks
        by = f"{self._extractor.digest if self._own else self._options.extractor}, {self._options.num_samples} samples"
        by += "".join(f", {count} steps" for count in self._conditions.values())
        if self.best is None or self.best.by != by:  # their numbers do not compare
            self.best, self._by = None, (by, start if self._own else 0)
        else:
            self._by = (by, self.best.since)
        for line in history.read(workdir / "metrics.jsonl").lines:
            if self._by[1] < line["step"] <= start and self._distance in line:
                self._variety(line["step"], line)

    @functools.cached_property
    def _extractor(self) -> Extractor:
        return parse_extractor(self._options.extractor, self._source)

    @functools.cached_property
    def _reference(self) -> Reference:
        if self._own:
            return reference(self._source, self._extractor)
        some = random_subset(self._source.train, REFERENCES)
        digest = str(self._source.metadata.get("digest", ""))
        real = extract_features(some, self._extractor, labeled=bool(self._source.num_classes))
        return Reference(digest, "train", real, real, real.take(np.arange(0)), self._source.class_names)

    @property
    def best_step(self) -> int | None:
        """Returns the step of the best checkpoint so far."""
        return self.best.step if self.best else None

    def check(self, ema_params: Mapping[str, Tree]) -> None:
        """Raises InputError, before the first step, where what was asked for by its step cannot be measured."""
        if self._options.every > 0 and self._metric and self.best is None:
            found = [result.metric for result in self._results(ema_params, 0)]
            if self._metric not in found:
                raise InputError(
                    f"evaluation.best_metric is '{self._metric}', for which there are too few images; measured are: "
                    f"{', '.join(found)}"
                )

    def begin(self, compiling: float) -> None:
        """Begins to count the time. compiling: the seconds for the step, by which what a measurement costs is guessed.

        The sampler is not counted: previews need it, too.
        """
        self._pace.begin(max(2.0, compiling / 16))

    def due(self, step: int, total: int) -> bool:
        """Returns whether to measure at this step."""
        return self._pace.due(step, total)

    def __call__(self, ema_params: Mapping[str, Tree], step: int, total: int) -> dict[str, float]:
        """Measures these weights; returns the numbers by metric. The best so far becomes `best`.

        Returns none where it turns out that there is no time for it yet.
        """
        try:
            if not self._probed:
                self._probe(ema_params)
                if not self._pace.affords(step, total):
                    return {}
            began = time.monotonic()
            results = self._results(ema_params, step)
        except Exception as error:  # memory, a task of the user's own: what nobody asked for ends no training
            if self._options.every > 0 or jax.process_count() > 1:  # others may wait for this one's samples
                raise
            _say(f"nothing is measured any more, from step {step:,} on: {printable(error)}")
            self._pace.cost = math.inf
            return {}
        values = of_first(np.array([result.value for result in results], np.float64)).tolist()
        numbers = dict(zip((result.metric for result in results), values, strict=True))
        said = self._variety(step, numbers)
        for result in results:
            if result.metric == self._metric:
                measured = Best(step, result.metric, numbers[result.metric], *self._by)
                higher, chance = result.better == "higher", not self._variety.fallen
                self.best = best.after(self.best, measured, higher=higher, chance=chance)
        if said:
            kept = f"; kept is the best by {self.best.metric}, checkpoint {self.best.step}" if self.best else ""
            _say(f"variety falls: {said}{kept}")
        self._pace.cost = time.monotonic() - began
        self.charge(self._pace.cost)
        return numbers

    def charge(self, seconds: float) -> None:
        """Counts time that measuring has taken."""
        self._pace.charge(seconds)

    def remember(self) -> None:
        """Writes best.json; call it when the checkpoint that it names is being written."""
        if jax.process_index() == 0:
            best.write(self._folder, self.best)

    def _probe(self, ema_params: Mapping[str, Tree]) -> None:
        """Prepares the real images, and finds out what a measurement costs."""
        count = _PROBED * self._mesh.size
        self._images(ema_params, count)  # is compiled, unless it was for a preview
        began = time.monotonic()
        with contextlib.suppress(InputError):  # of too few images
            _ = self._reference.real.manifold
        begun_again = time.monotonic()
        self._images(ema_params, count)
        now = time.monotonic()
        self._pace.cost = (now - begun_again) * self._options.num_samples / count + (now - began) / 10
        self.charge(now - began)
        self._probed = True

    def _results(self, ema_params: Mapping[str, Tree], step: int) -> list[MetricResult]:
        examples = self._images(ema_params, self._options.num_samples)
        generated = extract_features(examples, self._extractor, labeled=bool(self._source.num_classes))
        about = {"step": step} | subject(self._task)
        return measure(
            Comparison(generated, self._reference, self._extractor, about, replicates=0), groups=self._options.metrics
        )

    def _images(self, ema_params: Mapping[str, Tree], count: int) -> Examples:
        drawn: dict[str, Any] = {"conditions": self._conditions, "mesh": self._mesh, "program": self._program}
        return model_images(self._task, ema_params, self._source, count, **drawn)


def evaluator(
    config: Config,
    task: Task,
    source: DatasetSplits,
    mesh: Mesh,
    workdir: Path,
    start: int,
    *,
    program: by_seed.Program | None = None,
) -> Evaluator | NoEvaluator:
    """Returns the evaluator of a run, see `Evaluator`. Raises InputError for what cannot be measured."""
    every = config.evaluation.every
    if every > 0 and not (task.can_sample or task.can_reconstruct):
        raise InputError("evaluation.every: this task neither samples nor reconstructs; allowed: -1, 0")
    if every > 0 or (every and task.can_sample):
        return Evaluator(config, task, source, mesh, workdir, start, program=program)
    return NoEvaluator(workdir)


def _say(text: str) -> None:
    if jax.process_index() == 0:
        cli.say(text)


def _best_metric(options: EvaluationConfig) -> str:
    """Returns the full name of best_metric; "FD" is that of the extractor. Raises InputError for an unknown one."""
    name, extractor = options.best_metric, options.extractor
    measured = [metric for metric in METRICS if metric.group in options.metrics]
    for metric in measured:
        if not name or metric.better == "neither":
            continue
        if metric.matches(name, extractor):
            return name
        if metric.name == f"{name}-{{extractor}}":
            return metric.full_name(extractor)
    if not name:
        return ""
    known = [metric.full_name(extractor, "...") for metric in measured if metric.better != "neither"]
    raise InputError(
        f"evaluation.best_metric is '{name}'{nearest(name, known)}; of evaluation.metrics by "
        f"evaluation.extractor={extractor} allowed: {', '.join(known)}"
    )
