"""The aligned faces as people have them: a folder or a zip, lists of the original or of Kaggle, or none at all."""

import io
import os
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gen.config import build, experiment, validate
from gen.data import celeba
from gen.errors import InputError

ROOT = Path(__file__).resolve().parents[2]
NAMES = [f"{number:06d}.jpg" for number in range(1, 9)]
PARTITION = "".join(f"{name} {part}\n" for name, part in zip(NAMES, (0, 0, 0, 0, 0, 1, 2, 2), strict=True))
ATTRIBUTES = "8\nBald Smiling \n" + "".join(f"{name} -1  {1 if i % 2 else -1}\n" for i, name in enumerate(NAMES))


def _jpeg(number):
    picture = np.zeros((218, 178, 3), np.uint8)
    picture[20:198] = 30 * number  # the central square
    encoded = io.BytesIO()
    Image.fromarray(picture).save(encoded, "JPEG", quality=95)
    return encoded.getvalue()


def _folder(tmp_path):
    (tmp_path / "img_align_celeba").mkdir()
    for number, name in enumerate(NAMES):
        (tmp_path / "img_align_celeba" / name).write_bytes(_jpeg(number))
    return tmp_path / "img_align_celeba"


def _zip(tmp_path, prefix="img_align_celeba/", **more):
    path = tmp_path / "img_align_celeba.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("__MACOSX/._000001.jpg", b"of a Macintosh")
        for number, name in enumerate(NAMES):
            archive.writestr(prefix + name, _jpeg(number))
        for name, content in more.items():
            archive.writestr(name.replace("_csv", ".csv"), content)
    return path


def _numbers(examples):
    return sorted(np.round(examples.images.mean((1, 2, 3)) / 30).astype(int).tolist())


@pytest.mark.parametrize("form", [_folder, _zip])
def test_lists_beside_the_images_give_the_official_split_and_classes(tmp_path, form):
    path = form(tmp_path)
    (tmp_path / "list_eval_partition.txt").write_text(PARTITION)
    (tmp_path / "list_attr_celeba.txt").write_text(ATTRIBUTES)
    source = celeba(path, 16, label="Smiling")
    assert source.class_names == ("not Smiling", "Smiling")
    assert _numbers(source.train) == [0, 1, 2, 3, 4]
    assert _numbers(source.held_out) == [6, 7]
    for examples in (source.train, source.held_out):
        shown = np.round(examples.images.mean((1, 2, 3)) / 30).astype(int)
        np.testing.assert_array_equal(examples.labels, shown % 2)
    unlabeled = celeba(path, 16)
    assert unlabeled.class_names == ()
    assert not unlabeled.train.labels.any()


def test_a_folder_and_its_zip_are_the_same_images(tmp_path):
    one, other = celeba(_folder(tmp_path), 16), celeba(_zip(tmp_path), 16)
    assert one.metadata["digest"] == other.metadata["digest"]


def test_without_lists_some_are_held_out_by_their_names(tmp_path):
    source = celeba(_zip(tmp_path), 16)
    assert _numbers(source.train) + _numbers(source.held_out) != []
    assert sorted(_numbers(source.train) + _numbers(source.held_out)) == list(range(8))
    assert len(source.held_out.images) == 1


def test_all_images_have_the_official_split_without_a_list(tmp_path, monkeypatch):
    for name, value in (("_ALL", 8), ("_LAST_TRAIN", 5), ("_LAST_VALIDATION", 6)):
        monkeypatch.setattr(sys.modules["gen.data.celeba"], name, value)
    source = celeba(_folder(tmp_path), 16)
    assert (_numbers(source.train), _numbers(source.held_out)) == ([0, 1, 2, 3, 4], [6, 7])


def test_the_form_of_kaggle(tmp_path):
    """One archive, folders within each other, lists as .csv inside."""
    rows = [line.split() for line in ATTRIBUTES.splitlines()[2:]]
    attributes = "image_id,Bald,Smiling\r\n" + "".join(",".join(row) + "\r\n" for row in rows)
    partition = "image_id,partition\n" + PARTITION.replace(" ", ",")
    lists = {"list_attr_celeba_csv": attributes, "list_eval_partition_csv": partition}
    source = celeba(_zip(tmp_path, "img_align_celeba/img_align_celeba/", **lists), 16, label="Smiling")
    assert (_numbers(source.train), _numbers(source.held_out)) == ([0, 1, 2, 3, 4], [6, 7])
    assert source.train.labels.sum() == 2


def test_names_in_an_archive_lead_nowhere_on_the_disk(tmp_path):
    (tmp_path / "in").mkdir()
    path = _zip(tmp_path / "in", "../../evil/")
    assert len(celeba(path, 16).train.images) == 7
    assert not list(tmp_path.rglob("evil"))
    assert not list(tmp_path.rglob("*.jpg"))


def test_files_that_cannot_be_read_are_listed(tmp_path):
    root = _folder(tmp_path)
    (root / "000001.jpg").write_bytes(b"no image")
    (skipped,) = celeba(root, 16).metadata["skipped"]
    assert skipped["file"] == "000001.jpg"
    path = _zip(tmp_path)
    data = bytearray(path.read_bytes())
    data[data.find(b"\xff\xd8") + 700] ^= 255  # the checksum of the first image fits no more
    path.write_bytes(data)
    (skipped,) = celeba(path, 16).metadata["skipped"]
    assert "Bad CRC" in skipped["reason"]


def _bomb(tmp_path):
    with zipfile.ZipFile(tmp_path / "b.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("a.bmp", bytes(2**21))
    return tmp_path / "b.zip"


def _text(tmp_path, name, content):
    (tmp_path / name).write_text(content)
    return tmp_path / name


@pytest.mark.parametrize(
    ("make", "options", "message"),
    [
        (lambda t: t / "img_align_celeba", {}, "does not exist"),
        (lambda t: _text(t, "x.zip", "hello"), {}, "neither a folder of images nor a zip of one"),
        (lambda t: t, {}, "an image ends in"),
        (_bomb, {}, "says that it holds 2,097,152 bytes; at most"),
        (_zip, {"label": "Smiling"}, "needs list_attr_celeba.txt"),
        (_zip, {"resolution": 200}, "smaller than resolution=200: choose a smaller --config.data.resolution"),
        (_zip, {"held_out": 1}, "held_out=1"),
        (lambda t: _zip(t) and _text(t, "list_attr_celeba.txt", ATTRIBUTES).with_name("img_align_celeba.zip"),
         {"label": "Smilin"}, "no attribute is called 'Smilin'; did you mean 'Smiling'"),
        (lambda t: _zip(t) and _text(t, "list_eval_partition.txt", "000001.jpg x\n").with_name("img_align_celeba.zip"),
         {}, "line 1 of list_eval_partition is no image"),
    ],
)  # fmt: skip
def test_what_does_not_fit_gets_one_line(tmp_path, monkeypatch, make, options, message):
    monkeypatch.setattr("gen.data.archive._MOST", 2**20)
    with pytest.raises(InputError, match=message) as error:
        celeba(make(tmp_path), **{"resolution": 16, **options})
    assert str(error.value).isprintable()


def test_other_images_of_equal_size_and_time_are_others(tmp_path):
    root = _folder(tmp_path)
    before = celeba(root, 16).metadata["digest"]
    content, time = (root / "000002.jpg").read_bytes(), os.stat(root / "000001.jpg").st_mtime_ns
    (root / "000001.jpg").write_bytes(content)
    os.utime(root / "000001.jpg", ns=(time, time))
    assert celeba(root, 16).metadata["digest"] != before


@pytest.mark.parametrize("name", ["celeba", "celeba_autoencoder", "celeba_vae"])
def test_the_experiments_take_a_folder_or_a_zip(tmp_path, name):
    config = experiment.load(f"{ROOT}/experiments/{name}.py:folder")
    experiment.override(config, "data.path", str(_zip(tmp_path)))
    validate(config)
    assert build(config.data, "data").image_shape == (64, 64, 3)
