"""gen/runs/run_folder.py: folders that somebody else made. No links, plain JSON, bounds, and one line for all else."""

from __future__ import annotations

import json
import os
import random
import sys

import pytest
import tiny
from mutations import mutated

from gen.config import to_json
from gen.config.values import strict_json
from gen.errors import InputError
from gen.runs import identity, trained_run
from gen.runs.run_folder import RunFolder, write_json
from gen.training.loop import train

FACTS = {"name": "x", "image_shape": [16, 16, 3], "num_classes": 8, "class_names": [*"abcdefgh"], "options": {}}


@pytest.fixture
def folder(tmp_path) -> RunFolder:
    made = RunFolder(tmp_path / "run")
    (made.path / "previews").mkdir(parents=True)
    (made.checkpoints / "5" / "d").mkdir(parents=True)
    made.config.write_text(to_json(tiny.config()))
    write_json(made.data, FACTS)
    return made


def contents(folder) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


# Links


@pytest.mark.parametrize(
    "name",
    [
        *(
            "previews",
            "checkpoints",
            "evaluation",
            "tensorboard",
            "config.json",
            "data.json",
            "metrics.jsonl",
            "best.json",
        ),
        *("report.html", "real.png", ".report.html.partial", "anything", "previews/2023.png", "checkpoints/saving-5"),
        *("checkpoints/5", "checkpoints/5/d", "checkpoints/5/d/0"),
    ],
)
def test_links_in_a_run_are_refused_before_anything_is_written(folder, tmp_path, name):
    precious = tmp_path / "precious"
    precious.mkdir()
    for photo in ("5.png", "2023.png"):
        (precious / photo).write_bytes(b"mine")
    place = folder.path / name
    if place.is_dir():
        for inner in sorted(place.rglob("*"), reverse=True):
            inner.rmdir()
        place.rmdir()
    place.unlink(missing_ok=True)
    place.symlink_to(precious if name[-5:] not in (".json", "jsonl", ".html", "l", "2.png") else precious / "5.png")
    before = contents(tmp_path)
    for use in (
        folder.refuse_links,
        lambda: identity.check_folder(folder, tiny.config()),
        lambda: train(tiny.config(total_images=8), folder.path),
    ):
        with pytest.raises(
            InputError, match=f"{os.path.basename(name)} is a link; a run folder may hold none"
        ) as caught:
            use()
        assert "\n" not in str(caught.value)
    with pytest.raises(InputError):
        trained_run.load(folder.path)
    assert contents(tmp_path) == before
    assert place.is_symlink()


def test_pipes_are_refused(folder):
    for name in ("metrics.jsonl", "tensorboard", "checkpoints/5/pipe"):
        os.mkfifo(folder.path / name)
        with pytest.raises(InputError, match=f"{os.path.basename(name)} is no file and no folder"):
            folder.refuse_links()
        (folder.path / name).unlink()
    for file, read in ((folder.config, folder.read_config), (folder.data, folder.read_metadata)):
        file.unlink()
        os.mkfifo(file)
        with pytest.raises(InputError, match="not a regular file"):
            read()


@pytest.mark.parametrize("name", ["previews", "checkpoints/5", "checkpoints/saving-7", "evaluation"])
def test_folders_too_deep_to_go_down_are_refused(folder, name):
    (folder.path / name / "/".join("a" * 40)).mkdir(parents=True)
    with pytest.raises(InputError, match="more than 32 folders deep, which no run is; remove it"):
        folder.refuse_links()


def test_the_folder_itself_may_be_a_link_and_may_be_absent(folder, tmp_path):
    (tmp_path / "link").symlink_to(folder.path)
    RunFolder(tmp_path / "link").refuse_links()
    RunFolder(tmp_path / "absent").refuse_links()
    assert RunFolder(tmp_path / "link").read_metadata() == FACTS


# JSON


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('{"a": 1, "b": 2, "a": 3}', "it is not JSON: the name 'a' occurs twice in one object"),
        ('{"a": NaN}', "it is not JSON: NaN is no number of JSON"),
        ('{"a": [-Infinity]}', "-Infinity is no number of JSON"),
        ("[" * 100_000, "too many levels"),
        ("[" * 40 + "]" * 40, "it has more than 32 levels of lists and objects"),
        ('{"a":' * 40 + "1" + "}" * 40, "more than 32 levels"),
        ("1" * 5000, "it is not JSON: Exceeds the limit"),
        ("", "it is not JSON: Expecting value"),
        ('{"a": ["\\ud800"]}', "it holds half of a character"),
    ],
)
def test_only_plain_json_is_read(text, message):
    with pytest.raises(InputError) as caught:
        strict_json(text, "it")
    assert message in str(caught.value)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\xff\xfe", "config.json: it is not UTF-8: invalid start byte at byte 0"),
        (b'{"seed": 1}', "config.json: the stored config lacks 'data'"),
        (b'{"seed": 123456789012345678901234567890}', "seed is a number of 97 bits; whole numbers must be below 2^63"),
        (b'{"seed": 1e999}', "seed is inf; a config holds only finite numbers"),
        (b'{"\\u001b[2J": 1}', "unknown field '\\x1b[2J' in the stored config"),
        (b'{"seed": "' + b"x" * 10_000 + b'"}', "seed is 'xxx"),
        (b'{"init_from": {"a": 5}}', "init_from is {'a': 5}; it must be values by name"),
    ],
)
def test_a_bad_config_is_one_short_line(folder, content, message):
    folder.config.write_bytes(content)
    with pytest.raises(InputError) as caught:
        folder.read_config()
    assert message in str(caught.value)
    assert len(str(caught.value)) < 1000
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"image_shape": ["a", 1, 1]}, "image_shape is ('a', 1, 1); it must be three whole numbers, e.g. 128,64,32"),
        ({"image_shape": [16, 16]}, "image_shape is (16, 16); it must be"),
        ({"image_shape": [16, -16, 3]}, "allowed: sides of 1 to 16,384, 1 or 3 channels"),
        ({"image_shape": [16, 10**9, 3]}, "allowed: sides of 1 to 16,384"),
        ({"image_shape": [16, 16, 5]}, "1 or 3 channels"),
        ({"image_shape": None}, "image_shape is None"),
        ({"num_classes": True}, "num_classes is True; it must be a whole number"),
        ({"num_classes": 10**12, "class_names": []}, "num_classes is 1000000000000; allowed: 0 to 1,000,000"),
        ({"num_classes": -1}, "num_classes is -1"),
        ({"num_classes": 9}, "it names 8 classes, and num_classes is 9"),
        ({"class_names": [1] * 8}, "class_names is (1, 1, 1"),
        ({"class_names": {"a": 1}}, "class_names is"),
        ({"options": 3}, "options is 3; it must be values by name"),
        ({"name": 3}, "name is 3; it must be text"),
    ],
)
def test_bad_facts_are_one_line(folder, changes, message):
    write_json(folder.data, FACTS | changes)
    with pytest.raises(InputError, match=r"data\.json is damaged") as caught:
        folder.read_metadata()
    assert message in str(caught.value)
    with pytest.raises(InputError):
        trained_run.load(folder.path)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        *(("blocks", value) for value in (10**9, -1)),
        *(("widths", value) for value in ([], [0, 8], [10**9, 8], [8] * 1000)),
        *(("patch", value) for value in (0, 2**40)),
        *(("expansion", value) for value in (0.0, -1.0, 1e300)),
        *(("latent", value) for value in (0, 2**40)),
        *(("group_size", value) for value in (0, -3)),
        *(("embedding", value) for value in (0, 2**50)),
    ],
)
def test_numbers_that_make_no_network_are_refused_at_once(folder, name, value):
    config = json.loads(to_json(tiny.config()))
    del config["digest"]
    config["task"]["generator"][name] = value
    folder.config.write_text(json.dumps(config))
    with pytest.raises(InputError, match=rf"config\.json: task\.generator\.{name}="):
        trained_run.load(folder.path)


# Mutated runs


def opened(folder: RunFolder) -> str:
    """What a run says of itself, or the line that refuses it."""
    try:
        _, _, task = trained_run.described(folder)
        trained_run.abstract(task)
    except InputError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("kind", tiny.TASKS)
def test_mutated_runs_are_refused_in_one_line_and_run_nothing(folder, kind, monkeypatch, tmp_path):
    good = to_json(tiny.config(task=tiny.TASKS[kind]()))
    (folder.path / "other").mkdir()
    folder.config.write_text(good)
    assert opened(folder) == ""
    stored = json.loads(good)
    del stored["digest"]
    texts = {folder.config: json.dumps(stored).encode(), folder.data: folder.data.read_bytes()}
    modules, rng, refused = set(sys.modules), random.Random(kind), 0
    for _ in range(120):
        changed = rng.choice(list(texts))
        for path, text in texts.items():
            path.write_bytes(mutated(text, rng) if path == changed else text)
        before = contents(tmp_path)
        line = opened(folder)
        refused += line != ""
        assert "\n" not in line
        assert len(line) < 2000
        assert contents(tmp_path) == before
    assert {name for name in set(sys.modules) - modules if not name.startswith(("gen.", "encodings."))} == set()
    assert refused > 60
