"""Lines of a file of prompts with a seed or a class of their own, repeated ones, and prompts as records keep them."""

from __future__ import annotations

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image

from gen import config, provenance
from gen.api import load
from gen.data import shapes
from gen.errors import InputError
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.sample import SampleOptions, sample
from gen.tasks.draws import draw_labels, draw_latents
from gen.tasks.state import TrainState
from gen.verify import VerifyOptions, verify

CLASSES = ("round", "square", "other")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Told:
    """A task whose image is a fixed function of latent, class and caption."""

    image_shape: tuple[int, int, int]
    num_classes: int
    caption_length: int
    batch_size: int

    def init(self, key: jax.Array) -> TrainState:
        params = {"generator": {"kernel": jax.random.normal(key, (8, int(np.prod(self.image_shape))))}}
        return TrainState(step=jnp.int32(0), params=params, opt_state={"generator": ()}, ema_params=params)

    @property
    def latent_shape(self):
        return (8,)

    def label(self, keys: jax.Array) -> jax.Array | None:
        return draw_labels(keys, self.num_classes, fold=1)

    def sample(self, ema_params, keys, conditions):
        latent = conditions["latent"] if "latent" in conditions else draw_latents(keys, self.latent_shape)
        label = conditions["label"] if conditions.get("label") is not None else self.label(keys)
        text = conditions.get("caption", jnp.zeros((len(keys), self.caption_length), jnp.int32))
        told = jnp.sin(text * (1.0 + jnp.arange(text.shape[-1]))).mean(-1).reshape(len(keys), -1) * 9
        mix = conditions.get("caption_mix", jnp.zeros(len(keys)))
        told = told[:, 0] + mix * (told[:, -1] - told[:, 0])
        pixels = jax.nn.sigmoid(latent @ ema_params["generator"]["kernel"] + label[:, None] + told[:, None])
        return pixels.reshape(-1, *self.image_shape)


@pytest.fixture(autouse=True)
def _trusted(monkeypatch):
    monkeypatch.setenv("GEN_PACKAGES", __name__)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = trained_run.RunFolder(tmp_path_factory.mktemp("lines") / "run")
    folder.path.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_PACKAGES", __name__)
        settings = config.Config(data=config.spec(shapes), task=config.spec(Told), batch_size=8)
        facts = {"name": "x", "image_shape": [8, 8, 3], "num_classes": len(CLASSES), "class_names": CLASSES}
        trained_run.write_json(folder.data, facts | {"captions": {"length": 64}})
        folder.config.write_text(config.to_json(settings))
        task = Told(image_shape=(8, 8, 3), num_classes=len(CLASSES), caption_length=64, batch_size=8)
        with Checkpoints(folder.checkpoints) as checkpoints:
            checkpoints.save(3, task.init(jax.random.key(0)), wait=True)
    return folder.path


def lines(path, *rows):
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def made(run, out, **options):
    result = sample(SampleOptions(workdir=run, out=out, **{"seeds": "0-1", **options}))
    return sorted(str(path.relative_to(out)) if path != out else path.name for path in result.files)


def pixels(path):
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_class_of_one_line_holds_for_it_alone(run, tmp_path):
    file = lines(tmp_path / "x.jsonl", {"prompt": "a", "label": "square"}, {"prompt": "b"})
    out = tmp_path / "out"
    assert made(run, out, prompts=file) == [
        "a/seed0000-square.png",
        "a/seed0001-square.png",
        "b/seed0000.png",
        "b/seed0001.png",
    ]
    made(run, tmp_path / "b", prompt=["b"])
    for seed in (0, 1):
        assert provenance.read(out / "a" / f"seed000{seed}-square.png")["gen:label"] == "square"
        alone = tmp_path / "b" / f"seed000{seed}-b.png"
        np.testing.assert_array_equal(pixels(out / "b" / f"seed000{seed}.png"), pixels(alone))
        assert provenance.read(out / "b" / f"seed000{seed}.png")["gen:label"] == provenance.read(alone)["gen:label"]
    told = verify(VerifyOptions(inputs=[out], workdir=run, regenerate=True))
    assert [verdict.origin for verdict in told.verdicts] == ["regenerated"] * 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"grid": True}, "--grid has the same of all"),
        ({"interpolate": True}, "--interpolate has the same of all"),
        ({"inpaint": "center", "inputs": ["x.png"]}, "--inpaint has the same of all"),
        ({"upscale": True, "inputs": ["x.png"]}, "--upscale has the same of all"),
        ({"predict_frames": True, "inputs": ["x.png"]}, "--predict_frames has the same of all"),
    ],
)
@pytest.mark.parametrize("own", [{"seed": 7}, {"label": "square"}])
def test_what_shows_all_lines_alike_refuses_one_of_its_own(run, tmp_path, options, message, own):
    file = lines(tmp_path / "x.jsonl", {"prompt": "a"}, {"prompt": "b"} | own)
    with pytest.raises(InputError, match=f"line 2 has its own seed or class, and {message}"):
        made(run, tmp_path / "out", prompts=file, **options)
    assert not (tmp_path / "out").exists()


def test_a_file_of_one_image_may_be_of_a_line_of_its_own_and_a_grid_not(run, tmp_path):
    file = lines(tmp_path / "x.jsonl", {"prompt": "a", "seed": 7})
    assert made(run, tmp_path / "one.png", prompts=file) == ["one.png"]
    assert provenance.read(tmp_path / "one.png")["gen:seed"] == 7
    lines(file, {"prompt": "a", "seed": 7}, {"prompt": "b", "seed": 7})
    with pytest.raises(InputError, match=r"line 1 has its own seed or class, and the grid --out=.*two\.png"):
        made(run, tmp_path / "two.png", prompts=file)


def test_one_seed_is_shown_by_both_lines_of_a_file(run, tmp_path):
    file = lines(tmp_path / "x.jsonl", {"prompt": "a"}, {"prompt": "b"})
    assert made(run, tmp_path / "film.webp", prompts=file, seeds="5", interpolate=True, frames=3) == ["film.webp"]
    with Image.open(tmp_path / "film.webp") as film:
        assert film.n_frames == 4
    assert provenance.read(tmp_path / "film.webp")["gen:seed"] == "5,5"


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"label": "sqare"}, "line 2: --label=sqare: no class 'sqare'; did you mean 'square'"),
        ({"label": "all"}, "line 2: a prompt is of one class at most"),
        ({"prompt": "\u3000"}, "line 2: the prompt is empty"),
    ],
)
def test_a_line_that_is_refused_is_named(run, tmp_path, row, message):
    file = lines(tmp_path / "x.jsonl", {"prompt": "a"}, {"prompt": "b"} | row)
    with pytest.raises(InputError, match=message):
        made(run, tmp_path / "out", prompts=file)


def test_a_prompt_is_given_once_with_each_seed(run, tmp_path):
    with pytest.raises(InputError, match="--prompt: 'a' is given twice with seed 0, and would make the same image"):
        made(run, tmp_path / "out", prompt=["a", "b", " a\n"])
    with pytest.raises(InputError, match="prompt: 'a' is given twice with seed 3"):
        load(run).sample([3], prompt=["a", "a"])
    file = lines(tmp_path / "x.jsonl", {"prompt": "a", "seed": 1}, {"prompt": "a"})
    with pytest.raises(InputError, match=r"--prompts=.*x\.jsonl: 'a' is given twice with seed 1"):
        made(run, tmp_path / "out", prompts=file)
    assert not (tmp_path / "out").exists()
    lines(file, {"prompt": "a", "seed": 7}, {"prompt": "a", "seed": 8}, {"prompt": "a", "seed": 7, "label": 1})
    assert made(run, tmp_path / "out", prompts=file) == [
        "a/seed0007-square.png",
        "a/seed0007.png",
        "a/seed0008.png",
    ]


def test_space_about_a_prompt_does_not_count(run, tmp_path):
    (tmp_path / "x.txt").write_text("\u3000a star\xa0\n", encoding="utf-8")
    file = lines(tmp_path / "x.jsonl", {"prompt": "\ta star "})
    model = load(run)
    expected = model.sample([3], prompt="a star")
    np.testing.assert_array_equal(model.sample([3], prompt=" a star\xa0"), expected)
    for i, given in enumerate(({"prompt": [" a star "]}, {"prompts": tmp_path / "x.txt"}, {"prompts": file})):
        assert made(run, tmp_path / str(i), seeds="3", **given) == ["seed0003-a_star.png"]
        path = tmp_path / str(i) / "seed0003-a_star.png"
        assert provenance.read(path)["gen:prompt"] == "a star"
        np.testing.assert_allclose(pixels(path), expected[0] * 255, atol=0.51)


STRANGE = ["👩🏽\u200d🚀 می\u200cخواهم", "a\xa0b\u3000c", "a\tb\nc\\x07", '"quoted"', "\udcff bytes"]


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_an_image_of_a_strange_prompt_is_made_again(run, tmp_path, format):
    out = tmp_path / "out"
    assert len(made(run, out, prompt=STRANGE, seeds="0", format=format, grid=True)) == len(STRANGE) + 1
    files = sorted(out.rglob("*.*"))
    assert all(str(value).isprintable() for file in files for value in provenance.read(file).values())
    told = verify(VerifyOptions(inputs=[out], workdir=run, regenerate=True))
    assert [verdict.origin for verdict in told.verdicts] == ["regenerated"] * len(files)
    (grid,) = out.glob("grid.*")
    assert json.loads(provenance.read(grid)["gen:prompts"]) == STRANGE


@pytest.mark.parametrize("prompts", [STRANGE[:1], STRANGE[1:3]])
def test_an_animation_of_strange_prompts_is_made_again(run, tmp_path, prompts):
    film = tmp_path / "film.webp"
    made(run, film, prompt=prompts, interpolate=True, frames=2)
    (told,) = verify(VerifyOptions(inputs=[film], workdir=run, regenerate=True)).verdicts
    assert told.origin == "regenerated"
