"""Untrusted files in a child process: what comes back, and what does not."""

from __future__ import annotations

import io
import json
import os
import struct
import time
import zlib
from pathlib import Path

import numpy as np
import pytest
from damage import damaged, whole
from PIL import Image

from gen import provenance
from gen.verification import answers, parse, protocol
from gen.verification.parse import Parser

RECORD = provenance.record(config_digest="a" * 64, step=3, seed=17)


@pytest.fixture(scope="module")
def parser():
    with Parser() as parser:
        yield parser


def content(array, format="PNG", **options) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, format=format, **options)
    return buffer.getvalue()


def noise(*shape, dtype=np.uint8):
    return np.random.default_rng(0).integers(0, np.iinfo(dtype).max, shape, dtype=dtype, endpoint=True)


@pytest.mark.parametrize(
    ("array", "shape"),
    [
        (noise(5, 7), (1, 5, 7, 1)),
        (noise(5, 7, 3), (1, 5, 7, 3)),
        (noise(5, 7, 4), (1, 5, 7, 4)),
        (noise(5, 7, dtype=np.uint16), (1, 5, 7, 1)),
    ],
)
def test_pixels_come_back_to_the_bit(parser, array, shape):
    parsed = parser.parse_content(content(array), path=Path("x.png"))
    assert parsed.error == ""
    assert parsed.pixels.shape == shape
    assert parsed.pixels.dtype == array.dtype
    np.testing.assert_array_equal(parsed.pixels[0].squeeze(), array)


def test_the_record_comes_back_from_every_place(parser):
    given = content(noise(8, 8, 3), **provenance.save_options(RECORD, "PNG"))
    parsed = parser.parse_content(given, path=Path("x.png"))
    assert set(parsed.records) == {"text", "EXIF", "XMP"}
    assert all(record == RECORD for record in parsed.records.values())
    assert parsed.format == "PNG"


def test_as_many_frames_of_a_film_come_back_as_are_wanted(parser):
    frames = [Image.fromarray(noise(6, 6, 3) // (i + 1)) for i in range(3)]
    buffer = io.BytesIO()
    frames[0].save(buffer, format="WEBP", save_all=True, append_images=frames[1:], lossless=True)
    film, some, still = (parser.parse_content(buffer.getvalue(), path=Path("x"), frames=n) for n in (9, 2, 1))
    assert (film.frames, film.pixels.shape) == (3, (3, 6, 6, 3))
    assert (some.frames, some.pixels.shape) == (3, (2, 6, 6, 3))
    assert (still.frames, still.pixels.shape) == (3, (1, 6, 6, 3))


def test_a_large_picture_comes_back_smaller_unless_it_is_wanted_whole(parser):
    large = content(np.tile(noise(8, 8, 3), (512, 512, 1)), compress_level=1)
    small, whole = (parser.parse_content(large, path=Path("x"), whole=wanted) for wanted in (False, True))
    assert small.sides == whole.sides == (4096, 4096)
    assert small.pixels.shape == (1, 2048, 2048, 3)
    assert whole.pixels.shape == (1, 4096, 4096, 3)
    four = noise(8, 8, 3)[:2, :2].astype(float).mean((0, 1))
    np.testing.assert_allclose(small.pixels[0, 0, 0], four, atol=1)


def test_what_is_no_image_is_told_in_one_line(parser, tmp_path):
    (tmp_path / "folder").mkdir()
    os.mkfifo(tmp_path / "pipe")
    for given in (b"", b"hello", b"%PDF-1.4", whole("color.png")[:100]):
        parsed = parser.parse_content(given, path=Path("x"))
        assert parsed.error
        assert "\n" not in parsed.error
    assert "regular file" in parser.parse(tmp_path / "pipe").error
    assert "regular file" in parser.parse(tmp_path / "folder").error
    assert parser.parse(tmp_path / "none").error == "No such file or directory"


def test_a_bomb_is_refused_and_the_next_file_is_read(parser):
    bomb = bytearray(whole("color.png"))
    bomb[16:24] = struct.pack(">II", 40_000, 40_000)
    bomb[29:33] = struct.pack(">I", zlib.crc32(bomb[12:29]))
    assert "pixels" in parser.parse_content(bytes(bomb), path=Path("bomb")).error
    text = zlib.compress(bytes(2**26))
    chunk = b"zTXtgen:seed\0\0" + text
    png = whole("color.png")
    bomb = png[:33] + struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) + png[33:]
    assert parser.parse_content(bomb, path=Path("bomb")).error
    assert parser.parse_content(content(noise(8, 8)), path=Path("x")).error == ""


def test_an_image_that_needs_too_much_memory_does_not_end_the_child():
    large = content(np.zeros((4000, 4000, 4), np.uint8), compress_level=1)
    with Parser(memory=2**28) as parser:
        child = parser._started()
        assert "memory" in parser.parse_content(large, path=Path("x")).error
        assert parser.parse_content(content(noise(8, 8)), path=Path("x")).error == ""
        assert parser._started() is child


def test_texts_of_any_signs_and_encodings_do_not_end_the_child(parser):
    packet = provenance.save_options({"gen:seed": 3}, "JPEG")["xmp"].partition(b"?>")[2]
    for encoding in (b"cp1251", b"none"):
        jpeg = content(noise(8, 8), "JPEG", xmp=b'<?xml version="1.0" encoding="' + encoding + b'"?>' + packet)
        parsed = parser.parse_content(jpeg, path=Path("x"))
        assert (parsed.error, list(parsed.records)) == ("", ["XMP"] * (encoding != b"none"))
    png = content(noise(8, 8), **provenance.save_options({"gen:run": "\x1b[2J"}, "PNG"))
    assert parser.parse_content(png, path=Path("x")).records["text"] == {"gen:run": "\\x1b[2J"}


def test_damaged_files_never_end_the_parent(parser):
    rng = np.random.default_rng(0)
    for kind in ("color.png", "color.jpg"):
        for _ in range(20):
            parsed = parser.parse_content(damaged(rng, whole(kind)), path=Path(kind))
            assert bool(parsed.error) != bool(parsed.frames)


def test_the_child_has_no_secret_and_can_open_nothing(monkeypatch):
    monkeypatch.setenv("GEN_C2PA_PRIVATE_KEY", "secret")
    monkeypatch.setenv("GEN_WATERMARK_KEY", "secret")
    with Parser() as parser:
        pid = parser._started().pid
        assert b"secret" not in Path(f"/proc/{pid}/environ").read_bytes()
        limits = Path(f"/proc/{pid}/limits").read_text()
        assert f"Max address space         {protocol.MEMORY}" in limits
        assert "Max open files            3 " in limits


def test_a_child_that_hangs_or_dies_is_replaced():
    with Parser(seconds=0.5) as parser:
        first = parser._started()
        os.kill(first.pid, 19)  # SIGSTOP
        began = time.monotonic()
        assert "takes too long" in parser.parse_content(content(noise(8, 8)), path=Path("x")).error
        assert time.monotonic() - began < 5
        second = parser._started()
        second.kill()
        second.wait()
        assert "signal 9" in parser.parse_content(content(noise(8, 8)), path=Path("x")).error
        assert parser.parse_content(content(noise(8, 8)), path=Path("x")).error == ""


GOOD = {"format": "PNG", "frames": 1, "sides": [2, 2], "shape": [1, 2, 2, 3], "dtype": "uint8", "records": {}}


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [1, 2, 2, 4]},
        {"shape": [1, -2, -2, 3]},
        {"shape": [1, 2, 2, True]},
        {"shape": [2**40, 2**40, 2**40, 1]},
        {"shape": None},
        {"dtype": "object"},
        {"dtype": None},
        {"frames": 0},
        {"sides": [2]},
        {"sides": [2, "2"]},
        {"frames": "1"},
        {"format": 1},
        {"records": []},
        {"records": {"text": "x"}},
    ],
)
def test_an_answer_that_cannot_be_is_not_believed(changes):
    answers.picture(Path("x"), GOOD, bytearray(12))
    with pytest.raises(answers.Untrue):
        answers.picture(Path("x"), GOOD | changes, bytearray(12))


def test_only_plain_values_of_a_record_are_kept():
    record = {"gen:a": 1, "gen:b": [1], "gen:c": {"x": 1}, "gen:d": True, "gen:e": "\x1b[2J", "other": 1}
    assert protocol.plain_record(record) == {"gen:a": 1, "gen:e": "\\x1b[2J"}
    assert len(protocol.plain_record({f"gen:{i}": i for i in range(10_000)})) == 200
    assert len(json.dumps(protocol.plain_record({"gen:a": "x" * 10**6}))) < 30_000


def test_a_manifest_that_ends_the_child_is_a_broken_signature_and_the_picture_is_kept(monkeypatch):
    read = parse._read
    steps = iter(["ready", "picture", "signature"])

    def dying(child, deadline):
        if next(steps) == "signature":
            raise parse._Ended("signal 9")
        return read(child, deadline)

    monkeypatch.setattr(parse, "_read", dying)
    with Parser() as parser:
        parsed = parser.parse_content(content(noise(8, 8)), path=Path("x"))
        assert parser._child is None  # what it may still say is of this file
    assert parsed.pixels.shape == (1, 8, 8, 1)
    assert parsed.signature.state == "broken"
    assert "within the limits" in parsed.signature.problems[0]
