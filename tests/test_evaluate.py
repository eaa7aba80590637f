"""The program that measures: runs and folders, statistics of other tools, comparisons, and what is refused."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
from pathlib import Path
from typing import Any

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from gen import cli, devices, evaluate, sample
from gen.cli.flags import parse
from gen.config import Config, build, digest, spec, to_json
from gen.data import folder, npz
from gen.errors import InputError
from gen.evaluation import model_images
from gen.features import network_training, pixels, self_supervised
from gen.metrics import moments
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.runs.run_data import load_data
from gen.training.loop import data_metadata


@pytest.fixture(scope="module", autouse=True)
def _quick(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("data")))
        patch.setattr(self_supervised, "DEFAULT", network_training.Training(2, 2, 8))
        yield


def make_run(path: Path, config: Config) -> Path:
    """A run folder with weights as they are before training."""
    source = build(config.data, "data")
    folder = trained_run.RunFolder(path)
    path.mkdir(parents=True)
    trained_run.write_json(folder.data, data_metadata(source))
    folder.config.write_text(to_json(config))
    context = {"image_shape": source.image_shape, "num_classes": source.num_classes, "batch_size": config.batch_size}
    state = jax.jit(build(config.task, "task", **context).init)(jax.random.key(0))
    with Checkpoints(folder.checkpoints) as checkpoints:
        checkpoints.save(3, state, wait=True)
    return path


def program(*arguments) -> None:
    evaluate.main(parse(["evaluate", *map(str, arguments)], evaluate.EvaluateOptions))


def results(path: Path) -> dict[str, dict]:
    return {result["metric"]: result for result in json.loads(path.read_text())}


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def pictures(folder: Path, count: int, *, seed: int, size: tuple[int, int] = (20, 16), mode: str = "RGB") -> Path:
    """A folder of noise."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(seed)
    for i in range(count):
        pixels = rng.integers(seed, 200 + seed, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{i:03}.png")
    return folder


def loaded(folder: Path) -> np.ndarray:
    return np.stack([np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.iterdir())])


# Runs


@pytest.fixture(scope="module")
def gan(tmp_path_factory) -> Path:
    return make_run(tmp_path_factory.mktemp("runs") / "gan", tiny.config())


@pytest.fixture(scope="module")
def evaluated(gan) -> Path:
    program(
        f"--workdir={gan}",
        "--num_samples=24",
        "--num_references=40",
        "--refine=invert",
        "--real_baseline",
        "--metrics=all",
    )
    return gan / "evaluation"


def test_a_run_is_measured(evaluated, gan):
    names = ["evaluation-real-held-out.json", "evaluation-refined.json", "evaluation.html", "evaluation.json"]
    names += ["section.html"]
    pngs = ["classes.png", "map.png", "nearest.png", "typical.png", "untypical.png"]
    assert files(evaluated) == sorted(names + pngs)
    found = results(evaluated / "evaluation.json")
    wanted = {"FD-own", "KD-own", "MMD-own", "MIND-own", "precision", "recall", "density", "coverage", "AuthPct"}
    wanted |= {"Vendi-own-q1", "IS-own", "modes-covered", "class-agreement", "PPL-own", "SWD-16", "MS-SSIM"}
    assert wanted <= set(found)
    assert "memorized" not in found  # 8 images are held out
    assert not [name for name in found if "FID" in name or "KID" in name]
    result, config = found["FD-own"], tiny.config()
    assert result["subject"] == {"run": "gan", "config_digest": digest(config), "step": 3}
    assert (result["num_samples"], result["num_references"], result["split"], result["seed"]) == (24, 40, "train", 0)
    assert result["data_digest"] == build(config.data, "data").metadata["digest"]
    assert (result["extractor"], len(result["extractor_digest"])) == ("own", 64)
    assert result["resize"] == "linear, antialiased, to 32 x 32"


def test_refined_and_real_images_in_the_samples_place(evaluated):
    plain, refined, real = (
        results(evaluated / f"evaluation{name}.json") for name in ("", "-refined", "-real-held-out")
    )
    assert refined["FD-own"]["subject"]["refine"] == "invert"
    assert refined["FD-own"]["value"] != plain["FD-own"]["value"]
    assert (real["FD-own"]["num_samples"], real["FD-own"]["subject"]["real"]) == (8, True)
    assert real["SWD-16"]["value"] < plain["SWD-16"]["value"]
    page = (evaluated / "evaluation.html").read_text()
    assert all(words in page for words in ("samples", "refined", "real, held out", "invert", "FD-own"))


def test_the_images_measured_are_those_that_sample_writes(gan, tmp_path):
    sample.sample(sample.SampleOptions(workdir=gan, out=tmp_path / "out", seeds="5-8"))
    its, mesh = trained_run.load(gan), devices.mesh(-1, 1)
    source = build(its.config.data, "data")
    made = model_images(its.task, its.ema_params, source, 4, seed=5, mesh=mesh)
    written = sorted((tmp_path / "out").glob("*.png"))
    assert len(written) == 4
    for path, image in zip(written, made.images, strict=True):
        assert (np.asarray(Image.open(path)) == image).all()


def test_equal_results_compare_and_the_better_one_is_named(evaluated, gan, tmp_path, capsys):
    shutil.copytree(evaluated, tmp_path / "other")
    better = json.loads((tmp_path / "other" / "evaluation.json").read_text())
    for result in better:
        if result["metric"] == "FD-own":
            result |= {"value": -3.0, "low": -4.0, "high": -2.0, "seed": 100}
    (tmp_path / "other" / "evaluation.json").write_text(json.dumps(better))
    program("--compare", gan, tmp_path / "other")
    lines = capsys.readouterr().out.splitlines()
    (line,) = (line.split() for line in lines if line.startswith("FD-own "))
    assert (line[2], line[3]) == ("-3", "second")
    assert len(lines) == len(better) + 1
    assert not [line for line in lines[1:] if not line.startswith("FD-own ") and "second" in line]


def test_results_of_other_sizes_do_not_compare(evaluated, gan, tmp_path, capsys):
    program(f"--workdir={gan}", "--num_samples=20", "--metrics=vendi", "--extractor=pixels", f"--out={tmp_path / 'a'}")
    program(f"--workdir={gan}", "--num_samples=18", "--metrics=vendi", "--extractor=pixels", f"--out={tmp_path / 'b'}")
    capsys.readouterr()
    with pytest.raises(SystemExit) as caught:
        cli.guard(lambda: program("--compare", tmp_path / "a", tmp_path / "b"))
    assert caught.value.code == 2
    error = capsys.readouterr().err
    assert "do not compare: num_samples is 20 in one, 18 in the other" in error
    assert error.count("\n") == 1
    with pytest.raises(SystemExit):
        cli.guard(lambda: program("--compare", evaluated, tmp_path / "a"))
    assert "nothing to compare" in capsys.readouterr().err


@pytest.fixture(scope="module")
def gray(tmp_path_factory) -> Path:
    """A run that only reconstructs, of gray images without classes, many of them held out."""
    folder = tmp_path_factory.mktemp("gray")
    rng = np.random.default_rng(0)
    x_train, x_test = (rng.integers(0, 256, (n, 16, 16), dtype=np.uint8) for n in (30, 110))
    np.savez(folder / "gray.npz", x_train=x_train, x_test=x_test)
    without: dict[str, Any] = {"discriminator": None, "adversarial": 0.0, "lecam": 0.0, "perceptual": 0.0}
    task = tiny.autoencoder_spec(network=tiny.tokenizer(), **without)
    return make_run(folder / "run", tiny.config(task=task, data=spec(npz, path=str(folder / "gray.npz"))))


def test_what_only_reconstructs_is_measured_by_its_reconstructions(gray, tmp_path, capsys):
    program(
        f"--workdir={gray}",
        f"--out={tmp_path / 'out'}",
        "--extractor=pixels",
        "--split=held_out",
        "--metrics=frechet,memorization,classes,path",
    )
    found = results(tmp_path / "out" / "evaluation.json")
    assert found["FD-pixels"]["num_samples"] == found["FD-pixels"]["num_references"] == 110
    assert found["FD-pixels"]["split"] == "held_out"
    assert found["memorized"]["split"] == "train"
    assert found["memorized"]["num_references"] == 30
    assert "classes.png" not in files(tmp_path / "out")
    said = capsys.readouterr().err
    assert "reconstructions: classes left out: the extractor pixels does not classify these images" in said
    assert found["FD-pixels"]["settings"] == {"reconstructed": True}  # not to be compared with samples
    assert "reconstructions: path left out: these images come from no latents to walk between" in said


# Folders


@pytest.fixture(scope="module")
def folders(tmp_path_factory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("folders")
    return pictures(folder / "a", 12, seed=1), pictures(folder / "b", 15, seed=40)


def test_two_folders(folders, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    a, b = folders
    program(f"--images={a}", f"--reference={b}", "--extractor=pixels")
    found = results(tmp_path / "evaluation" / "evaluation.json")
    x, y = (pixels().features(loaded(folder)) for folder in folders)
    assert found["FD-pixels"]["value"] == pytest.approx(moments.frechet_distance(x, y).value, rel=1e-12)
    assert (found["FD-pixels"]["num_samples"], found["FD-pixels"]["num_references"]) == (12, 15)
    assert (found["FD-pixels"]["split"], found["FD-pixels"]["subject"]) == (
        "all",
        {"folder": str(a), "reference": str(b)},
    )
    assert "memorized" not in found
    assert "0 held-out images" in capsys.readouterr().err
    page = (tmp_path / "evaluation" / "evaluation.html").read_text()
    assert "nearest to a real image" in page


def test_what_stands_beside_images_is_passed_over(folders, tmp_path):
    shutil.copytree(folders[0], tmp_path / "a")
    (tmp_path / "a" / "._000.png").write_bytes(b"what another system keeps")
    (tmp_path / "a" / "notes.pdf").write_bytes(b"%PDF")
    program(
        f"--images={tmp_path / 'a'}",
        f"--reference={folders[1]}",
        "--extractor=pixels",
        "--metrics=fast,vendi,frechet",
        f"--out={tmp_path / 'out'}",
    )
    found = json.loads((tmp_path / "out" / "evaluation.json").read_text())
    names = [result["metric"] for result in found]
    assert len(set(names)) == len(names)
    assert {"FD-pixels", "precision", "Vendi-pixels-q1"} <= set(names)
    assert found[0]["num_samples"] == 12


def test_what_is_not_of_an_evaluation_stays(folders, tmp_path):
    arguments = (f"--images={folders[0]}", f"--reference={folders[1]}", "--extractor=pixels", "--metrics=frechet")
    for name in ("map.png", "evaluation-baseline.json"):
        (tmp_path / name).write_text("mine")
    (tmp_path / "evaluation.json").mkdir()
    with pytest.raises(InputError, match=r"evaluation.json: cannot be written"):
        program(*arguments, f"--out={tmp_path}")
    assert not list(tmp_path.glob(".*.partial"))
    (tmp_path / "evaluation.json").rmdir()
    for _ in range(2):
        program(*arguments, f"--out={tmp_path}")
        assert (tmp_path / "evaluation-baseline.json").read_text() == "mine"
        assert (tmp_path / "map.png").read_text() == "mine"


def test_a_model_without_classes_has_no_numbers_of_classes(tmp_path):
    config = tiny.config(total_images=8, task=tiny.task_spec(conditional=False))
    run = make_run(tmp_path / "run", config)
    program(f"--workdir={run}", "--metrics=classes,ms_ssim,vendi", "--num_samples=8", f"--out={tmp_path / 'out'}")
    found = results(tmp_path / "out" / "evaluation.json")
    assert "class-agreement" not in found
    assert not [name for name in found if "-class-" in name]
    assert "classes.png" not in files(tmp_path / "out")


def test_the_default_extractor_learns_from_the_reference(folders, tmp_path):
    program(f"--images={folders[0]}", f"--reference={folders[1]}", "--metrics=frechet", f"--out={tmp_path}")
    assert set(results(tmp_path / "evaluation.json")) == {"FD-own"}


def test_statistics_go_both_ways(folders, tmp_path, capsys):
    a, b = folders
    common = ("--extractor=pixels", f"--images={a}")
    program(*common, f"--reference={b}", f"--out={tmp_path / 'x'}", f"--save_statistics={tmp_path / 's' / 'b.npz'}")
    wanted = results(tmp_path / "x" / "evaluation.json")["FD-pixels"]
    features = pixels().features(loaded(b)).astype(np.float64)
    stored = np.load(tmp_path / "s" / "b.npz")
    np.testing.assert_allclose(stored["mu"], features.mean(0))
    np.testing.assert_allclose(stored["sigma"], np.cov(features, rowvar=False), atol=1e-12)
    # As pytorch-fid writes it.
    np.savez_compressed(tmp_path / "other.npz", mu=features.mean(0), sigma=np.cov(features, rowvar=False))
    for name, count in (("s/b.npz", 15), ("other.npz", 0)):
        program(*common, f"--reference={tmp_path / name}", f"--out={tmp_path / 'y'}")
        found = results(tmp_path / "y" / "evaluation.json")
        assert set(found) == {"FD-pixels"}
        assert found["FD-pixels"]["value"] == pytest.approx(wanted["value"], rel=1e-9)
        assert (found["FD-pixels"]["split"], found["FD-pixels"]["num_references"]) == ("statistics", count)
        assert found["FD-pixels"]["low"] is not None
        assert files(tmp_path / "y") == ["evaluation.html", "evaluation.json", "section.html"]
    assert "the Fréchet distance alone: statistics allow no other metric" in capsys.readouterr().err


def test_sizes_and_channels_that_differ_are_brought_to_one(tmp_path):
    a = pictures(tmp_path / "a", 3, seed=1, size=(40, 32))
    pictures(a / "more", 3, seed=2, size=(24, 24), mode="L")
    b = pictures(tmp_path / "b", 8, seed=3, size=(64, 50))
    options = (f"--images={a}", f"--reference={b}", "--extractor=pixels", "--metrics=frechet")
    program(*options, "--size=16", f"--out={tmp_path / 'out'}")
    result = results(tmp_path / "out" / "evaluation.json")["FD-pixels"]
    assert result["num_samples"] == 6
    assert result["resize"] == "central square, area to 16 x 16; then area to 16 x 16"


def means(images: np.ndarray) -> np.ndarray:
    """An extractor of the user."""
    return images.mean((1, 2))


def test_any_function_measures(folders, tmp_path, monkeypatch):
    options = (f"--images={folders[0]}", f"--reference={folders[1]}", "--metrics=frechet", f"--out={tmp_path}")
    monkeypatch.setenv("GEN_PACKAGES", __name__)
    program(*options, f"--extractor={__name__}:means")
    (result,) = results(tmp_path / "evaluation.json").values()
    assert result["metric"] == f"FD-{__name__}:means"
    x, y = (means(loaded(folder)) for folder in folders)
    assert result["value"] == pytest.approx(moments.frechet_distance(x, y).value, rel=1e-5)


def test_a_folder_of_data_that_moved_is_found_at_its_new_place(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))
    (tmp_path / "old").mkdir()
    for i in range(4):
        Image.new("RGB", (8, 8), (60 * i, 0, 0)).save(tmp_path / "old" / f"{i}.png")
    there = spec(folder, path=str(tmp_path / "old"), resolution=8)
    run = trained_run.TrainedRun(tiny.config(data=there), {}, None, {}, 0)
    before = load_data(run)
    (tmp_path / "old").rename(tmp_path / "new")
    with pytest.raises(InputError, match=r"does not exist.*if the data have moved: --config\.data\.path=NEW"):
        load_data(run)
    after = load_data(run, moved={"path": str(tmp_path / "new")})
    assert after.metadata["digest"] == before.metadata["digest"]
    with pytest.raises(InputError, match=r"have changed since \(digest .*, was 0123"):
        load_data(dataclasses.replace(run, data_metadata={"digest": "0123"}), moved={"path": str(tmp_path / "new")})


# What is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "name a run, --workdir DIR, or two folders"),
        (["--workdir=GAN", "--images=A"], "not both"),
        (["--workdir=GAN", "extra"], "unexpected argument 'extra'"),
        (["--workdir=nowhere"], "there is no such folder"),
        (["--workdir=GAN", "--step=9"], "no checkpoint 9"),
        (["--workdir=GAN", "--metrics=frechet,kernal"], "no metric 'kernal'; did you mean 'kernel'"),
        (["--workdir=GAN", "--num_samples=1"], "--num_samples"),
        (["--workdir=GAN", "--seed=4294967295"], "the largest seed is"),
        (["--workdir=GAN", "--size=16"], "--size is of two folders"),
        (["--workdir=GAN", "--real_baseline", "--split=held_out"], "with themselves"),
        (["--workdir=GAN", "--temperature=0.5"], "--temperature is no setting of Gan"),
        (["--workdir=GRAY", "--truncation=0.5"], "--truncation is of models that sample"),
        (["--workdir=GAN", "--refine=medin(3)"], "did you mean"),
        (["--workdir=GAN", "--extractor=fid:absent.pth"], "absent.pth: no such file"),
        (["--workdir=GAN", "--out=torn.png"], "is a file"),
        (["--workdir=GAN", "--save_statistics=s.txt"], r"statistics are .npz files"),
        (
            ["--workdir=GAN", "--metrics=score", "--extractor=pixels", "--num_samples=8"],
            "none of these metrics can be computed",
        ),
        (["--images=A"], "--reference is missing"),
        (["--workdir=GAN", "--config.data.path=A"], "--config.data.path: the data of this run take resolution"),
        (["--images=A", "--reference=B", "--config.data.path=A"], "--config.data.path is of runs"),
        (["--images=A", "--reference=absent"], "absent: there is no such file or folder"),
        (["--images=empty", "--reference=B"], "no image files in this folder"),
        (["--images=torn.png", "--reference=B"], r"torn.png: cannot be read"),
        (["--images=A", "--reference=B", "--size=17"], "is 20x16, smaller than --size=17"),
        (["--images=A", "--reference=small"], "which an extractor would resize unlike each other; --size=N"),
        (["--images=mixed", "--reference=B"], r"z.png is 9x9, .*20x16; --size=N brings all to N x N"),
        (["--images=A", "--reference=B", "--refine=invert"], "--refine is of runs"),
        (["--images=A", "--reference=B", "--top_p=0.5"], "--top_p is of runs"),
        (["--images=A", "--reference=s.npz"], "name it, --extractor=fid:WEIGHTS"),
        (["--images=A", "--reference=s.npz", "--extractor=pixels"], "is of 2 features, pixels gives 768"),
        (["--images=A", "--reference=bad.npz", "--extractor=pixels"], "bad.npz"),
        (["--images=A", "--reference=absent.npz", "--extractor=pixels"], "absent.npz: there is no such file"),
        (["--images=A", "--reference=s.npz", "--extractor=pixels", "--metrics=kernel"], "the Fréchet distance alone"),
        (
            ["--images=A", "--reference=B", "--out=A"],
            "inside --images=.*, where figures would be taken for images",
        ),
        (["--images=A", "--reference=B", "--out=B/x"], "inside --reference="),
        (["--images=A", "--reference=B", "--seed=4294967296"], "--seed"),
        (["--images=A", "--reference=B", "--size=0"], "--size"),
        (["--images=A", "--reference=B", "--save_statistics=s.npz/x.npz"], "--save_statistics: cannot make the folder"),
        (["--images=A", "--reference=B", "--save_statistics=dir.npz"], "is a folder; name a file"),
        (["--workdir=GAN", "--truncation=nan"], "it must be a finite number"),
        (["--compare", "GAN", "GAN", "--metrics=frechet"], "--metrics is of measuring"),
        (["--compare", "GAN"], "--compare takes two evaluations, runs or evaluation.json; given: 1"),
        (["--compare", "A", "B"], "no evaluation there"),
        (["--compare", "bad.npz", "bad.npz"], "is not an evaluation of gen"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(
    gan, gray, folders, tmp_path, monkeypatch, capfd, arguments, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "dir.npz").mkdir()
    pictures(tmp_path / "small", 2, seed=0, size=(8, 8))
    pictures(tmp_path / "mixed", 2, seed=0)
    Image.new("RGB", (9, 9)).save(tmp_path / "mixed" / "z.png")
    (tmp_path / "torn.png").write_bytes((tmp_path / "mixed" / "000.png").read_bytes()[:60])
    (tmp_path / "bad.npz").write_bytes(b"nothing")
    np.savez(tmp_path / "s.npz", mu=np.zeros(2), sigma=np.eye(2))
    before = (files(tmp_path), files(gan), files(folders[0]))
    known = {"GAN": gan, "GRAY": gray, "A": folders[0], "B": folders[1]}
    for name, path in known.items():
        arguments = [str(path) if part == name else re.sub(f"=({name})(?=$|/)", f"={path}", part) for part in arguments]
    with pytest.raises(SystemExit) as caught:
        cli.guard(lambda: program(*arguments))
    assert caught.value.code == 2
    out, err = capfd.readouterr()
    assert err.endswith("\n")
    line = err.splitlines()[-1]
    assert line.startswith("gen: ")
    assert re.search(message, line), line
    assert out == ""
    assert (files(tmp_path), files(gan), files(folders[0])) == before
