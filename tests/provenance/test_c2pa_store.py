"""What is changed in a signed file is told: anywhere in its bytes, also where neither hash nor signature looks."""

from __future__ import annotations

import struct
import zlib

import certificates as made
import forgery
import numpy as np
import pytest
import tampering

from gen.provenance import c2pa
from gen.provenance.c2pa_read import FORMATS
from gen.provenance.c2pa_store import Altered, read_cbor

ZEROS = b"\0" * 200  # of the padding of a signature


@pytest.fixture(scope="module")
def kit(tmp_path_factory):
    return made.make_kit(tmp_path_factory.mktemp("kit"))


@pytest.fixture(scope="module")
def files(kit):
    return {format: kit.file(format) for format in FORMATS}


def line(kit, content):
    """The first line about a file that must not be trusted."""
    found = c2pa.read(content, anchors=kit.anchors)
    assert found.state == "broken"
    return found.problems[0]


@pytest.mark.parametrize("format", FORMATS)
def test_of_two_hundred_changed_bytes_none_stays_trusted(format, kit, files):
    rng, content = np.random.default_rng(0), files[format]
    assert c2pa.read(content, format, anchors=kit.anchors).state == "trusted"
    for _ in range(200):
        changed = tampering.tampered("bytes", rng, content)
        assert c2pa.read(changed, format, anchors=kit.anchors).state in ("broken", "absent")


@pytest.mark.parametrize("way", tampering.WAYS)
@pytest.mark.parametrize("format", FORMATS)
def test_however_a_file_is_changed_it_does_not_stay_trusted(format, way, kit, files):
    rng = np.random.default_rng(1)
    for _ in range(10):
        changed = tampering.tampered(way, rng, files[format])
        assert c2pa.read(changed, format, anchors=kit.anchors).state in ("broken", "absent")


@pytest.mark.parametrize("format", FORMATS)
def test_chunks_put_together_are_the_file(format, files):
    assert b"".join(tampering.chunks(files[format])) == files[format]


@pytest.mark.parametrize("format", FORMATS)
def test_each_byte_of_the_frame_of_a_signature_counts(format, kit, files):
    content = files[format]
    begin, end = content.index(b"jumb") - 34, content.index(b"jumb") + 60
    for at in range(begin, end):
        for bit in (0, 7):
            changed = bytearray(content)
            changed[at] ^= 1 << bit
            assert c2pa.read(bytes(changed), format, anchors=kit.anchors).state in ("broken", "absent"), at


def test_segments_of_a_long_signature_are_numbered(kit):
    content = kit.file("JPEG", {"gen:note": "x" * 150_000})
    assert content.count(b"JP\x02\x11") == 3
    assert c2pa.read(content, anchors=kit.anchors).state == "trusted"
    for number in (1, 2, 3):
        at = content.index(b"JP\x02\x11" + struct.pack(">I", number))
        for other in (number - 1, number + 1, 2**31):
            changed = content[: at + 4] + struct.pack(">I", other) + content[at + 8 :]
            assert c2pa.read(changed, anchors=kit.anchors).state == "broken"


def test_what_is_said_to_be_signed_stands_elsewhere(kit, files):
    content = files["JPEG"]
    at = content.index(ZEROS + b"\xf6") + len(ZEROS)  # CBOR's null after the padding
    assert line(kit, content[:at] + b"\xf7" + content[at + 1 :]) == "the signature is not in the form of CBOR"


def test_the_padding_of_a_signature_hides_nothing(kit, files):
    content = files["JPEG"]
    hidden = content.replace(ZEROS, b"\0" * 190 + b"hidden" + b"\0" * 4)
    assert line(kit, hidden) == "the padding of the signature was changed after it was signed"


def test_nothing_is_smuggled_into_the_place_of_a_signature(kit, files):
    comment = b"\xff\xfe" + struct.pack(">H", 22) + b"x" * 20
    chunk = b"tEXtgen:seed\x0099"
    texts = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    for format, more in (("JPEG", comment), ("PNG", texts)):
        content = files[format]
        changed = forgery.smuggled(content, more)
        assert more in changed
        assert len(changed) == len(content)
        assert line(kit, changed) == "the picture or its metadata was changed after it was signed"


def test_a_signature_of_another_picture_is_told(kit, files):
    other = kit.file("JPEG", seed=1)
    parts, others = tampering.chunks(files["JPEG"]), tampering.chunks(other)
    signature = next(part for part in parts if b"c2pa.signature" in part)
    copied = b"".join(signature if b"c2pa.signature" in part else part for part in others)
    assert line(kit, copied) == "the picture or its metadata was changed after it was signed"
    unsigned = b"".join(part for part in others if b"c2pa.signature" not in part)
    added = unsigned[:20] + signature + unsigned[20:]
    assert line(kit, added) == "the picture or its metadata was changed after it was signed"


def test_a_file_that_nobody_changed_may_be_signed_by_others(kit, files):
    """What forges in these tests makes files that are sound, if its certificate is."""
    chain = kit.authority.sign()
    found = c2pa.read(forgery.resigned(files["PNG"], chain.certificates, chain.key), anchors=kit.anchors)
    assert (found.state, found.problems) == ("trusted", [])


def test_cbor_is_read_as_it_is_written():
    item = {1: -7, 33: [b"x" * 300, b""], "pad": b"\0" * 70_000, -5: [None, "Bär", []]}
    assert read_cbor(forgery.cbor(item)) == item
    cut, deep, twice, long = b"\x41", b"\x81" * 40, b"\xa2\x01\x01\x01\x01", b"\xbb" + b"\xff" * 8
    for bad in (b"", b"\xf7", cut, b"\xa1\x01", b"\xff", b"\x01\x01", deep, twice, long):
        with pytest.raises(Altered):
            read_cbor(bad)
