"""The program that refines files: where results go, what they carry, and what is refused before anything is written."""

from __future__ import annotations

import json
import struct
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image, ImageCms

from gen import image_io, provenance, refine
from gen.cli import flags
from gen.errors import InputError
from gen.outputs import encoding, manifest
from gen.provenance import xmp
from gen.refining import transparency
from gen.report import save_png


def program(*arguments) -> int:
    return refine.main(flags.parse(["refine", *map(str, arguments)], refine.RefineOptions))


def picture(path, shape=(12, 16, 3), **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels[..., 0] if shape[-1] == 1 else pixels).save(path, **options)
    return pixels


def read(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder) -> list[str]:
    found = [path for path in folder.rglob("*") if path.is_file() and path.name != manifest.MANIFEST]
    return sorted(str(path.relative_to(folder)) for path in found)


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
    assert found["gen:digital_source_type"] == "compositeWithTrainedAlgorithmicMedia"
    assert found["gen:software"] == provenance.software("cpu")


def test_the_record_of_a_generated_image_is_kept(tmp_path):
    record = provenance.record(config_digest="d", step=5, seed=7)
    picture(tmp_path / "made.png", pnginfo=provenance.png_text(record))
    program(tmp_path / "made.png", "--chain=invert", f"--out={tmp_path / 'out'}")
    made = provenance.read(tmp_path / "out" / "made.png")
    assert record.items() <= made.items()
    assert made["gen:refine_software"] == provenance.software("cpu")


def test_what_another_program_calls_made_by_a_model_stays_that(tmp_path):
    for name, kind in (("a", "trainedAlgorithmicMedia"), ("b", "digitalCapture"), ("c", "trainedAlgorithmicMedia/x")):
        source_type = {"Iptc4xmpExt:DigitalSourceType": [f"http://cv.iptc.org/newscodes/digitalsourcetype/{kind}"]}
        picture(tmp_path / f"{name}.jpg", xmp=xmp.packet({}, source_type))
        program(tmp_path / f"{name}.jpg", "--chain=invert", f"--out={tmp_path / 'out'}")
        found = provenance.read(tmp_path / "out" / f"{name}.png")["gen:digital_source_type"]
        assert found == ("trainedAlgorithmicMedia" if name == "a" else "compositeWithTrainedAlgorithmicMedia")


def test_transparency_is_kept(tmp_path):
    pixels = picture(tmp_path / "in.png", (12, 16, 4))
    program(tmp_path / "in.png", "--chain=invert", f"--out={tmp_path / 'out'}")
    made = read(tmp_path / "out" / "in.png")
    assert (made[..., 3] == pixels[..., 3]).all()
    assert (made[..., :3] == 255 - pixels[..., :3])[pixels[..., 3] > 0].all()


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
    assert shown.shape[1] == 3 * 4 + 2 * 384  # side by side, with margins
    assert shown.shape[0] > 14 + 12


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
    assert program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}") == 1
    assert files(tmp_path / "out") == ["good.png"]
    assert "bad.png: left out, cannot be read" in capsys.readouterr().err


def test_what_the_chain_refuses_is_left_out_and_gray_becomes_colored_where_it_must(tmp_path, capsys):
    pixels = picture(tmp_path / "in" / "a.png")
    gray = picture(tmp_path / "in" / "b.png", (12, 16, 1))
    picture(tmp_path / "in" / "c.png", (9, 9, 3))
    Image.fromarray(np.full((12, 16), 255, np.uint8)).save(tmp_path / "all.png")
    options = (f"--mask=all={tmp_path / 'all.png'}", f"--out={tmp_path / 'out'}")
    assert program(tmp_path / "in", "--chain=inside('all', 'hue(0.0)')", *options) == 1
    assert files(tmp_path / "out") == ["a.png", "b.png"]
    assert "c.png: left out, inside: mask has shape" in capsys.readouterr().err
    np.testing.assert_allclose(read(tmp_path / "out" / "a.png"), pixels, atol=1)
    np.testing.assert_allclose(read(tmp_path / "out" / "b.png"), gray[..., 0], atol=1)  # no color came: still gray
    program(tmp_path / "in" / "b.png", "--chain=sepia(1.0)", f"--out={tmp_path / 'brown'}")
    brown = read(tmp_path / "brown" / "b.png").astype(int)
    assert (brown[..., 0] >= brown[..., 2]).all()
    assert (brown[..., 0] > brown[..., 2]).any()


def test_nothing_that_gen_did_not_write_is_replaced(tmp_path):
    picture(tmp_path / "in" / "a.png")
    out = tmp_path / "out"
    Image.new("RGB", (4, 4), "blue").save(tmp_path / "in" / "b.png")
    (out).mkdir()
    Image.new("RGB", (4, 4), "red").save(out / "b.png")
    mine = (out / "b.png").read_bytes()
    with pytest.raises(InputError, match=r"b\.png is there, not written by gen or changed since; .*--overwrite"):
        program(tmp_path / "in", "--chain=invert", f"--out={out}")
    assert files(out) == ["b.png"]
    assert (out / "b.png").read_bytes() == mine
    program(tmp_path / "in", "--chain=invert", f"--out={out}", "--overwrite")
    program(tmp_path / "in", "--chain=gamma(2.0)", f"--out={out}")  # now they are gen's
    assert provenance.read(out / "b.png")["gen:refine"] == "gamma(2.0)"
    picture(out / "a.png", (3, 3, 3))  # changed by its owner
    with pytest.raises(InputError, match=r"a\.png is there"):
        program(tmp_path / "in", "--chain=gamma(2.0)", f"--out={out}")


def test_an_image_called_preview_keeps_its_name(tmp_path):
    pixels = picture(tmp_path / "in" / "preview.png")
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}", "--preview")
    assert files(tmp_path / "out") == ["preview-2.png", "preview.png"]
    assert (read(tmp_path / "out" / "preview.png") == 255 - pixels).all()
    (tmp_path / "other").mkdir()
    Image.new("RGB", (4, 4)).save(tmp_path / "other" / "preview.png")
    picture(tmp_path / "one.png")
    with pytest.raises(InputError, match=r"preview\.png is there"):
        program(tmp_path / "one.png", "--chain=invert", f"--out={tmp_path / 'other'}", "--preview")


def test_results_among_the_input_are_not_refined_again(tmp_path, capsys):
    picture(tmp_path / "in" / "a.png")
    out = tmp_path / "in" / "refined"
    for chain in ("invert", "invert", "gamma(2.0)"):
        assert program(tmp_path / "in", f"--chain={chain}", f"--out={out}", "--preview") == 0
    assert files(tmp_path / "in") == ["a.png", "refined/a.png", "refined/preview.png"]
    assert "2 results of gen.refine" in capsys.readouterr().err
    program(tmp_path / "in", "--chain=gamma(2.0)", f"--out={tmp_path / 'elsewhere'}")
    assert files(tmp_path / "elsewhere") == ["a.png"]
    program(out / "a.png", "--chain=gamma(2.0)", f"--out={tmp_path / 'twice'}")  # by name: as asked
    assert files(tmp_path / "twice") == ["a.png"]


def test_two_of_one_stem_keep_their_suffix(tmp_path):
    for name in ("a.gif", "a.webp", "b.bmp", "b.png"):
        picture(tmp_path / "in" / name)
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}")
    assert files(tmp_path / "out") == ["a.gif.png", "a.webp.png", "b.bmp.png", "b.png"]
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'same'}", "--format=same")
    assert files(tmp_path / "same") == ["a.gif", "a.webp", "b.bmp.png", "b.png"]


def test_what_was_passed_over_is_not_said_where_nothing_was_done(tmp_path, capsys):
    picture(tmp_path / "in" / "a.jpg")
    (tmp_path / "in" / "notes.txt").touch()
    program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'in'}")
    assert "1 file ignored" in capsys.readouterr().err
    with pytest.raises(InputError, match="overwritten by its own result"):
        program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'in'}", "--format=same")
    assert capsys.readouterr().err == ""  # so that the error is one line


def test_each_has_a_name_of_its_own_on_file_systems_that_ignore_case_too(tmp_path):
    for name in ("A.JPG", "a.png", "b.jpg", "b.jpg.gif", "b.webp", "b.png"):
        picture(tmp_path / "in" / name)
    (tmp_path / "in" / "c.png").symlink_to("a.png")
    assert program(tmp_path / "in", tmp_path / "in" / "a.png", "--chain=invert", f"--out={tmp_path / 'out'}") == 0
    expected = ["A.JPG.png", "a.png", "b.jpg-2.png", "b.jpg.png", "b.png", "b.webp.png", "c.png"]
    assert files(tmp_path / "out") == expected


def test_a_preview_is_never_written_over_an_input(tmp_path):
    picture(tmp_path / "in" / "preview.png")
    before = (tmp_path / "in" / "preview.png").read_bytes()
    place = tmp_path / "in"
    program(place, "--chain=invert", f"--out={place}", "--format=jpeg", "--preview", "--overwrite")
    assert files(place) == ["preview-2.png", "preview.jpg", "preview.png"]
    assert (place / "preview.png").read_bytes() == before
    picture(tmp_path / "other" / "Preview.PNG")
    program(tmp_path / "other", "--chain=invert", f"--out={tmp_path / 'out'}", "--preview")
    assert files(tmp_path / "out") == ["Preview.png", "preview-2.png"]


def test_odd_names_come_through(tmp_path, capsys):
    long, raw = "x" * 251 + ".png", b"caf\xe9.png".decode("utf-8", "surrogateescape")
    for name in (long, raw, "\x1b[31m.png"):
        picture(tmp_path / "in" / name)
    assert program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}", "--format=webp") == 0
    made = files(tmp_path / "out")
    assert raw.replace(".png", ".webp") in made
    (cut,) = [name for name in made if name.startswith("xxx")]
    assert len(cut) == 255
    assert cut.endswith(".webp")
    assert "\x1b" not in "".join(capsys.readouterr())


def test_the_frames_of_an_animation_are_all_refined(tmp_path, caplog):
    values = (0, 90, 255)
    film = [Image.new("RGB", (9, 9), (value, 0, 0)) for value in values]
    film[0].save(tmp_path / "m.gif", save_all=True, append_images=film[1:], duration=[50, 70, 200], loop=0)
    for format, name in (("png", "m.png"), ("webp", "m.webp"), ("same", "m.gif")):
        program(tmp_path / "m.gif", "--chain=invert", f"--out={tmp_path / 'out'}", f"--format={format}")
        with Image.open(tmp_path / "out" / name) as made:
            assert made.n_frames == 3
            durations = []
            for index, value in enumerate(values):
                made.seek(index)
                made.load()  # WebP knows how long a frame is shown after it
                durations.append(made.info["duration"])
                np.testing.assert_allclose(made.convert("RGB").getpixel((4, 4)), (255 - value, 255, 255), atol=3)
            assert durations == [50, 70, 200]
            assert made.info["loop"] == 0
        assert provenance.read(tmp_path / "out" / name)["gen:refine"] == "invert"
    program(tmp_path / "m.gif", "--chain=invert", f"--out={tmp_path / 'out'}", "--format=jpeg")
    assert "only the first of its 3 frames" in caplog.text


def test_sixteen_bits_stay(tmp_path):
    deep = np.random.default_rng(0).integers(0, 65536, (9, 7), dtype=np.uint16)
    for name in ("a.png", "b.tif"):
        Image.fromarray(deep).save(tmp_path / name)
        program(tmp_path / name, "--chain=invert", f"--out={tmp_path / 'out'}")
        assert (read(tmp_path / "out" / f"{name[0]}.png") == 65535 - deep).all()
    assert provenance.read(tmp_path / "out" / "a.png")["gen:refine"] == "invert"


@pytest.mark.parametrize("charset", ["utf-8", "latin-1"])
def test_the_letters_of_an_author_stay(tmp_path, charset):
    tags = Image.Exif()
    tags[0x013B], tags[0x8298] = "Zoë Núñez".encode(charset), "© Zoë".encode(charset)
    picture(tmp_path / "in.jpg", exif=tags)
    for format in ("jpeg", "webp", "png"):
        program(tmp_path / "in.jpg", "--chain=invert", f"--out={tmp_path / 'out'}", f"--format={format}")
        found = image_io.open_picture(tmp_path / "out" / f"in{encoding.suffix(format)}").metadata
        assert (found["author"], found["copyright"]) == ("Zoë Núñez", "© Zoë")


def test_a_profile_that_is_srgb_stays_and_others_become_srgb(tmp_path):
    own = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    own[24:36] = struct.pack(">6H", 1999, 12, 31, 0, 0, 0)  # another day, so other bytes
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for profile, expected in ((own, own), (lab, encoding.srgb_profile()), (b"no profile", encoding.srgb_profile())):
        picture(tmp_path / "in.jpg", icc_profile=bytes(profile))
        program(tmp_path / "in.jpg", "--chain=invert", f"--out={tmp_path / 'out'}")
        with Image.open(tmp_path / "out" / "in.png") as made:
            assert made.info["icc_profile"] == bytes(expected)


def test_place_and_serial_numbers_stay_only_if_asked(tmp_path):
    tags = Image.Exif()
    tags[0x0112] = 6
    tags[0x8769], tags[0x8825] = {0xA431: "serial 17", 0x8827: 400}, {1: "N", 2: (1.0, 2.0, 3.0)}
    pixels = picture(tmp_path / "in.jpg", exif=tags, quality=100, subsampling=0)
    for asked, kept in (((), {0x8827: 400}), (("--keep_private",), {0x8827: 400, 0xA431: "serial 17"})):
        program(tmp_path / "in.jpg", "--chain=invert", f"--out={tmp_path / 'out'}", *asked)
        with Image.open(tmp_path / "out" / "in.png") as made:
            assert made.getexif().get_ifd(0x8769) == kept
            assert bool(made.getexif().get_ifd(0x8825)) == bool(asked)
            assert 0x0112 not in made.getexif()
            assert made.size == pixels.shape[:2]  # upright


def test_the_author_stays_and_where_it_was_taken_goes(tmp_path):
    tags = Image.Exif()
    tags[0x013B], tags[0x8298] = "Ada", "(c) Ada"
    tags[0x8769] = {0x9003: "2020:02:03 04:05:06", 0xA431: "serial 17"}
    tags[0x8825] = {1: "N", 2: (1.0, 2.0, 3.0)}
    picture(tmp_path / "in.jpg", exif=tags, icc_profile=encoding.srgb_profile())
    for format in ("png", "jpeg", "webp"):
        program(tmp_path / "in.jpg", "--chain=invert", f"--out={tmp_path / 'out'}", f"--format={format}")
        with Image.open(tmp_path / "out" / f"in{encoding.suffix(format)}") as made:
            found = made.getexif()
            assert (found[0x013B], found[0x8298], found[0x0132]) == ("Ada", "(c) Ada", "2020:02:03 04:05:06")
            assert found.get_ifd(0x8769) == {0x9003: "2020:02:03 04:05:06"}
            assert not found.get_ifd(0x8825)
            assert made.info["icc_profile"] == encoding.srgb_profile()
        assert provenance.read(tmp_path / "out" / f"in{encoding.suffix(format)}")["gen:refine"] == "invert"


def test_no_path_stands_in_a_result(tmp_path):
    picture(tmp_path / "in.png")
    (tmp_path / "client").mkdir()
    (tmp_path / "client" / "look.cube").write_text("LUT_1D_SIZE 2\n0 0 0\n1 1 1\n")
    program(tmp_path / "in.png", f"--chain=lut('{tmp_path}/client/look.cube')", f"--out={tmp_path / 'out'}")
    assert provenance.read(tmp_path / "out" / "in.png")["gen:refine"].startswith("lut('look.cube', sha256='")
    assert b"client" not in (tmp_path / "out" / "in.png").read_bytes()


def test_masks_are_luminance_times_alpha(tmp_path):
    pixels = picture(tmp_path / "in.png")
    mask = np.full((12, 16, 2), 255, np.uint8)
    mask[..., 1] = 0
    mask[2:5, 3:9, 1] = 255
    Image.fromarray(mask).save(tmp_path / "mask.png")
    options = (f"--mask=m={tmp_path / 'mask.png'}", f"--out={tmp_path / 'out'}")
    program(tmp_path / "in.png", "--chain=inside('m', 'invert')", *options)
    assert ((read(tmp_path / "out" / "in.png") != pixels).any(-1) == (mask[..., 1] > 0)).all()


def test_what_is_not_finite_is_left_out_with_its_number(tmp_path, capsys, monkeypatch):
    for name in ("a.png", "b.png"):
        picture(tmp_path / "in" / name)
    true = transparency.refine

    def broken(post, image, alpha, **given):
        made, seen = true(post, image, alpha, **given)
        if not (tmp_path / "out").exists():
            made = made.copy()
            made[0, 0, :2] = np.nan, np.inf
            (tmp_path / "out").mkdir()
        return made, seen

    monkeypatch.setattr(transparency, "refine", broken)
    assert program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}") == 1
    assert files(tmp_path / "out") == ["b.png"]
    assert "a.png: left out, the chain makes 2 of 576 values NaN or infinite" in capsys.readouterr().err


def test_records_that_disagree_are_told(tmp_path, caplog):
    record = provenance.record(config_digest="d", step=5, seed=7)
    options = provenance.save_options(record, "JPEG")
    picture(tmp_path / "in.jpg", comment=json.dumps(record | {"gen:seed": 8}), **options)
    program(tmp_path / "in.jpg", "--chain=invert", f"--out={tmp_path / 'out'}")
    assert provenance.read(tmp_path / "out" / "in.png")["gen:seed"] == 7
    said = "in.jpg: its records disagree, that in EXIF is used: gen:seed is 7 in EXIF and XMP, but 8 in comment"
    assert said in caplog.text


def test_sheets_of_gen_are_no_input(tmp_path, capsys):
    pixels = picture(tmp_path / "in" / "a.png")
    save_png(tmp_path / "in" / "grid.png", pixels)
    assert program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}") == 0
    assert files(tmp_path / "out") == ["a.png"]
    assert "1 image, beside 1 composed or refined by gen before, in" in capsys.readouterr().out


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
        (["IN", "--chain=median(4)", "--out=OUT"], "position 8: median: size=4"),
        (["IN", "--chain=invert", "--out=one.png"], "--out=one.png: looks like a file"),
        (["IN", "--chain=invert", "--out=HERE"], "would be overwritten by its own result"),
        (["IN", "TWIN", "--chain=invert", "--out=OUT"], "would both be written to"),
        (["", "--chain=invert", "--out=OUT"], r"IN\.\.\. is empty"),
        (["IN", "--chain=invert", "--out=FULL", "--overwrite"], "in.png is a folder"),
        (["IN", "--chain=invert", "--out=OUT", f"--mask={'x' * 900}"], "xxx: allowed: NAME=FILE"),
        (["IN", "--chain=invert", "--out=OUT", "--mask=x"], "--mask=x: allowed: NAME=FILE"),
        (["IN", "--chain=invert", "--out=OUT", "--reference=a=none.png"], "cannot be read"),
    ],
)
def test_bad_input_is_refused_and_nothing_is_written(tmp_path, arguments, words):
    picture(tmp_path / "here" / "in.png")
    picture(tmp_path / "twin" / "in.png")
    (tmp_path / "empty").mkdir()
    (tmp_path / "full" / "in.png").mkdir(parents=True)
    places = {"TWIN": "twin/in.png", "IN": "here/in.png"} | {n: n.lower() for n in ("EMPTY", "FULL", "OUT", "HERE")}
    for name, place in places.items():
        arguments = [argument.replace(name, str(tmp_path / place)) for argument in arguments]
    before = files(tmp_path)
    with pytest.raises(InputError, match=words) as caught:
        program(*arguments)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 400
    assert files(tmp_path) == before


def test_the_program_ends_with_one_line_and_2(tmp_path):
    command = [sys.executable, "-m", "gen.refine", str(tmp_path), "--chian=invert"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 2
    assert ended.stderr == "gen: unknown flag --chian; did you mean '--chain'?\n"


def test_the_record_is_written_beside_on_request(tmp_path, capsys):
    picture(tmp_path / "in" / "a.png")
    arguments = (tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'out'}", "--sidecar", "--preview")
    for _ in range(2):  # the second time over its own
        program(*arguments)
    assert files(tmp_path / "out") == ["a.png", "a.png.json", "preview.png", "preview.png.json"]
    assert json.loads((tmp_path / "out" / "a.png.json").read_text()) == provenance.read(tmp_path / "out" / "a.png")
    (tmp_path / "out" / "a.png.json").write_text("mine")
    with pytest.raises(InputError, match=r"a\.png\.json is there, not written by gen or changed since"):
        program(*arguments)
    with pytest.raises(InputError, match="--sidecar writes the record, and there is none with the level off"):
        program(tmp_path / "in", "--chain=invert", f"--out={tmp_path / 'new'}", "--sidecar", "--provenance=off")
    assert not (tmp_path / "new").exists()
