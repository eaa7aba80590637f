"""Metrics while a model is trained: the same numbers that gen.evaluate gives of the checkpoint of that step."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh

from gen.data import Source
from gen.errors import InputError, nearest
from gen.features import Extractor
from gen.quality.board import Question, check_metrics, measure
from gen.quality.cards import Card
from gen.quality.made import made_images
from gen.quality.sets import described, reference
from gen.report import replace
from gen.state import Tree
from gen.tasks import Task


class Best(NamedTuple):
    """The checkpoint that a metric prefers: best.json in the run folder."""

    step: int
    metric: str
    value: float


class Watch:
    """Measures a model in training. Holds the real images' features, so that each time costs only the samples."""

    def __init__(
        self, task: Task, source: Source, extractor: Extractor, mesh: Mesh, *, metrics: Sequence[str], samples: int
    ) -> None:
        """metrics: groups of gen.quality.board. samples: how many, seeds 0 and up. InputError for an unknown group."""
        check_metrics(metrics)
        self._task, self._source, self._extractor, self._mesh = task, source, extractor, mesh
        self._metrics, self._samples = metrics, samples
        self._reference = reference(source, extractor)

    def cards(self, ema_params: Mapping[str, Tree], step: int) -> list[Card]:
        """The cards of these weights."""
        examples = made_images(self._task, ema_params, self._source, self._samples, mesh=self._mesh)
        generated = described(examples, self._extractor, labelled=bool(self._source.num_classes))
        question = Question(generated, self._reference, self._extractor, of={"step": step})
        return measure(question, metrics=self._metrics)


def read_best(path: Path) -> Best | None:
    """What `better` wrote; None when there is nothing that can be read."""
    try:
        return Best(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def better(cards: Sequence[Card], metric: str, step: int, best: Best | None) -> Best:
    """The better of `best` and these cards of `step`. Raises InputError when no card is of `metric`."""
    found = {card.metric: card for card in cards}
    if metric not in found:
        raise InputError(f"best_by is '{metric}'{nearest(metric, found)}; measured are: {', '.join(found)}")
    card = found[metric]
    sign = -1 if card.better == "higher" else 1
    if best is None or best.metric != metric or sign * card.value < sign * best.value:
        return Best(step, metric, card.value)
    return best


def write_best(path: Path, best: Best) -> None:
    """Replaces best.json."""
    replace(path, json.dumps(best._asdict()) + "\n")
