"""Shards at an address: copied to the cache once, whole and checked, and the same data as their folder."""

from __future__ import annotations

import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from etils import epath
from PIL import Image

from gen.convert import ConvertOptions, convert
from gen.data import shard_mirror, shards
from gen.data.shapes import shapes
from gen.errors import InputError


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    home = tmp_path_factory.mktemp("made")
    source = shapes(16, num_train=20, num_held_out=4)
    (home / "images").mkdir()
    for number, image in enumerate(source.train.images[:]):
        Image.fromarray(image).save(home / "images" / f"{number:03}.png")
    convert(ConvertOptions(inputs=[home / "images"], out=home / "shards", resolution=16, shards=2, held_out=0.2))
    return home / "shards"


@pytest.fixture
def bucket(made, tmp_path, monkeypatch) -> Path:
    """A folder that stands for gs://bucket/."""
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    shutil.copytree(made, tmp_path / "bucket" / "shards")
    path = epath.Path
    monkeypatch.setattr(epath, "Path", lambda address: path(str(address).replace("gs://", f"{tmp_path}/")))
    return tmp_path / "bucket" / "shards"


def test_the_same_data_as_the_folder_also_without_the_storage_afterwards(made, bucket):
    one, other = shards(made), shards("gs://bucket/shards")
    np.testing.assert_array_equal(other.train.images[:], one.train.images[:])
    np.testing.assert_array_equal(other.held_out.labels, one.held_out.labels)
    assert other.metadata["digest"] == one.metadata["digest"]
    for file in bucket.glob("*.array_record"):
        file.unlink()
    np.testing.assert_array_equal(shards("gs://bucket/shards").train.images[:], one.train.images[:])


def test_what_is_changed_on_the_way_is_refused_and_nothing_of_it_is_kept(bucket, tmp_path):
    file = max(bucket.glob("*.array_record"), key=lambda path: path.stat().st_size)
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    with pytest.raises(InputError, match=rf"{file.name}: it has another sha256"):
        shards("gs://bucket/shards")
    assert not list((tmp_path / "cache").rglob(f"*{file.name}*"))
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    assert len(shards("gs://bucket/shards").train.images) > 0


def test_what_a_killed_process_left_goes_and_damaged_labels_are_copied_again(bucket, tmp_path):
    shards("gs://bucket/shards")
    (folder,) = (tmp_path / "cache").glob("shards-*")
    (folder / ".00000.array_record.partial").write_bytes(b"half")
    for labels in folder.glob("*.npz"):
        labels.write_bytes(b"")
    assert len(shards("gs://bucket/shards").train.labels) > 0
    assert not list(folder.glob("*.partial")) + list(folder.glob(".*.partial"))


def test_processes_of_one_host_copy_once(bucket, monkeypatch):
    opened, copy = [], shard_mirror._copy
    monkeypatch.setattr(shard_mirror, "_copy", lambda source, *rest: opened.append(source.name) or copy(source, *rest))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: shards("gs://bucket/shards").metadata["digest"], range(4)))
    assert len(set(found)) == 1
    assert sorted(opened) == sorted(path.name for path in bucket.iterdir() if path.suffix in (".npz", ".array_record"))


def test_a_cache_that_cannot_be_written(bucket, tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(InputError, match="Not a directory"):
        shards("gs://bucket/shards")


def test_a_disk_that_is_too_small(bucket, monkeypatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=10))
    with pytest.raises(InputError, match=r"do not fit .* 0\.0 GB are free; set GEN_CACHE .* or mount"):
        shards("gs://bucket/shards")


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("gs://bucket/elsewhere", r"elsewhere/index\.json cannot be read .*No such file"),
        ("ftp://bucket/shards", r"ftp://bucket/shards: allowed: a folder, gs:// or s3://"),
    ],
)
def test_a_wrong_address(bucket, path, message):
    with pytest.raises(InputError, match=message):
        shards(path)


def test_a_package_that_is_missing(monkeypatch):
    def path(address):
        raise ImportError("Please install gcsfs to access Google Storage")

    monkeypatch.setattr(epath, "Path", path)
    with pytest.raises(InputError, match=r"gs://bucket/shards needs a package more: Please install gcsfs"):
        shards("gs://bucket/shards")
