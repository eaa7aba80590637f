"""The program that refines files: where results go, what they carry, and what is refused before anything is written."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from gen import cli, provenance, refine
from gen.errors import InputError


def program(*arguments) -> None:
    refine.FLAGS.unparse_flags()
    refine.main(cli.parse(["refine", *map(str, arguments)], refine, refine.FLAGS))


def picture(path, shape=(12, 16, 3), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels).save(path, **options)
    return pixels


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_folders_keep_their_shape_and_files_tell_their_making(tmp_path):
    pixels = picture(tmp_path / "in" / "a" / "one.png")
    gray = picture(tmp_path / "in" / "two.bmp", (9, 7, 1))
    (tmp_path / "in" / "notes.txt").write_text("no image")
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}")
    assert files(tmp_path / "out") == ["a/one.png", "two.png"]
    assert (read(tmp_path / "out" / "a" / "one.png") == 255 - pixels).all()
    assert (read(tmp_path / "out" / "two.png") == 255 - gray[..., 0]).all()
    found = provenance.read(tmp_path / "out" / "two.png")
    assert found["gen:refine"] == "invert"
    assert len(found["gen:source"]) == 64


def test_the_record_of_a_generated_image_is_kept(tmp_path):
    record = provenance.record(config_digest="d", step=5, seed=7)
    picture(tmp_path / "made.png", pnginfo=provenance.png_text(record))
    program(tmp_path / "made.png", "--chain=invert", f"--out={tmp_path / 'out'}")
    assert record.items() <= provenance.read(tmp_path / "out" / "made.png").items()


def test_transparency_is_kept(tmp_path):
    pixels = picture(tmp_path / "in.png", (12, 16, 4))
    program(tmp_path / "in.png", "--chain=invert", f"--out={tmp_path / 'out'}")
    made = read(tmp_path / "out" / "in.png")
    assert (made[..., 3] == pixels[..., 3]).all()
    assert (made[..., :3] == 255 - pixels[..., :3]).all()


def test_references_masks_and_seeds(tmp_path):
    pixels = picture(tmp_path / "in.png")
    picture(tmp_path / "other.png", (8, 8, 3))
    mask = np.zeros((12, 16), np.uint8)
    mask[3:9, 4:12] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = (f"--reference=cold={tmp_path / 'other.png'}", f"--mask=middle={tmp_path / 'mask.png'}")
    text = "inside('middle', \"match_linear('cold')|grain(0.1)\")"
    for name, seed in (("one", 1), ("same", 1), ("other", 2)):
        program(tmp_path / "in.png", f"--chain={text}", f"--out={tmp_path / name}", f"--seed={seed}", *options)
    one, same, other = (read(tmp_path / name / "in.png") for name in ("one", "same", "other"))
    assert (one == same).all()
    assert (one != other).any()
    assert (one[mask == 0] == pixels[mask == 0]).all()
    assert (one[mask > 0] != pixels[mask > 0]).any()


def test_the_preview_shows_before_and_after(tmp_path):
    picture(tmp_path / "in" / "large.png", (30, 800, 3))
    picture(tmp_path / "in" / "small.png")
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}", "--preview", "--format=jpeg")
    assert files(tmp_path / "out") == ["large.jpg", "preview.png", "small.jpg"]
    shown = read(tmp_path / "out" / "preview.png")
    assert shown.shape == (14 + 8 + 12 + 8, 2 * 384 + 12, 3)


def test_jpeg_has_no_transparency_and_grays_keep_theirs(tmp_path):
    picture(tmp_path / "in.png", (12, 16, 4))
    program(tmp_path / "in.png", "--chain=invert", f"--out={tmp_path / 'out'}", "--format=jpeg")
    assert read(tmp_path / "out" / "in.jpg").shape == (12, 16, 3)
    assert provenance.read(tmp_path / "out" / "in.jpg")["gen:refine"] == "invert"
    gray = np.random.default_rng(1).integers(0, 256, (9, 7, 2), dtype=np.uint8)
    Image.fromarray(gray).save(tmp_path / "gray.png")
    program(tmp_path / "gray.png", "--chain=invert", f"--out={tmp_path / 'out'}")
    with Image.open(tmp_path / "out" / "gray.png") as made:
        found = np.asarray(made.convert("LA"))
    assert (found == np.stack([255 - gray[..., 0], gray[..., 1]], -1)).all()


def test_an_unreadable_file_among_others_is_left_out(tmp_path, capsys):
    picture(tmp_path / "in" / "good.png")
    (tmp_path / "in" / "bad.png").write_bytes(b"not an image")
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}")
    assert files(tmp_path / "out") == ["good.png"]
    assert "bad.png: left out" in capsys.readouterr().err


def test_list_names_operators(capsys):
    program("--list")
    out = capsys.readouterr().out
    assert "gaussian(sigma, radius=None)" in out
    balance = out[out.index("\nwhite_balance(") :].split("\n")[3:5]
    assert balance == ["    method: gray_world, white_patch, shades_of_gray", "    adaptation: bradford, diagonal"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["IN", "--out=OUT"], "--chain is missing"),
        (["IN", "--chain=invert"], "--out is missing"),
        (["--chain=invert", "--out=OUT"], "no images"),
        (["nowhere.png", "--chain=invert", "--out=OUT"], "nowhere.png: there is no such file"),
        (["EMPTY", "--chain=invert", "--out=OUT"], "no image files in this folder"),
        (["IN", "--chain=invret", "--out=OUT"], "no operator 'invret'; did you mean 'invert'?"),
        (["IN", "--chain=median(4)", "--out=OUT"], "in.png: median: size=4"),
        (["IN", "--chain=invert", "--out=one.png"], "--out=one.png: looks like a file"),
        (["IN", "--chain=invert", "--out=HERE"], "would be overwritten by its own result"),
        (["IN", "TWIN", "--chain=invert", "--out=OUT"], "would both be written to"),
        (["IN", "--chain=invert", "--out=OUT", "--mask=x"], "--mask=x: allowed: NAME=FILE"),
        (["IN", "--chain=invert", "--out=OUT", "--reference=a=none.png"], "cannot be read"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, arguments, words):
    picture(tmp_path / "here" / "in.png")
    picture(tmp_path / "twin" / "in.bmp")
    (tmp_path / "empty").mkdir()
    places = {"TWIN": "twin/in.bmp", "IN": "here/in.png", "EMPTY": "empty", "OUT": "out", "HERE": "here"}
    for name, place in places.items():
        arguments = [argument.replace(name, str(tmp_path / place)) for argument in arguments]
    before = files(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        program(*arguments)
    assert "\n" not in str(caught.value)
    assert files(tmp_path) == before


def test_the_program_ends_with_one_line_and_2(tmp_path):
    command = [sys.executable, "-m", "gen.refine", str(tmp_path), "--chian=invert"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "gen: unknown flag --chian; did you mean '--chain'?\n"
