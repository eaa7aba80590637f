"""A run measured: its samples against its data."""

from __future__ import annotations

import functools
import time
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from gen import devices
from gen.config import CHEAP, Spec, build, digest
from gen.config.resolve import arguments, resolve
from gen.data import DatasetSplits, Examples
from gen.errors import InputError
from gen.evaluation.comparison import Question
from gen.evaluation.feature_sets import extract_features, random_subset, reference
from gen.evaluation.metric_functions import EPSILON
from gen.evaluation.metric_suite import GROUPS, check_groups, measure
from gen.evaluation.results import MetricResult
from gen.evaluation.samples import about, made_images, near_pairs
from gen.evaluation.verdict import Verdict, verdict
from gen.features import parse_extractor
from gen.imaging.chain import Chain, chain
from gen.runs import trained_run as run_folders
from gen.tasks.prior import Prior

Say = Callable[[str], None]
_PAIRS = 2000  # on ways between latents
_OF_PRIORS = ("temperature", "guidance", "top_p")
CONDITIONS = ("truncation", *_OF_PRIORS)


class EvaluateOptions(NamedTuple):
    """What the flags of gen.evaluate ask for, by their names."""

    workdir: str | None = None
    step: int | None = None
    images: str | None = None
    reference: str | None = None
    extractor: str | None = None
    metrics: str = "all"
    samples: int = 10_000
    references: int = 10_000
    split: str = "train"
    seed: int = 0
    refine: str | None = None
    floor: bool = False
    size: int | None = None
    save_statistics: str | None = None
    truncation: float | None = None
    temperature: float | None = None
    guidance: float | None = None
    top_p: float | None = None
    moved: Mapping[str, str] = types.MappingProxyType({})  # argument of the run's data -> where they are now

    @property
    def groups(self) -> tuple[str, ...]:
        """The metrics as groups of the board. Raises InputError for an unknown one."""
        known: Mapping[str, tuple[str, ...]] = {"all": GROUPS, "cheap": CHEAP}
        each = [known.get(name.strip(), (name.strip(),)) for name in self.metrics.split(",")]
        names = tuple(dict.fromkeys(name for group in each for name in group))
        check_groups(names)
        return names

    @property
    def conditions(self) -> dict[str, float]:
        """What the sampler is told."""
        return {name: value for name in CONDITIONS if (value := getattr(self, name)) is not None}

    def refuse(self, names: Sequence[str], why: str) -> None:
        """Raises InputError where one of these flags was given."""
        for name in names:
            if getattr(self, name) != self._field_defaults[name]:
                raise InputError(f"--{name} {why}; leave it out")


@dataclass(frozen=True)
class Evaluation:
    """What was measured: cards by title ("samples", "refined", "real, held out"), and the questions behind them."""

    boards: dict[str, list[MetricResult]]
    questions: dict[str, Question]

    @functools.cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """What each set of generated images is like, in words, by title."""
        generated = {title: q for title, q in self.questions.items() if not q.of.get("real")}
        return {title: verdict(question, self.boards[title]) for title, question in generated.items()}


def measure_run(asked: EvaluateOptions, say: Say) -> Evaluation:
    """The samples of a run's checkpoint on the board; refined too, and held-out images in their place, where asked."""
    groups, refine = asked.groups, chain(asked.refine) if asked.refine else None
    mesh = devices.mesh(-1, 1)
    loaded = _loaded(asked, mesh)
    source = _same_data(_data(loaded.config.data, asked.moved), loaded.data_metadata, str(asked.workdir))
    extractor = parse_extractor(asked.extractor, source)
    real = reference(source, extractor, split=asked.split, references=asked.references)
    of: dict[str, Any] = {"run": Path(str(asked.workdir)).resolve().name, "config_digest": digest(loaded.config)}
    of |= {"step": loaded.step, **asked.conditions}
    boards, questions = dict[str, list[MetricResult]](), dict[str, Question]()

    def add(title: str, examples: Examples, more: dict[str, Any], path: Any = None) -> None:
        generated = extract_features(examples, extractor, labeled=bool(source.num_classes))
        questions[title] = Question(generated, real, extractor, of | more, asked.seed, path=path)
        boards[title] = measure(questions[title], groups=groups, say=lambda text: say(f"{title}: {text}"))

    conditions = {name: np.float32(value) for name, value in asked.conditions.items()}  # as gen.sample gives them
    options: dict[str, Any] = {"seed": asked.seed, "conditions": conditions, "mesh": mesh}
    made_title = "samples" if loaded.task.can_sample else "reconstructions"
    wanted: dict[str, Chain | None] = {made_title: None} | ({"refined": refine} if refine else {})
    for title, post in wanted.items():
        began = time.monotonic()
        made = made_images(loaded.task, loaded.ema_params, source, asked.samples, refine=post, **options)
        say(f"{title}: {len(made.images):,} images in {time.monotonic() - began:.1f} s")
        path = None
        if post is None and "path" in groups:
            count = min(asked.samples, _PAIRS)
            path = near_pairs(loaded.task, loaded.ema_params, count, epsilon=EPSILON, **options)
        add(title, made, about(loaded.task) | ({} if post is None else {"refine": str(asked.refine)}), path)
    if asked.floor:
        add("real, held out", random_subset(source.held_out, asked.samples), {"real": True})
    return Evaluation(boards, questions)


def _loaded(asked: EvaluateOptions, mesh: Mesh) -> run_folders.TrainedRun:
    """The run. Raises InputError for flags that do not fit it."""
    asked.refuse(("reference", "size"), "is of two folders, --images and --reference")
    if asked.seed + 2 * asked.samples > 2**32:
        raise InputError(f"--seed={asked.seed} and --samples={asked.samples}: the largest seed is {2**32 - 1}")
    if asked.floor and asked.split == "held_out":
        raise InputError("--floor would compare held-out images with themselves; leave --split=held_out out")
    for name, value in asked.conditions.items():
        if not np.isfinite(value):
            raise InputError(f"--{name}={value}; it must be a finite number")
    loaded = run_folders.load(str(asked.workdir), step=asked.step, mesh=mesh)
    if not (loaded.task.can_sample or loaded.task.can_reconstruct):
        raise InputError(f"{asked.workdir}: this model neither samples nor reconstructs")
    if not loaded.task.can_sample:
        asked.refuse(CONDITIONS, "is of models that sample, and this one only reconstructs")
    if not isinstance(loaded.task, Prior):
        asked.refuse(_OF_PRIORS, "is of priors, and this run is none")
    return loaded


def _data(spec: Spec, moved: Mapping[str, str]) -> DatasetSplits:
    """The data of a run. Raises InputError, with the flag that names their new place, where they are not found."""
    for name in moved:
        if name not in (takes := arguments(resolve(spec["call"], "data")).types):
            raise InputError(f"--config.data.{name}: the data of this run take {', '.join(takes)}")
    spec = Spec({**spec, **moved})
    try:
        source: DatasetSplits = build(spec, "data")
    except InputError as error:
        place = next((name for name in ("path", "data_dir") if spec.get(name)), None)
        hint = f"; if the data have moved: --config.data.{place}=NEW" if place else ""
        raise InputError(f"{error}{hint}") from error
    return source


def _same_data(source: DatasetSplits, facts: Mapping[str, Any], workdir: str) -> DatasetSplits:
    """Raises InputError when the data of a run is not what it learned from."""
    now, then = source.facts.get("digest"), facts.get("digest")
    if then and now != then:
        raise InputError(
            f"{workdir}: its data has changed since (digest {str(now)[:12]}, was {str(then)[:12]}): "
            "numbers would say nothing of what it learned"
        )
    return source
