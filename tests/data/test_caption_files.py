"""Captions beside image files: metadata.jsonl, metadata.csv, NAME.txt; what does not match; what cannot be read."""

import hashlib
import json
import logging
import zipfile

import numpy as np
import pytest
from PIL import Image

from gen.data import folder
from gen.errors import InputError


@pytest.fixture
def images(tmp_path, cache):
    root = tmp_path / "set"
    for name in ("cats/a.png", "cats/b.png", "dogs/c.png", "dogs/d.jpg"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(len(name) + ord(name[5])).integers(0, 256, (8, 8, 3), np.uint8)
        Image.fromarray(pixels).save(root / name)
    return root


def _captions(source):
    """All captions, by image, in no order."""
    found = [(part.captions.of(i), part) for part in (source.train, source.held_out) for i in range(len(part.labels))]
    return sorted(texts for texts, _ in found)


def _jsonl(*rows):
    return "\n".join(json.dumps(row) for row in rows) + "\n"


@pytest.mark.parametrize("column", ["text", "caption", "prompt"])
def test_metadata_jsonl_has_one_caption_or_several(images, column):
    rows = [
        {"file_name": "cats/a.png", column: "a cat"},
        {"file_name": "cats\\b.png", column: ["a second cat", "", "кот"]},
        {"file_name": "./dogs/c.png", column: " a dog "},
        {"file_name": "dogs/d.jpg", column: "another dog", "size": 3},
    ]
    (images / "metadata.jsonl").write_text("\ufeff" + _jsonl(*rows), encoding="utf-8")
    source = folder(images, 8)
    assert _captions(source) == [["a cat"], ["a dog"], ["a second cat", "кот"], ["another dog"]]
    assert source.class_names == ("cats", "dogs")  # they stay classes
    assert source.metadata["uncaptioned"] == []


def test_metadata_csv_beside_the_images_of_a_class_and_a_column_of_ones_own(images):
    (images / "cats" / "metadata.csv").write_text('file_name,text,mine\na.png,no,"one, two"\nb.png,no,three\n')
    assert _captions(folder(images, 8, caption="mine")) == [[], [], ["one, two"], ["three"]]
    assert folder(images, 8, caption=None).train.captions is None


def test_texts_beside_the_images_have_a_caption_in_each_line(images):
    (images / "cats" / "a.txt").write_text("first\n\nsecond\n")
    (images / "dogs" / "d.txt").write_text("a dog")
    (images / "readme.txt").write_text("no caption")
    source = folder(images, 8)
    assert _captions(source) == [[], [], ["a dog"], ["first", "second"]]
    assert source.metadata["uncaptioned"] == ["cats/b.png", "dogs/c.png"]
    assert source.metadata["unmatched"] == ["readme.txt"]


def test_a_text_that_is_of_no_image_makes_no_captions(images):
    (images / "readme.txt").write_text("no caption")
    source = folder(images, 8)
    assert source.train.captions is None
    assert "captions" not in source.metadata


def test_both_lists_are_said_and_refused_if_strict(images, caplog):
    (images / "metadata.jsonl").write_text(
        _jsonl({"file_name": "cats/a.png", "text": "a cat"}, {"file_name": "gone.png", "text": "?"})
    )
    with caplog.at_level(logging.WARNING):
        source = folder(images, 8)
    said = ("3 images without a caption", "(first: cats/b.png)", "1 captions without an image", "(first: gone.png)")
    assert all(text in caplog.text for text in said)
    assert source.metadata["unmatched"] == ["gone.png"]
    assert "ignored" not in caplog.text  # it is read
    with pytest.raises(InputError, match=r"3 images without a caption in .*, 1 captions without .*strict=False"):
        folder(images, 8, strict=True)


@pytest.mark.parametrize(
    ("name", "content", "uncaptioned", "unmatched"),
    [
        ("metadata.jsonl", _jsonl({"file_name": "a.png", "text": "?"}), 4, ["a.png"]),
        ("metadata.jsonl", _jsonl({"file_name": "cats/a.png", "txet": "x"}), 0, ["metadata.jsonl: no text, caption"]),
        ("metadata.csv", "file_name,label\ncats/a.png,3\n", 0, ["metadata.csv: no text, caption or prompt"]),
        ("metadata.jsonl", "", 0, ["metadata.jsonl: no text, caption or prompt"]),
        ("cats/a.txt", "\n", 4, []),
    ],
)
def test_captions_that_are_of_no_image_are_said_and_refused_if_strict(
    images, caplog, name, content, uncaptioned, unmatched
):
    (images / name).write_text(content)
    with caplog.at_level(logging.WARNING):
        source = folder(images, 8)
    assert source.train.captions is None
    assert len(source.metadata["uncaptioned"]) == uncaptioned
    assert len(source.metadata["unmatched"]) == len(unmatched)
    assert all(map(str.startswith, source.metadata["unmatched"], unmatched))
    assert ("captions without an image" in caplog.text) == bool(unmatched)
    with pytest.raises(InputError, match=r"(without a caption|captions without an image) in .*strict=False"):
        folder(images, 8, strict=True)
    assert "unmatched" not in folder(images, 8, caption=None, strict=True).metadata


def test_what_is_said_is_of_the_folder_as_it_is_now(images):
    names = ("cats/a.png", "cats/b.png", "dogs/c.png", "dogs/d.jpg")
    rows = [{"file_name": name, "text": name} for name in names]
    digests = set()
    for gone in ([], [{"file_name": "gone.png", "text": "?"}], []):  # the images, and their captions, are the same
        (images / "metadata.jsonl").write_text(_jsonl(*rows, *gone))
        source = folder(images, 8)
        assert source.metadata["unmatched"] == [row["file_name"] for row in gone]
        digests.add(source.metadata["digest"])
    assert len(digests) == 1
    folder(images, 8, strict=True)


def test_images_that_are_left_out_are_not_asked_for_captions(images, tmp_path):
    kept = ("cats/a.png", "dogs/c.png", "dogs/d.jpg")
    rows = [{"file_name": name, "text": name} for name in (*kept, "cats/b.png")]
    sha256 = hashlib.sha256((images / "cats" / "b.png").read_bytes()).hexdigest()
    finding = {"file": "cats/b.png", "kind": "duplicate", "sha256": sha256}
    (tmp_path / "audit.json").write_text(json.dumps({"findings": [finding], "digest": "d", "content": "c"}))
    for written in (rows, rows[:-1]):  # its caption is neither asked for nor one too many
        (images / "metadata.jsonl").write_text(_jsonl(*written))
        source = folder(images, 8, exclude=tmp_path / "audit.json", strict=True)
        assert _captions(source) == sorted([name] for name in kept)
        assert (source.metadata["uncaptioned"], source.metadata["unmatched"]) == ([], [])


def test_a_changed_caption_is_another_set(images):
    digests = set()
    for given in ("a cat", "a red cat", "a cat"):
        (images / "cats" / "a.txt").write_text(given)
        digests.add(folder(images, 8).metadata["digest"])
    assert len(digests) == 2


def test_an_archive_has_the_captions_of_its_folder(images, tmp_path):
    rows = [{"file_name": f"{name}", "text": name} for name in ("cats/a.png", "dogs/c.png")]
    (images / "metadata.jsonl").write_text(_jsonl(*rows))
    with zipfile.ZipFile(tmp_path / "set.zip", "w") as archive:
        for file in images.rglob("*.*"):
            archive.write(file, f"top/{file.relative_to(images)}")
    assert _captions(folder(tmp_path / "set.zip", 8)) == _captions(folder(images, 8)) != [[], [], [], []]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("metadata.jsonl", '{"file_name": "a.png", "text"', "line 1 is not JSON"),
        ("metadata.jsonl", "[1]\n", "line 1 must be an object"),
        ("metadata.jsonl", '\n{"filename": "a.png", "text": "x"}', "line 2 has no 'file_name'.*'filename'"),
        ("metadata.jsonl", '{"file_name": "a.png", "text": 3}', "'text' must be a text, or a list of texts"),
        ("metadata.jsonl", b"\xff\xfe", "is not UTF-8"),
        ("metadata.csv", "name,text\na.png,x\n", "line 2 has no 'file_name'"),
        ("metadata.csv", b"file_name,text\n\xff,x\n", "is not UTF-8"),
        ("cats/a.txt", b"\xff", "is not UTF-8"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(images, name, content, message):
    (images / name).write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        folder(images, 8)


def test_an_unknown_column_names_the_nearest(images):
    (images / "metadata.jsonl").write_text(_jsonl({"file_name": "cats/a.png", "captoin": "x"}))
    with pytest.raises(InputError, match=r"caption=caption: .*has no such column.*captoin"):
        folder(images, 8, caption="caption")
    (images / "metadata.jsonl").unlink()
    with pytest.raises(InputError, match=r"caption=text: there is no metadata\.jsonl"):
        folder(images, 8, caption="text")
    assert folder(images, 8).train.captions is None
