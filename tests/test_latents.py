"""The program for latents: each command on each family, what files carry, and what is refused before work begins."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import jax
import numpy as np
import pytest
import tiny
from PIL import Image

from gen import latents, provenance
from gen.cli.flags import parse
from gen.config import build, digest, spec, to_json
from gen.data.shapes import CLASS_NAMES
from gen.errors import InputError
from gen.image_io.pixels import to_uint8
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import DiagonalGaussian
from gen.models.recurrent import Recurrent
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.sampling.latent_space import codes, projection
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.prior import Prior

CODES = spec(Network, **tiny.AUTOENCODER, bottleneck=spec(DiagonalGaussian, size=4))
TASKS = {
    "gan": tiny.task_spec(),
    "autoencoder": spec(Autoencoder, network=CODES, schedule_images=1),
    "tokenizer": spec(Autoencoder, network=tiny.tokenizer(), schedule_images=1),
    "prior": spec(Prior, network=spec(Recurrent, width=8, layers=1), tokenizer=tiny.tokenizer(), schedule_images=1),
    "pixels": spec(Prior, network=spec(Recurrent, width=8, layers=1), schedule_images=1),
}


def program(*arguments) -> None:
    latents.main(parse(["latents", *map(str, arguments)], latents.LatentsOptions))


@pytest.fixture(autouse=True)
def _few_candidates(monkeypatch):
    monkeypatch.setattr(projection, "CANDIDATES", 64)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """Run folders by kind of task, with weights away from the start."""
    folder = tmp_path_factory.mktemp("runs")
    for name, task_spec in TASKS.items():
        config = tiny.config(task=task_spec)
        place = trained_run.RunFolder(folder / name)
        place.path.mkdir()
        place.config.write_text(to_json(config))
        facts = {"image_shape": tiny.IMAGE_SHAPE, "num_classes": tiny.NUM_CLASSES, "class_names": CLASS_NAMES}
        trained_run.write_json(place.data, facts)
        facts.pop("class_names")
        task = build(task_spec, "task", batch_size=8, **facts)
        state = jax.jit(task.init)(jax.random.key(0))
        rng = np.random.default_rng(0)
        stir = lambda leaf: leaf + 0.1 * rng.normal(size=leaf.shape).astype(np.float32)  # noqa: B023, E731
        state = state.replace(ema_params=jax.tree.map(stir, state.ema_params))
        with Checkpoints(place.checkpoints) as checkpoints:
            checkpoints.save(3, state, wait=True)
    return folder


@pytest.fixture(scope="module")
def images(tmp_path_factory):
    """A folder of three image files, of which one is larger."""
    folder = tmp_path_factory.mktemp("images")
    rng = np.random.default_rng(0)
    for name, side in (("a.png", 16), ("b.png", 16), ("c.bmp", 40)):
        Image.fromarray(rng.integers(0, 256, (side, side, 3), dtype=np.uint8)).save(folder / name)
    return folder


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGB"))


def files(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def reconstruction(workdir, image: np.ndarray) -> np.ndarray:
    loaded = trained_run.load(workdir)
    return to_uint8(np.asarray(loaded.task.reconstruct(loaded.ema_params, image[None] / np.float32(255))[0]))


def close(a: np.ndarray, b: np.ndarray) -> None:
    """Equal but for rounding at the 8th bit."""
    assert np.abs(a.astype(int) - b.astype(int)).max() <= 1


@pytest.mark.parametrize("name", ["autoencoder", "tokenizer", "prior"])
def test_projection_into_an_autoencoder_is_its_reconstruction(name, runs, images, tmp_path, capsys):
    program("project", images, f"--workdir={runs / name}", f"--out={tmp_path / 'out'}")
    assert files(tmp_path / "out") == ["a.png", "b.png", "c.png", "project.json", "project.png"]
    wanted = reconstruction(runs / name, read(images / "a.png"))
    close(read(tmp_path / "out" / "a.png"), wanted)
    error = np.square((read(images / "a.png") / 255.0) - wanted / 255.0).mean()
    told = json.loads((tmp_path / "out" / "project.json").read_text())
    assert told["images"][0]["psnr"] == pytest.approx(-10 * np.log10(error), abs=0.1)
    assert told["median_psnr"] == pytest.approx(np.median([image["psnr"] for image in told["images"]]))
    assert f"{told['median_psnr']:6.2f} dB  median" in capsys.readouterr().out
    record = provenance.read(tmp_path / "out" / "a.png")
    assert record["gen:latents"].startswith("project")
    assert record["gen:step"] == 3
    assert len(record["gen:source"]) == 64
    assert record["gen:digital_source_type"] == "trainedAlgorithmicMedia"
    sheet = provenance.read(tmp_path / "out" / "project.png")  # which shows the given images, too
    assert sheet["gen:digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"


def test_the_sheet_shows_given_projected_and_difference(runs, images, tmp_path):
    program("project", images / "a.png", f"--workdir={runs / 'autoencoder'}", f"--out={tmp_path / 'one.png'}")
    assert files(tmp_path) == ["one.json", "one.png"]
    sheet = read(tmp_path / "one.png")
    left = sheet.shape[1] - 98  # after the names of the rows
    given, made, difference = (sheet[top : top + 96 : 6, left : left + 96 : 6] for top in (2, 100, 198))  # 6 x 6 pixels
    assert (given == read(images / "a.png")).all()
    close(made, reconstruction(runs / "autoencoder", read(images / "a.png")))
    close(difference, np.rint(127.5 + (given.astype(float) - made) / 2))


def test_latents_go_to_a_file_and_back(runs, images, tmp_path):
    workdir = f"--workdir={runs / 'tokenizer'}"
    program("encode", images, workdir, f"--out={tmp_path / 'z.npz'}")
    program("decode", tmp_path / "z.npz", workdir, f"--out={tmp_path / 'out'}")
    assert files(tmp_path / "out") == ["a.png", "b.png", "c.png", "decode.png"]
    close(read(tmp_path / "out" / "a.png"), reconstruction(runs / "tokenizer", read(images / "a.png")))


def test_a_gan_encodes_by_projection(runs, images, tmp_path):
    workdir = f"--workdir={runs / 'gan'}"
    program("encode", images, workdir, f"--out={tmp_path / 'z.npz'}", "--steps=2", "--label=heart")
    program("decode", tmp_path / "z.npz", workdir, f"--out={tmp_path / 'out'}")
    loaded = trained_run.load(runs / "gan")
    with np.load(tmp_path / "z.npz") as stored:
        assert stored["labels"].tolist() == [6, 6, 6]
        assert str(stored["run"]) == digest(loaded.config)
        made = loaded.task.decode(loaded.ema_params, stored["latents"], stored["labels"])
    close(read(tmp_path / "out" / "b.png"), to_uint8(np.asarray(made[1])))
    assert provenance.read(tmp_path / "out" / "a.png")["gen:label"] == "heart"


def test_interpolation_goes_from_image_to_image(runs, images, tmp_path):
    workdir = runs / "autoencoder"
    ends = [images / name for name in ("a.png", "b.png", "a.png")]
    program("interpolate", *ends, f"--workdir={workdir}", f"--out={tmp_path / 'way.png'}", "--frames=4")
    upper, lower = np.split(read(tmp_path / "way.png"), 2)
    assert upper.shape == (100, 5 * 98 + 2, 3)
    first, second = (reconstruction(workdir, read(path)) for path in ends[:2])
    for row, (start, end) in ((upper, (first, second)), (lower, (second, first))):
        close(row[2:98:6, 2:98:6], start)
        close(row[2:98:6, 4 * 98 + 2 : 5 * 98 : 6], end)
    loaded = trained_run.load(workdir)
    z = loaded.task.encode(loaded.ema_params, np.stack([read(path) for path in ends[:2]]) / np.float32(255))
    middle = to_uint8(np.asarray(loaded.task.decode(loaded.ema_params, z.mean(0)[None])[0]))  # ways are straight
    close(upper[2:98:6, 2 * 98 + 2 : 3 * 98 : 6], middle)
    program(
        "interpolate", *ends, f"--workdir={runs / 'gan'}", f"--out={tmp_path / 'way.webp'}", "--frames=3", "--steps=2"
    )
    with Image.open(tmp_path / "way.webp") as film:
        assert (film.n_frames, film.size) == (7, (96, 96))
    assert "--frames=3" in provenance.read(tmp_path / "way.webp")["gen:latents"]


def test_an_edit_moves_along_a_direction(runs, images, tmp_path):
    workdir = f"--workdir={runs / 'autoencoder'}"
    shared = (workdir, f"--examples={images}", "--method=pca", "--direction=1")
    program("edit", images / "a.png", *shared, "--strength=0", f"--out={tmp_path / 'still'}")
    close(read(tmp_path / "still" / "a.png"), reconstruction(runs / "autoencoder", read(images / "a.png")))
    program("edit", images / "a.png", *shared, "--strength=3", f"--out={tmp_path / 'moved'}")
    assert (read(tmp_path / "moved" / "a.png") != read(tmp_path / "still" / "a.png")).any()
    assert "--strength=3" in provenance.read(tmp_path / "moved" / "a.png")["gen:latents"]


@pytest.mark.parametrize("method", ["closed_form", "pca"])
def test_strips_of_directions(method, runs, images, tmp_path):
    options = (f"--method={method}", "--num_directions=2", f"--out={tmp_path / 'strips.png'}")
    for name, inputs, extra in (
        ("gan", (), ("--seeds=4,9", "--label=1")),
        ("autoencoder", (), ("--seeds=0-1",)),
        ("autoencoder", (images / "a.png", images / "b.png"), (f"--examples={images}",)),
    ):
        program("directions", *inputs, f"--workdir={runs / name}", *options, *extra)
        shown = read(tmp_path / "strips.png")
        left = shown.shape[1] - 2 * (7 * 98 + 2) + 2  # beside the numbers of the rows
        assert shown.shape[0] == 2 * 100
        assert 10 < left < 30
        block = shown[2:98:6, left : left + 7 * 98]
        tiles = [block[:, i * 98 : i * 98 + 96 : 6].astype(int) for i in range(7)]
        steps = [np.abs(tile - tiles[3]).mean() for tile in tiles]
        assert steps[0] > steps[2] > 0 < steps[4] < steps[6]
        middle = read(tmp_path / "strips.png")[102:198, left + 3 * 98 : left + 3 * 98 + 96]
        close(middle[::6, ::6], tiles[3])  # every row shows the same start


def test_fewer_directions_than_asked_for_are_said(runs, tmp_path, capsys):
    program(
        "directions",
        f"--workdir={runs / 'gan'}",
        "--num_directions=50",
        f"--out={tmp_path / 'strips.png'}",
        "--seeds=4",
    )
    assert "--num_directions=50: there are 8 directions" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "COMMAND is missing: one of encode, decode, project, interpolate, directions, edit"),
        (["projekt", "IN"], "COMMAND=projekt; it must be one of .*; did you mean 'project'"),
        (["project", "--workdir=GAN", "--out=OUT"], "project: no input"),
        (["project", "IN", "--out=OUT"], "--workdir is missing"),
        (["project", "IN", "--workdir=GAN"], "--out is missing"),
        (
            ["project", "IN", "--workdir=GAN", "--out=OUT.webp"],
            "project cannot write that; allowed: a folder or a .png",
        ),
        (["encode", "IN", "--workdir=GAN", "--out=OUT"], "encode cannot write that; allowed: a .npz file"),
        (["edit", "IN", "--workdir=GAN", "--out=OUT"], "--direction is missing"),
        (["edit", "IN", "--workdir=AE", "--out=OUT", "--direction=4"], "--direction=4: there is no .* allowed: 0-3"),
        (["edit", "ONE", "--workdir=TOKENIZER", "--out=OUT", "--direction=0"], "at least 2 images"),
        (["directions", "--workdir=TOKENIZER", "--out=OUT"], "no distribution to draw from"),
        (["directions", "--workdir=GAN", "--out=OUT", "--seeds=0-4"], "5 images; a picture shows at most 4"),
        (["directions", "--workdir=GAN", "--out=OUT", "--examples=IN"], "--examples are for autoencoders"),
        (["interpolate", "ONE", "--workdir=GAN", "--out=OUT.webp"], "at least two images"),
        (["project", "IN", "--workdir=GAN", "--out=OUT", "--label=hart"], "no class 'hart'; did you mean 'heart'?"),
        (["project", "IN", "--workdir=GAN", "--out=OUT", "--label=all"], "8 classes; name one"),
        (["project", "IN", "--workdir=AE", "--out=OUT", "--label=1"], "learned without classes"),
        (["project", "IN", "--workdir=PIXELS", "--out=OUT"], "a prior of pixels has no latents"),
        (["project", "IN", "--workdir=AE", "--out=IN"], "would be overwritten by its own result"),
        (["project", "nowhere", "--workdir=AE", "--out=OUT"], "there is no such file or folder"),
        (["decode", "IN/a.png", "--workdir=AE", "--out=OUT"], "a.png: no file of latents"),
        (["decode", "Z", "--workdir=TOKENIZER", "--out=OUT"], "latents of another run"),
        (["decode", "Z", "Z", "--workdir=AE", "--out=OUT"], "unexpected argument"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(arguments, words, runs, images, tmp_path):
    if any("Z" in argument for argument in arguments):
        program("encode", images / "a.png", f"--workdir={runs / 'autoencoder'}", f"--out={tmp_path / 'z.npz'}")
    places = {"IN": images, "ONE": images / "a.png", "OUT": tmp_path / "out", "Z": tmp_path / "z.npz"}
    places |= {"GAN": runs / "gan", "AE": runs / "autoencoder"} | {
        kind.upper(): runs / kind for kind in ("tokenizer", "pixels")
    }

    def placed(argument: str) -> str:
        flag, equals, value = argument.rpartition("=")
        name = re.match("[A-Z]*", value)[0]
        return flag + equals + str(places[name]) + value[len(name) :] if name else argument

    before = files(tmp_path) + files(images)
    with pytest.raises(InputError, match=words) as caught:
        program(*map(placed, arguments))
    assert "\n" not in str(caught.value)
    assert files(tmp_path) + files(images) == before


def test_the_program_ends_with_one_line_and_2(tmp_path):
    command = [sys.executable, "-m", "gen.latents", "project", str(tmp_path), "--setps=3"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "gen: unknown flag --setps; did you mean '--steps'?\n"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"names": np.array("a")}, "no file of latents"),
        ({"names": np.array([0x110000] * 2, np.uint32).view("<U1")}, "no file of latents"),
        ({"latents": np.array(["a", "b"])}, "no file of latents"),
        ({"latents": np.full((2, 3), np.nan)}, "do not fit their names, or are no numbers"),
        ({"latents": np.zeros((3, 3))}, "do not fit their names"),
        ({"labels": np.array(["x", "y"])}, "do not fit their names, or are no numbers"),
        ({"run": np.array("other\x1b")}, r"digest other\\x1b"),
        ({"latents": np.array([{}, {}])}, "pickled objects"),
    ],
)
def test_files_that_encode_did_not_write_get_one_line(tmp_path, change, message):
    good = {"latents": np.zeros((2, 3), np.float32), "names": np.array(["a", "b"]), "run": np.array("r")}
    np.savez(tmp_path / "x.npz", **good)
    assert codes.read(tmp_path / "x.npz", run="r")[1] == ["a", "b"]
    np.savez(tmp_path / "x.npz", **(good | change))
    with pytest.raises(InputError, match=message) as error:
        codes.read(tmp_path / "x.npz", run="r")
    assert str(error.value).isprintable()
