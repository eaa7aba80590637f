"""Which run a folder holds: what is another's is noticed, what is damaged never stops the training."""

from __future__ import annotations

import dataclasses
import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from counter import Counter
from PIL import Image

from gen.config import Config, digest, from_json, spec, to_json
from gen.data import folder as folder_of_images
from gen.errors import InputError
from gen.main import main, parse_command
from gen.runs import digests, identity
from gen.runs.run_folder import RunFolder
from gen.runs.trained_run import load
from gen.training import loop, preflight


@dataclasses.dataclass(frozen=True, kw_only=True)
class Counting(Counter):
    """With an average to load."""

    def init(self, key):
        state = super().init(key)
        return state.replace(ema_params={"counter": state.params["counter"]})


@pytest.fixture(scope="module", autouse=True)
def _here(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("data")))
        patch.setenv("GEN_PACKAGES", __name__)
        yield


def config(steps: int = 4, **changes) -> Config:
    fields = {"total_images": 8 * steps, "task": spec(Counting), "checkpoint_every": 2, "preview_every": 2}
    return tiny.config(**{**fields, **changes})


@pytest.fixture(scope="module")
def trained(tmp_path_factory) -> Path:
    """A run with the steps 2 and 4; copy it before harming it."""
    workdir = tmp_path_factory.mktemp("trained") / "run"
    assert loop.train(config(), workdir) == 0
    return workdir


@pytest.fixture
def run(trained, tmp_path) -> Path:
    return shutil.copytree(trained, tmp_path / "run")


def content(workdir: Path) -> dict[str, bytes]:
    return {str(path.relative_to(workdir)): path.read_bytes() for path in workdir.rglob("*") if path.is_file()}


def facts_of(workdir: Path) -> dict:
    return json.loads((workdir / "data.json").read_text())


# -- Who a run is


def test_a_run_is_named_once_and_its_digests_stand_where_they_are_read(run):
    before = facts_of(run)
    assert len(before["run"]) == 32
    assert before["config_digest"] == json.loads((run / "config.json").read_text())["digest"] == digest(config())
    assert digest(config())[:64] in (run / "report.html").read_text()
    assert loop.train(config(6), run) == 0
    assert facts_of(run) == before
    marks = {"run": before["run"], "config": digest(config()), "data": identity.data_digest(before)}
    for step in (2, 4, 6):
        assert digests.read(run / "checkpoints" / str(step), step).marks == marks
    assert load(run).step == 6  # from a copy of the whole folder


def test_checkpoints_of_another_run_are_noticed(run, tmp_path, caplog):
    other = tmp_path / "other"
    assert loop.train(config(6), other) == 0  # the same config, and yet another run
    shutil.copytree(other / "checkpoints" / "6", run / "checkpoints" / "6")
    assert load(run).step == 4
    assert "checkpoint 6 is corrupt (it is of another run: " in caplog.text
    shutil.copy(other / "data.json", run / "data.json")
    with pytest.raises(InputError, match=r"no valid checkpoint .*checkpoint 4: it is of another run"):
        load(run, step=4)


@pytest.mark.parametrize("harm", ["missing", "damaged", "of the other config"])
def test_checkpoints_are_not_continued_under_another_config(run, caplog, harm):
    if harm == "missing":
        (run / "config.json").unlink()
    else:
        (run / "config.json").write_text("{" if harm == "damaged" else to_json(config(seed=1)))
    before = content(run)
    with pytest.raises(InputError, match=r"no valid checkpoint in .*checkpoint 4: it is of another config: "):
        loop.train(config(6, seed=1), run)
    assert content(run) == before
    if harm != "of the other config":
        assert loop.train(config(6), run) == 0
        assert from_json((run / "config.json").read_text()) == config(6)
        (message,) = caplog.messages
        assert str(run / "config.json" if harm == "damaged" else run / "config.json is missing") in message
        assert (run / "config.json.damaged").exists() == (harm == "damaged")
    else:
        with pytest.raises(InputError, match="it is of another config"):
            load(run)


def test_checkpoints_without_marks_are_not_continued_under_an_unknown_config(run):
    for step in (2, 4):
        table = digests.read(run / "checkpoints" / str(step), step)
        (run / "checkpoints" / str(step) / "DIGESTS").unlink()
        digests.write(run / "checkpoints" / str(step), step, {}, table.leaves)
    assert load(run).step == 4
    (run / "config.json").unlink()
    with pytest.raises(InputError, match=r"config\.json is missing, nor do the checkpoints say of which config they"):
        loop.train(config(6), run)


def test_a_folder_without_checkpoints_protects_nothing(tmp_path, monkeypatch):
    folder = RunFolder(tmp_path)
    facts = {"image_shape": [16, 16, 3], "num_classes": 8}
    begun = identity.begin(folder, config(), facts)
    identity.write(folder, config(), begun)
    smaller = config(batch_size=4)  # as advised after too little memory
    identity.check_folder(folder, smaller)
    again = identity.begin(folder, smaller, facts | {"num_classes": 3})
    assert again.faults == {}
    assert again.facts["run"] != begun.facts["run"]
    (tmp_path / "checkpoints" / "2").mkdir(parents=True)
    with pytest.raises(InputError, match="the run folder holds another experiment: batch_size is 8 there, 4 here"):
        identity.check_folder(folder, smaller)


def test_files_of_somebody_else_are_not_overwritten(tmp_path, caplog):
    for name in ("config.json", "data.json"):
        (tmp_path / name).write_text('{"mine": 1}')
    assert loop.train(config(1), tmp_path) == 0
    assert (tmp_path / "config.json.damaged").read_text() == (tmp_path / "data.json.damaged").read_text()
    assert len(caplog.messages) == 2


# -- The data


def images(root: Path, *classes: str, count: int = 4) -> Path:
    rng = np.random.default_rng(0)
    for name in classes:
        (root / name).mkdir(parents=True)
        for index in range(count):
            Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(root / name / f"{index}.png")
    return root


def on_folder(path: Path, steps: int = 2) -> Config:
    return config(steps, data=spec(folder_of_images, path=str(path), resolution=16, held_out=0.2), batch_size=8)


CHANGES = {
    "a class renamed": (lambda data: (data / "c").rename(data / "a"), 'class 0 was "b", is "a"'),
    "an image more": (lambda data: shutil.copy(data / "b" / "1.png", data / "b" / "9.png"), "num_"),
    "an image less": (lambda data: (data / "b" / "1.png").unlink(), "num_"),
    "a class less": (lambda data: shutil.rmtree(data / "c"), "class_names was "),
    "another image": (
        lambda data: shutil.copy(data / "b" / "1.png", data / "c" / "1.png"),
        "the digest of images and labels was ",
    ),
}


@pytest.mark.parametrize("change", CHANGES)
def test_changed_data_are_refused_with_both_facts_and_accepted_on_request(tmp_path, change):
    data, workdir = images(tmp_path / "data", "b", "c"), tmp_path / "run"
    assert loop.train(on_folder(data), workdir) == 0
    before, facts = content(workdir), facts_of(workdir)
    apply, told = CHANGES[change]
    apply(data)
    with pytest.raises(InputError) as refused:
        loop.train(on_folder(data, 4), workdir)
    assert str(refused.value).startswith(f"the data of {workdir} changed: {told}")
    assert "--accept_changed_data" in str(refused.value)
    with pytest.raises(InputError, match="changed: "):
        preflight.check(on_folder(data, 4), workdir, "here")
    assert content(workdir) == before
    if change == "a class renamed":
        assert loop.train(on_folder(data, 4), workdir, accept_changed_data=True) == 0
        (record,) = facts_of(workdir)["changes"]
        assert record["after_step"] == 2
        assert (record["was"]["class_names"], record["is"]["class_names"]) == (["b", "c"], ["a", "b"])
        assert facts_of(workdir)["run"] == facts["run"]
        assert "after_step" in (workdir / "report.html").read_text()
        assert loop.train(on_folder(data, 6), workdir) == 0  # what was accepted is known now
        assert facts_of(workdir)["changes"] == [record]
        assert [load(workdir, step=step).data_metadata["class_names"] for step in (2, 6)] == [["a", "b"]] * 2


@pytest.mark.parametrize(
    "edit", [{"class_names": list("hgfedcba")}, {"class_names": []}, {"num_train": 1}, {"run": "x"}]
)
def test_an_edited_data_json_is_noticed_and_a_resume_mends_it(run, caplog, edit):
    facts = facts_of(run)
    (run / "data.json").write_text(json.dumps(facts | edit))
    with pytest.raises(InputError, match=r"data\.json is damaged: it was changed after it was written"):
        load(run)
    assert loop.train(config(6), run) == 0
    assert facts_of(run) == facts
    assert json.loads((run / "data.json.damaged").read_text()) == facts | edit
    (message,) = caplog.messages
    assert "kept as data.json.damaged; written anew" in message


def test_without_data_json_the_checkpoints_know_the_data(run, tmp_path):
    (run / "data.json").unlink()
    other = spec(tiny.shapes, resolution=16, num_train=72, num_held_out=8)
    facts = loop.data_metadata(loop.build(other, "data"))
    with pytest.raises(InputError, match="the digest of all facts was "):
        identity.begin(RunFolder(run), config(), facts)


def test_the_flag_reaches_the_loop(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    got = {}
    monkeypatch.setattr("gen.training.loop.train", lambda config, workdir, **options: got.update(options) or 0)
    tiny.experiment(tmp_path)
    argv = ["gen.main", "--config=tiny_experiment.py", "--workdir=run", "--compilation_cache=none"]
    for flags in ([], ["--accept_changed_data"]):
        assert main(parse_command([*argv, *flags])) == 0
        assert got["accept_changed_data"] == bool(flags)


# -- What training does not need


def written(name: str, data: bytes):
    def harm(run: Path) -> None:
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_bytes(data)

    return harm


def replaced_by_folder(name: str):
    return lambda run: ((run / name).unlink(missing_ok=True), (run / name).mkdir())


def cut(name: str):
    return lambda run: os.truncate(run / name, (run / name).stat().st_size // 2)


def edited(name: str, old: str, new: str):
    return lambda run: (run / name).write_text((run / name).read_text().replace(old, new))


def line(text: str):
    """In the place of the line of step 2."""

    def harm(run: Path) -> None:
        path = run / "metrics.jsonl"
        lines = path.read_text().splitlines()
        path.write_text("\n".join([lines[0], text, *lines[2:], ""]))

    return harm


HARMS = {  # what is done, and a word of the one warning, None for none
    "metrics: a line torn": (line('{"step": 2'), "metrics.jsonl.damaged"),
    "metrics: null": (line("null"), "metrics.jsonl.damaged"),
    "metrics: a step of text": (line('{"step": "x", "images": 3}'), "metrics.jsonl.damaged"),
    "metrics: deep": (line("[" * 100_000), "metrics.jsonl.damaged"),
    "metrics: not UTF-8": (line("\udcff".encode("utf-8", "surrogatepass").decode("latin-1")), "metrics.jsonl.damaged"),
    "metrics: a blank line": (line(""), None),
    "metrics: cut": (cut("metrics.jsonl"), "is lost"),
    "metrics: emptied": (written("metrics.jsonl", b""), "is lost"),
    "metrics: deleted": (lambda run: (run / "metrics.jsonl").unlink(), "is lost"),
    "config: cut": (cut("config.json"), "config.json.damaged"),
    "config: edited": (
        lambda run: (run / "config.json").write_text(
            (run / "config.json").read_text().replace('"seed": 0', '"seed": 8')
        ),
        "config.json.damaged",
    ),
    "config: not UTF-8": (written("config.json", b"\xff\xfe{}"), "config.json.damaged"),
    "config: deep": (written("config.json", b"[" * 100_000), "config.json.damaged"),
    "config: a folder": (replaced_by_folder("config.json"), "config.json.damaged"),
    "data: cut": (cut("data.json"), "data.json.damaged"),
    "data: emptied": (written("data.json", b""), "data.json.damaged"),
    "data: null": (written("data.json", b"null"), "data.json.damaged"),
    "data: a folder": (replaced_by_folder("data.json"), "data.json.damaged"),
    "data: deleted": (lambda run: (run / "data.json").unlink(), "data.json is missing"),
    "best.json is rubbish": (written("best.json", b"[]"), "best.json.damaged"),
    "a preview of digits": (written("previews/²³.png", b"x"), None),
    "a preview cut": (cut("previews/000000004.png"), "000000004.png is left out"),
    "an evaluation not UTF-8": (written("evaluation/section.html", b"\xff\xfe"), "section.html is left out"),
    "a report that is a folder": (replaced_by_folder("report.html"), "report.html.damaged"),
    "a number as a file": (written("checkpoints/999", b""), None),
    "a number as an empty folder": (lambda run: (run / "checkpoints" / "999").mkdir(), "kept as corrupt-999"),
    "a number in other digits": (lambda run: (run / "checkpoints" / "٣٠٢").mkdir(), None),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_not_needed_to_train_never_stops_it(run, caplog, harm):
    apply, word = HARMS[harm]
    apply(run)
    assert loop.train(config(5), run) == 0
    assert (run / "checkpoints" / "5").is_dir()
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 5
    assert [word in message for message in caplog.messages] == ([True] if word else [])
    assert load(run).step == 5
