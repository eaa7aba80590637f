"""A record stands in several places of each file, whole, and is found there after other programs wrote it anew."""

from __future__ import annotations

import hashlib
import html
import io
import json
import time

import numpy as np
import pytest
from PIL import Image, PngImagePlugin

from gen import provenance
from gen.outputs import image_writer
from gen.provenance import xmp
from gen.provenance.policy import RECORD
from gen.provenance.reading import records_in

TEXTS = {
    "scripts": "crème brûlée · 靴 · नमस्ते · שלום · 🙂",
    "markup": "]]> <!-- & &amp; <x y='1'> \"' ?> --> {\"gen:seed\": 1}",
    "control": "a\x00b\x1b[2J\r\n\t\x7f\x85\u2028\ufffe\uffff",
    "surrogates": "caf\udce9 \ud800",
    "long": "é<" * 50_000,
    "spaces": "  around  ",
    "number": "17",
    "empty": "",
}
PLACES = {"png": ["text", "EXIF", "XMP"], "jpeg": ["EXIF", "XMP"], "webp": ["EXIF", "XMP"], "gif": ["comment", "XMP"]}


def record(**more):
    return provenance.record(config_digest="ab" * 32, step=500, seed=17, frames=3, guidance=2.0, **more)


def read_all(path):
    """Reads all records, without the digest of the pixels, which is added as a file is written."""
    found = provenance.read_all(path).items()
    return {place: {key: value for key, value in made.items() if key != "gen:pixels"} for place, made in found}


def written(path, made, *, dtype=np.uint8, frames=1):
    image = np.random.default_rng(0).integers(0, np.iinfo(dtype).max, (frames, 8, 8, 3)).astype(dtype)
    format = {"jpg": "jpeg"}.get(path.suffix[1:], path.suffix[1:])
    path.write_bytes(image_writer.encode(list(image), format=format, record=made, policy=RECORD))
    return path


@pytest.mark.parametrize("text", TEXTS)
@pytest.mark.parametrize("format", PLACES)
def test_any_text_is_the_same_in_all_places_and_numbers_stay_numbers(tmp_path, format, text):
    made = record(label=TEXTS[text], refine="gaussian(2)")
    found = read_all(written(tmp_path / f"a.{format}", made))
    assert list(found) == PLACES[format]
    assert provenance.disagreements(found) == []
    assert found[PLACES[format][0]] == found["XMP"]
    if not (text == "long" and format == "jpeg"):
        assert found["XMP"] == made
    assert all(c.isprintable() for c in made["gen:label"])
    with Image.open(tmp_path / f"a.{format}") as image:
        image.load()


def test_pngs_of_16_bits_and_animations_have_all_places_too(tmp_path):
    made = record()
    for file in (
        written(tmp_path / "deep.png", made, dtype=np.uint16),
        written(tmp_path / "film.gif", made, frames=3),
        written(tmp_path / "film.webp", made, frames=3),
    ):
        found = read_all(file)
        assert list(found.values()) == [made] * len(PLACES[file.suffix[1:]])
    with Image.open(tmp_path / "film.gif") as image:
        assert image.n_frames == 3


def test_a_record_too_large_for_jpeg_is_shortened_and_says_of_what(tmp_path):
    made = record(label="x" * 300, refine="|".join(["gaussian(2)"] * 9000))
    digest = hashlib.sha256(made["gen:refine"].encode()).hexdigest()
    found = provenance.read(written(tmp_path / "a.jpg", made))
    assert found["gen:label"] == made["gen:label"]
    assert found["gen:refine"].startswith("gaussian(2)|")
    assert f"(107,999 characters, sha256 {digest})" in found["gen:refine"]
    assert len(found["gen:refine"]) > 20_000


@pytest.mark.parametrize("format", PLACES)
def test_what_strangers_put_into_records_is_never_too_much(tmp_path, format):
    for count, length in ((200, 5000), (20_000, 5), (2000, 1000)):
        many = {f"gen:f{i}": "<" * length for i in range(count)} | {"gen:seed": 17}
        found = provenance.read(written(tmp_path / f"a.{format}", many))
        assert found["gen:seed"] == 17
        assert len(found) - 1 + found.get("gen:left_out", 0) > count


def test_numbers_of_png_text_alone_are_numbers(tmp_path):
    made = record(top_k=5, refine_seed=9)
    Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=provenance.png_text(made))
    assert provenance.read(tmp_path / "a.png") == made


def test_xmp_says_what_other_programs_read(tmp_path):
    with Image.open(written(tmp_path / "a.jpg", record())) as image:
        found = xmp.properties(image.info["xmp"])
    assert found[xmp.SOURCE_TYPE] == ["http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"]
    assert found["xmp:CreatorTool"][0].startswith("gen ")
    assert record().items() <= json.loads(found[xmp.RECORD][0]).items()


@pytest.mark.parametrize(
    "description",
    [
        "<r:Description xmlns:q='{gen}' q:record='{json}'/>",
        "<r:Description xmlns:q='{gen}'><q:record>{json}</q:record></r:Description>",
        "<r:Description/><r:Description xmlns:q='{gen}'>\n <q:record>\n{json}\n</q:record></r:Description>",
        "<r:Description xmlns:q='{dc}'><q:description><r:Alt><r:li xml:lang='de'>Bild</r:li>"
        "<r:li xml:lang='x-default'>{json}</r:li></r:Alt></q:description></r:Description>",
        "<r:Description xmlns:q='{gen}'><q:record><![CDATA[{raw}]]></q:record></r:Description>",
    ],
)
def test_xmp_that_other_programs_wrote_anew_is_read(description):
    text = json.dumps(record())
    spaces = xmp.NAMESPACES | {"json": html.escape(text), "raw": text}
    packet = "junk <x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>"
    packet = packet.removeprefix("junk ") + description.format(**spaces) + "</r:RDF></x:xmpmeta>\0\0  "
    buffer = io.BytesIO()
    Image.new("L", (4, 4)).save(buffer, "JPEG", xmp=packet.encode())
    assert records_in(buffer.getvalue()) == {"XMP": record()}


def test_what_imagemagick_6_passes_on_of_a_png_is_enough(tmp_path):
    made = record(label="靴")
    with Image.open(written(tmp_path / "a.png", made)) as image:
        kept = PngImagePlugin.PngInfo()  # of a text no letters beyond Latin-1, and neither EXIF nor standard XMP
        for key, value in image.info.items():
            if isinstance(value, str) and value.isascii() and key != "XML:com.adobe.xmp":
                kept.add_text(key, value)
        image.save(tmp_path / "b.png", pnginfo=kept)
    found = read_all(tmp_path / "b.png")
    assert found == {"text": {key: made[key] for key in made if key != "gen:label"}, "XMP": made}
    assert provenance.read(tmp_path / "b.png") == provenance.read(tmp_path / "a.png")  # not the text, which lacks one


def test_the_whole_record_as_a_text_of_png_is_one(tmp_path):  # as ImageMagick 6 makes it of XMP
    made, info = record(), PngImagePlugin.PngInfo()
    info.add_text("gen:record", json.dumps(made))
    Image.new("L", (4, 4)).save(tmp_path / "a.png", pnginfo=info)
    assert provenance.read_all(tmp_path / "a.png") == {"text": made}


def test_reading_warns_of_places_that_disagree(tmp_path, caplog):
    one, other = record(), record() | {"gen:seed": 18}
    picture = Image.new("L", (4, 4))
    picture.save(tmp_path / "a.png", pnginfo=provenance.png_text(one), exif=provenance.exif(other))
    assert provenance.read(tmp_path / "a.png") == one
    said = "a.png: its records disagree, that in text is used: gen:seed is 17 in text, but 18 in EXIF"
    assert caplog.messages[0].endswith(said)


def entities(levels):
    names = [f'<!ENTITY e{i} "{f"&e{i - 1};" * 10}">' for i in range(1, levels)]
    return f'<!DOCTYPE x [<!ENTITY e0 "lol">{"".join(names)}]><x>&e{levels - 1};</x>'


@pytest.mark.parametrize(
    "packet",
    [
        entities(9),
        '<!DOCTYPE x SYSTEM "file:///etc/passwd"><x/>',
        "<a>" * 100_000,
        "<a " + " ".join(f"b{i}='1'" for i in range(100_000)) + "/>",
        "<" * 1_000_000,
        "&" * 1_000_000,
        "<x>" + "<rdf:li" * 100_000,
        "\x00\xff<?xml version='1.0' encoding='utf-32'?><x/>",
        "<?xml version='1.0' encoding='none'?><x/>",
        "<?xml version='1.0' encoding='zlib'?><x/>",
        "",
        "<" + "x" * 3_000_000 + "/>",
    ],
)
def test_hostile_xmp_has_no_properties_and_costs_nothing(packet):
    began = time.process_time()
    assert xmp.properties(packet) == {}
    assert xmp.properties(packet.encode("latin-1")) == {}
    assert time.process_time() - began < 1


def test_a_record_costs_less_than_a_third_of_a_millisecond():
    made = record(run="shapes", weights_digest="ab" * 32, data_digest="cd" * 32, refine="gaussian(2)")
    began = time.process_time()
    for _ in range(50):
        provenance.save_options(record(), "PNG")
        provenance.save_options(made, "JPEG")
    assert (time.process_time() - began) / 100 < 0.0003


def test_places_that_disagree_are_told_by_field():
    one = {"gen:seed": 17, "gen:label": "a"}
    found = provenance.disagreements({"text": one, "EXIF": one | {"gen:seed": 18}, "XMP": {"gen:seed": "17"}})
    assert found == [
        "gen:seed is 17 in text and XMP, but 18 in EXIF",
        "gen:label is a in text and EXIF, but missing in XMP",
    ]
