"""Training measures itself by default: what it keeps and says, and when it does not."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
import tiny

from gen.config import EvaluationConfig, build, build_task
from gen.devices import mesh
from gen.evaluation import Evaluator, NoEvaluator, evaluator, pace
from gen.evaluation.samples import model_images
from gen.features import parse_extractor
from gen.runs.best import Best
from gen.sampling import by_seed
from gen.training.monitor import Monitor


@pytest.fixture(scope="module", autouse=True)
def _data_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("data")))
        yield


def evaluator_of(folder: Path, *, task=None, start: int = 0, **options) -> Evaluator | NoEvaluator:
    config = tiny.config(task=task, evaluation=EvaluationConfig(num_samples=24, **options))
    source = build(config.data, "data")
    return evaluator(
        config, build_task(config, source.image_shape, source.num_classes), source, mesh(-1, 1), folder, start
    )


def test_what_is_not_measured_by_default(tmp_path):
    assert isinstance(evaluator_of(tmp_path), Evaluator)
    assert isinstance(evaluator_of(tmp_path, every=0), NoEvaluator)
    assert isinstance(evaluator_of(tmp_path, task=tiny.autoencoder_spec(network=tiny.tokenizer())), NoEvaluator)


def test_a_run_that_is_not_measured_any_more_has_no_best(tmp_path):
    (tmp_path / "best.json").write_text('{"step": 4, "metric": "FD-random", "value": 1.0}')
    evaluator_of(tmp_path, every=0).remember()
    assert not (tmp_path / "best.json").exists()


def test_the_best_is_kept_and_a_fall_of_variety_is_said(tmp_path, monkeypatch, capsys):
    def told(evaluate, *measured) -> list[str]:
        """What is said while made-up numbers are measured: step, FD and recall."""
        for step, *values in measured:
            named = zip(("FD-random", "recall"), values, ("lower", "higher"), strict=True)
            results = [SimpleNamespace(metric=name, value=value, better=better) for name, value, better in named]
            monkeypatch.setattr(evaluate, "_results", lambda *_, results=results: results)
            assert evaluate({}, step, 100) == {"FD-random": values[0], "recall": values[1]}
            evaluate.remember()
        return capsys.readouterr().err.splitlines()

    monkeypatch.setattr(Evaluator, "_probe", lambda self, params: None)
    monkeypatch.setattr(pace, "SHARE", 1e9)
    evaluate = evaluator_of(tmp_path)
    assert told(evaluate, (10, 5.0, 0.1), (20, 3.0, 0.2), (30, 4.0, 0.15)) == []
    assert evaluate.best == Best(20, "FD-random", 3.0, "random, 24 samples")
    assert told(evaluate, (40, 4.4, 0.12), (50, 4.4, 0.1)) == [
        "gen: variety falls: recall fell to 0.12 at step 40, from 0.2 at step 20; "
        "kept is the best by FD-random, checkpoint 20"
    ]
    kept = {"step": 20, "metric": "FD-random", "value": 3.0, "by": "random, 24 samples", "since": 0}
    assert json.loads((tmp_path / "best.json").read_text()) == kept
    logged = [{"step": 20, "FD-random": 3.0, "recall": 0.2}, {"step": 30, "FD-random": 4.0, "recall": 0.15}]
    (tmp_path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in logged))
    resumed = evaluator_of(tmp_path, start=30)
    assert resumed.best_step == 20
    assert len(told(resumed, (40, 4.4, 0.12))) == 1  # it knows what was measured before
    (metric,) = [evaluator_of(tmp_path, best_metric=name).best for name in ("recall",)]
    assert metric is None  # the best by another metric is none
    higher = evaluator_of(tmp_path, best_metric="recall")
    told(higher, (10, 5.0, 0.1), (20, 3.0, 0.2), (30, 2.0, 0.19))
    assert higher.best == Best(30, "recall", 0.2, "random, 24 samples")  # as good, and has learned longer
    assert evaluator_of(tmp_path, best_metric="recall", start=30).best == higher.best
    assert evaluator_of(tmp_path, best_metric="recall", extractor="pixels", start=30).best is None  # of other features


def test_numbers_of_two_networks_of_the_data_do_not_compare(tmp_path, monkeypatch, capsys):
    def resumed(digest: str, start: int) -> Evaluator:
        network = parse_extractor("pixels", None)._replace(name="own", digest=digest)
        monkeypatch.setattr(Evaluator, "_extractor", network)
        return evaluator_of(tmp_path, extractor="own", start=start)

    def measure(evaluate: Evaluator, step: int, distance: float, recall: float) -> None:
        named = {"FD-own": distance, "recall": recall}
        results = [SimpleNamespace(metric=name, value=value, better="lower") for name, value in named.items()]
        monkeypatch.setattr(evaluate, "_results", lambda *_: results)
        assert evaluate({}, step, 100) == named
        evaluate.remember()
        with (tmp_path / "metrics.jsonl").open("a") as file:
            file.write(json.dumps({"step": step, **named}) + "\n")

    monkeypatch.setattr(Evaluator, "_probe", lambda self, params: None)
    monkeypatch.setattr(pace, "SHARE", 1e9)
    measure(resumed("first", 0), 10, 1.0, 0.9)
    assert resumed("first", 10).best == Best(10, "FD-own", 1.0, "first, 24 samples", 0)
    other = resumed("second", 10)
    assert other.best is None
    measure(other, 20, 3.0, 0.5)
    again = resumed("second", 20)
    assert again.best == Best(20, "FD-own", 3.0, "second, 24 samples", 10)
    for step in (30, 40):
        measure(again, step, 3.0, 0.5)
    assert capsys.readouterr().err == ""  # 0.9 was another network's
    for step in (50, 60):
        measure(again, step, 3.0, 0.2)
    assert "recall fell to 0.2 at step 60, from 0.5" in capsys.readouterr().err


def test_a_flow_is_measured_in_few_steps_by_the_program_of_its_previews(tmp_path):
    config = tiny.config(task=tiny.flow_spec(), evaluation=EvaluationConfig(num_samples=24))
    source, here = build(config.data, "data"), mesh(-1, 1)
    task, traced = build_task(config, source.image_shape, source.num_classes), []
    counted = SimpleNamespace(sample=lambda *given: traced.append(1) or task.sample(*given))
    program = by_seed.compiled(counted, here)
    state = task.init(jax.random.key(0))
    (tmp_path / "config.json").write_text("{}")
    Monitor(config, tmp_path, {}, source, task, here, 0, program=program).preview(state, 0)
    evaluate = evaluator(config, task, source, here, tmp_path, 0, program=program)
    found = evaluate._images(state.ema_params, 24)
    same = {"mesh": here, "program": program}
    few = model_images(task, state.ema_params, source, 24, conditions={"steps": np.int32(5)}, **same)
    np.testing.assert_array_equal(found.images[:], few.images[:])
    many = model_images(task, state.ema_params, source, 24, conditions=by_seed.steps_of(task), **same)
    assert (few.images[:] != many.images[:]).any()
    assert traced == [1]


def test_previews_that_are_not_finite_end_no_training(tmp_path, capsys):
    config = tiny.config()
    source, here = build(config.data, "data"), mesh(-1, 1)
    task = build_task(config, source.image_shape, source.num_classes)
    (tmp_path / "config.json").write_text("{}")
    broken = lambda fixed, arrays, **options: iter([np.full((64, *source.image_shape), np.nan, np.float32)])  # noqa: E731
    Monitor(config, tmp_path, {}, source, task, here, 0, program=broken).preview(SimpleNamespace(ema_params={}), 0)
    assert capsys.readouterr().err.startswith("gen: no preview: this checkpoint makes images that are not finite")


def test_a_model_that_cannot_be_measured_is_trained(tmp_path, monkeypatch, capsys):
    def refuse(*_):
        raise AttributeError("'Own' object has no attribute 'label'")

    monkeypatch.setattr(pace, "SHARE", 1e9)
    monkeypatch.setattr(Evaluator, "_images", refuse)
    evaluate = evaluator_of(tmp_path)
    assert evaluate({}, 10, 100) == {}
    assert not any(evaluate.due(step, 100) for step in range(10, 101))
    told = "gen: nothing is measured any more, from step 10 on: 'Own' object has no attribute 'label'\n"
    assert capsys.readouterr().err == told
    with pytest.raises(AttributeError, match="label"):
        evaluator_of(tmp_path, every=10)({}, 10, 100)
