"""Predictive images: what is given stays to the bit, results are those of the task, files show and tell all of it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from prior_runs import files, make_flow, make_run, picture, read

from gen import config, devices, provenance, sample
from gen.cli.flags import parse
from gen.data import shapes
from gen.errors import InputError
from gen.files import sha256
from gen.imaging.filters import resize
from gen.outputs import image_writer
from gen.provenance.policy import RECORD
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.sampling import by_seed, conditional
from gen.sampling.conditional.sampling import _PredictingFrames, back_project, bits_of_results, blend_known
from gen.sampling.settings import Settings
from gen.tasks.state import TrainState


@dataclasses.dataclass(frozen=True, kw_only=True)
class NoPrior:
    """A task that is no prior."""

    image_shape: tuple[int, int, int]
    num_classes: int
    batch_size: int

    def init(self, key: jax.Array) -> TrainState:
        return TrainState(step=jnp.int32(0), params={}, opt_state={}, ema_params={"x": jnp.zeros(3)})

    def label(self, keys: jax.Array) -> jax.Array | None:
        return None


@pytest.fixture(autouse=True)
def _trusted(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", __name__)


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Pixels of 8 x 8, one of them the border of 7 x 7."""
    options = {"padding": "edge", "resolution": 8}
    return make_run(tmp_path_factory.mktemp("runs") / "plain", (8, 8, 1), options=options, region_first_probability=0.5)


@pytest.fixture(scope="module")
def enlarging(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "enlarging", (4, 4, 1), context="half_size")


@pytest.fixture(scope="module")
def film(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "film", (8, 4, 1), context="previous_frame")


@pytest.fixture(scope="module")
def no_prior(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", __name__)
        folder = trained_run.RunFolder(tmp_path_factory.mktemp("runs") / "other")
        folder.path.mkdir()
        trained_run.write_json(folder.data, {"name": "x", "image_shape": [4, 4, 1], "num_classes": 0})
        settings = config.Config(data=config.spec(shapes), task=config.spec(NoPrior), batch_size=8)
        folder.config.write_text(config.to_json(settings))
        with Checkpoints(folder.checkpoints) as checkpoints:
            checkpoints.save(1, NoPrior(image_shape=(4, 4, 1), num_classes=0, batch_size=8).init(None), wait=True)
        return folder.path


def program(workdir, out, *arguments) -> None:
    texts = ["sample", f"--workdir={workdir}", f"--out={out}", *map(str, arguments)]
    sample.main(parse(texts, sample.SampleOptions))


def rows(picture: np.ndarray) -> list[str]:
    return ["".join("#" if pixel else "." for pixel in row) for row in picture]


def surprisal(loaded, images, **options) -> np.ndarray:
    return np.asarray(jax.jit(lambda p: loaded.task.surprisal(p, images, None, **options))(loaded.ema_params))


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    return make_flow(tmp_path_factory.mktemp("runs") / "flow", (8, 8, 1))


# -- Regions and masks


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bottom_half", ["....", "....", "####", "####"]),
        ("top_half", ["####", "####", "....", "...."]),
        ("left_half", ["##..", "##..", "##..", "##.."]),
        ("right_half", ["..##", "..##", "..##", "..##"]),
        ("center", ["....", ".##.", ".##.", "...."]),
        ("border", ["####", "#..#", "#..#", "####"]),
    ],
)
def test_regions_are_what_their_names_say(plain, tmp_path, name, expected):
    picture(tmp_path / "a.png", (8, 8))
    request = conditional.inpaint_files(trained_run.load(plain), [str(tmp_path / "a.png")], name)
    assert rows(~request.conditions["known"][0, ::2, ::2, 0]) == expected
    assert rows(~request.conditions["known"][0, 1::2, 1::2, 0]) == expected


def test_a_mask_of_the_size_of_the_image_is_padded_with_it_and_others_are_resized(plain, tmp_path):
    given = picture(tmp_path / "a.png", (7, 7))
    mask = np.zeros((7, 7), np.uint8)
    mask[4, 5] = 255
    Image.fromarray(mask).save(tmp_path / "same.png")
    Image.fromarray(np.kron(np.eye(2, dtype=np.uint8), np.full((1, 1), 255, np.uint8))).save(tmp_path / "two.png")
    loaded = trained_run.load(plain)
    request = conditional.inpaint_files(loaded, [str(tmp_path / "a.png")], str(tmp_path / "same.png"))
    assert np.argwhere(~request.conditions["known"][0, ..., 0]).tolist() == [[4, 5]]  # the border is right and below
    expected = np.pad(given, ((0, 1), (0, 1)), mode="edge")
    np.testing.assert_array_equal(np.rint(request.conditions["given"][0, ..., 0] * 255), expected)
    request = conditional.inpaint_files(loaded, [str(tmp_path / "a.png")], str(tmp_path / "two.png"))
    assert rows(~request.conditions["known"][0, ::4, ::4, 0]) == ["#.", ".#"]


# -- The seam


def seam():
    known = np.zeros((1, 32, 32, 1), bool)
    known[:, :16] = True
    given = np.random.default_rng(0).uniform(0, 0.8, (1, 32, 32, 3)).astype(np.float32)
    return given + np.float32(0.1), given, known


def test_the_difference_at_the_seam_fades_inside_the_made_region():
    made, given, known = seam()
    out = np.asarray(blend_known(*map(jnp.asarray, (made, given, known))))
    np.testing.assert_array_equal(out[:, :16], given[:, :16])  # outside not one bit changes
    np.testing.assert_allclose(out[:, 20:], made[:, 20:], atol=1e-6)  # far inside neither
    error = (out - given).mean((0, 2, 3))[15:21]  # by row: how far it is from what would go on seamlessly
    assert (np.diff(error) >= -1e-6).all()
    assert error[1] < 0.04
    assert error[-1] == pytest.approx(0.1, abs=1e-5)


def test_what_fits_at_the_seam_is_left_as_it_was_made():
    made, given, known = seam()
    fitting = np.where(known, given, made)
    np.testing.assert_array_equal(blend_known(jnp.asarray(fitting), jnp.asarray(given), jnp.asarray(known)), fitting)


def test_seams_are_the_same_compiled_and_one_by_one():
    made, given, known = (jnp.concatenate([a, a[:, ::-1]]) for a in map(jnp.asarray, seam()))
    together = np.asarray(jax.jit(blend_known)(made, given, known))
    np.testing.assert_allclose(together, blend_known(made, given, known), atol=1e-6)
    alone = np.concatenate([blend_known(made[i : i + 1], given[i : i + 1], known[i : i + 1]) for i in range(2)])
    np.testing.assert_allclose(together, alone, atol=1e-6)


# -- Completion

MADE = provenance.record(config_digest="d", step=5, seed=7)


@pytest.fixture(scope="module")
def completed(plain, tmp_path_factory):
    """Two images, three results each."""
    folder = tmp_path_factory.mktemp("completed")
    given = [picture(folder / "in" / name, (8, 8), seed) for seed, name in enumerate(("a.png", "deep/b.bmp"))]
    program(plain, folder / "out", folder / "in", "--inpaint=top_half", "--seeds=0-2", "--temperature=0.9")
    return folder, given


def test_given_pixels_stay_to_the_bit_and_results_differ(completed):
    folder, given = completed
    for name, image in zip(("a", "deep/b"), given, strict=True):
        results = [read(folder / "out" / f"{name}-seed{seed:04d}.png") for seed in range(3)]
        for result in results:
            np.testing.assert_array_equal(result[4:], image[4:])
        assert min(np.abs(results[i].astype(int)[:4] - results[j][:4]).mean() for i, j in ((0, 1), (1, 2))) > 10


def test_results_are_those_of_the_task(completed, plain):
    folder, given = completed
    loaded = trained_run.load(plain)
    known = np.broadcast_to(np.arange(8)[:, None, None] >= 4, (3, 8, 8, 1))
    images = np.broadcast_to(given[1][None, ..., None] / np.float32(255), (3, 8, 8, 1))
    asked = {"given": jnp.asarray(images), "known": jnp.asarray(known), "temperature": 0.9}
    expected = jax.jit(loaded.task.sample)(loaded.ema_params, by_seed.keys([0, 1, 2]), asked)
    for seed in range(3):
        made = read(folder / "out" / f"deep/b-seed{seed:04d}.png")
        np.testing.assert_allclose(made, np.asarray(expected)[seed, ..., 0] * 255, atol=0.51)


def test_every_file_is_there_and_tells_how_it_was_made(completed, plain):
    folder, _ = completed
    kinds = ("seed0000", "seed0001", "seed0002", "surprisal", "variance")
    names = [f"{name}-{kind}.png" for name in ("a", "deep/b") for kind in kinds]
    assert files(folder / "out") == sorted([*names, "predictions.png"])
    found = provenance.read(folder / "out" / "a-seed0002.png")
    expected = {"seed": 2, "step": 3, "predict": "inpaint", "mask": "top_half", "temperature": 0.9}
    assert expected.items() <= {key.removeprefix("gen:"): value for key, value in found.items()}.items()
    assert found["gen:source"] == sha256(folder / "in" / "a.png")
    assert "gen:label" not in found
    assert found["gen:digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"  # of what may be a photograph
    for name in [*names[3:5], "predictions.png"]:
        found = provenance.read(folder / "out" / name)
        assert found["gen:seed"] == "0-2"
        assert found["gen:shows"] == name.removesuffix(".png").removeprefix("a-")
        kind = "compositeWithTrainedAlgorithmicMedia" if name == "predictions.png" else "dataDrivenMedia"
        assert found["gen:digital_source_type"] == kind


def test_what_is_completed_of_an_image_of_a_model_is_of_a_model(completed, plain, tmp_path):
    folder, _ = completed
    image_writer.save(
        tmp_path / "a.png", [read(folder / "in" / "a.png")[..., None]], format="png", record=MADE, policy=RECORD
    )
    program(plain, tmp_path / "out", tmp_path / "a.png", "--inpaint=top_half", "--seeds=0")
    assert provenance.read(tmp_path / "out" / "a-seed0000.png")["gen:digital_source_type"] == "trainedAlgorithmicMedia"


def test_the_maps_are_those_of_the_results(completed, plain, monkeypatch):
    folder, _ = completed
    drawn: dict[str, list[np.ndarray]] = {"variance": [], "bits per pixel": []}

    def heat_map(values, *, unit, **_):
        drawn[unit].append(values)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("gen.sampling.conditional.outputs.heat_map", heat_map)
    program(plain, folder / "again", folder / "in", "--inpaint=top_half", "--seeds=0-2", "--temperature=0.9")
    results = np.stack([read(folder / "out" / f"a-seed{seed:04d}.png") for seed in range(3)])[..., None]
    variance, bits = drawn["variance"][0], drawn["bits per pixel"][0]
    np.testing.assert_allclose(variance, (results / 255).var(0)[..., 0], rtol=1e-6, atol=1e-12)
    assert not variance[4:].any()
    np.testing.assert_allclose(bits, surprisal(trained_run.load(plain), jnp.float32(results) / 255).mean(0), rtol=1e-4)


def test_a_seed_gives_the_same_result_in_any_batch(completed, plain):
    folder, _ = completed
    arguments = ("--inpaint=top_half", "--seeds=1", "--batch_size=1", "--temperature=0.9", f"--out={folder / 'one'}")
    program(plain, folder / "one", folder / "in" / "a.png", *arguments)
    first, second = (read(folder / name / "a-seed0001.png").astype(int) for name in ("out", "one"))
    np.testing.assert_allclose(first, second, atol=1)


def test_the_class_is_that_of_the_label(completed, plain):
    folder, given = completed
    program(plain, folder / "square", folder / "in" / "a.png", "--inpaint=top_half", "--seeds=4", "--label=square")
    path = folder / "square" / "a-seed0004.png"
    assert provenance.read(path)["gen:label"] == "square"
    loaded = trained_run.load(plain)
    known = jnp.arange(8)[None, :, None, None] >= 4 * jnp.ones((1, 8, 8, 1), int)
    asked = {"given": jnp.float32(given[0])[None, ..., None] / 255, "known": known, "label": jnp.array([1])}
    expected = jax.jit(loaded.task.sample)(loaded.ema_params, by_seed.keys([4]), asked)
    np.testing.assert_allclose(read(path), expected[0, ..., 0] * 255, atol=0.51)


def test_five_results_where_no_seeds_are_named(plain, tmp_path, capsys):
    picture(tmp_path / "a.png", (8, 8))
    program(plain, tmp_path / "out", tmp_path / "a.png", "--inpaint=center", "--top_k=1")
    results = [read(tmp_path / "out" / f"a-seed{seed:04d}.png") for seed in range(5)]
    assert all((result == results[0]).all() for result in results)  # the most probable is one
    assert "5 images of checkpoint 3" in capsys.readouterr().out


def test_what_was_never_learned_is_said(tmp_path, capsys, plain):
    in_raster_order = make_run(tmp_path / "run", (4, 4, 1))
    picture(tmp_path / "a.png", (8, 8))
    cases = [(in_raster_order, "bottom_half", False), (in_raster_order, "top_half", True), (plain, "top_half", False)]
    for path, region, said in cases:
        conditional.inpaint_files(trained_run.load(path), [str(tmp_path / "a.png")], region)
        assert ("raster order alone" in capsys.readouterr().err) == said


# -- Enlargement


def test_small_images_are_enlarged_and_large_ones_halved_as_in_training(enlarging, tmp_path):
    large, small = picture(tmp_path / "in" / "large.png", (4, 4)), picture(tmp_path / "in" / "small.png", (2, 2), 1)
    loaded = trained_run.load(enlarging)
    context = conditional.upscale_files(loaded, [str(tmp_path / "in")]).conditions["context"]
    np.testing.assert_allclose(context[0, ..., 0], large.reshape(2, 2, 2, 2).mean((1, 3)) / 255, rtol=1e-6)
    np.testing.assert_allclose(context[1, ..., 0], small / 255, rtol=1e-6)
    program(enlarging, tmp_path / "out", tmp_path / "in", "--upscale", "--seeds=5,6")
    expected = jax.jit(loaded.task.sample)(
        loaded.ema_params, by_seed.keys([5, 6]), {"context": jnp.asarray(context[[1, 1]])}
    )
    expected = back_project(expected, jnp.asarray(context[[1, 1]]))
    for index, seed in enumerate((5, 6)):
        path = tmp_path / "out" / f"small-seed{seed:04d}.png"
        np.testing.assert_allclose(read(path), expected[index, ..., 0] * 255, atol=0.51)
        assert provenance.read(path)["gen:predict"] == "upscale"
    assert "predictions.png" in files(tmp_path / "out")


def test_an_enlargement_averages_to_what_was_given_and_keeps_its_detail():
    rng = np.random.default_rng(0)
    small = rng.uniform(0.1, 0.9, (3, 6, 8, 1)).astype(np.float32)
    made = rng.uniform(0.0, 1.0, (3, 12, 16, 1)).astype(np.float32)
    found = np.asarray(jax.jit(back_project)(made, small))
    assert found.min() >= 0
    assert found.max() <= 1
    off = [np.abs(resize(x, 6, 8) - small).mean() for x in (made, found)]
    assert off[1] < 0.02 * off[0]
    fits = np.asarray(small.repeat(2, 1).repeat(2, 2)) + 0.05 * np.tile([[1, -1], [-1, 1]], (6, 8))[None, ..., None]
    np.testing.assert_allclose(back_project(jnp.asarray(fits, jnp.float32), small), fits, atol=1e-6)


# -- Films


def test_films_go_on_frame_by_frame(film, tmp_path):
    given = [picture(tmp_path / "walk" / f"{t}.png", (4, 4), t) for t in (2, 10, 9)]  # 10 is the last
    program(film, tmp_path / "out", tmp_path / "walk", "--predict_frames", "--frames=3", "--seeds=7,8", "--format=gif")
    names = [f"walk-seed000{seed}.{kind}" for seed in (7, 8) for kind in ("gif", "png")]
    assert files(tmp_path / "out") == ["predictions.png", *names, "walk-surprisal.png", "walk-variance.png"]
    strips = [read(tmp_path / "out" / f"walk-seed000{seed}.png") for seed in (7, 8)]
    assert strips[0].shape == (4, 6 * 4)
    np.testing.assert_array_equal(strips[0][:, :12], np.concatenate([given[0], given[2], given[1]], 1))
    loaded = trained_run.load(film)
    context, keys = given[1][None, ..., None] / np.float32(255), by_seed.keys([7])
    for t in range(3):
        of_frame = jax.vmap(lambda key, t=t: jax.random.fold_in(jax.random.fold_in(key, 0xF2A3), t))(keys)
        context = jax.jit(loaded.task.sample)(loaded.ema_params, of_frame, {"context": jnp.asarray(context)})
        np.testing.assert_allclose(strips[0][:, 12 + 4 * t : 16 + 4 * t], context[0, ..., 0] * 255, atol=0.51)
    assert (strips[0][:, 12:] != strips[1][:, 12:]).any()
    assert provenance.read(tmp_path / "out" / "walk-seed0007.gif")["gen:frames"] == 3
    with Image.open(tmp_path / "out" / "walk-seed0007.gif") as opened:
        assert opened.n_frames == 6
        assert opened.info["duration"] == 160


def test_bits_of_frames_are_given_the_frame_before(film, tmp_path):
    picture(tmp_path / "a.png", (4, 4))
    loaded, mesh = trained_run.load(film), devices.mesh(-1, 1)
    request = conditional.predict_frames_files(loaded, [str(tmp_path / "a.png")], 2)
    settings = Settings([3, 4], None, 1.0, {}, 8, mesh)
    made = conditional.sample(loaded, request, settings)
    assert made.shape == (1, 2, 2, 4, 4, 1)
    found = bits_of_results(loaded, request, made, settings)
    frames = jnp.float32(made[0]) / 255
    before = jnp.stack([jnp.broadcast_to(request.conditions["context"][0], (2, 4, 4, 1)), frames[:, 0]], 1)
    expected = surprisal(loaded, frames.reshape(4, 4, 4, 1), context=before.reshape(4, 4, 4, 1))
    np.testing.assert_allclose(found[0], expected.reshape(2, 2, 4, 4).mean(0), rtol=1e-4)


def test_frames_do_not_repeat_the_same_choices():
    """Keys of frames differ, so a still picture does not stay still for the key alone."""

    class Echo:
        def sample(self, params, keys, conditions):
            return jax.vmap(lambda key: jax.random.uniform(key, (2, 2, 1)))(keys)

    frames = _PredictingFrames(Echo(), 4).sample(None, by_seed.keys([1, 2]), {"context": jnp.zeros((2, 2, 2, 1))})
    assert frames.shape == (2, 4, 2, 2, 1)
    assert len(np.unique(frames)) > 24


# -- Settings of plain sampling


def test_settings_reach_plain_sampling_and_its_records(plain, tmp_path):
    program(plain, tmp_path, "--seeds=0,1", "--label=round", "--temperature=0")
    first, second = (tmp_path / f"seed000{seed}-round.png" for seed in (0, 1))
    np.testing.assert_array_equal(read(first), read(second))
    assert provenance.read(first)["gen:temperature"] == 0.0


# -- What is wrong


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["in.png", "--inpaint=botom_half"], "no such region; did you mean 'bottom_half'.*allowed: bottom_half"),
        (["in.png", "--inpaint=absent.png"], "no such region.* or a mask file"),
        (["in.png", "--inpaint=black.png"], "nothing is white"),
        (["in.png", "--inpaint=white.png"], "all of .* is white"),
        (["in.png", "--inpaint=torn.png"], "cannot be read"),
        (["torn.png", "--inpaint=top_half"], r"torn\.png: cannot be read"),
        (["absent.png", "--inpaint=top_half"], "no such file or folder"),
        (["tiny.png", "--inpaint=top_half"], r"tiny\.png: .*8x8"),
        (["in.png", "in.png", "--inpaint=top_half"], r"both be written to in\.png; give them apart"),
        (["in.png", "--upscale"], "context='half_size'; this one has 'none'"),
        (["in.png", "--predict_frames"], "context='previous_frame'; this one has 'none'"),
        (["in.png", "--upscale", "--inpaint=center"], "--inpaint and --upscale do not go together"),
        (["in.png", "--inpaint=center", "--refine=invert"], "--inpaint and --refine"),
        (["in.png", "--inpaint=center", "--interpolate"], "--inpaint and --interpolate"),
        (["--inpaint=center"], "--inpaint needs images"),
        (["in.png"], "unexpected argument 'in.png'"),
        (["in.png", "--inpaint=center", "--out=x.png"], "must name the folder"),
        (["in.png", "--inpaint=center", "--format=jpeg"], "results are .png files"),
        (["in.png", "--inpaint=center", "--label=all"], "one class"),
        (["in.png", "--inpaint=center", "--label=rond"], "did you mean 'round'"),
        (["in.png", "--inpaint=center", "--seeds=a"], "--seeds=a"),
        (["in.png", "--inpaint=center", "--top_p=1.5"], "top_p"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(plain, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    for name, side in (("in.png", 8), ("in.bmp", 8), ("tiny.png", 3)):
        picture(tmp_path / name, (side, side))
    for name, value in (("black.png", 0), ("white.png", 255)):
        Image.fromarray(np.full((8, 8), value, np.uint8)).save(tmp_path / name)
    (tmp_path / "torn.png").write_bytes((tmp_path / "in.png").read_bytes()[:60])
    before = files(tmp_path)
    with pytest.raises(InputError, match=message):
        program(plain, "out", *arguments)
    assert files(tmp_path) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["in.png", "--inpaint=center"],
            "--inpaint needs a run of gen.tasks.prior:Prior or gen.tasks.flow:Flow, and this one is of .*NoPrior",
        ),
        (["in.png", "--predict_frames"], "--predict_frames needs a run of"),
        (["--temperature=0.5"], "--temperature needs a run of"),
        (["--guidance=2"], "--guidance needs a run of"),
    ],
)
def test_what_only_priors_can_do_is_refused(no_prior, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in.png", (4, 4))
    with pytest.raises(InputError, match=message):
        program(no_prior, "out", *arguments)
    assert files(tmp_path) == ["in.png"]


def test_an_unknown_class_needs_drop_labels_probability(tmp_path):
    path = make_run(tmp_path / "run", (4, 4, 1), drop_labels_probability=0.0, region_first_probability=0.5)
    picture(tmp_path / "in.png", (4, 4))
    with pytest.raises(InputError, match="--label"):
        program(path, tmp_path / "out", tmp_path / "in.png", "--inpaint=center")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "arguments"), [("sample", ["--inpaint=center"]), ("score", [])])
def test_the_commands_say_what_is_wrong_in_one_line_without_jax(name, arguments):
    code = "import runpy, sys; sys.modules['jax'] = None; "
    code += f"runpy.run_module('gen.{name}', run_name='__main__', alter_sys=True)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--workdir=x", "--out=y", *arguments], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "images: " in done.stderr
    helped = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "--label=" in helped.stdout


# -- Flows


def test_a_flow_inpaints_keeps_what_is_known_and_says_how_it_was_asked(flow, tmp_path):
    given = picture(tmp_path / "in.png", (8, 8))
    program(flow, tmp_path / "out", tmp_path / "in.png", "--inpaint=bottom_half", "--seeds=0,1", "--steps=3")
    kinds = ("seed0000", "seed0001", "variance")
    assert files(tmp_path / "out") == [*(f"in-{kind}.png" for kind in kinds), "predictions.png"]
    made = [read(tmp_path / "out" / f"in-seed000{seed}.png") for seed in (0, 1)]
    for result in made:
        np.testing.assert_array_equal(result[:4], given[:4])
    assert (made[0][4:] != made[1][4:]).any()
    record = provenance.read(tmp_path / "out" / "in-seed0001.png")
    assert (record["gen:steps"], record["gen:predict"], record["gen:seed"]) == (3, "inpaint", 1)


def test_a_flow_enlarges_without_having_learned_it(flow):
    loaded, small = trained_run.load(flow), np.full((1, 4, 4, 1), 0.5, np.float32)
    settings = Settings([0, 1], None, 1.0, {}, 64, devices.mesh(-1, 1))
    made = conditional.sample(loaded, conditional.upscale(loaded, small), settings)
    assert made.shape == (1, 2, 1, 8, 8, 1)
    averages = made.reshape(2, 4, 2, 4, 2).mean((2, 4))
    np.testing.assert_allclose(averages, 127.5, atol=2.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top_k=3"], "--top_k needs a run of gen.tasks.prior:Prior, and this one is of gen.tasks.flow:Flow"),
        (["in.png", "--predict_frames"], "needs a run learned with task.context='previous_frame'"),
        (["--steps=0"], "steps"),
    ],
)
def test_what_a_flow_cannot_do_is_refused(flow, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in.png", (8, 8))
    with pytest.raises(InputError, match=message):
        program(flow, "out", *arguments)


def test_steps_are_refused_for_a_prior(plain, tmp_path):
    with pytest.raises(InputError, match=r"--steps needs a run of gen\.tasks\.flow:Flow"):
        program(plain, tmp_path / "out", "--steps=3")
