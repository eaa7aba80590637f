"""Predictive images: what is given stays to the bit, answers are those of the task, files show and tell all of it."""

from __future__ import annotations

import dataclasses
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from prior_runs import files, make_run, picture, read

from gen import cli, config, devices, provenance, sample
from gen.data import shapes
from gen.errors import InputError
from gen.files import sha256
from gen.imaging.filters import resize
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.sampling import by_seed, conditional
from gen.sampling.conditional.sampling import _Following, back_project, bits_of_answers, blend_known
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
    sample.main(cli.parse(texts, sample, sample.FLAGS))


def rows(picture: np.ndarray) -> list[str]:
    return ["".join("#" if pixel else "." for pixel in row) for row in picture]


def surprise(loaded, images, **options) -> np.ndarray:
    return np.asarray(jax.jit(lambda p: loaded.task.surprise(p, images, None, **options))(loaded.ema_params))


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
    question = conditional.complete(trained_run.load(plain), [str(tmp_path / "a.png")], name)
    assert rows(~question.conditions["known"][0, ::2, ::2, 0]) == expected
    assert rows(~question.conditions["known"][0, 1::2, 1::2, 0]) == expected


def test_a_mask_of_the_size_of_the_image_is_padded_with_it_and_others_are_resized(plain, tmp_path):
    given = picture(tmp_path / "a.png", (7, 7))
    mask = np.zeros((7, 7), np.uint8)
    mask[4, 5] = 255
    Image.fromarray(mask).save(tmp_path / "same.png")
    Image.fromarray(np.kron(np.eye(2, dtype=np.uint8), np.full((1, 1), 255, np.uint8))).save(tmp_path / "two.png")
    loaded = trained_run.load(plain)
    question = conditional.complete(loaded, [str(tmp_path / "a.png")], str(tmp_path / "same.png"))
    assert np.argwhere(~question.conditions["known"][0, ..., 0]).tolist() == [[4, 5]]  # the border is right and below
    expected = np.pad(given, ((0, 1), (0, 1)), mode="edge")
    np.testing.assert_array_equal(np.rint(question.conditions["given"][0, ..., 0] * 255), expected)
    question = conditional.complete(loaded, [str(tmp_path / "a.png")], str(tmp_path / "two.png"))
    assert rows(~question.conditions["known"][0, ::4, ::4, 0]) == ["#.", ".#"]


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


@pytest.fixture(scope="module")
def completed(plain, tmp_path_factory):
    """Two images, three answers each."""
    folder = tmp_path_factory.mktemp("completed")
    given = [picture(folder / "in" / name, (8, 8), seed) for seed, name in enumerate(("a.png", "deep/b.bmp"))]
    program(plain, folder / "out", folder / "in", "--complete=top_half", "--seeds=0-2", "--temperature=0.9")
    return folder, given


def test_given_pixels_stay_to_the_bit_and_answers_differ(completed):
    folder, given = completed
    for name, image in zip(("a", "deep/b"), given, strict=True):
        answers = [read(folder / "out" / f"{name}-seed{seed:04d}.png") for seed in range(3)]
        for answer in answers:
            np.testing.assert_array_equal(answer[4:], image[4:])
        assert min(np.abs(answers[i].astype(int)[:4] - answers[j][:4]).mean() for i, j in ((0, 1), (1, 2))) > 10


def test_answers_are_those_of_the_task(completed, plain):
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
    kinds = ("seed0000", "seed0001", "seed0002", "surprise", "variance")
    names = [f"{name}-{kind}.png" for name in ("a", "deep/b") for kind in kinds]
    assert files(folder / "out") == sorted([*names, "predictions.png"])
    found = provenance.read(folder / "out" / "a-seed0002.png")
    expected = {"seed": 2, "step": 3, "predict": "complete", "mask": "top_half", "temperature": 0.9}
    assert expected.items() <= {key.removeprefix("gen:"): value for key, value in found.items()}.items()
    assert found["gen:source"] == sha256(folder / "in" / "a.png")
    assert "gen:label" not in found
    for name in [*names[3:5], "predictions.png"]:
        found = provenance.read(folder / "out" / name)
        assert found["gen:seed"] == "0-2"
        assert found["gen:shows"] == name.removesuffix(".png").removeprefix("a-")


def test_the_maps_are_those_of_the_answers(completed, plain, monkeypatch):
    folder, _ = completed
    drawn: dict[str, list[np.ndarray]] = {"variance": [], "bits per pixel": []}

    def heat_map(values, *, unit, **_):
        drawn[unit].append(values)
        return np.zeros((1, 1, 3), np.uint8)

    monkeypatch.setattr("gen.sampling.conditional.outputs.heat_map", heat_map)
    program(plain, folder / "again", folder / "in", "--complete=top_half", "--seeds=0-2", "--temperature=0.9")
    answers = np.stack([read(folder / "out" / f"a-seed{seed:04d}.png") for seed in range(3)])[..., None]
    variance, bits = drawn["variance"][0], drawn["bits per pixel"][0]
    np.testing.assert_allclose(variance, (answers / 255).var(0)[..., 0], rtol=1e-6, atol=1e-12)
    assert not variance[4:].any()
    np.testing.assert_allclose(bits, surprise(trained_run.load(plain), jnp.float32(answers) / 255).mean(0), rtol=1e-4)


def test_a_seed_gives_the_same_answer_in_any_batch(completed, plain):
    folder, _ = completed
    arguments = ("--complete=top_half", "--seeds=1", "--batch_size=1", "--temperature=0.9", f"--out={folder / 'one'}")
    program(plain, folder / "one", folder / "in" / "a.png", *arguments)
    first, second = (read(folder / name / "a-seed0001.png").astype(int) for name in ("out", "one"))
    np.testing.assert_allclose(first, second, atol=1)


def test_the_class_is_that_of_the_label(completed, plain):
    folder, given = completed
    program(plain, folder / "square", folder / "in" / "a.png", "--complete=top_half", "--seeds=4", "--label=square")
    path = folder / "square" / "a-seed0004.png"
    assert provenance.read(path)["gen:label"] == "square"
    loaded = trained_run.load(plain)
    known = jnp.arange(8)[None, :, None, None] >= 4 * jnp.ones((1, 8, 8, 1), int)
    asked = {"given": jnp.float32(given[0])[None, ..., None] / 255, "known": known, "label": jnp.array([1])}
    expected = jax.jit(loaded.task.sample)(loaded.ema_params, by_seed.keys([4]), asked)
    np.testing.assert_allclose(read(path), expected[0, ..., 0] * 255, atol=0.51)


def test_five_answers_where_no_seeds_are_named(plain, tmp_path, capsys):
    picture(tmp_path / "a.png", (8, 8))
    program(plain, tmp_path / "out", tmp_path / "a.png", "--complete=center", "--top_k=1")
    answers = [read(tmp_path / "out" / f"a-seed{seed:04d}.png") for seed in range(5)]
    assert all((answer == answers[0]).all() for answer in answers)  # the most probable is one
    assert "5 answers to each of 1 inputs, by checkpoint 3" in capsys.readouterr().out


def test_what_was_never_learned_is_said(tmp_path, capsys, plain):
    in_raster_order = make_run(tmp_path / "run", (4, 4, 1))
    picture(tmp_path / "a.png", (8, 8))
    cases = [(in_raster_order, "bottom_half", False), (in_raster_order, "top_half", True), (plain, "top_half", False)]
    for path, region, said in cases:
        conditional.complete(trained_run.load(path), [str(tmp_path / "a.png")], region)
        assert ("raster order alone" in capsys.readouterr().err) == said


# -- Enlargement


def test_small_images_are_enlarged_and_large_ones_halved_as_in_training(enlarging, tmp_path):
    large, small = picture(tmp_path / "in" / "large.png", (4, 4)), picture(tmp_path / "in" / "small.png", (2, 2), 1)
    loaded = trained_run.load(enlarging)
    context = conditional.enlarge(loaded, [str(tmp_path / "in")]).conditions["context"]
    np.testing.assert_allclose(context[0, ..., 0], large.reshape(2, 2, 2, 2).mean((1, 3)) / 255, rtol=1e-6)
    np.testing.assert_allclose(context[1, ..., 0], small / 255, rtol=1e-6)
    program(enlarging, tmp_path / "out", tmp_path / "in", "--enlarge", "--seeds=5,6")
    expected = jax.jit(loaded.task.sample)(
        loaded.ema_params, by_seed.keys([5, 6]), {"context": jnp.asarray(context[[1, 1]])}
    )
    expected = back_project(expected, jnp.asarray(context[[1, 1]]))
    for index, seed in enumerate((5, 6)):
        path = tmp_path / "out" / f"small-seed{seed:04d}.png"
        np.testing.assert_allclose(read(path), expected[index, ..., 0] * 255, atol=0.51)
        assert provenance.read(path)["gen:predict"] == "enlarge"
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
    program(film, tmp_path / "out", tmp_path / "walk", "--continue", "--frames=3", "--seeds=7,8", "--format=gif")
    names = [f"walk-seed000{seed}.{kind}" for seed in (7, 8) for kind in ("gif", "png")]
    assert files(tmp_path / "out") == ["predictions.png", *names, "walk-surprise.png", "walk-variance.png"]
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
    question = conditional.follow(loaded, [str(tmp_path / "a.png")], 2)
    settings = conditional.Settings("3,4", None, 1.0, {}, 8, mesh)
    made = conditional.draw_answers(loaded, loaded.task, question, settings)
    assert made.shape == (1, 2, 2, 4, 4, 1)
    found = bits_of_answers(loaded, loaded.task, question, made, settings)
    frames = jnp.float32(made[0]) / 255
    before = jnp.stack([jnp.broadcast_to(question.conditions["context"][0], (2, 4, 4, 1)), frames[:, 0]], 1)
    expected = surprise(loaded, frames.reshape(4, 4, 4, 1), context=before.reshape(4, 4, 4, 1))
    np.testing.assert_allclose(found[0], expected.reshape(2, 2, 4, 4).mean(0), rtol=1e-4)


def test_frames_do_not_repeat_the_same_choices():
    """Keys of frames differ, so a still picture does not stay still for the key alone."""

    class Echo:
        def sample(self, params, keys, conditions):
            return jax.vmap(lambda key: jax.random.uniform(key, (2, 2, 1)))(keys)

    frames = _Following(Echo(), 4).sample(None, by_seed.keys([1, 2]), {"context": jnp.zeros((2, 2, 2, 1))})
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
        (["in.png", "--complete=botom_half"], "no such region; did you mean 'bottom_half'.*allowed: bottom_half"),
        (["in.png", "--complete=absent.png"], "no such region.* or a mask file"),
        (["in.png", "--complete=black.png"], "nothing is white"),
        (["in.png", "--complete=white.png"], "all of .* is white"),
        (["in.png", "--complete=torn.png"], "cannot be read"),
        (["torn.png", "--complete=top_half"], r"torn\.png: cannot be read"),
        (["absent.png", "--complete=top_half"], "no such file or folder"),
        (["tiny.png", "--complete=top_half"], r"tiny\.png: .*8x8"),
        (["in.png", "in.png", "--complete=top_half"], r"both be written to in\.png; give them apart"),
        (["in.png", "--enlarge"], "context='half_size'; this one has 'none'"),
        (["in.png", "--continue"], "context='previous_frame'; this one has 'none'"),
        (["in.png", "--enlarge", "--complete=center"], "--complete and --enlarge do not go together"),
        (["in.png", "--complete=center", "--refine=invert"], "--complete and --refine"),
        (["in.png", "--complete=center", "--interpolate"], "--complete and --interpolate"),
        (["--complete=center"], "--complete needs images"),
        (["in.png"], "unexpected argument 'in.png'"),
        (["in.png", "--complete=center", "--out=x.png"], "must name the folder"),
        (["in.png", "--complete=center", "--format=jpeg"], "answers are .png files"),
        (["in.png", "--complete=center", "--label=all"], "one class"),
        (["in.png", "--complete=center", "--label=rond"], "did you mean 'round'"),
        (["in.png", "--complete=center", "--seeds=a"], "--seeds=a"),
        (["in.png", "--complete=center", "--top_p=1.5"], "top_p"),
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
            ["in.png", "--complete=center"],
            "--complete needs a run of gen.tasks.prior:Prior, and this one is of .*NoPrior",
        ),
        (["in.png", "--continue"], "--continue needs a run of"),
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
        program(path, tmp_path / "out", tmp_path / "in.png", "--complete=center")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(("name", "arguments"), [("sample", ["--complete=center"]), ("score", [])])
def test_the_commands_say_what_is_wrong_in_one_line_without_jax(name, arguments):
    code = f"import runpy, sys; sys.modules['jax'] = None; runpy.run_module('gen.{name}', run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code, *arguments], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "images: " in done.stderr
    helped = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert (helped.returncode, helped.stderr) == (0, "")
    assert "--label: Class" in helped.stdout
