"""Prompts: files of them, what a model cannot be given, names of files, records, and the same image in any batch."""

import json

import numpy as np
import pytest
from PIL import Image

from gen.api import load, read_record
from gen.config import Config, spec
from gen.data import npz
from gen.errors import InputError
from gen.models.r3gan import Discriminator, Generator
from gen.models.recurrent import Recurrent
from gen.sample import SampleOptions, sample
from gen.sampling.prompts import Line, read_prompts, slug, slugs
from gen.score import ScoreOptions, score
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior
from gen.training import loop
from gen.verify import VerifyOptions, verify

WORDS = ["a red star", "a blue star", "two green rings", "nothing"]


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A GAN and a prior that saw captions, for two steps."""
    root = tmp_path_factory.mktemp("prompts")
    rng = np.random.default_rng(0)
    captions = np.array([[WORDS[i % 4], WORDS[(i + 1) % 4]] for i in range(12)])
    images = rng.integers(0, 256, (12, 8, 8, 3), np.uint8)
    np.savez(root / "set.npz", x_train=images, captions_train=captions)
    wide = {"widths": (8, 8), "blocks": 1, "group_size": None, "expansion": 1.0, "text_width": 8}
    gan = spec(
        Gan, generator=spec(Generator, latent=4, **wide), discriminator=spec(Discriminator, **wide), schedule_images=16
    )
    prior = spec(Prior, network=spec(Recurrent, width=8, layers=1), schedule_images=16)
    found = {}
    for name, task in (("gan", gan), ("prior", prior)):
        config = Config(
            data=spec(npz, path=str(root / "set.npz")), task=task, batch_size=8, total_images=16, preview_images=8
        )
        config.evaluation.every = 0
        assert loop.train(config, root / name) == 0
        found[name] = root / name
    return found


def made(run, out, **options):
    return sample(SampleOptions(workdir=run, out=out, seeds="0-1", **options))


def test_the_run_knows_its_captions(runs):
    facts = json.loads((runs["gan"] / "data.json").read_text())["captions"]
    assert facts["images"] + 1 >= facts["captions"] / 2  # two each
    assert bytes.fromhex(facts["bytes"]) == bytes(sorted(set("".join(WORDS).encode())))
    page = (runs["gan"] / "report.html").read_text()
    assert "The captions of these images" in page
    assert "<li>a red star</li>" in page


@pytest.mark.parametrize("kind", ["gan", "prior"])
def test_each_prompt_has_files_with_its_name_and_a_record_that_makes_them_again(runs, tmp_path, kind):
    result = made(runs[kind], tmp_path / "out", prompt=["a red star", "a blue star!"], grid=True)
    names = sorted(str(file.relative_to(tmp_path / "out")) for file in result.files)
    assert names == sorted(
        [f"{folder}/seed000{seed}.png" for folder in ("a_red_star", "a_blue_star") for seed in (0, 1)] + ["grid.png"]
    )
    record = read_record(tmp_path / "out" / "a_red_star" / "seed0001.png")
    assert (record["gen:prompt"], record["gen:seed"]) == ("a red star", 1)
    grid = read_record(tmp_path / "out" / "grid.png")
    assert json.loads(grid["gen:prompts"]) == ["a red star", "a blue star!"]
    told = verify(VerifyOptions(inputs=[tmp_path / "out"], workdir=runs[kind], regenerate=True))
    assert [verdict.origin for verdict in told.verdicts] == ["regenerated"] * 5


def test_the_image_of_a_seed_and_a_prompt_is_the_same_in_any_batch(runs):
    model = load(runs["prior"])
    both = model.sample([3, 4], prompt=["a red star", "a blue star"])
    for i, prompt in enumerate(["a red star", "a blue star"]):
        for j, seed in enumerate([3, 4]):
            np.testing.assert_array_equal(model.sample([seed], prompt=prompt, batch_size=1)[0], both[2 * i + j])
    assert np.abs(both[0] - model.sample([3])[0]).max() > 0


def test_a_file_of_prompts_has_seeds_of_its_own(runs, tmp_path):
    file = tmp_path / "prompts.jsonl"
    file.write_text('{"prompt": "a red star", "seed": 7}\n\n{"prompt": "nothing"}\n', encoding="utf-8")
    result = made(runs["gan"], tmp_path / "out", prompts=file)
    assert {str(f.relative_to(tmp_path / "out")) for f in result.files} == {
        "a_red_star/seed0007.png",
        "nothing/seed0000.png",
        "nothing/seed0001.png",
    }
    assert read_prompts(file) == [Line("a red star", 7, number=1), Line("nothing", number=3)]
    plain = tmp_path / "prompts.txt"
    plain.write_text("\ufeffone\r\n\n two \n", encoding="utf-8")
    assert read_prompts(plain) == [Line("one", number=1), Line("two", number=3)]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('{"prompt": 3}', "line 1 must be an object with a text"),
        ('{"prompt": "x", "sed": 3}', r"no field 'sed'.*'seed'"),
        ('{"prompt": "x", "seed": true}', "seed is true, which is none"),
        ('{"prompt": "x", "seed": -1}', "seed -1; allowed: 0 to"),
        ('\n{"prompt"', "line 2 is not JSON"),
        ("", "0 prompts"),
        (b"\xff", "not UTF-8"),
    ],
)
def test_a_file_that_is_none_is_refused_with_the_line(tmp_path, content, message):
    file = tmp_path / "x.jsonl"
    file.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(InputError, match=message):
        read_prompts(file)


def test_what_a_model_cannot_be_given_is_one_line(runs, tmp_path, capsys):
    for prompt, message in (("x" * 63, "63 bytes; this model reads at most 62"), ("\t", "--prompt is empty")):
        with pytest.raises(InputError, match=message):
            made(runs["gan"], tmp_path / "out", prompt=[prompt])
    with pytest.raises(InputError, match="--negative is of priors and flows"):
        made(runs["gan"], tmp_path / "out", prompt=["nothing"], negative="a red star")
    for options in ({}, {"prompt": ["nothing"], "guidance": 1.0}):
        with pytest.raises(InputError, match="--negative needs guidance above 1, such as --guidance=2"):
            made(runs["prior"], tmp_path / "out", negative="a red star", **options)
        with pytest.raises(InputError, match=r"^negative needs guidance above 1, such as guidance=2"):
            load(runs["prior"]).sample([0], negative="a red star", **options)
    with pytest.raises(InputError, match="--prompt and --prompts do not go together"):
        made(runs["gan"], tmp_path / "out", prompt=["nothing"], prompts=tmp_path)
    assert not (tmp_path / "out").exists()
    made(runs["gan"], tmp_path / "out", prompt=["ein grüner Quader"])
    assert "no caption that was learned has these signs: Qü;" in capsys.readouterr().err


def test_an_interpolation_goes_from_one_prompt_to_the_other(runs, tmp_path):
    film = tmp_path / "film.webp"
    sample(
        SampleOptions(
            workdir=runs["gan"], out=film, seeds="2", interpolate=True, frames=5, prompt=["a red star", "nothing"]
        )
    )
    with Image.open(film) as image:
        assert image.n_frames > 1
    assert json.loads(read_record(film)["gen:prompts"]) == ["a red star", "nothing"]


def test_bits_of_an_image_depend_on_the_prompt(runs, tmp_path):
    made(runs["prior"], tmp_path / "in")
    found = []
    for i, prompt in enumerate((None, "a red star", "a blue star", " a blue star\u3000")):
        options = ScoreOptions(inputs=[tmp_path / "in"], workdir=runs["prior"], out=tmp_path / str(i), prompt=prompt)
        found.append(sum(row["bits"] for row in score(options).rows))
    assert len(set(found)) == 3
    assert found[2] == found[3]


def test_a_part_is_made_anew_by_a_prompt(runs, tmp_path):
    made(runs["prior"], tmp_path / "in")
    options = {"inputs": [tmp_path / "in" / "seed0000.png"], "inpaint": "bottom_half"}
    result = made(runs["prior"], tmp_path / "out", prompt=["a red star"], negative="nothing", guidance=2.0, **options)
    record = read_record(result.files[0])
    assert (record["gen:prompt"], record["gen:negative"]) == ("a red star", "nothing")


def test_names_of_files_are_short_safe_and_different():
    assert slug("A red star, please!") == "A_red_star_please"
    odd = ["../../etc/passwd", "a/b", "a\\b", "", "絵文字", "x" * 300, "CON", "\udcff", "a\0b", "a b", "A B"]
    names = slugs(odd)
    assert len({name.lower() for name in names}) == len(odd)
    for name in names:
        assert 0 < len(name.encode()) < 60
        assert not set(name) & set('/\\\0:*?"<>|.')


def test_random_prompts_do_not_crash(runs):
    rng = np.random.default_rng(0)
    model = load(runs["gan"])
    prompts = [rng.bytes(int(rng.integers(1, 60))).decode("utf-8", "surrogateescape") for _ in range(300)]
    prompts += ["\u202e\u200d\ufe0f", "e\u0301" * 10, "\U0010ffff", "ﷺ"]
    given = {prompt.strip() for prompt in prompts} - {""}
    images = model.sample([0], prompt=sorted(given))
    assert len(images) == len(given) > 290
    assert np.isfinite(images).all()
