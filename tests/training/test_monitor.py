"""Metrics while a model is trained: those of gen.evaluate, and the best checkpoint stays."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest
import tiny

from gen.config import FAST, EvaluationConfig
from gen.errors import InputError
from gen.evaluate import EvaluateOptions, evaluate
from gen.features import classifier, network_training, self_supervised
from gen.runs.checkpoint import Checkpoints
from gen.runs.trained_run import RunFolder
from gen.training import loop

SAMPLES = 24
WATCHED = {"checkpoint_every": 2, "keep_checkpoints": 1}
MEASURED = EvaluationConfig(every=2, extractor="own", metrics=FAST, num_samples=SAMPLES)


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("data")))
        for function in (
            self_supervised.self_supervised_extractor,
            self_supervised.train_encoder,
            classifier.train_classifier,
        ):
            patch.setitem(function.__kwdefaults__, "training", network_training.Training(3, 3, 16))
        yield


@pytest.fixture(scope="module")
def watched(tmp_path_factory) -> Path:
    workdir = tmp_path_factory.mktemp("run")
    assert loop.train(tiny.config(total_images=8 * 6, evaluation=MEASURED, **WATCHED), workdir) == 0
    return workdir


def logged(workdir: Path) -> list[dict]:
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    return [line for line in lines if "FD-own" in line]


def test_numbers_in_training_are_those_of_the_program(watched, tmp_path):
    assert [line["step"] for line in logged(watched)] == [2, 4, 6]
    options = EvaluateOptions(workdir=watched, step="newest", num_samples=SAMPLES, metrics="fast", out=tmp_path)
    (results,) = evaluate(options).results.values()
    assert len(results) >= 6
    assert {result.metric: result.value for result in results}.items() <= logged(watched)[-1].items()


def test_the_best_checkpoint_stays(watched):
    best = json.loads((watched / "best.json").read_text())
    values = {line["step"]: line["FD-own"] for line in logged(watched)}
    assert (best["metric"], best["value"]) == ("FD-own", min(values.values()))
    first = min(values, key=values.__getitem__)
    assert best["step"] >= first  # a later one is as good, or nearly
    assert values[best["step"]] <= 4 / 3 * min(values.values())
    with Checkpoints(RunFolder(watched).checkpoints) as checkpoints:
        assert checkpoints.steps() == sorted({best["step"], 6})


def test_an_old_step_stays_when_it_is_the_best(tmp_path):
    with Checkpoints(tmp_path, keep=1) as checkpoints:
        for step, best in ((1, 1), (2, 1), (3, 1), (4, 4), (5, 4)):
            checkpoints.best = best
            checkpoints.save(step, {"x": np.ones(2)}, wait=True)
            assert checkpoints.steps() == sorted({step, best})


def test_what_was_best_after_the_step_to_go_on_from_is_forgotten(watched, tmp_path):
    config = tiny.config(evaluation=MEASURED, **WATCHED)
    measured = json.loads((watched / "best.json").read_text())  # by the same network
    (tmp_path / "best.json").write_text(json.dumps(measured | {"step": 4, "value": 1.0, "since": 0}))
    source = trained_source(config)
    task = loop.build(config.task, "task", image_shape=source.image_shape, num_classes=8, batch_size=8)
    mesh = loop.devices.mesh(-1, 1)
    steps = [loop.Evaluator(config, task, source, mesh, tmp_path, start).best for start in (3, 4)]
    assert steps[0] is None
    assert steps[1] is not None and steps[1].step == 4  # noqa: PT018


def trained_source(config):
    return loop.build(config.data, "data")


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"best_metric": "FID"}, "evaluation.best_metric is 'FID'; of evaluation.metrics by evaluation.extractor=own"),
        ({"best_metric": "FD-won"}, "evaluation.best_metric is 'FD-won'; did you mean 'FD-own'"),
        (
            {"best_metric": "AuthPct", "metrics": ("frechet", "memorization")},
            "evaluation.best_metric is 'AuthPct'; of .* allowed: FD-own, memorized$",
        ),
        ({"metrics": ("frechet", "kernle")}, r"metrics\[1\] is 'kernle'; did you mean 'kernel'"),
    ],
    ids=["of Inception", "best metric", "no way", "metrics"],
)
def test_what_cannot_be_measured_is_refused_before_the_first_step(tmp_path, changes, words):
    changed = dataclasses.replace(MEASURED, **changes)
    with pytest.raises(InputError, match=words):
        loop.train(tiny.config(total_images=8 * 6, evaluation=changed, **WATCHED), tmp_path)
    assert not (tmp_path / "checkpoints").exists()
