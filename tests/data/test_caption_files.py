"""Captions beside image files: metadata.jsonl, metadata.csv, NAME.txt; what does not match; what cannot be read."""

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
    with pytest.raises(InputError, match=r"3 images without a caption in .*strict=False"):
        folder(images, 8, strict=True)


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
