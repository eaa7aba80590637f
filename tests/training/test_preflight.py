"""gen/training/preflight.py: what is said of an experiment before it runs, here or on a machine that gets a copy."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import tiny

from gen.config import spec
from gen.data import folder, tfds
from gen.errors import InputError
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
        ("mounted", "runs/images", "data.path=runs/images will not be there: runs/ is not copied"),
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
