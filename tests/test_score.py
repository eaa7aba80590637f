"""Scores: exact bits of the task, the most surprising first, in a table, a file and pictures."""

from __future__ import annotations

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from prior_runs import files, make_run, picture, read

from gen import provenance, score
from gen.cli import flags
from gen.errors import InputError
from gen.files import sha256
from gen.report import save_png
from gen.runs import trained_run
from gen.sampling.conditional import scoring


@pytest.fixture(scope="module")
def color(tmp_path_factory):
    return make_run(tmp_path_factory.mktemp("runs") / "color", (4, 4, 3))


def program(workdir, out, *arguments) -> None:
    texts = ["score", f"--workdir={workdir}", f"--out={out}", *map(str, arguments)]
    score.main(flags.parse(texts, score.ScoreOptions))


@pytest.fixture(scope="module")
def scored(color, tmp_path_factory):
    folder = tmp_path_factory.mktemp("scored")
    given = {
        name: picture(folder / "in" / name, (4, 4), seed) for seed, name in enumerate(("a.png", "b.png", "x/a.png"))
    }
    (folder / "in" / "torn.png").write_bytes(b"torn")
    save_png(folder / "in" / "grid.png", np.zeros((9, 9, 3), np.uint8))  # neither is scored
    program(color, folder / "out", folder / "in", "--batch_size=2")
    lines = [json.loads(line) for line in (folder / "out" / "scores.jsonl").read_text().splitlines()]
    return folder, given, lines


def test_bits_are_those_of_the_task(scored, color):
    folder, given, lines = scored
    loaded = trained_run.load(color)
    assert len(lines) == 3
    images = [given[line["file"].removeprefix(f"{folder}/in/")] for line in lines]
    images = jnp.float32(images)[..., None].repeat(3, -1) / 255
    bits = jax.jit(lambda params, images: loaded.task.surprisal(params, images, None))(loaded.ema_params, images)
    for line, total in zip(lines, bits.sum((1, 2)).tolist(), strict=True):
        assert line["bits"] == pytest.approx(total, rel=1e-5)
        assert line["bits_per_dim"] == pytest.approx(total / 48, rel=1e-5)
        assert line["bits_per_token"] == pytest.approx(total / 48, rel=1e-5)


def test_the_most_surprising_comes_first(scored, color, capsys):
    folder, _, lines = scored
    bits = [line["bits"] for line in lines]
    assert bits == sorted(bits, reverse=True)
    assert len(set(bits)) == 3
    program(color, folder / "again", folder / "in")
    table = capsys.readouterr().out.splitlines()
    assert [line.split()[-1] for line in table[1:4]] == [line["file"] for line in lines]
    assert [float(line.split()[0].replace(",", "")) for line in table[1:4]] == pytest.approx(bits, abs=0.06)
    assert "3 images by checkpoint 3" in table[-1]


def test_a_background_is_what_tokens_cost_by_their_frequencies(scored, color, tmp_path, capsys):
    folder, given, lines = scored
    program(color, tmp_path, folder / "in", "--background_samples=6")
    loaded = trained_run.load(color)
    keys = jax.vmap(jax.random.key)(jnp.arange(6))
    made = jax.jit(lambda p: loaded.task.sample(p, keys, {"label": loaded.task.label(keys)}))(loaded.ema_params)
    counts = np.bincount(np.rint(np.asarray(made) * 255).astype(int).ravel(), minlength=256) + 1.0
    cost = -np.log2(counts / counts.sum())
    found = [json.loads(line) for line in (tmp_path / "scores.jsonl").read_text().splitlines()]
    assert [line["unusual"] for line in found] == sorted((line["unusual"] for line in found), reverse=True)
    bits = {line["file"]: line["bits"] for line in lines}
    for line in found:
        image = given[line["file"].removeprefix(f"{folder}/in/")]
        usual = 3 * cost[image].sum()  # gray in three channels
        assert line["unusual"] == pytest.approx(bits[line["file"]] - usual, rel=1e-4)
    assert "unusual" in capsys.readouterr().out


def test_every_picture_tells_how_it_was_made(scored):
    folder, _, _ = scored
    names = ["a-surprisal.png", "b-surprisal.png", "scores.jsonl", "surprisal.png", "x/a-surprisal.png"]
    assert files(folder / "out") == names
    found = provenance.read(folder / "out" / "x" / "a-surprisal.png")
    assert found["gen:source"] == sha256(folder / "in" / "x" / "a.png")
    assert (found["gen:step"], found["gen:shows"]) == (3, "surprisal")
    assert found["gen:digital_source_type"] == "dataDrivenMedia"
    assert read(folder / "out" / "surprisal.png").shape[-1] == 3


def test_a_label_is_told_to_the_model(scored, color):
    folder, _, lines = scored
    program(color, folder / "square", folder / "in" / "b.png", "--label=square")
    (line,) = (json.loads(text) for text in (folder / "square" / "scores.jsonl").read_text().splitlines())
    (unknown,) = (line for line in lines if line["file"].endswith("b.png"))
    assert abs(line["bits"] - unknown["bits"]) > 0.01
    assert provenance.read(folder / "square" / "surprisal.png")["gen:label"] == "square"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no images"),
        (["absent"], "no such file or folder"),
        (["torn.png"], r"torn\.png: cannot be read"),
        (["in.png", "--label=rond"], "did you mean 'round'"),
        (["in.png", "--label=all"], "3 classes; name one"),
        (["in.png", "--out=o.png"], "looks like a file"),
        (["in.png", "--out="], "--out is empty"),
        (["in.png", "--workdir="], "--workdir is empty"),
        (["in.png", "--workdir=nowhere"], "nowhere: there is no such folder"),
        (["in.png", "--step=7"], "no checkpoint 7"),
    ],
)
def test_what_is_wrong_is_said_in_one_line_and_nothing_is_written(color, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    picture(tmp_path / "in.png", (4, 4))
    (tmp_path / "torn.png").write_bytes((tmp_path / "in.png").read_bytes()[:60])
    with pytest.raises(InputError, match=message):
        program(color, "out", *arguments)
    assert files(tmp_path) == ["in.png", "torn.png"]


def test_an_image_of_many_tells_which_numbers_are_left_out(monkeypatch):
    monkeypatch.setattr(scoring, "_MAX_LINES", 2)
    lines = [{"bits": b, "bits_per_dim": b / 2, "bits_per_token": b / 4, "file": f"{b}.png"} for b in (8.0, 6.0, 4.0)]
    table = scoring.ScoreResult(lines, 3).table().splitlines()
    assert table[3] == "... and 1 more in scores.jsonl"
    assert table[4].split() == ["6.0", "3.0000", "1.5000", "mean", "of", "3"]
