"""Every experiment builds, survives JSON and runs; what a person may do wrong with them gets one line and code 2."""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gen import cli, sample
from gen.config import Config, Spec, build, build_task, digest, experiment, from_json, to_json, validate
from gen.config.resolve import arguments, resolve
from gen.errors import InputError
from gen.main import main, parse_command
from gen.models import r3gan
from gen.training import loop

ROOT = Path(__file__).resolve().parent.parent
FILES = sorted(path for path in (ROOT / "experiments").glob("*.py") if not path.name.startswith("_"))
# Of the data that the experiments name; of others 0.
CLASSES = {"cifar10": 10, "clips": 8, "fashion_mnist": 10, "shapes": 8}
CAPTIONS = {"scenes": 96}  # tokens
# One for each kind of task; of the others the step is traced.
RUN = ["shapes", "shapes_gan", "shapes_autoencoder", "sprites_video"]
each = pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)


@pytest.fixture(scope="module", autouse=True)
def _data_cache(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(tmp_path_factory.mktemp("data")))
        yield


def variants(path: Path) -> list[str]:
    """The variants of an experiment, as it names them when asked for one that it has not."""
    with pytest.raises(InputError, match="no variant 'no-such'") as error:
        experiment.load(f"{path}:no-such")
    return ["", *str(error.value).rpartition("variants: ")[2].split(", ")]


def completed(config: Config) -> Config:
    """With the path that only the person who runs it can give."""
    takes = arguments(resolve(config.data.call, "data"))
    if "path" in takes.types.keys() - takes.defaults:
        config.data.setdefault("path", "somewhere")
    return config


def check_step(config: Config, image_shape: tuple[int, int, int], num_classes: int, caption_length: int = 0) -> None:
    """Traces a step of training, which computes nothing: it gives a state of the same shapes, and scalar metrics."""
    task = build_task(config, image_shape, num_classes, caption_length)
    state = jax.eval_shape(task.init, jax.random.key(0))
    n = config.batch_size * task.real_images_per_sample
    batch = {
        "image": jax.ShapeDtypeStruct((n, *task.image_shape), jnp.uint8),
        "label": jax.ShapeDtypeStruct((n,), jnp.int32),
    }
    if caption_length:
        batch["caption"] = jax.ShapeDtypeStruct((n, caption_length), jnp.int32)
    new, metrics = jax.eval_shape(loop.make_step(task, config), state, batch)
    assert jax.tree.structure(new) == jax.tree.structure(state)
    for a, b in zip(jax.tree.leaves(new), jax.tree.leaves(state), strict=True):
        assert (a.shape, a.dtype) == (b.shape, b.dtype)
    assert {value.shape for value in metrics.values()} == {()}


# -- All experiments


def test_the_six_experiments_are_there():
    assert {path.stem for path in FILES} >= {"shapes", "fashion_mnist", "cifar10", "celeba", "ffhq256", "folder"}


@each
def test_is_a_lab_note_with_its_command_and_smoke_variant(path):
    note = path.read_text().split('"""')[1]
    assert f"python -m gen.main --config experiments/{path.name}" in note
    assert "smoke" in variants(path)


@each
def test_every_variant_is_valid_and_survives_json(path):
    presets = copy.deepcopy(r3gan.PRESETS)
    digests = set()
    for variant in variants(path):
        config = completed(experiment.load(f"{path}:{variant}"))
        validate(config)
        again = from_json(to_json(config))
        assert again == config
        assert all(isinstance(again.task[role], Spec) for role in ("generator", "network") if role in again.task)
        assert digest(again) == digest(config)
        digests.add(digest(config))
        assert presets == r3gan.PRESETS, f"{path}:{variant} changed PRESETS"
    assert len(digests) == len(variants(path))


@each
def test_the_full_size_step_fits_together(path):
    """7 stages at 256 x 256 included."""
    config = completed(experiment.load(str(path)))
    side = config.data.get("resolution", 32)
    name = config.data.get("name", config.data.call.rpartition(":")[2])
    channels = 1 if name.startswith("fashion_mnist") else 3
    words = 64 if path.stem in {"emoji", "emoji_prior", "folder_captions"} else CAPTIONS.get(name, 0)
    check_step(config, (2 * side if name == "clips" else side, side, channels), CLASSES.get(name, 0), words)


@pytest.mark.parametrize("side", [32, 64, 128])
@pytest.mark.parametrize("variant", ["cpu", "flow", "autoencoder", "prior"])  # photos: cpu, of other length
def test_a_folder_of_any_size_fits_each_family(variant, side):
    config = completed(experiment.load(f"{ROOT}/experiments/folder.py:{variant}", (("data.resolution", str(side)),)))
    for name in ("network", "tokenizer", "discriminator"):
        if "blocks" in config.task.get(name, {}):
            config.task[name].blocks = 1  # traced sooner, and the levels are as many
    check_step(config, (side, side, 3), 0)


def test_photos_are_learned_as_by_cpu_but_longer():
    cpu, photos = (experiment.load(f"{ROOT}/experiments/folder.py:{variant}") for variant in ("cpu", "photos"))
    assert photos.data.resolution == 64
    assert photos.total_images == photos.task.schedule_images > cpu.total_images
    assert {**photos.task, "schedule_images": 0} == {**cpu.task, "schedule_images": 0}


@pytest.mark.parametrize("path", [path for path in FILES if path.stem not in RUN], ids=lambda path: path.stem)
def test_the_smoke_variant_is_two_steps_that_fit_its_data(path):
    config = experiment.load(f"{path}:smoke")
    assert config.total_steps == 2
    source = build(config.data, "data")
    check_step(config, source.image_shape, source.num_classes, source.caption_length)


@pytest.fixture(scope="module")
def smoke(tmp_path_factory):
    """Runs an experiment's smoke variant once, and returns its run folder."""
    folder, done = tmp_path_factory.mktemp("runs"), {}

    def run(path: Path) -> Path:
        if path not in done:
            workdir = folder / path.stem
            assert main(parse_command(["gen.main", f"--config={path}:smoke", f"--workdir={workdir}"])) == 0
            done[path] = workdir
        return done[path]

    return run


@pytest.mark.parametrize("name", RUN)
def test_smoke_of_each_kind_of_task_runs(name, smoke):
    workdir = smoke(ROOT / "experiments" / f"{name}.py")
    history = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text().splitlines()]
    assert history[-1]["step"] == 2
    assert all(np.isfinite(value) for value in history[-1].values())
    assert [entry.name for entry in (workdir / "checkpoints").iterdir()] == ["2"]
    assert "finished" in (workdir / "report.html").read_text()


def test_images_from_the_checkpoint_of_a_smoke_run(smoke, tmp_path):
    workdir = smoke(ROOT / "experiments" / "shapes.py")
    result = sample.sample(sample.SampleOptions(workdir=workdir, out=tmp_path, seeds="0-2", label="star"))
    assert (result.num_images, result.step) == (3, 2)
    pictures = sorted(tmp_path.glob("*.png"))
    assert len(pictures) == 3
    with Image.open(pictures[0]) as image:
        assert (image.size, image.mode) == ((32, 32), "RGB")


# -- What a person may do wrong


@pytest.fixture
def call(monkeypatch, capsys):
    monkeypatch.chdir(ROOT)

    def call(*argv: str) -> tuple[int, str]:
        with pytest.raises(SystemExit) as caught:
            cli.guard(lambda: main(parse_command(["gen.main", *argv])))
        return caught.value.code, capsys.readouterr().err

    return call


def pictures(folder: Path, count: int, side: int = 40) -> Path:
    """A folder of noisy images."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(count)
    for number in range(count):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), np.uint8)).save(folder / f"{number}.png")
    return folder


def files(tmp_path: Path) -> dict[str, Path]:
    """Folders to point an experiment at."""
    (tmp_path / "empty").mkdir()
    (tmp_path / "texts").mkdir()
    for name in ("a.txt", "b.md"):
        (tmp_path / "texts" / name).write_text("no image")
    mixed = pictures(tmp_path / "mixed", 9)
    (mixed / "half.png").write_bytes((mixed / "0.png").read_bytes()[:900])
    (tmp_path / "file").write_text("in the way")
    return {
        "tmp": tmp_path,
        "good": pictures(tmp_path / "good", 10),
        "small": pictures(tmp_path / "small", 10, side=20),
        "mixed": mixed,
    }


FOLDER = "--config=experiments/folder.py:cpu"


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        (["--config=experiments/shape.py"], "did you mean 'experiments/shapes.py'?; there are: experiments/celeba.py"),
        (["--config=experiments/shapes.py:smok"], "no variant 'smok'; did you mean 'smoke'?; variants: smoke"),
        (
            ["--config=experiments/shapes_gan.py", "--config.task.generator.width=3"],
            "unknown field 'task.generator.width'; did you mean 'task.generator.widths'?",
        ),
        (
            ["--config=experiments/shapes_gan.py", "--config.task.generator.widths=a"],
            "task.generator.widths is 'a'; it must be whole numbers, e.g. 128,64,32",
        ),
        (
            ["--config=experiments/shapes.py", "--config.batch_size=many"],
            "batch_size is 'many'; it must be a whole",
        ),
        ([FOLDER], "data.path is missing: gen.data.folder:folder needs it"),
        ([FOLDER, "--config.data.path={tmp}/god"], "does not exist; did you mean 'good'?"),
        ([FOLDER, "--config.data.path={tmp}/empty"], "/empty: it is empty"),
        ([FOLDER, "--config.data.path={tmp}/texts"], "/texts: 2 files ignored: 1 .md, 1 .txt"),
        (
            [FOLDER, "--config.data.path={small}"],
            "is 20x20, smaller than resolution=32); --config.data.small=enlarge takes",
        ),
        ([FOLDER, "--config.data.path={mixed}", "--config.data.strict"], "mixed/half.png"),
        (
            [FOLDER, "--config.data.path={good}", "--config.task.conditional"],
            "task.conditional is True, but the data has no labels",
        ),
        (
            [FOLDER.replace("cpu", "gan"), "--config.data.path={good}", "--config.data.resolution=36"],
            "pixels a side, the data is 36 x 36; allowed: another resolution of these",
        ),
        (
            ["--config=experiments/shapes.py:smoke", "--config.batch_size=12"],
            "batch_size=12 is not divisible by 8 devices; allowed: multiples of 8, nearest 8 or 16",
        ),
        (["--config=experiments/shapes.py:smoke", "--config.mesh.fsdp=3"], "but there are 8 devices; allowed: 8 x 1"),
        (["--config=experiments/shapes_gan.py:smoke", "--config.task.loss=hing"], "did you mean 'hinge'?"),
        (["--config=experiments/shapes.py:smoke", "--workdir={tmp}/file"], "cannot write to --workdir"),
        (["--config=experiments/shapes.py:smoke", "--workdir={tmp}/file/run"], "cannot write to --workdir"),
        (
            ["--config=experiments/cifar10.py:smoke", "--config.task.generator.widths=30,30,30,30"],
            "width 30 times expansion=2.0 is 60, which group_size=8",
        ),
        (
            ["--config=experiments/cifar10.py:smoke", "--config.task.discriminator.widths=2,2,2,2"],
            "task.discriminator.widths=(2, 2, 2, 2): width 2",
        ),
    ],
)
def test_bad_input_is_one_line_and_exit_code_2(call, tmp_path, argv, message):
    places = files(tmp_path)
    argv = [argument.format(**places) for argument in argv]
    workdir = [] if any(a.startswith("--workdir") for a in argv) else [f"--workdir={tmp_path / 'run'}"]
    code, said = call(*argv, *workdir)
    assert code == 2, said
    assert said.startswith("gen: ")
    assert message in said
    assert said.count("\n") == 1
    assert not (tmp_path / "run" / "config.json").exists()  # a mended command may use the same folder


def tiny_folder(tmp_path: Path, data: Path) -> str:
    """An experiment file that trains the tiny networks on a folder."""
    path = tmp_path / "tiny_folder.py"
    source = f"config.data = config.data.__class__(call='gen.data.folder:folder', path={str(data)!r}, resolution=16)"
    path.write_text(
        f"import tiny\ndef get_config():\n    config = tiny.config(total_images=8)\n    {source}\n    return config\n"
    )
    return f"--config={path}"


def test_a_corrupt_image_among_many_is_left_out_and_listed(call, tmp_path, caplog):
    mixed = files(tmp_path)["mixed"]
    code, _ = call(tiny_folder(tmp_path, mixed), f"--workdir={tmp_path / 'run'}")
    assert code == 0
    assert "1 of 10 image files" in caplog.text
    facts = json.loads((tmp_path / "run" / "data.json").read_text())
    assert [entry["file"] for entry in facts["skipped"]] == ["half.png"]
    assert facts["num_train"] + facts["num_held_out"] == 9
    assert "half.png" in (tmp_path / "run" / "report.html").read_text()


def test_the_folder_of_another_experiment_is_left_alone(call, smoke, capsys):
    workdir = smoke(ROOT / "experiments" / "shapes.py")
    capsys.readouterr()  # what that run has said
    before = {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()}
    code, said = call("--config=experiments/fashion_mnist.py:smoke", f"--workdir={workdir}")
    assert code == 2
    assert said.startswith("gen: the run folder holds another experiment: ")
    assert said.endswith("; use another --workdir\n")
    assert said.count("\n") == 1
    assert {path: path.stat().st_mtime_ns for path in workdir.rglob("*") if path.is_file()} == before


def test_the_program_itself_says_one_line(tmp_path):
    command = [sys.executable, "-m", "gen.main", FOLDER, f"--config.data.path={tmp_path / 'none'}"]
    environment = {**os.environ, "JAX_PLATFORMS": "cpu"}
    done = subprocess.run(
        [*command, f"--workdir={tmp_path / 'run'}"],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=environment,
        timeout=300,
    )
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr.startswith(f"gen: folder: {tmp_path / 'none'} does not exist")
    assert done.stderr.count("\n") == 1
