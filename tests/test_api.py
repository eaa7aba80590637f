"""gen.api: from Python the same pixels and numbers as from the command lines, and one line for what is wrong."""

from __future__ import annotations

import json
from pathlib import Path

import jax
import numpy as np
import pytest
import tiny
from PIL import Image
from prior_runs import make_flow, make_run
from untrained import untrained

from gen import api, provenance, sample, score, verify, watermark
from gen import evaluate as evaluate_program
from gen.config import spec
from gen.data.shapes import CLASS_NAMES
from gen.errors import InputError
from gen.image_io.pixels import to_uint8
from gen.sampling import by_seed
from gen.tasks.autoencoder import Autoencoder

ROOT = Path(__file__).parents[1]
AUTOENCODER = spec(Autoencoder, network=tiny.tokenizer(), schedule_images=1)


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("api") / "runs"
    untrained(folder / "shapes", tiny.task_spec())
    (folder / "shapes_gan").symlink_to("shapes")
    untrained(folder / "autoencoder", AUTOENCODER)
    untrained(folder / "prior", tiny.prior_spec())
    make_run(folder / "pixels", (4, 4, 3))
    make_run(folder / "half", (4, 4, 1), context="half_size")
    make_run(folder / "film", (8, 4, 1), context="previous_frame")
    return folder


@pytest.fixture(scope="module")
def gan(runs):
    return api.load(runs / "shapes")


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        found = np.asarray(image)
    return found if found.ndim == 3 else found[..., None]


def noise(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write(folder: Path, images: np.ndarray) -> Path:
    folder.mkdir(parents=True)
    for i, image in enumerate(images):
        Image.fromarray(image if image.shape[-1] == 3 else image[..., 0]).save(folder / f"{i:03d}.png")
    return folder


def test_samples_are_those_of_the_program_and_are_saved_as_it_does(gan, runs, tmp_path):
    images = gan.sample(seeds=range(2, 5), label="heart", truncation=0.8, refine="invert")
    assert (images.dtype, images.shape) == (np.float32, (3, *tiny.IMAGE_SHAPE))
    assert images.min() >= 0
    assert images.max() <= 1
    settings = {"seeds": "2-4", "label": "heart", "truncation": 0.8, "refine": "invert"}
    sample.sample(sample.SampleOptions(workdir=runs / "shapes", out=tmp_path / "program", **settings))
    paths = gan.save(tmp_path / "api", images, seeds=range(2, 5), label="heart", truncation=0.8, refine="invert")
    for path in paths:
        there = tmp_path / "program" / f"{path.stem}-heart.png"
        assert (read(path) == read(there)).all()
        assert api.read_record(path) == provenance.read(there)
    assert len(paths) == 3


def test_classes_are_named_and_each_has_every_seed(gan):
    both = gan.sample([7, 1], label=["heart", CLASS_NAMES.index("star")])
    assert (both[2:] == gan.sample("7,1", label="star")).all()
    assert (gan.sample(7, label="heart") == both[:1]).all()


def test_a_grid_is_one_file_and_a_picture_for_a_notebook(gan, tmp_path):
    images = gan.sample(range(4))
    (path,) = gan.save(tmp_path / "grid.png", images)
    assert provenance.read(path)["gen:shows"] == "grid"
    assert (np.asarray(api.show(images)) == read(path)).all()
    assert api.show(images.reshape(2, 2, *images.shape[1:])).size == api.show(images).size
    assert len(gan.save(tmp_path, images)) == 4


def test_what_is_written_is_marked_by_default_and_arrays_are_not(gan, runs, tmp_path, monkeypatch):
    monkeypatch.delenv("GEN_PROVENANCE")
    monkeypatch.setenv("GEN_WATERMARK_KEY", "a secret of the tests")
    images, key = gan.sample(range(8)), watermark.key(b"a secret of the tests")
    sample.sample(sample.SampleOptions(workdir=runs / "shapes", out=tmp_path / "program", seeds="0-7", grid=True))
    paths = gan.save(tmp_path / "api", images, seeds=range(8))
    for path, image in zip(paths, to_uint8(images), strict=True):
        assert (read(path) != image).any()
        assert (read(path) == read(tmp_path / "program" / path.name)).all()
        assert api.read_record(path)["gen:pixels"] == provenance.pixels_digest(image)
    grid = read(tmp_path / "program" / "grid.png")
    assert (grid != np.asarray(api.show(images))).any()
    np.testing.assert_array_equal(grid, watermark.embed(np.asarray(api.show(images))[None], key, tag=_tag(paths[0]))[0])
    assert (gan.sample(range(8)) == images).all()


def _tag(path: Path) -> int:
    return provenance.run_tag(provenance.read(path))


def test_what_is_saved_is_verified_as_by_the_program(gan, tmp_path):
    key = tmp_path / "key"
    key.write_text("the secret of this test")
    key.chmod(0o600)
    (path,) = gan.save(tmp_path / "grid.png", gan.sample(range(49)), provenance="mark", key=key)
    found = api.verify([path], key=key)
    assert (found.exit_code, found.verdicts[0].origin) == (0, "marked")
    assert found.data() == verify.verify(verify.VerifyOptions(inputs=[path], key=key)).data()
    assert api.verify(path, search="aligned").verdicts[0].origin == "claimed"


def test_a_model_says_in_a_line_what_it_is(gan, runs):
    assert repr(gan) == f"<Gan {runs / 'shapes'}: 16x16x3, 8 classes, step 3>"
    assert repr(gan.data()) == "<shapes: 64 to train on, 8 held out>"
    assert gan.class_names == list(CLASS_NAMES)


def test_data_are_floats_as_samples_are(gan):
    splits = gan.data().splits
    assert (gan.data().held_out(500) == splits.held_out.images[:] / np.float32(255)).all()
    assert gan.data().train(5).shape == (5, *tiny.IMAGE_SHAPE)


def test_an_evaluation_gives_the_numbers_of_the_program(tmp_path):
    images, real = noise(20, 8, 8, 1), noise(24, 8, 8, 1, seed=1)
    found = api.evaluate(images / np.float32(255), real, extractor="pixels", metrics="neighbors")
    folders = {"images": write(tmp_path / "a", images), "reference": write(tmp_path / "b", real)}
    options = {"extractor": "pixels", "metrics": "neighbors", "out": tmp_path / "out"}
    told = evaluate_program.evaluate(evaluate_program.EvaluateOptions(**folders, **options))
    names = [result.metric for result in told.results["images"]]
    assert "recall" in names
    assert list(found) == names
    assert found.numbers == {name: told[name] for name in found}
    assert "recall" in found
    assert "FD-own" not in found


def test_a_prior_completes_and_scores_as_the_programs_do(runs, tmp_path):
    model, images = api.load(runs / "pixels"), noise(2, 4, 4, 3)
    folder = write(tmp_path / "in", images)
    options = {
        "inputs": [folder],
        "workdir": runs / "pixels",
        "inpaint": "top_half",
        "seeds": "3,5",
        "temperature": 0.5,
    }
    sample.sample(sample.SampleOptions(out=tmp_path / "out", **options))
    made = to_uint8(model.inpaint(images, "top_half", seeds=[3, 5], temperature=0.5))
    for i, seeds in enumerate(made):
        for seed, result in zip((3, 5), seeds, strict=True):
            assert (result == read(tmp_path / "out" / f"{i:03d}-seed{seed:04d}.png")).all()
    score.score(score.ScoreOptions(inputs=[folder], workdir=runs / "pixels", out=tmp_path / "scores"))
    lines = map(json.loads, (tmp_path / "scores" / "scores.jsonl").read_text().splitlines())
    bits = {Path(line["file"]).stem: line["bits"] for line in lines}
    assert model.nll(images).tolist() == [bits["000"], bits["001"]]


def test_a_mask_keeps_what_it_does_not_hide(runs):
    model, image = api.load(runs / "pixels"), noise(4, 4, 3)
    hidden = np.zeros((4, 4), bool)
    hidden[3:] = True
    made = to_uint8(model.inpaint(image, hidden, seeds=1))
    assert (made[0, 0][~hidden] == image[~hidden]).all()
    assert (made[0, 0][hidden] != image[hidden]).any()


def test_shapes_of_larger_images_and_of_films(runs):
    half, film = api.load(runs / "half"), api.load(runs / "film")
    assert half.upscale(noise(2, 2, 2, 1), seeds=range(3)).shape == (2, 3, 4, 4, 1)
    whole = noise(2, 4, 4, 1)
    small = whole.reshape(2, 2, 2, 2, 2, 1).mean((2, 4)) / 255
    np.testing.assert_array_equal(half.upscale(whole, seeds=0), half.upscale(np.float32(small), seeds=0))
    assert film.predict_frames(whole, frames=3, seeds=[7, 8]).shape == (2, 2, 3, 4, 4, 1)


def test_latents_go_both_ways(runs):
    model, images = api.load(runs / "autoencoder"), noise(3, *tiny.IMAGE_SHAPE)
    found = model.reconstruct(images)
    given = jax.jit(model.run.task.reconstruct)(model.run.ema_params, images / np.float32(255))
    np.testing.assert_allclose(found, given, atol=1e-4)
    np.testing.assert_allclose(model.decode(model.encode(images)), found, atol=1e-4)
    np.testing.assert_allclose(model.project(images), found, atol=1e-4)


def test_training_returns_the_model_and_says_when_it_ended_early(runs, tmp_path, monkeypatch):
    from gen.training import loop

    codes, place = iter([0, 1, 130]), tmp_path / "run"
    monkeypatch.setattr(loop, "train", lambda config, workdir: next(codes))
    monkeypatch.setattr(api, "load", lambda workdir: f"the model of {workdir}")
    config = tiny.config()
    assert api.train(config, place) == f"the model of {place}"
    with pytest.raises(RuntimeError, match="exit code 1"):
        api.train(config, place)
    with pytest.raises(KeyboardInterrupt):
        api.train(config, place)
    config.batch_size = 0
    with pytest.raises(InputError, match="batch_size is 0; it must be"):
        api.train(config, place)
    with pytest.raises(InputError, match="the run folder holds another experiment"):
        api.train(tiny.config(seed=5), runs / "shapes")


def test_an_experiment_is_a_config_and_a_chain_a_function():
    config = api.experiment(str(ROOT / "experiments" / "shapes.py") + ":smoke")
    assert config.total_images > 0
    image = np.full((1, 2, 2, 3), 0.25, np.float32)
    assert (np.asarray(api.chain("invert")(image)) == 0.75).all()


IMAGES, SMALL = np.zeros((2, 16, 16, 3), np.float32), np.zeros((2, 4, 4, 3), np.float32)


@pytest.mark.parametrize(
    ("run", "call", "words"),
    [
        ("shapes", lambda m: m.sample(label="hart"), "no class 'hart'; did you mean 'heart'"),
        ("shapes", lambda m: m.sample(seeds=[1, 1]), "seed 1 is named twice"),
        ("shapes", lambda m: m.sample(seeds=-1), "'-1' is not a seed"),
        ("shapes", lambda m: m.sample(trunction=0.5), "no argument 'trunction'; did you mean 'truncation'"),
        ("shapes", lambda m: m.sample(truncation=3.0), r"truncation=3.0; it must be a number from 0.0 to 2.0"),
        ("shapes", lambda m: m.sample(temperature=0.5), "temperature needs a run of gen.tasks.prior:Prior"),
        ("shapes", lambda m: m.sample(refine="invret"), "did you mean 'invert'"),
        ("shapes", lambda m: m.inpaint(IMAGES, "center"), "inpaint needs a run of gen.tasks.prior:Prior"),
        ("shapes", lambda m: m.nll(IMAGES), "nll needs a run of gen.tasks.prior:Prior"),
        ("shapes", lambda m: m.reconstruct(IMAGES), "reconstruct needs an autoencoder, .*Gan; try project"),
        ("shapes", lambda m: m.project(IMAGES[:, :8]), r"shape \[2, 8, 16, 3\]; allowed: \[n 16 16 3\]"),
        ("shapes", lambda m: m.project(IMAGES, label="all"), "8 classes; name one"),
        ("shapes", lambda m: m.save("x.tiff", IMAGES), "cannot write .tiff"),
        ("shapes", lambda m: m.save("x", IMAGES, seeds=range(3)), "2 images, and 3 seeds"),
        (
            "pixels",
            lambda m: m.inpaint(SMALL, "botom_half"),
            "inpaint=botom_half: no such region; did you mean 'bottom_half'",
        ),
        ("pixels", lambda m: m.inpaint(SMALL, np.ones((3, 3))), r"region has shape \[3, 3\]; allowed: \[4, 4\]"),
        ("pixels", lambda m: m.inpaint(SMALL, np.zeros((4, 4))), "nothing of image0000 is to be made"),
        ("pixels", lambda m: m.upscale(SMALL), "context='half_size'; this one has 'none'"),
        ("pixels", lambda m: m.encode(SMALL), "a prior of pixels has no latents"),
        ("pixels", lambda m: m.nll(SMALL[..., 0]), r"shape \[2, 4, 4\]; allowed: \[n h w c\]"),
        ("pixels", lambda m: m.nll(np.zeros((2, 4, 4, 3), int)), "images are int64; allowed: float"),
    ],
)
def test_what_is_wrong_is_one_line(runs, tmp_path, monkeypatch, run, call, words):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        call(api.load(runs / run))
    assert "\n" not in str(caught.value)
    assert not list(tmp_path.iterdir())


def run_document(code: str, runs: Path, monkeypatch) -> dict:
    """Runs code in a folder with runs and experiments; training gives a run that is already there."""
    for name in ("runs", "experiments"):
        (Path.cwd() / name).symlink_to(runs if name == "runs" else ROOT / "experiments")
    monkeypatch.setattr(api, "train", lambda config, workdir: api.load(runs / "shapes"))
    namespace: dict = {}
    exec(code, namespace)
    return namespace


def test_the_page_about_python_runs(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = (ROOT / "docs" / "python.md").read_text()
    blocks = [part.partition("```")[0] for part in text.split("```python\n")[1:]]
    readme = (ROOT / "README.md").read_text().partition("```python\n")[2].partition("```")[0]
    found = run_document("".join([*blocks, readme]), runs, monkeypatch)
    assert found["images"].shape == (16, *tiny.IMAGE_SHAPE)
    assert 0 <= found["results"]["recall"] <= 1
    assert 15 <= sum(bool(line.strip()) for block in blocks for line in block.splitlines()) <= 30


def test_the_notebook_runs(runs, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((ROOT / "docs" / "start.ipynb").read_text())
    cells = ["".join(cell["source"]) for cell in notebook["cells"] if cell["cell_type"] == "code"]
    run_document("\n".join(cells), runs, monkeypatch)
    assert (tmp_path / "samples" / "seed0000.png").is_file()
    assert all(not cell.get("outputs") for cell in notebook["cells"])  # what ran elsewhere is not kept


def test_latents_take_the_place_of_those_of_a_seed(tmp_path):
    model = api.load(make_flow(tmp_path / "run", (8, 8, 3)))
    latents = by_seed.drawn_latents(model.run.task, [3, 4])
    made = model.sample(3, label=1, latents=latents)
    np.testing.assert_allclose(made, model.sample([3, 4], label=1), atol=1e-5)  # drawn by another program
    with pytest.raises(InputError, match=r"latents have shape \[2\]; allowed: \[m 192\]"):
        model.sample(3, latents=np.zeros(2))
    with pytest.raises(InputError, match="and one seed"):
        model.sample([3, 4], latents=latents)


def test_predictions_alike_are_compiled_once(runs, monkeypatch):
    model, traced = api.load(runs / "pixels"), []
    kind = type(model.run.task)
    sample = kind.sample
    monkeypatch.setattr(kind, "sample", lambda *given: traced.append(1) or sample(*given))
    image = np.full((4, 4, 3), 0.5, np.float32)
    first = model.inpaint(image, "top_half", seeds=[0])
    assert len(traced) == 1
    np.testing.assert_array_equal(model.inpaint(image, "top_half", seeds=[0]), first)
    model.inpaint(image, "left_half", seeds=[3])
    assert len(traced) == 1
