"""benchmarks/zero_shot.py: which images are classified, and one line for what it cannot use."""

import importlib.util
import pathlib
import sys
import types

import numpy as np
import pytest

from gen.errors import InputError
from gen.features.extractor import Extractor, ExtractorOutput
from gen.npz import read_npz
from gen.runs.trained_run import TrainedRun

ROOT = pathlib.Path(__file__).parents[2]
SPEC = importlib.util.spec_from_file_location("zero_shot", ROOT / "benchmarks" / "zero_shot.py")
zero_shot = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(zero_shot)

SHAPE = (8, 8, 3)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))


def by_class(path, *, count=40, **changes):
    """A file whose images show their labels, in order of the labels."""
    labels = np.arange(count) * 4 // count
    images = np.broadcast_to(labels[:, None, None, None], (count, *SHAPE)).astype(np.uint8)
    arrays = {f"{axis}_{split}": x for split in ("train", "test") for axis, x in (("x", images), ("y", labels))}
    arrays |= {"class_names": np.array(["T_shirt", "Boot", "Bag", "Hat"])} | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})
    return path


def test_images_of_all_classes_are_drawn_and_the_classifier_may_be_missing(tmp_path, monkeypatch):
    seen = []

    def bits(run, images, captions):
        seen.extend(np.round(images[:, 0, 0, 0] * 255).astype(int).tolist())
        return np.abs(images[:, 0, 0, :1] * 255 - np.arange(len(captions)))

    network = Extractor("x", "0", "", lambda images: ExtractorOutput(np.zeros((len(images), 1), np.float32)))
    monkeypatch.setattr(zero_shot, "bits", bits)
    monkeypatch.setattr(zero_shot, "parse_extractor", lambda text, source: network)
    run = types.SimpleNamespace(task=types.SimpleNamespace(shape=SHAPE))
    (row,) = zero_shot.of_classes(run, by_class(tmp_path / "x.npz"), 12, "a {}")
    assert len(seen) == 12
    assert set(seen) == {0, 1, 2, 3}
    assert row.startswith("| x | 25.0% | 100.0% (")
    assert row.endswith("|  |")  # not 0 %


def test_captions_are_written_by_the_classes(tmp_path):
    zero_shot.write_captioned(by_class(tmp_path / "x.npz", x_test=None), tmp_path / "out.npz", "a photo of a {}")
    found = read_npz(tmp_path / "out.npz")
    assert found["captions_train"][[0, -1]].tolist() == ["a photo of a t shirt", "a photo of a hat"]
    assert "captions_test" not in found


@pytest.mark.parametrize(
    ("options", "changes", "message"),
    [
        ("--out out.npz", {}, "--out needs --npz"),
        ("", {}, "name a prior that learned captions by --workdir"),
        ("--npz x.npz", {}, "name a prior that learned captions by --workdir"),
        ("--number 0", {}, "--number=0: allowed: at least 1"),
        ("--npz gone.npz --out out.npz", {}, "no such file"),
        ("--npz x.npz --out out.npz", {"class_names": None}, "has no class_names, by which"),
        ("--npz x.npz --out out.npz", {"y_test": None}, "has no y_test, by which"),
        ("--npz x.npz --out out.npz", {"y_train": np.full(40, 9)}, "numbers of the 4 class_names"),
        ("--npz x.npz --out x.npz", {}, "is there already"),
        ("--npz x.npz --out out.npz --template photo", {}, "--template=photo: has no {}"),
    ],
)
def test_what_cannot_be_used_is_one_line(tmp_path, monkeypatch, options, changes, message):
    by_class(tmp_path / "x.npz", **changes)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["zero_shot.py", *options.split()])
    with pytest.raises(InputError) as error:
        zero_shot.main()
    assert message in str(error.value)
    assert "\n" not in str(error.value)


def test_a_run_that_cannot_say_bits_of_captions_is_one_line(tmp_path, monkeypatch):
    run = TrainedRun(None, {}, types.SimpleNamespace(caption_length=64, shape=SHAPE), {}, 0, "fish")
    with pytest.raises(InputError, match="fish is no prior that learned captions"):
        zero_shot.bits(run, np.zeros((1, *SHAPE), np.float32), ["a star"])
    with pytest.raises(InputError, match="has no y_train"):
        zero_shot.of_classes(run, by_class(tmp_path / "x.npz", y_train=None, y_test=None), 4, "a {}")
    monkeypatch.setattr(zero_shot, "Prior", types.SimpleNamespace)
    with pytest.raises(InputError, match=r"--template: .* has 100 bytes; this model reads at most 62"):
        zero_shot.bits(run, np.zeros((1, *SHAPE), np.float32), ["x" * 100])
    with pytest.raises(InputError, match=r"makes images of \(8, 8, 3\), and these are of \(9, 8, 3\)"):
        zero_shot.bits(run, np.zeros((1, 9, 8, 3), np.float32), ["a star"])
