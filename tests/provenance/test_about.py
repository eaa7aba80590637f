"""What belongs to the owner of a photograph is carried over to what is made of it; what is private only if asked."""

from __future__ import annotations

import io
import os
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import IFDRational

from gen import provenance
from gen.image_io import Unreadable, open_picture
from gen.provenance import about, xmp

DATE = "2024:05:06 07:08:09"
CAMERA = {0x829A: IFDRational(1, 125), 0x8827: 400, 0x9000: b"0232", 0x9003: DATE, 0x9011: "+02:00", 0xA434: "RF24-70"}
SECRET = {0xA430: "Ann Owner", 0xA431: "body 17", 0xA435: "lens 18"}
NEVER = {0x927C: b"a maker's note", 0x9286: b"ASCII\0\0\0a comment", 0xA420: "unique 19"}
GPS = {1: "N", 2: (48.0, 8.0, 0.0), 5: b"\0", 6: 519.0, 29: "2024:05:06"}
PACKET = """<x:xmpmeta xmlns:x='adobe:ns:meta/'><r:RDF xmlns:r='http://www.w3.org/1999/02/22-rdf-syntax-ns#'>
<r:Description xmlns:p='http://ns.adobe.com/photoshop/1.0/' xmlns:a='http://ns.adobe.com/exif/1.0/aux/'
 xmlns:e='http://ns.adobe.com/exif/1.0/' xmlns:d='http://purl.org/dc/elements/1.1/'
 xmlns:t='http://ns.adobe.com/xap/1.0/rights/' xmlns:crs='http://ns.adobe.com/camera-raw-settings/1.0/'
 xmlns:tiff='http://ns.adobe.com/tiff/1.0/' tiff:Orientation='6' crs:Contrast='5' p:City='Bonn' p:Credit='dpa'
 a:SerialNumber='body 17' e:GPSLatitude='48,8N' t:Marked='True'>
<d:creator><r:Seq><r:li>Zoë</r:li><r:li>Bob</r:li></r:Seq></d:creator><d:subject><r:Bag><r:li>Straße</r:li></r:Bag></d:subject>
<d:description><r:Alt><r:li xml:lang='x-default'>Two\nlines &lt;b&gt;</r:li></r:Alt></d:description>
</r:Description></r:RDF></x:xmpmeta>"""


def photo(*, format="JPEG", packet=PACKET, **options):
    tags = Image.Exif()
    tags[0x010F], tags[0x0112], tags[0x013B], tags[0x8298] = "Canon", 6, "Zoë".encode(), "© Zoë".encode()
    tags[0x8769], tags[0x8825] = CAMERA | SECRET | NEVER, GPS
    buffer = io.BytesIO()
    options = {"exif": tags, "xmp": packet.encode()} | options
    if format == "PNG":
        options["pnginfo"] = provenance.png_text({})
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", options.pop("xmp").decode())
    Image.fromarray(np.arange(96, dtype=np.uint8).reshape(4, 8, 3)).save(buffer, format, **options)
    return buffer.getvalue()


def iptc(fields, *, charset=b"\x1b%G"):
    """Returns the APP13 block of JPEG with these datasets of record 2 (IPTC-IIM 4.2, chapter 1)."""
    data = b"\x1c\x01\x5a" + struct.pack(">H", len(charset)) + charset
    for number, value in fields:
        data += bytes([0x1C, 2, number]) + struct.pack(">H", len(value)) + value
    block = b"Photoshop 3.0\x008BIM\x04\x04\0\0" + struct.pack(">I", len(data)) + data + b"\0" * (len(data) % 2)
    return b"\xff\xed" + struct.pack(">H", len(block) + 2) + block


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP"])
def test_what_is_private_is_left_out_unless_asked(format):
    kept, all_of_it = (about.read(photo(format=format), private=private) for private in (False, True))
    assert kept.texts == {"author": "Zoë", "copyright": "© Zoë", "date": DATE, "description": "Two\\nlines <b>"}
    assert kept.exif == {0: {0x010F: "Canon"}, 0x8769: CAMERA}
    assert kept.properties == {
        "dc:creator": ["Zoë", "Bob"],
        "dc:subject": ["Straße"],
        "dc:description": ["Two\nlines <b>"],
        "dc:rights": ["© Zoë"],
        "photoshop:Credit": ["dpa"],
        "photoshop:DateCreated": ["2024-05-06T07:08:09"],
        "xmpRights:Marked": ["True"],
    }
    assert all_of_it.exif == {0: {0x010F: "Canon"}, 0x8769: CAMERA | SECRET, 0x8825: GPS}
    private = {"photoshop:City": ["Bonn"], "aux:SerialNumber": ["body 17"], "exif:GPSLatitude": ["48,8N"]}
    assert all_of_it.properties == kept.properties | private | {"aux:OwnerName": ["Ann Owner"]}


@pytest.mark.parametrize("format", ["JPEG", "PNG", "WEBP", "GIF"])
def test_what_was_read_is_read_again_from_what_is_written(format):
    made = provenance.record(config_digest="d", step=5, seed=7)
    kept = about.read(photo(), private=True)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, format, **provenance.save_options(made, format, kept))
    content = buffer.getvalue()
    if format == "GIF":
        content = provenance.with_xmp(content, made, kept)
        assert xmp.properties(provenance.reading.packet_of(content))["dc:creator"] == ["Zoë", "Bob"]
        return
    again = about.read(content, private=True)
    assert again.exif == kept.exif
    assert again.properties == kept.properties
    assert {name: again.texts[name] for name in ("author", "copyright", "date")} == {
        name: kept.texts[name] for name in ("author", "copyright", "date")
    }
    assert next(iter(provenance.reading.records_in(content).values())) == made


def test_iptc_says_what_exif_and_xmp_do_not():
    content = photo(packet="", exif=Image.Exif())
    fields = [(80, "Zoë".encode()), (116, b"(c) Z"), (25, b"sea"), (25, b"sky"), (90, "Köln".encode()), (120, b"Hi")]
    content = content[:2] + iptc(fields) + content[2:]
    kept = about.read(content)
    assert kept.texts == {"author": "Zoë", "copyright": "(c) Z", "description": "Hi"}
    assert kept.properties["dc:subject"] == ["sea", "sky"]
    assert "photoshop:City" not in kept.properties
    assert about.read(content, private=True).properties["photoshop:City"] == ["Köln"]
    latin = about.read(
        content[:2] + iptc([(80, "Zoë".encode("latin-1"))], charset=b"") + photo(packet="", exif=Image.Exif())[2:]
    )
    assert latin.texts == {"author": "Zoë"}


def test_the_owner_may_have_any_name():
    tags = Image.Exif()
    tags[0x8769] = {0xA430: "José".encode()}
    assert about.read(photo(packet="", exif=tags), private=True).properties == {"aux:OwnerName": ["José"]}
    assert about.read(photo(packet="", exif=tags)) == about.About()


def test_a_record_of_gen_is_no_description_of_the_owner(tmp_path):
    made = provenance.record(config_digest="d", step=5)
    for format in ("PNG", "JPEG"):
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4)).save(buffer, format, **provenance.save_options(made, format))
        assert about.read(buffer.getvalue()) == about.About()


def test_exif_made_to_do_harm_says_little_and_can_be_written():
    random = np.random.default_rng(0)
    good = bytearray(photo(packet=""))
    start = good.index(b"Exif")
    kept_some = 0
    for _ in range(300):
        bad = bytearray(good)
        for at in random.integers(start + 6, start + 600, 4):
            bad[at] = random.integers(256)
        try:
            kept = about.read(bytes(bad), private=True)
        except Unreadable:
            continue
        buffer = io.BytesIO()
        Image.new("RGB", (4, 4)).save(buffer, "JPEG", **provenance.save_options({"gen:seed": 1}, "JPEG", kept))
        kept_some += bool(kept.exif)
    assert kept_some > 100


def test_large_texts_leave_room_for_the_record():
    packet = PACKET.replace("Straße", "</r:li><r:li>".join(["<![CDATA[" + "ä<" * 3000 + "]]>"] * 50))
    kept = about.read(photo(format="PNG", packet=packet.replace("Two", "Two" * 50_000)))
    made = provenance.record(config_digest="d", step=5, refine="<" * 200_000)
    buffer = io.BytesIO()
    Image.new("RGB", (4, 4)).save(buffer, "JPEG", **provenance.save_options(made, "JPEG", kept))
    assert provenance.reading.records_in(buffer.getvalue())["XMP"]["gen:step"] == 5
    assert kept.properties["dc:creator"] == ["Zoë", "Bob"]


def test_pictures_that_are_no_images_are_refused():
    with pytest.raises(Unreadable):
        about.read(os.urandom(99))
    assert open_picture(photo()).pixels.shape == (8, 4, 3)  # upright
