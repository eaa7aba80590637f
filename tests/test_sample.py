"""Sampling from a run folder: which seeds, which classes, which files; the same image in any batch."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from PIL import Image

from gen import config, devices, provenance, sample
from gen.cli.flags import parse
from gen.data import shapes
from gen.errors import InputError
from gen.report.contact_sheet import text
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.sampling import by_seed, outputs
from gen.tasks.draws import draw_latents
from gen.tasks.state import TrainState

CLASSES = ("T-shirt/top", "Sandal", "Ankle boot")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Fake:
    """A task whose image is a fixed function of latent and label: columns show the latent, the first row the label."""

    image_shape: tuple[int, int, int]
    num_classes: int
    batch_size: int
    size: int = 8

    def init(self, key: jax.Array) -> TrainState:
        params = {"generator": {"kernel": jax.random.normal(key, (self.size, np.prod(self.image_shape)))}}
        average = jax.tree.map(lambda leaf: leaf + 1, params)
        return TrainState(step=jnp.int32(0), params=params, opt_state={"generator": ()}, ema_params=average)

    @property
    def latent_shape(self):
        return (self.size,)

    def label(self, keys: jax.Array) -> jax.Array | None:
        if not self.num_classes:
            return None
        return jax.vmap(lambda key: jax.random.randint(jax.random.fold_in(key, 1), (), 0, self.num_classes))(keys)

    def sample(self, ema_params, keys, conditions):
        latent = conditions["latent"] if "latent" in conditions else draw_latents(keys, self.latent_shape)
        label = conditions.get("label")
        if label is None:
            label = self.label(keys)
        if label is None:
            label = jnp.zeros(keys.shape)
        pixels = jax.nn.sigmoid(latent * conditions.get("truncation", 1.0) @ ema_params["generator"]["kernel"])
        images = pixels.reshape(-1, *self.image_shape)
        return images.at[:, 0].set((label / 8)[:, None, None])


@pytest.fixture(autouse=True)
def _trusted(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", __name__)


def make_run(path, *, class_names=CLASSES, steps=(5, 10)):
    folder = trained_run.RunFolder(path)
    path.mkdir()
    settings = config.Config(data=config.spec(shapes), task=config.spec(Fake), batch_size=8)
    trained_run.write_json(
        folder.data,
        {"name": "x", "image_shape": [4, 4, 3], "num_classes": len(class_names), "class_names": class_names},
    )
    folder.config.write_text(config.to_json(settings))
    task = Fake(image_shape=(4, 4, 3), num_classes=len(class_names), batch_size=8)
    with Checkpoints(folder.checkpoints) as checkpoints:
        for step in steps:
            checkpoints.save(step, task.init(jax.random.key(step)), wait=True)
    return path


@pytest.fixture(scope="module")
def conditional(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", __name__)
        return make_run(tmp_path_factory.mktemp("runs") / "conditional")


@pytest.fixture(scope="module")
def unconditional(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", __name__)
        return make_run(tmp_path_factory.mktemp("runs") / "unconditional", class_names=())


def program(workdir, out, *arguments):
    sample.main(parse(["sample", f"--workdir={workdir}", f"--out={out}", *arguments], sample.SampleOptions))


def pixels(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# -- Drawing


def test_slerp_known_points():
    x, y = np.array([2.0, 0, 0]), np.array([0, 2.0, 0])
    np.testing.assert_allclose(by_seed.slerp(x, y, 0.5), [np.sqrt(2), np.sqrt(2), 0], atol=1e-12)
    np.testing.assert_allclose(
        by_seed.slerp(x, y, 1 / 3), [2 * np.cos(np.pi / 6), 2 * np.sin(np.pi / 6), 0], atol=1e-12
    )
    for end in (x, 3 * x, -x, np.zeros(3)):  # no arc: a straight line, and no division by zero
        np.testing.assert_allclose(by_seed.slerp(x, end, 0.25), 0.75 * x + 0.25 * end, atol=1e-12)


def test_slerp_keeps_the_length_and_meets_its_ends():
    start, end = np.random.default_rng(0).normal(size=(2, 64))
    start, end = start / np.linalg.norm(start), end / np.linalg.norm(end)
    np.testing.assert_allclose(by_seed.slerp(start, end, 0.0), start)
    np.testing.assert_allclose(by_seed.slerp(start, end, 1.0), end)
    assert all(np.linalg.norm(by_seed.slerp(start, end, t)) == pytest.approx(1) for t in (0.1, 0.5, 0.9))


def test_keys_are_the_documented_ones():
    seeds = [0, 17, 2**31, 2**32 - 1]
    expected = [jax.random.key_data(jax.random.key(seed)) for seed in seeds]
    np.testing.assert_array_equal(jax.random.key_data(by_seed.keys(seeds)), np.stack(expected))


def test_a_seed_is_the_same_image_in_any_batch_on_any_devices(conditional):
    seeds, labels = [10, *range(10)], [i % 3 for i in range(11)]
    one = devices.mesh(1, 1, devices=jax.devices()[:1])
    loaded = trained_run.load(conditional, mesh=one)
    alone = np.concatenate(
        [
            loaded.task.sample(loaded.ema_params, by_seed.keys([s]), {"label": jnp.array([k])})
            for s, k in zip(seeds, labels, strict=True)
        ]
    )
    assert np.ptp(alone[:, 1:], axis=0).min() > 0.01  # different seeds are different images
    for count in (1, 8):
        mesh = devices.mesh(-1, 1, devices=jax.devices()[:count])
        loaded = trained_run.load(conditional, mesh=mesh)
        for batch_size in (1, 3, 8):
            batches = list(
                by_seed.images(loaded.task, loaded.ema_params, seeds, labels=labels, batch_size=batch_size, mesh=mesh)
            )
            assert sum(map(len, batches)) == len(seeds)
            np.testing.assert_allclose(np.concatenate(batches), alone, atol=1e-6)


class _Making:
    """A chain that makes what it is told."""

    random = False

    def __init__(self, made):
        self.made = made

    def __call__(self, images):
        return self.made


@pytest.mark.parametrize("kind", tiny.TASKS)
def test_an_image_is_the_same_to_the_bit_whatever_is_made_with_it(kind):
    context = {"image_shape": tiny.IMAGE_SHAPE, "num_classes": tiny.NUM_CLASSES, "batch_size": 8}
    task = config.build(tiny.TASKS[kind](), "task", **context)
    rng = np.random.default_rng(0)
    params = jax.tree.map(
        lambda leaf: rng.normal(size=leaf.shape, scale=0.3).astype(leaf.dtype),
        jax.eval_shape(task.init, jax.random.key(0)).ema_params,
    )

    def made(seeds: list[int], batch_size: int, count: int) -> np.ndarray:
        mesh = devices.mesh(-1, 1, devices=jax.devices()[:count])
        return np.concatenate(list(by_seed.images(task, params, seeds, batch_size=batch_size, mesh=mesh)))

    expected = made(list(range(11)), 64, 1)
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_array_equal(made([7], 1, 1), expected[7:8])
    np.testing.assert_array_equal(made(list(range(10, 0, -1)), 3, 8), expected[10:0:-1])


def test_images_that_are_not_finite_are_refused(conditional):
    mesh = devices.mesh(-1, 1)
    loaded = trained_run.load(conditional, mesh=mesh)
    broken = jax.tree.map(lambda leaf: leaf * jnp.nan, loaded.ema_params)
    with pytest.raises(InputError, match="not finite"):
        list(by_seed.images(loaded.task, broken, [1], mesh=mesh))
    bad = jnp.zeros((2, 4, 4, 3)).at[1, 2, 2, 0].set(jnp.nan)
    with pytest.raises(InputError, match="1 of 48 values of seed 8 NaN or infinite"):
        by_seed.refine(_Making(bad), np.zeros((2, 4, 4, 3)), [7, 8])


# -- Run folders


def test_load_restores_the_averaged_weights_of_a_step(conditional):
    for step, expected in ((None, 10), (5, 5)):
        loaded = trained_run.load(conditional, step=step)
        assert loaded.step == expected
        assert list(loaded.class_names) == list(CLASSES)
        kernel = loaded.task.init(jax.random.key(expected)).ema_params["generator"]["kernel"]
        np.testing.assert_array_equal(loaded.ema_params["generator"]["kernel"], kernel)


def test_a_model_that_was_learned_without_the_labels_of_its_data_knows_no_classes():
    for conditional, names in ((False, []), (None, list(CLASSES))):
        context = {"image_shape": tiny.IMAGE_SHAPE, "num_classes": len(CLASSES), "batch_size": 8}
        task = config.build(tiny.task_spec(conditional=conditional), "task", **context)
        facts = {"num_classes": len(CLASSES), "class_names": list(CLASSES)}
        assert trained_run.TrainedRun(tiny.config(), facts, task, {}, 1).class_names == names


def test_what_is_missing_in_a_run_folder_is_named(tmp_path, conditional):
    with pytest.raises(InputError, match="no such folder"):
        trained_run.load(tmp_path / "absent")
    with pytest.raises(InputError, match=r"not a run folder: it has no config\.json"):
        trained_run.load(tmp_path)
    with pytest.raises(InputError, match=r"no checkpoint 7 .* 5, 10"):
        trained_run.load(conditional, step=7)
    young = make_run(tmp_path / "young", steps=())
    with pytest.raises(InputError, match="no checkpoint yet"):
        trained_run.load(young)
    for damaged in ("{", "[]", '{"num_classes": 3}'):
        (young / "data.json").write_text(damaged)
        with pytest.raises(InputError, match=r"data\.json is damaged"):
            trained_run.load(young)
    (young / "data.json").unlink()
    with pytest.raises(InputError, match=r"it has no data\.json"):
        trained_run.load(young)


# -- The program


def test_one_file_per_seed_with_its_record(unconditional, tmp_path, capsys):
    program(unconditional, tmp_path / "a", "--seeds=16-18")
    program(unconditional, tmp_path / "b", "--seeds=17", "--batch_size=1")
    assert files(tmp_path / "a") == ["seed0016.png", "seed0017.png", "seed0018.png"]
    np.testing.assert_array_equal(pixels(tmp_path / "a/seed0017.png"), pixels(tmp_path / "b/seed0017.png"))
    stored = config.digest(config.from_json((unconditional / "config.json").read_text()))
    record = provenance.record(config_digest=stored, step=10, seed=17, run="unconditional", audit="not audited")
    found = provenance.read(tmp_path / "a/seed0017.png")
    assert (record | {"gen:software": provenance.software("cpu")}).items() <= found.items()
    assert found["gen:weights_digest"] == trained_run.load(unconditional).weights_digest
    assert "3 images of checkpoint 10" in capsys.readouterr().out


def test_the_function_returns_the_files_that_it_wrote(unconditional, tmp_path):
    result = sample.sample(
        sample.SampleOptions(workdir=unconditional, out=tmp_path, seeds="3,4", grid=True, refine="invert")
    )
    assert [path.name for path in result.files] == ["seed0003.png", "seed0004.png", "grid.png", "refinement.html"]
    assert files(tmp_path) == sorted(path.name for path in result.files)
    assert (result.num_images, result.step) == (2, 10)
    with pytest.raises(InputError, match="--truncation=3; it must be a number from 0"):
        sample.SampleOptions(workdir=unconditional, out=tmp_path, truncation=3)


def test_pixels_are_those_of_the_task(conditional, tmp_path):
    program(conditional, tmp_path, "--seeds=3", "--label=sandal", "--truncation=0.5", "--step=5")
    loaded = trained_run.load(conditional, step=5)
    expected = loaded.task.sample(loaded.ema_params, by_seed.keys([3]), {"label": jnp.array([1]), "truncation": 0.5})[0]
    path = tmp_path / "seed0003-Sandal.png"
    np.testing.assert_allclose(pixels(path), np.asarray(expected) * 255, atol=0.51)
    record = provenance.read(path)
    assert record["gen:label"] == "Sandal"
    assert record["gen:truncation"] == 0.5
    assert record["gen:step"] == 5


def test_the_record_is_written_beside_on_request(unconditional, tmp_path):
    program(unconditional, tmp_path / "a", "--seeds=1", "--grid", "--sidecar")
    assert files(tmp_path / "a") == ["grid.png", "grid.png.json", "seed0001.png", "seed0001.png.json"]
    found = json.loads((tmp_path / "a" / "seed0001.png.json").read_text())
    assert found == provenance.read(tmp_path / "a" / "seed0001.png")


def test_a_drawn_class_is_in_the_record(conditional, tmp_path):
    program(conditional, tmp_path, "--seeds=0-7")
    names = [provenance.read(tmp_path / f"seed{seed:04d}.png")["gen:label"] for seed in range(8)]
    shown = [round(pixels(tmp_path / f"seed{seed:04d}.png")[0, 0, 0] / 255 * 8) for seed in range(8)]
    assert names == [CLASSES[label] for label in shown]
    assert len(set(names)) > 1
    program(conditional, tmp_path / "one.png", "--seeds=5")
    assert provenance.read(tmp_path / "one.png")["gen:label"] == names[5]
    program(conditional, tmp_path / "film.gif", "--seeds=5,6", "--interpolate", "--frames=2")
    assert provenance.read(tmp_path / "film.gif")["gen:label"] == names[5]
    program(conditional, tmp_path / "again", "--seeds=5", f"--label={names[5]}")
    (again,) = (tmp_path / "again").iterdir()
    np.testing.assert_array_equal(pixels(again), pixels(tmp_path / "seed0005.png"))


def test_all_classes_in_folders_and_a_grid_with_a_row_for_each(conditional, tmp_path):
    program(conditional, tmp_path, "--seeds=0-1", "--label=all", "--grid")
    assert files(tmp_path) == [
        "Ankle_boot/seed0000-Ankle_boot.png",
        "Ankle_boot/seed0001-Ankle_boot.png",
        "Sandal/seed0000-Sandal.png",
        "Sandal/seed0001-Sandal.png",
        "T-shirt_top/seed0000-T-shirt_top.png",
        "T-shirt_top/seed0001-T-shirt_top.png",
        "grid.png",
    ]
    picture = pixels(tmp_path / "grid.png")
    side = 4 * 24 + 2  # a tile and its border
    margin = picture.shape[1] - (2 * side + 2)  # with the name of the class beside each row
    assert picture.shape[0] == 3 * (side + 2)
    assert [picture[2 + row * (side + 2), margin + 2, 0] for row in range(3)] == [0, 32, 64]
    for row, name in enumerate(CLASSES):
        beside, line = picture[row * (side + 2) : (row + 1) * (side + 2), :margin], text(name)
        top = np.flatnonzero(beside.min((1, 2)) < 255)[0] - np.flatnonzero(line.min((1, 2)) < 255)[0]
        np.testing.assert_array_equal(beside[top : top + line.shape[0], 4 : 4 + line.shape[1]], line)
    assert provenance.read(tmp_path / "grid.png")["gen:shows"] == "grid"
    assert provenance.read(tmp_path / "grid.png")["gen:seed"] == "0-1"
    assert provenance.read(tmp_path / "grid.png")["gen:label"] == ", ".join(CLASSES)


def test_an_out_file_gets_the_grid_or_the_only_image(conditional, tmp_path):
    program(conditional, tmp_path / "many.jpg", "--seeds=0-3")
    program(conditional, tmp_path / "one.png", "--seeds=2", "--label=1")
    assert files(tmp_path) == ["many.jpg", "one.png"]
    assert pixels(tmp_path / "one.png").shape == (4, 4, 3)
    assert pixels(tmp_path / "many.jpg").shape == (2 * 98 + 2, 2 * 98 + 2, 3)
    assert provenance.read(tmp_path / "many.jpg")["gen:seed"] == "0-3"


@pytest.mark.parametrize("name", ["film.webp", "film.gif", ""])
def test_interpolation_passes_through_its_seeds(unconditional, tmp_path, name):
    program(unconditional, tmp_path / name, "--seeds=3,8,1", "--interpolate", "--frames=4")
    path = tmp_path / (name or "interpolation.webp")
    assert provenance.read(path)["gen:seed"] == "3,8,1"
    program(unconditional, tmp_path, "--seeds=3,8,1")
    with Image.open(path) as film:
        assert film.n_frames == 9
        for frame, seed in ((0, 3), (4, 8), (8, 1)):
            film.seek(frame)
            still = pixels(tmp_path / f"seed000{seed}.png").astype(float)
            shown = np.asarray(film.convert("RGB"), float)[12::24, 12::24]
            assert np.abs(shown - still).mean() < 12  # the formats lose a little


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out=x.tiff"], "cannot write .tiff"),
        (["--out=x.png", "--format=jpeg"], "contradict"),
        (["--out=x.webp"], "interpolate"),
        (["--out=x.png", "--interpolate"], "webp or gif"),
        (["--interpolate", "--seeds=3"], "at least two seeds"),
        (["--interpolate", "--label=all"], "one class"),
        (["--label=sandel"], "no class 'sandel'"),
        (["--out=deep/er/x.png", "--label=sandel"], "no class 'sandel'"),
        (["--step=7"], "no checkpoint 7"),
        (["--grid", "--seeds=0-5000"], "4,096"),
        (["--workdir="], "--workdir is empty"),
        (["--batch_size=0"], "batch_size"),
        (["--truncation=nan"], "--truncation=nan; it must be a finite number"),
        (["--truncation=100"], "--truncation=100; it must be a number from 0.0 to 2.0"),
        (["--top_p=0"], "--top_p=0; it must be a number from 1e-06 to 1.0"),
        (["--guidance=inf"], "--guidance=inf; it must be a number from 0.0 to 100.0"),
        (["--seeds=0,0,0"], "seed 0 is named twice"),
        (["--interpolate", "--grid"], "do not go together"),
        (["--frames=5"], "--frames=5 is of --interpolate and --predict_frames; leave it out"),
        (["--format=bmp"], "bmp"),
    ],
)
def test_contradictions_are_named_in_one_line(conditional, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        program(conditional, "out", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_a_place_that_cannot_be_written_is_named(conditional, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(InputError, match="--out: cannot make the folder"):
        program(conditional, tmp_path / "file" / "out")
    with pytest.raises(InputError, match=f"--out: cannot make the folder .*: {tmp_path / 'file'} is a file"):
        program(conditional, tmp_path / "file")
    (tmp_path / "taken.png").mkdir()
    with pytest.raises(InputError, match=r"cannot write.*taken\.png"):
        program(conditional, tmp_path / "taken.png", "--seeds=0")


def test_an_image_that_is_not_of_gen_is_never_replaced(conditional, tmp_path):
    Image.new("RGB", (3, 3)).save(tmp_path / "seed0001.png")
    Image.new("RGB", (3, 3)).save(tmp_path / "mine.png")
    for arguments in ((tmp_path, "--seeds=0-1"), (tmp_path / "mine.png", "--seeds=0-1")):
        with pytest.raises(InputError, match=r"(seed0001|mine)\.png is there, not written by gen"):
            program(conditional, *arguments)
    assert files(tmp_path) == ["mine.png", "seed0001.png"]
    program(conditional, tmp_path / "a", "--seeds=0-1")
    program(conditional, tmp_path / "a", "--seeds=0-1")


def test_class_folders_never_collide():
    def folders(class_names):
        return [path.parts[0] for path in outputs.names_of([0] * 3, range(3), class_names, ".png", folders=True)]

    assert folders(["a/b", "a b", ".."]) == ["000_a_b", "001_a_b", "002"]
    assert folders(["Cat", "dog", "cow"]) == ["Cat", "dog", "cow"]


def test_the_command_says_what_is_wrong_in_one_line_without_jax(tmp_path):
    code = "import runpy, sys; sys.modules['jax'] = None; "
    code += "runpy.run_module('gen.sample', run_name='__main__', alter_sys=True)"
    done = subprocess.run([sys.executable, "-c", code, "--workdir=x"], capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert done.stderr == "gen: --out is missing: Where the images go: a folder, or one file\n"
    helped = subprocess.run([sys.executable, "-c", code, "--help"], capture_output=True, text=True, timeout=60)
    assert helped.returncode == 0
    assert "--seeds" in helped.stdout


# -- Refinement


def test_refined_images_carry_the_chain_and_are_shown_before_and_after(conditional, tmp_path):
    program(conditional, tmp_path / "raw", "--seeds=3,4", "--label=Sandal")
    program(conditional, tmp_path / "out", "--seeds=3,4", "--label=Sandal", "--refine=exposure(1.0)|median( 3 )")
    name = "seed0003-Sandal.png"
    assert files(tmp_path / "out") == ["refinement.html", name, "seed0004-Sandal.png"]
    found = provenance.read(tmp_path / "out" / name)
    changed = {"gen:refine": "exposure(1.0)|median(3)", "gen:pixels": found["gen:pixels"]}
    assert found == provenance.read(tmp_path / "raw" / name) | changed
    assert pixels(tmp_path / "out" / name).mean() > pixels(tmp_path / "raw" / name).mean() + 5
    page = (tmp_path / "out" / "refinement.html").read_text()
    assert "The first" not in page
    assert page.count("<img") == 4
    assert "exposure(1.0)|median(3)" in page


def test_the_page_of_a_file_has_its_name(conditional, tmp_path):
    program(conditional, tmp_path / "pic.png", "--seeds=3,4", "--refine=invert")
    program(conditional, tmp_path / "other.jpg", "--seeds=3", "--refine=invert")
    assert files(tmp_path) == ["other-refinement.html", "other.jpg", "pic-refinement.html", "pic.png"]


def test_random_refinement_depends_on_the_seed_of_the_image_alone(unconditional, tmp_path):
    for batch_size, seeds in ((1, "5,6"), (8, "0-7")):
        options = (f"--seeds={seeds}", f"--batch_size={batch_size}", "--refine=grain(0.2)")
        program(unconditional, tmp_path / str(batch_size), *options)
    one, many = (pixels(tmp_path / size / "seed0006.png").astype(int) for size in ("1", "8"))
    assert np.abs(one - many).max() <= 1
    assert np.abs(many - pixels(tmp_path / "8" / "seed0007.png")).max() > 1


def test_the_config_names_the_refinement_and_none_turns_it_off(tmp_path):
    path = make_run(tmp_path / "run")
    settings = config.from_json((path / "config.json").read_text())
    (path / "config.json").write_text(config.to_json(dataclasses.replace(settings, refine="invert")))
    for name, options in (("own", ()), ("none", ("--refine=none",))):
        program(path, tmp_path / name, "--seeds=1", *options)
    own, plain = (pixels(tmp_path / name / "seed0001.png").astype(int) for name in ("own", "none"))
    np.testing.assert_allclose(own, 255 - plain, atol=1)
    assert "gen:refine" not in provenance.read(tmp_path / "none" / "seed0001.png")


def test_a_wrong_chain_writes_nothing(conditional, tmp_path):
    with pytest.raises(InputError, match="no operator 'gausian'; did you mean 'gaussian'"):
        program(conditional, tmp_path / "out", "--refine=gausian(1)")
    assert not (tmp_path / "out").exists()
