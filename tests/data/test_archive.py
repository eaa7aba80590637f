"""A zip of a folder is that folder, whatever its members are called; lies of an archive cost nothing."""

import io
import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from gen.data import celeba, folder
from gen.errors import InputError


def _png(value):
    encoded = io.BytesIO()
    Image.new("RGB", (16, 16), (value, 0, 7)).save(encoded, "PNG")
    return encoded.getvalue()


def _files(prefix=""):
    return {f"{prefix}{kind}/{i}.png": _png(20 * i + k) for i in range(5) for k, kind in enumerate(("cat", "dog"))}


def _zip(path, files, **options):
    with zipfile.ZipFile(path, "w", **options) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return path


def _reds(source):
    return sorted(np.concatenate([source.train.images, source.held_out.images])[:, 0, 0, 0].tolist())


@pytest.mark.parametrize("prefix", ["", "pets/", "a/b/", "../../", "/etc/"])
def test_a_zip_of_a_folder_is_that_folder(tmp_path, prefix):
    for name, content in _files().items():
        (tmp_path / "x" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "x" / name).write_bytes(content)
    other = folder(_zip(tmp_path / "x.zip", _files(prefix) | {"__MACOSX/._0.png": b"", f"{prefix}cat/.hidden": b""}), 8)
    one = folder(tmp_path / "x", 8)
    assert other.metadata["digest"] == one.metadata["digest"]
    assert other.class_names == ("cat", "dog")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cache", "x", "x.zip"]


def test_the_archive_of_stylegan_has_its_labels(tmp_path, caplog):
    images = {f"00000/img{i:08d}.png": _png(i) for i in range(6)}
    labels = {"labels": [[name, i % 3] for i, name in enumerate(images)]}
    source = folder(_zip(tmp_path / "x.zip", images | {"dataset.json": json.dumps(labels)}), 8)
    assert source.class_names == ("0", "1", "2")
    assert all(image[0, 0, 0] % 3 == label for image, label in zip(*source.train[:2], strict=True))
    assert "ignored" not in caplog.text


def test_what_is_no_image_is_counted_and_what_is_damaged_listed(tmp_path, caplog):
    path = _zip(tmp_path / "x.zip", _files() | {"cat/a.txt": b"1", "cat/torn.png": _png(1)[:30]})
    data = bytearray(path.read_bytes())
    data[data.find(b"IDAT") + 8] ^= 255  # of the first image
    path.write_bytes(data)
    skipped = folder(path, 8).metadata["skipped"]
    assert [entry["file"] for entry in skipped] == ["cat/0.png", "cat/torn.png"]
    assert "1 file ignored: 1 .txt" in caplog.text


def test_archives_of_equal_sizes_are_told_apart_and_remembered(tmp_path):
    one = folder(_zip(tmp_path / "x.zip", {f"{i}.png": _png(i) for i in range(4)}), 8)
    other = folder(_zip(tmp_path / "x.zip", {f"{i}.png": _png(i + 10) for i in range(4)}), 8)
    assert (_reds(one), _reds(other)) == ([0, 1, 2, 3], [10, 11, 12, 13])


@pytest.mark.parametrize(
    ("files", "options", "message"),
    [
        ({"a.txt": b"1"}, {}, "an image ends in"),
        ({"a.png": bytes(2**21)}, {"compression": zipfile.ZIP_DEFLATED}, "says that it holds 2,097,152 bytes"),
        ({"a.png": _png(0), "dataset.json": b"{"}, {}, "dataset.json cannot be read"),
    ],
)
def test_what_does_not_fit_gets_one_line(tmp_path, monkeypatch, files, options, message):
    monkeypatch.setattr("gen.data.archive._MOST", 2**20)
    with pytest.raises(InputError, match=message) as error:
        folder(_zip(tmp_path / "x.zip", files, **options), 8)
    assert str(error.value).isprintable()
    (tmp_path / "y.zip").write_bytes(b"PK")
    with pytest.raises(InputError, match="neither a folder of images nor a zip of one"):
        folder(tmp_path / "y.zip", 8)


def test_a_pipe_or_a_device_is_neither(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", "/dev/zero"):
        for source in (folder, celeba):
            with pytest.raises(InputError, match="neither a folder of images nor a zip of one"):
                source(path, 8)
