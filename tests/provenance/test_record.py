"""Records of how an image was made survive every format, and other people's files have none."""

from __future__ import annotations

import html
import json
import zlib

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gen import __version__, provenance
from gen.errors import InputError

RECORD = provenance.record(config_digest="ab" * 32, step=500, seed=17, label="crème brûlée · 靴", truncation=0.75)


def picture() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (8, 8, 3), np.uint8))


def test_record_has_prefixed_keys_and_leaves_out_an_absent_label():
    expected = {"version": __version__, "config_digest": "ab" * 32, "step": 500, "seed": 17, "truncation": 0.75}
    expected |= {"label": "crème brûlée · 靴", "digital_source_type": "trainedAlgorithmicMedia"}
    expected |= {"date": "2026-11-30T00:53:20Z", "software": provenance.software()}
    assert {f"gen:{name}": value for name, value in expected.items()} == RECORD
    assert "gen:label" not in provenance.record(config_digest="", step=1, seed=2)


def test_values_of_any_type_become_text_or_numbers():
    made = provenance.record(
        config_digest="", step=np.int64(3), a=np.float32(0.5), b=float("nan"), c=[1], d=True, e="x\x00", f=None
    )
    found = {key: made[f"gen:{key}"] for key in ("step", "a", "b", "c", "d", "e")}
    assert found == {"step": 3, "a": 0.5, "b": "nan", "c": "[1]", "d": True, "e": "x\\x00"}
    assert type(found["step"]) is int
    assert "gen:f" not in made


PROMPTS = {  # and what the record has, which can be printed
    "ein Stern": "ein Stern",
    'a "red" star': 'a "red" star',
    r"C:\x00": r"C:\x00",
    "靴 می": "靴 می",
    '"a star"': r'"\"a star\""',
    "می\u200cخ": r'"می\u200cخ"',
    "a\xa0b\u3000c\td\n\0": r'"a\u00a0b\u3000c\td\n\u0000"',
    "\udcff \U000e0067": r'"\udcff \udb40\udc67"',
}


@pytest.mark.parametrize(("suffix", "format"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF")])
def test_prompts_come_back_exactly_from_what_can_be_printed(tmp_path, suffix, format):
    for prompt, written in PROMPTS.items():
        made = provenance.record(config_digest="", step=1, prompt=prompt, negative=prompt)
        assert made["gen:prompt"] == made["gen:negative"] == written
        picture().save(tmp_path / f"x.{suffix}", **provenance.save_options(made, format))
        found = provenance.read(tmp_path / f"x.{suffix}")
        assert found == made
        assert provenance.text_of(found["gen:prompt"]) == prompt
    several = provenance.json_text([*PROMPTS])
    assert several.isprintable()
    assert json.loads(several) == [*PROMPTS]
    assert provenance.text_of('"not JSON') == '"not JSON'


@pytest.mark.parametrize("name", ["größe", "a b", "x" * 61, "a:b"])
def test_names_that_no_format_can_hold_are_refused(name):
    with pytest.raises(InputError, match="a record has no field"):
        provenance.record(config_digest="", step=1, **{name: 1})


@pytest.mark.parametrize(("suffix", "format"), [("png", "PNG"), ("jpg", "JPEG"), ("webp", "WEBP"), ("gif", "GIF")])
@pytest.mark.parametrize("seed", [17, "3,7,11"])
def test_round_trip(tmp_path, suffix, format, seed):
    record = RECORD | {"gen:seed": seed}
    path = tmp_path / f"image.{suffix}"
    picture().save(path, **provenance.save_options(record, format))
    assert provenance.read(path) == record


def test_animations_carry_the_record(tmp_path):
    frames = [picture(), picture().rotate(90)]
    for suffix, format in (("webp", "WEBP"), ("gif", "GIF")):
        path = tmp_path / f"film.{suffix}"
        options = provenance.save_options(RECORD, format)
        frames[0].save(path, save_all=True, append_images=frames[1:], **options)
        assert provenance.read(path) == RECORD


def test_png_text_behind_the_pixels_is_found(tmp_path):
    path, text = tmp_path / "image.png", b"tEXtgen:seed\x0017"
    picture().save(path)
    chunk = (len(text) - 4).to_bytes(4, "big") + text + zlib.crc32(text).to_bytes(4, "big")
    path.write_bytes(path.read_bytes()[:-12] + chunk + path.read_bytes()[-12:])
    assert provenance.read(path) == {"gen:seed": 17}


def test_an_image_that_is_cut_off_is_refused(tmp_path):
    path = tmp_path / "image.png"
    picture().save(path, **provenance.save_options(RECORD, "PNG"))
    path.write_bytes(path.read_bytes()[:-60])
    with pytest.raises(InputError, match=r"image\.png: not an image"):
        provenance.read(path)


@pytest.mark.parametrize("comment", [None, "holiday", "[1, 2]", '{"camera": "x"}', "17"])
def test_files_of_others_have_no_record(tmp_path, comment):
    tags = Image.Exif()
    if comment:
        tags[0x010E] = comment
    picture().save(tmp_path / "image.jpg", exif=tags)
    picture().save(tmp_path / "image.png")
    assert provenance.read(tmp_path / "image.jpg") is None
    assert provenance.read(tmp_path / "image.png") is None


@pytest.mark.parametrize("content", [b"", b"not an image", b"\x89PNG\r\n\x1a\n broken"])
def test_unreadable_files_are_refused_by_name(tmp_path, content):
    path = tmp_path / "broken.png"
    path.write_bytes(content)
    with pytest.raises(InputError, match=r"broken\.png: not an image"):
        provenance.read(path)
    with pytest.raises(InputError, match=r"absent\.png"):
        provenance.read(tmp_path / "absent.png")


def test_a_record_holds_any_name(tmp_path):
    record = provenance.record(config_digest="ab", step=1, label="caf\udce9\x1b[2J")
    for format, suffix in (("PNG", "png"), ("JPEG", "jpg"), ("WEBP", "webp"), ("GIF", "gif")):
        path = tmp_path / f"a.{suffix}"
        Image.new("RGB", (4, 4)).save(path, format, **provenance.save_options(record, format))
        assert provenance.read(path)["gen:label"] == "caf\\xe9\\x1b[2J"


def test_a_comment_of_an_editor_hides_no_record(tmp_path):
    path = tmp_path / "image.jpg"
    picture().save(path, comment="made with love", **provenance.save_options(RECORD, "JPEG"))
    assert provenance.read(path) == RECORD


def test_records_are_found_in_all_places(tmp_path):
    path, other = tmp_path / "image.jpg", RECORD | {"gen:seed": 18}
    xmp = "<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    xmp += "<r:Description xmlns:d='http://purl.org/dc/elements/1.1/'><d:description><r:Alt><r:li xml:lang='x-default'>"
    xmp += html.escape(json.dumps(RECORD))
    xmp += "</r:li></r:Alt></d:description></r:Description></r:RDF></x:xmpmeta>"
    picture().save(path, comment=json.dumps(other), xmp=xmp.encode())
    assert provenance.read_all(path) == {"comment": other, "XMP": RECORD}
    assert provenance.read(path) == other
    picture().save(tmp_path / "x.png", exif=provenance.exif(other), pnginfo=provenance.png_text(RECORD))
    assert provenance.read_all(tmp_path / "x.png") == {"text": RECORD, "EXIF": other}


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"gen:seed": ' * 50_000, '{"gen:seed": [1, {}]}', '{"gen:a": "' + "x" * 2**20 + '"}', "1e999"],
)
def test_texts_made_to_do_harm_are_no_record(tmp_path, text):
    picture().save(tmp_path / "image.gif", comment=text.encode())
    picture().save(tmp_path / "image.png", pnginfo=_text_chunk("gen:seed", "9" * 5000))
    assert provenance.read(tmp_path / "image.gif") is None
    assert provenance.read(tmp_path / "image.png") == {"gen:seed": "9" * 5000}


def _text_chunk(key, value):
    info = PngImagePlugin.PngInfo()
    info.add_text(key, value)
    return info
