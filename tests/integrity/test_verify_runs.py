"""gen.checkpoint verify: what it says of a run that is whole, and of each artefact that is not."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from gen import checkpoint
from gen.checkpoint import CheckpointOptions
from gen.cli import parse
from gen.config import build, digest, to_json
from gen.errors import InputError
from gen.integrity import verify_runs as module
from gen.outputs import manifest
from gen.publishing import cards
from gen.runs import exported, identity
from gen.runs.checkpoint import Checkpoints
from gen.runs.digests import CorruptError
from gen.runs.lock import RunLock
from gen.runs.run_folder import RunFolder, signed


def make_run(path: Path, *, steps: tuple[int, ...] = (2, 4), **config) -> Path:
    """A run with checkpoints of a few numbers, which need no model to be verified."""
    folder, made = RunFolder(path), tiny.config(task=tiny.flow_spec(), **config)
    begun = identity.begin(folder, made, identity.data_metadata(build(made.data, "data")))
    identity.write(folder, made, begun)
    with Checkpoints(folder.checkpoints, identity=begun.identity, notes=begun.notes) as checkpoints:
        for step in steps:
            checkpoints.save(step, {"step": np.int32(step), "w": np.arange(6.0).reshape(2, 3) + step}, wait=True)
    lines = [{"step": step, "images": 8 * step, "seconds": step / 2} for step in range(1, steps[-1] + 1)]
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("made") / "run")


@pytest.fixture
def run(made, tmp_path) -> Path:
    shutil.copytree(made, tmp_path / "run")
    return tmp_path / "run"


def state(folder: Path) -> dict[Path, tuple[int, bytes]]:
    return {path: (path.stat().st_mtime_ns, path.read_bytes()) for path in folder.rglob("*") if path.is_file()}


def verify(*arguments, **options) -> list[str]:
    """The lines, without the path of the run."""
    verdict = checkpoint.verify(CheckpointOptions(runs=arguments, **options))
    assert verdict.exit_code == bool(verdict.findings)
    return [finding.line.removeprefix(f"{finding.run}/") for finding in verdict.findings]


def test_a_whole_run_holds_and_is_not_changed(run, capsys):
    before = state(run)
    assert checkpoint.main(parse(["checkpoint", "verify", str(run)], CheckpointOptions)) == 0
    assert capsys.readouterr().out == "5 artefacts of 1 run: all holds.\n"
    assert state(run) == before
    os.chmod(run, 0o555)
    assert verify(run) == []
    os.chmod(run, 0o755)


def test_it_says_each_artefact_in_one_line_or_in_json(run, capsys):
    (run / "checkpoints/2/DIGESTS").write_bytes(b"")
    (run / "data.json").unlink()
    assert checkpoint.main(CheckpointOptions(runs=[run])) == 1
    assert capsys.readouterr().out.splitlines() == [
        f"{run}/data.json: missing: every run has one",
        f"{run}/checkpoints/2: damaged: DIGESTS is damaged",
        "4 artefacts of 1 run: 1 damaged, 1 missing.",
    ]
    assert checkpoint.main(CheckpointOptions(runs=[run], json=True)) == 1
    found = json.loads(capsys.readouterr().out)
    assert (found["exit_code"], found["checked"], found["runs"]) == (1, 4, [str(run)])
    assert found["findings"][1] == {
        "run": str(run),
        "name": "checkpoints/2",
        "kind": "damaged",
        "what": "DIGESTS is damaged",
    }


def test_what_is_no_run_is_wrong_input(tmp_path, capsys):
    with pytest.raises(InputError, match="is not a run folder"):
        checkpoint.main(CheckpointOptions(runs=[tmp_path], json=True))
    assert json.loads(capsys.readouterr().out)["exit_code"] == 2
    with pytest.raises(InputError, match=r"no runs: name run folders, python -m gen\.checkpoint verify"):
        checkpoint.verify(CheckpointOptions())
    with pytest.raises(InputError, match=r"COMMAND=verfy; it must be one of verify"):
        parse(["checkpoint", "verfy", str(tmp_path)], CheckpointOptions)


def test_a_folder_of_runs_stands_for_them(tmp_path):
    runs = [make_run(tmp_path / "sweep" / name, steps=(1,)) for name in "ab"]
    (runs[1] / "metrics.jsonl").write_bytes(b"")
    assert checkpoint.verify(CheckpointOptions(runs=[tmp_path / "sweep"])).runs == runs
    assert verify(tmp_path / "sweep") == ["metrics.jsonl: damaged: it ends at step 0, before checkpoint 1"]


def test_checkpoints_that_belong_elsewhere_are_foreign(run, tmp_path):
    other = make_run(tmp_path / "other")
    (run / "checkpoints/4").rename(run / "checkpoints/3")
    shutil.copytree(other / "checkpoints/4", run / "checkpoints/4")
    (run / "checkpoints/2/note.txt").write_text("mine")
    (run / "checkpoints/file").write_text("mine")
    shutil.copytree(other / "checkpoints/2", run / "checkpoints/corrupt-2")
    found = dict(line.split(": ", 1) for line in verify(run))
    assert found["checkpoints/4"].startswith("foreign: it is of another run: ")
    assert found["checkpoints/3"] == "foreign: it is step 4 under another name"
    assert found["checkpoints/2"] == "foreign: note.txt is no file of this checkpoint"
    assert found["checkpoints/file"] == "foreign: it is no checkpoint"
    assert found["checkpoints/corrupt-2"] == "damaged: training set it aside as corrupt"
    assert len(found) == 5


def test_leaves_that_differ_from_their_digests_are_found_though_all_files_match(run):
    directory = run / "checkpoints/4"
    table = json.loads((directory / "DIGESTS").read_bytes().partition(b"\n")[2])
    table["leaves"]["w"][2] = "0" * 32
    _redigested(directory, table)
    assert verify(run) == ["checkpoints/4: damaged: w differs from what was saved"]
    table["leaves"]["w"][1] = [3, 2]
    _redigested(directory, table)
    assert verify(run) == ["checkpoints/4: damaged: w is stored as [2, 3], not [3, 2]"]
    table["leaves"]["w"][0] = "no type"
    _redigested(directory, table)
    assert verify(run) == ["checkpoints/4: damaged: w is of no type that jax has: 'no type'"]


def _redigested(directory: Path, table: dict) -> None:
    from gen.runs import digests

    text, hashed = json.dumps(table).encode(), digests.hasher()
    hashed.update(text)
    (directory / "DIGESTS").write_bytes(hashed.hexdigest().encode() + b"\n" + text)


def test_leaves_are_read_in_parts(run, monkeypatch):
    monkeypatch.setattr("gen.runs.checkpoint._AT_ONCE", 1)
    assert verify(run) == []


def test_a_checkpoint_that_training_removes_meanwhile_is_no_finding(run, monkeypatch):
    def gone(self, step):
        shutil.rmtree(run / "checkpoints" / str(step), ignore_errors=True)
        raise CorruptError("DIGESTS: No such file or directory")

    monkeypatch.setattr(Checkpoints, "verify", gone)
    assert verify(run) == []


@pytest.mark.parametrize(
    ("name", "change", "line"),
    [
        (
            "config.json",
            lambda t: t.replace(b'"seed": 0', b'"seed": 1'),
            "damaged: the config was changed after it was",
        ),
        ("config.json", lambda t: t[:-90], "damaged: the config is not JSON"),
        ("config.json", lambda t: json.dumps({**json.loads(t), "digest": None}).encode(), "damaged: it has no digest"),
        ("data.json", lambda t: t.replace(b'"num_classes"', b'"num_Classes"'), "damaged: it was changed after"),
        ("metrics.jsonl", lambda t: t[:-1], "damaged: its last line is cut"),
        ("metrics.jsonl", lambda t: t[:-9], "damaged: its last line is cut"),
        ("metrics.jsonl", lambda t: t + t, "damaged: line 5 is no record of a later step, nor are 3 more"),
        ("metrics.jsonl", lambda t: b"{]\n" + t, "damaged: line 1 is no record of a later step"),
        ("best.json", lambda t: b'{"step": "x", "metric": "FD", "value": 1.0}', "damaged: step is 'x'"),
        ("training.json", lambda t: b"{}", "damaged: it holds no sessions"),
        ("evaluation/evaluation.json", lambda t: b"[", "damaged: it is not JSON"),
        ("previews/000000002.png", lambda t: b"\x89PNG", "damaged: "),
        ("real.png", lambda t: b"", "damaged: "),
    ],
)
def test_files_that_are_not_as_they_were_written(run, name, change, line):
    path = run / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(change(path.read_bytes() if path.exists() else b""))
    (found,) = verify(run)
    assert found.startswith(f"{name}: {line}"), found


def test_a_config_of_another_run_is_foreign(run):
    (run / "config.json").write_text(to_json(tiny.config(task=tiny.flow_spec(), seed=5)))
    *steps, found = verify(run)
    assert found.startswith("config.json: foreign: data.json is of another config: ")
    assert len(steps) == 2
    assert all(": foreign: it is of another config: " in line for line in steps)


def test_images_that_gen_wrote_have_its_digest(run):
    Image.new("RGB", (8, 8)).save(run / "x.png")
    content = (run / "x.png").read_bytes()
    manifest.write(run / "samples/3.png", content)
    manifest.write(run / "samples/4.png", content)
    assert verify(run) == []
    Image.new("RGB", (8, 8), "red").save(run / "samples/4.png")
    assert verify(run) == ["samples/4.png: damaged: it was changed since gen wrote it"]


def test_exported_weights_are_compared_with_their_digest(tmp_path):
    config = tiny.config(task=tiny.flow_spec())
    facts = {"name": "x", "image_shape": [16, 16, 3], "num_classes": 0}
    (tmp_path / "config.json").write_text(to_json(config))
    (tmp_path / "data.json").write_text(json.dumps(signed(facts)))
    tree = {"flow": {"kernel": np.arange(6, dtype=np.float32)}}
    content = bytearray(exported.pack(tree, step=3, run="x", config_digest=digest(config)))
    path = tmp_path / "model.safetensors"
    path.write_bytes(content)
    assert verify(tmp_path) == []
    content[-1] ^= 1
    path.write_bytes(content)
    assert verify(tmp_path) == [
        "model.safetensors: damaged: its weights were changed after they were exported; export the run again"
    ]
    path.write_bytes(exported.pack(tree, step=3, run="x", config_digest="0" * 64))
    assert verify(tmp_path) == ["model.safetensors: damaged: it belongs to another config.json than the one beside it"]


def test_a_card_that_a_person_edited_holds_once_it_is_in_the_manifest(run):
    (run / cards.MODEL).write_text(cards._signed("# A card"))
    assert verify(run) == []
    (run / cards.MODEL).write_text("# My card\n")
    foreign = ["MODEL_CARD.md: foreign: it was changed since gen wrote it"]
    assert verify(run) == foreign
    assert verify(run, write_manifest=True) == foreign
    assert verify(run) == []
    (run / cards.MODEL).write_text("# My Card\n")
    assert verify(run) == foreign


def test_links_and_pipes_are_foreign_and_not_followed(run, tmp_path):
    shutil.copytree(run, tmp_path / "elsewhere")
    shutil.rmtree(run / "checkpoints/2")
    (run / "checkpoints/2").symlink_to(tmp_path / "elsewhere/checkpoints/2")
    (run / "previews").symlink_to("/etc")
    os.mkfifo(run / "pipe")
    (run / "/".join("a" * 40)).mkdir(parents=True)
    assert sorted(line.partition(": ")[2] for line in verify(run)) == [
        *["foreign: a link, of which a run holds none"] * 2,
        "foreign: more than 32 folders deep, which no run is",
        "foreign: no file, no folder",
    ]


# The manifest


def test_the_manifest_finds_what_was_changed_added_and_removed(run):
    (run / "notes.txt").write_text("mine")
    (run / "\udcff.txt").write_text("a name that is not UTF-8")
    verdict = checkpoint.verify(CheckpointOptions(runs=[run], write_manifest=True))
    assert verdict.manifests == [run / "manifest.json"]
    assert sorted(path.name for path in run.iterdir() if path.name.startswith((".", "manifest"))) == ["manifest.json"]
    assert verify(run) == []
    (run / "notes.txt").write_text("mimi")
    (run / "new.txt").write_text("")
    (run / "\udcff.txt").unlink()
    shutil.rmtree(run / "checkpoints/2")
    assert sorted(verify(run)) == [
        "\\xff.txt: missing: it is in manifest.json",
        f"checkpoints/2: missing: DIGESTS is in manifest.json, nor do {_files(run) - 1} more of its files agree",
        "new.txt: added: it is not in manifest.json",
        "notes.txt: damaged: it differs from manifest.json",
    ]


def _files(run: Path) -> int:
    return sum(name.startswith("checkpoints/2/") for name in json.loads((run / "manifest.json").read_text())["files"])


def test_each_entry_of_the_manifest_is_its_own_digest(run):
    verify(run, write_manifest=True)
    text = (run / "manifest.json").read_text()
    for changed in (
        text.replace('"size": ', '"size":  '),
        text[:-1],
        text.replace("config", "cnofig"),
        "{}",
        "[1]",
        "",
    ):
        (run / "manifest.json").write_text(changed)
        assert verify(run) == ["manifest.json: damaged: it was changed after it was written"]


def test_a_damaged_run_gets_no_manifest(run, capsys):
    (run / "best.json").write_text("{")
    assert checkpoint.main(CheckpointOptions(runs=[run], write_manifest=True)) == 1
    assert "no manifest.json is written" in capsys.readouterr().out
    assert not (run / "manifest.json").exists()


def test_a_run_that_trains_gets_no_manifest(run):
    with RunLock(run), pytest.raises(InputError, match="is in use"):
        verify(run, write_manifest=True)
    with RunLock(run):
        assert verify(run) == []


def test_a_manifest_of_somebody_else_opens_nothing(run, tmp_path, monkeypatch):
    (tmp_path / "secret").write_text("x")
    listing = module.list_files(run)
    files = {"../secret": {"size": 1, "sha256": module.run_manifest.sha256(tmp_path / "secret")}}
    (run / "manifest.json").write_text(module.run_manifest._text(files))
    read = []
    monkeypatch.setattr("gen.integrity.run_manifest.sha256", lambda path: read.append(path) or "")
    found = verify(run)
    assert "../secret: missing: it is in manifest.json" in found
    assert len(found) == 1 + len(listing.artefacts())
    assert read == []
