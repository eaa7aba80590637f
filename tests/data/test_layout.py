"""What folders of folders say, as people lay them out; what may have been meant otherwise is said."""

import json
import os
import unicodedata

import numpy as np
import pytest
from PIL import Image

from gen.data import folder
from gen.data.layout import read_layout
from gen.errors import InputError
from gen.report import save_png


def touch(root, *names):
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_bytes(b"")
    return list(names)


def laid_out(root, *names, labeled=True):
    return read_layout(root, touch(root, *names), labeled=labeled)


def labels(layout):
    return {file.name: layout.class_names[file.label] for file in layout.files}


@pytest.mark.parametrize(
    ("train", "held_out"), [("Train", "TEST"), ("training", "Testing"), ("TRAINING", "val"), ("train", "Validation")]
)
def test_splits_are_known_in_any_case(tmp_path, train, held_out):
    layout = laid_out(tmp_path, f"{train}/a/1.png", f"{train}/b/1.png", f"{held_out}/a/2.png")
    assert layout.class_names == ("a", "b")
    assert [file.split for file in layout.files] == ["train", "train", "held_out"]


def test_one_folder_of_a_split_is_looked_into(tmp_path):
    layout = laid_out(tmp_path, "train/a/1.png", "train/b/1.png")
    assert labels(layout) == {"train/a/1.png": "a", "train/b/1.png": "b"}
    assert {file.split for file in layout.files} == {None}


def test_splits_beside_others_are_not_guessed(tmp_path):
    names = "train/a/1.png", "test/a/1.png", "extra/1.png"
    with pytest.raises(InputError, match=r"train, test beside extra: splits or classes.*--config\.data\.labeled=False"):
        laid_out(tmp_path, *names)
    assert laid_out(tmp_path, *names, labeled=False).class_names == ()
    with pytest.raises(InputError, match="beside images"):
        laid_out(tmp_path / "other", "train/a/1.png", "test/a/1.png", "1.png")


def test_a_grid_beside_class_folders_is_not_in_the_way(tmp_path):
    names = touch(tmp_path, "a/1.png", "b/1.png")
    save_png(tmp_path / "grid.png", np.zeros((9, 9, 3), np.uint8))
    layout = read_layout(tmp_path, [*names, "grid.png"], labeled=True)
    assert labels(layout) == {"a/1.png": "a", "b/1.png": "b"}
    with pytest.raises(InputError, match=r"images outside them \(loose\.png\)"):
        read_layout(tmp_path, [*names, *touch(tmp_path, "loose.png"), "grid.png"], labeled=True)


def test_one_name_in_two_writings_is_one_class(tmp_path):
    composed, apart = unicodedata.normalize("NFC", "é"), unicodedata.normalize("NFD", "é")
    layout = laid_out(tmp_path, f"{composed}/1.png", f"{apart}/2.png", "x/3.png")
    assert layout.class_names == ("x", composed)


def test_names_that_are_not_utf8_are_classes_that_can_be_printed(tmp_path):
    layout = laid_out(tmp_path, os.fsdecode(b"caf\xe9/1.png"), "\x1b[31m/2.png")
    assert layout.class_names == ("\\x1b[31m", "caf\\xe9")


def write_labels(root, content):
    root.mkdir(exist_ok=True)
    (root / "dataset.json").write_text(content if isinstance(content, str) else json.dumps(content))


def test_stylegan_labels_are_read(tmp_path):
    write_labels(tmp_path, {"labels": [["00000/a.png", 3], ["00000\\b.png", 0], ["00001/c.png", 3]]})
    layout = laid_out(tmp_path, "00000/a.png", "00000/b.png", "00001/c.png", "00001/d.png")
    assert labels(layout) == {"00000/a.png": "3", "00000/b.png": "0", "00001/c.png": "3"}
    assert layout.class_names == ("0", "3")
    assert layout.unlisted == ["00001/d.png"]
    write_labels(tmp_path, {"labels": None})  # a set without classes
    assert laid_out(tmp_path, "00000/a.png", "00001/c.png").class_names == ()


def test_other_json_is_no_list_of_labels(tmp_path, caplog):
    write_labels(tmp_path, {"name": "flowers"})
    assert laid_out(tmp_path, "a/1.png", "b/1.png").class_names == ("a", "b")
    assert 'dataset.json has no "labels"' in caplog.text


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[" * 100_000,
        {"labels": [["a/1.png", -1]]},
        {"labels": [["a/1.png", 1e9]]},
        {"labels": [["a/1.png", [0.5, 0.5]]]},
        {"labels": {"a/1.png": 3}},
        {"labels": [["a/1.png", 1], ["a/1.png", 2]]},
        {"labels": [["elsewhere.png", 1]]},
    ],
)
def test_labels_that_cannot_be_meant_are_one_line(tmp_path, content):
    write_labels(tmp_path, content)
    with pytest.raises(InputError, match=r"dataset\.json.*--config\.data\.labeled=False leaves it out") as caught:
        laid_out(tmp_path, "a/1.png", "b/1.png")
    assert str(caught.value).isprintable()
    assert laid_out(tmp_path, "a/1.png", "b/1.png", labeled=False).class_names == ()


def test_what_is_no_class_is_said(tmp_path, caplog):
    (tmp_path / "empty").mkdir()
    (tmp_path / "@eaDir").mkdir()
    touch(tmp_path, "notes/read.me", "metadata.parquet")
    assert laid_out(tmp_path, "a/1.png", "b/1.png").class_names == ("a", "b")
    assert "folders without an image are no classes: empty, notes" in caplog.text
    assert "metadata.parquet beside the images is not read" in caplog.text


def test_classes_that_cannot_be_read_are_not_kept(tmp_path, caplog, cache):
    for label, name in enumerate(("a", "c")):
        for number in range(4):
            touch(tmp_path / "x", f"{name}/{number}.png")
            Image.new("RGB", (8, 8), (label * 100, number, 0)).save(tmp_path / "x" / name / f"{number}.png")
    touch(tmp_path / "x", "b/1.png", "b/2.png")
    for _ in range(2):  # decoded, then from the cache
        caplog.clear()
        source = folder(tmp_path / "x", 8)
        assert source.class_names == ("a", "c")
        assert (source.train.images[:, 0, 0, 0] // 100 == source.train.labels).all()
        assert [entry["file"] for entry in source.metadata["skipped"]] == ["b/1.png", "b/2.png"]
        assert "no image of these can be used, so they are no classes: b" in caplog.text


def test_classes_without_an_image_to_train_on_are_said(tmp_path, caplog):
    for name in ("train/a/1", "train/b/1", "test/a/2", "test/new/2"):
        touch(tmp_path / "x", f"{name}.png")
        Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "x" / f"{name}.png")
    assert folder(tmp_path / "x", 8).class_names == ("a", "b", "new")
    assert "no image of these classes is there to train on, all are held out: new" in caplog.text
