"""gen/training/preflight.py: what is said of an experiment before it runs, here or on a machine that gets a copy."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import tiny
from etils import epath

from gen.config import spec
from gen.convert import ConvertOptions, convert
from gen.data import folder, shards, tfds
from gen.errors import InputError
from gen.runs import identity
from gen.training import preflight
from gen.training.preflight import check


@pytest.fixture(autouse=True)
def _in_a_checkout(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "images").mkdir()
    (tmp_path / "runs").mkdir()


def of(path: str):
    return tiny.config(data=spec(folder, path=path, resolution=16))


def test_here_the_data_are_read_and_nothing_is_made(tmp_path):
    lines = check(tiny.config(), Path("runs/new"), "here")
    assert lines == [
        "runs/new can be written",
        "shapes: 64 images of 16 x 16 x 3 to train with, 8 held out, 8 classes",
    ]
    assert not (tmp_path / "runs" / "new").exists()


def test_here_nothing_is_downloaded():
    settings = tiny.config(data=spec(tfds, name="mnist", resolution=32, data_dir="sets"))
    assert check(settings, Path("run"), "here")[-1] == (
        "the data are not here yet, and training will download them (mnist)"
    )


@pytest.mark.parametrize(
    ("place", "path", "message"),
    [
        ("here", "nowhere", "folder: nowhere does not exist"),
        ("here", "images", "images"),  # there are none
        ("copied", "nowhere", "data.path=nowhere does not exist here, so it cannot be copied there"),
        ("copied", "/mnt/images", "data.path=/mnt/images will not be there: only the current folder is copied"),
        ("copied", "../tmp", "data.path=../tmp will not be there: only the current folder is copied"),
        ("mounted", "images/../..", "data.path=images/../.. will not be there: only the current folder is copied"),
        ("mounted", "runs/images", "data.path=runs/images will not be there: runs/ is not copied"),
        ("mounted", "images/../runs", "data.path=images/../runs will not be there: runs/ is not copied"),
        ("mounted", "gs://bucket/images", "data.path=gs://bucket/images does not exist here"),  # no shards
    ],
)
def test_data_that_are_not_there_are_refused(place, path, message):
    with pytest.raises(InputError, match=re.escape(message)):
        check(of(path), Path("/mnt/run"), place)


def test_a_run_folder_beside_mounted_storage_is_refused():
    with pytest.raises(InputError, match="--workdir run is on the disk of that machine, and lost with it; give an"):
        check(tiny.config(), Path("run"), "mounted")


def test_weights_of_another_run_must_be_there():
    for run in ("other:autoencoder", "other"):
        settings = tiny.config(task=tiny.prior_spec(), init_from={"autoencoder": run})
        with pytest.raises(InputError, match="other: there is no such folder"):
            check(settings, Path("run"), "here")
        with pytest.raises(InputError, match=r"init_from\.autoencoder=other does not exist here"):
            check(settings, Path("run"), "copied")


def test_what_can_be_there_is_said():
    assert check(of("images"), Path("run"), "copied") == [
        "--workdir run is on the disk of that machine, and lost with it"
    ]
    assert check(of("/mnt/images"), Path("/mnt/run"), "mounted") == [
        "data.path=/mnt/images must be in the storage that is mounted there"
    ]


@pytest.fixture
def bucket(tmp_path, monkeypatch):
    """A folder of shards that stands for gs://bucket/."""
    np.savez("made.npz", x_train=np.random.default_rng(0).integers(0, 256, (40, 16, 16, 3), np.uint8))
    convert(ConvertOptions(inputs=[Path("made.npz")], out=Path("bucket/shards"), resolution=16, shards=2, held_out=0.2))
    path = epath.Path
    monkeypatch.setattr(epath, "Path", lambda address: path(str(address).replace("gs://", f"{tmp_path}/")))
    return tmp_path / "bucket" / "shards"


def at(address: str, **options):
    return tiny.config(data=spec(shards, path=address, **options))


def test_of_shards_at_an_address_the_index_is_read_and_nothing_is_copied(bucket, tmp_path):
    held_out = len(shards("bucket/shards").held_out.images)
    for file in bucket.glob("*.array_record"):
        file.unlink()
    assert check(at("gs://bucket/shards"), Path("runs/new"), "here") == [
        "runs/new can be written",
        "training will copy what is not here yet of gs://bucket/shards",
        f"shards: {40 - held_out} images of 16 x 16 x 3 to train with, {held_out} held out, no classes",
    ]
    assert not list((tmp_path / "cache").glob("shards-*"))
    assert not (tmp_path / "runs" / "new").exists()
    with pytest.raises(InputError, match=r"^shards: gs://bucket/none/index\.json cannot be read \(.*No such file"):
        check(at("gs://bucket/none"), Path("run"), "here")
    (bucket / "index.json").write_text("{}")
    with pytest.raises(InputError, match=r"index\.json cannot be read"):
        check(at("gs://bucket/shards"), Path("run"), "here")
    with pytest.raises(InputError, match="allowed: a folder, gs:// or s3://"):
        check(at("ftp://bucket/shards"), Path("run"), "here")


def test_of_shards_at_an_address_training_would_find_the_same_facts(bucket):
    facts = preflight._remote_facts("gs://bucket/shards")
    stored = identity.data_metadata(shards("bucket/shards"))
    assert identity.data_digest(facts) == identity.data_digest(stored)


@pytest.mark.parametrize("place", ["copied", "mounted"])
def test_shards_at_an_address_need_no_copy_on_another_machine(place):
    said = "data.path=gs://bucket/shards must be readable there: each machine copies it"
    assert said in check(at("gs://bucket/shards"), Path("/mnt/run"), place)
    with pytest.raises(InputError, match=r"data\.path=ftp://bucket/shards does not exist here"):
        check(at("ftp://bucket/shards"), Path("/mnt/run"), place)
