"""Run folders and exported models that somebody made to harm who opens them: nothing runs, nothing swells."""

from __future__ import annotations

import json
import os
import shutil
import struct
import sys
from pathlib import Path

import jax
import numpy as np
import pytest
import tensorstore as ts
import tiny
from hostile import bounded, program, refused

from gen import checkpoint
from gen.checkpoint import CheckpointOptions
from gen.config import digest, to_json
from gen.report import Report, history
from gen.runs import best, digests, exported, sessions, trained_run
from gen.runs.checkpoint import Checkpoints
from gen.runs.digests import CorruptError
from gen.runs.run_folder import RunFolder, signed

FACTS = {"name": "x", "image_shape": [16, 16, 3], "num_classes": 8, "class_names": [*"abcdefgh"], "options": {}}
PART = {"w": jax.ShapeDtypeStruct((4,), np.float32)}


@pytest.fixture(scope="module")
def saved(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("saved") / "checkpoints"
    with Checkpoints(folder) as checkpoints:
        checkpoints.save(2, {"w": np.arange(4, dtype=np.float32)}, wait=True)
    return folder


@pytest.fixture
def folder(saved, tmp_path) -> Path:
    shutil.copytree(saved, tmp_path / "checkpoints")
    return tmp_path / "checkpoints"


@pytest.fixture
def run(tmp_path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    made.path.mkdir()
    made.config.write_text(to_json(tiny.config()))
    made.data.write_text(json.dumps(signed(FACTS)))
    return made


def assert_refused(folder: Path, canary: Path, match: str) -> None:
    """By what restores a run, and by gen.checkpoint verify."""
    with refused(canary, match), Checkpoints(folder) as checkpoints:
        checkpoints.restore_part(PART)
    with bounded(), Checkpoints(folder) as checkpoints, pytest.raises(CorruptError, match=match) as caught:
        checkpoints.verify(2)
    assert str(caught.value).isprintable()
    assert not canary.exists()


def signed_anew(directory: Path, leaves: dict) -> None:
    """Digests of the files as they are now: whoever changes files can do that."""
    (directory / digests.NAME).unlink()
    digests.write(directory, 2, {}, leaves)


def test_pickles_in_place_of_the_files_of_a_checkpoint(saved, tmp_path):
    canary, count = tmp_path / "canary", 0
    for path in sorted(path for path in saved.rglob("*") if path.is_file()):
        for sign in (False, True):
            folder = tmp_path / "checkpoints"
            shutil.copytree(saved, folder)
            leaves = digests.read(folder / "2", 2).leaves
            (folder / path.relative_to(saved)).write_bytes(program(canary))
            if sign and path.name != digests.NAME:
                signed_anew(folder / "2", leaves)
                with Checkpoints(folder) as checkpoints:
                    try:
                        checkpoints.verify(2)
                    except CorruptError as error:
                        assert str(error).isprintable()  # noqa: PT017 - a file that no value depends on may be anything
                        count += 1
                assert not canary.exists()
            else:
                assert_refused(folder, canary, "changed|damaged")
            shutil.rmtree(folder)
    assert count >= 3
    os.rmdir(canary) if canary.exists() else None


@pytest.mark.parametrize(
    ("metadata", "filled", "match"),
    [
        ({"shape": [2**31], "chunks": [4]}, False, r"w is stored as \[2147483648\], not \[4\]"),
        ({"shape": [4], "chunks": [2**27]}, True, r"w \[4\] is stored in chunks of \[134217728\]"),
        ({"shape": [4, 1], "chunks": [4, 1]}, True, r"w is stored as \[4, 1\], not \[4\]"),
        ({"shape": [4], "chunks": [4], "dtype": "<f8"}, True, "w differs from what was saved"),
    ],
)
def test_arrays_that_declare_more_than_their_leaf(folder, tmp_path, metadata, filled, match):
    leaves = digests.read(folder / "2", 2).leaves
    store = {"driver": "ocdbt", "base": f"file://{folder}/2", "path": "w/"}
    made = {"dtype": "<f4", "compressor": {"id": "zstd", "level": 1}} | metadata
    array = ts.open({"driver": "zarr", "kvstore": store, "metadata": made}, create=True, delete_existing=True).result()
    if filled:
        array[:4].write(np.ones((4, *metadata["shape"][1:]), made["dtype"])).result()
    signed_anew(folder / "2", leaves)
    assert_refused(folder, tmp_path / "canary", match)


def test_a_table_of_digests_of_any_size(folder, tmp_path):
    with (folder / "2" / digests.NAME).open("wb") as file:
        file.truncate(2**36)
    assert_refused(folder, tmp_path / "canary", "too large")


CALLS = ("os:system", "builtins:eval", "builtins:exec", "pickle:loads", "subprocess:run", "evil_package:Net", "gen:os")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("place", ["data", "task", "task.generator"])
def test_a_config_that_names_what_is_not_the_users(run, tmp_path, monkeypatch, call, place):
    """Not even imported: the package evil_package can be found, but the user did not name it."""
    canary = tmp_path / "canary"
    (tmp_path / "evil_package.py").write_text(f"import os\nos.mkdir({str(canary)!r})\nNet = dict\n")
    monkeypatch.syspath_prepend(tmp_path)
    config = json.loads(to_json(tiny.config()))
    del config["digest"]
    holder, *names = config, *place.split(".")
    for name in names[:-1]:
        holder = holder[name]
    holder[names[-1]] = {"call": call, "command": f"mkdir {canary}", "source": f"__import__('os').mkdir({canary!r})"}
    run.config.write_text(json.dumps(config))
    for use in (
        lambda: trained_run.load(run.path),
        lambda: trained_run.load_role(f"{run.path}:generator"),
        lambda: trained_run.init_from_runs(
            trained_run.TrainState(0, {"generator": {}}, {}, {}), {"generator": str(run.path)}
        ),
    ):
        with refused(canary, f"{place.partition('.')[0]}.* names "):
            use()
    assert "evil_package" not in sys.modules
    assert checkpoint.main(CheckpointOptions(runs=[run.path])) == 1
    assert "evil_package" not in sys.modules
    assert not canary.exists()


@pytest.mark.parametrize("name", ["config.json", "data.json", "best.json", "training.json"])
def test_json_files_of_any_size_and_pickles_in_their_places(run, tmp_path, name):
    canary, path = tmp_path / "canary", run.path / name
    reads = {
        "config.json": run.read_config,
        "data.json": run.read_metadata,
        "best.json": lambda: best.read(path),
        "training.json": lambda: sessions.read(run),
    }
    path.write_bytes(program(canary))
    with refused(canary):
        reads[name]()
    with path.open("wb") as file:
        file.truncate(2**36)  # sparse: it has no bytes on the disk
    with refused(canary, "too large"):
        reads[name]()
    assert "\n" not in checkpoint.verify(CheckpointOptions(runs=[run.path])).findings[0].line


def test_a_report_of_any_size(run):
    """Sparse files in the places of those that a resumed run reads."""
    for name in ("metrics.jsonl", "evaluation/section.html", "previews/000000002.png", "real.png"):
        (run.path / name).parent.mkdir(exist_ok=True)
        with (run.path / name).open("wb") as file:
            file.truncate(2**36)
    with bounded():
        assert history.read(run.path / "metrics.jsonl").fault == "it is too large; at most 1,073,741,824 bytes are read"
        Report(run.path, config_json=run.config.read_text(), data_metadata=FACTS).write_html("finished")


# Exported models


@pytest.mark.parametrize(
    "content",
    [
        struct.pack("<Q", 2**63) + b"{",
        struct.pack("<Q", 2**26) + b"{" + b" " * 2**26,
        struct.pack("<Q", 2 * 10**5) + b'{"a":' + b"[" * 10**5,
        b"{" * 1000,
        b"",
    ],
    ids=["2^63 of header", "64 MB of header", "deep", "no number", "empty"],
)
def test_headers_of_weights(run, content):
    path = run.path / "model.safetensors"
    path.write_bytes(content)
    abstract = trained_run.abstract(trained_run.described(run)[2]).ema_params
    with refused(match="model.safetensors: (a damaged file|too large)"):
        exported.read(path, abstract, config_digest=digest(tiny.config()))
    with refused():
        exported.verify(path)


def test_a_pickle_and_a_file_of_any_size_in_place_of_weights(run, tmp_path):
    canary, path = tmp_path / "canary", run.path / "model.safetensors"
    path.write_bytes(program(canary))
    with refused(canary, "damaged file of weights"):
        trained_run.load(run.path)
    with path.open("wb") as file:
        file.truncate(2**36)
    with refused(canary, "too large"):
        trained_run.load(run.path)
