"""Which checkpoint is the best: best.json is read with care, and what opens a run uses it unless told otherwise."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import linear_run
import pytest

from gen.errors import InputError
from gen.publishing import facts
from gen.runs import best
from gen.runs.best import Best
from gen.runs.run_folder import RunFolder
from gen.runs.trained_run import load, load_role

RUBBISH = [
    b"[]",
    b"null",
    b"",
    b"\xff",
    b"[" * 100_000,
    b'{"step": "4", "metric": "FD-own", "value": 1.0, "by": ""}',
    b'{"step": 4, "metric": "FD-own", "value": NaN, "by": ""}',
    b'{"step": 4, "metric": "FD-own", "value": 1.0, "by": 1}',
    b'{"step": 4, "metric": "FD-own", "value": 1.0, "by": "", "more": 1}',
]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", "linear_run")
        yield linear_run.make_run(tmp_path_factory.mktemp("made") / "run", steps=(5, 10, 15))


@pytest.fixture
def run(made, tmp_path) -> Path:
    return Path(shutil.copytree(made, tmp_path / "run"))


def name(run: Path, step: int, metric: str = "FD-pixels") -> None:
    best.write(RunFolder(run), Best(step, metric, 1.5))


def test_the_best_is_used_unless_told_otherwise_and_said(run, capsys):
    assert load(run).step == 15
    assert capsys.readouterr().err == ""
    name(run, 10)
    assert load(run).step == 10
    told = f"gen: {run}: checkpoint 10 is used, the best by FD-pixels; the newest is 15"
    assert capsys.readouterr().err.splitlines() == [told]
    assert (load(run, step="newest").step, load(run, step=5).step) == (15, 5)
    name(run, 15)
    assert load(run).step == 15
    assert capsys.readouterr().err == ""


def test_roles_and_cards_are_those_of_the_best(run):
    name(run, 5)
    kernel = load_role(f"{run}:generator")["kernel"]
    assert (kernel == load(run, step=5).ema_params["generator"]["kernel"]).all()
    assert [facts.read(RunFolder(run)).step, facts.read(RunFolder(run), step="newest").step] == [5, 15]


def test_a_best_checkpoint_that_is_gone_or_corrupt_is_the_newest(run, caplog):
    name(run, 7)
    assert load(run).step == 15
    assert not caplog.messages
    name(run, 5)
    (run / "checkpoints" / "5" / "DIGESTS").write_bytes(b"x")
    assert load(run).step == 15
    (message,) = caplog.messages
    assert "no valid checkpoint" in message
    assert message.endswith("the newest is used")
    with pytest.raises(InputError, match="no valid checkpoint"):
        load(run, step=5)


@pytest.mark.parametrize("content", RUBBISH)
def test_a_damaged_best_json_is_said_and_kept(run, caplog, content):
    folder = RunFolder(run)
    folder.best.write_bytes(content)
    assert load(run).step == 15
    (message,) = caplog.messages
    assert message.endswith("the newest checkpoint counts as the best")
    assert folder.best.read_bytes() == content
    caplog.clear()
    assert best.resume(folder, "FD-own", 9) is None
    assert (run / "best.json.damaged").read_bytes() == content
    (message,) = caplog.messages
    assert message.endswith("kept as best.json.damaged; the best is looked for anew")
    folder.best.mkdir()
    assert best.resume(folder, "FD-own", 9) is None
    assert (run / "best.json.damaged-2").is_dir()


def test_what_was_best_is_resumed_only_by_its_metric_and_before_the_step_to_go_on_from(run):
    folder = RunFolder(run)
    name(run, 4)
    assert best.resume(folder, "FD-pixels", 4) == Best(4, "FD-pixels", 1.5)
    assert best.resume(folder, "FD-pixels", 3) is None
    assert best.resume(folder, "FD-own", 4) is None
    assert json.loads(folder.best.read_text()) == {
        "step": 4,
        "metric": "FD-pixels",
        "value": 1.5,
        "by": "",
        "since": 0,
    }
    best.write(folder, None)
    best.write(folder, None)
    assert not folder.best.exists()


@pytest.mark.parametrize(
    ("values", "step"),
    [
        ((3.0, 2.0, 2.6), 3),  # as good but for chance
        ((3.0, 2.0, 2.7), 2),
        ((2.0, 2.6, 2.7), 2),  # the best value is remembered: it does not creep away
        ((0.0, 0.1), 1),
        ((-1.0, -0.9), 1),
    ],
)
def test_a_later_checkpoint_counts_unless_it_is_worse_by_more_than_chance(values, step):
    found = None
    for number, value in enumerate(values, 1):
        found = best.after(found, Best(number, "FD-own", value))
    assert found == Best(step, "FD-own", min(values))


def test_what_is_worse_does_not_count_where_variety_fell_and_higher_may_be_better():
    first = Best(1, "FD-own", 2.0)
    assert best.after(first, Best(2, "FD-own", 2.1), chance=False) == first
    assert best.after(first, Best(2, "FD-own", 1.9), chance=False).step == 2
    recall = Best(1, "recall", 0.4)
    assert best.after(recall, Best(2, "recall", 0.31), higher=True) == Best(2, "recall", 0.4)
    assert best.after(recall, Best(2, "recall", 0.29), higher=True) == recall
