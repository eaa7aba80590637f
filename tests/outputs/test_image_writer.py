"""Image files with their records: every format, stills and animations, and what cannot be written."""

from __future__ import annotations

import io
import zlib

import numpy as np
import pytest
from PIL import Image

from gen import provenance
from gen.errors import InputError
from gen.outputs import encoding, image_writer
from gen.provenance import policy

RECORD = provenance.record(config_digest="d", step=5, seed=7, label="Sandal")
PLAIN = {"record": RECORD, "policy": policy.RECORD}


@pytest.mark.parametrize("format", encoding.STILLS + encoding.ANIMATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_keeps_pixels_and_record(tmp_path, format, channels):
    frames = [np.full((8, 6, channels), value, np.uint8) for value in (40, 200)][
        : 2 if format in ("webp", "gif") else 1
    ]
    path = tmp_path / "new" / f"x{encoding.suffix(format)}"
    image_writer.save(path, frames, format=format, **PLAIN)
    assert provenance.read(path).items() >= RECORD.items()
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as made:
        assert getattr(made, "n_frames", 1) == len(frames)
        for index, frame in enumerate(frames):
            made.seek(index)
            np.testing.assert_allclose(np.asarray(made.convert("RGB"))[..., :channels], frame, atol=6)


@pytest.mark.parametrize("channels", [2, 4])
def test_png_keeps_transparency(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels), np.uint8)
    image_writer.save(tmp_path / "x.png", [pixels], format="png", **PLAIN)
    with Image.open(tmp_path / "x.png") as made:
        np.testing.assert_array_equal(np.asarray(made), pixels)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(InputError, match=r"cannot write: .*x\.png is there"):
        image_writer.save(tmp_path / "x.png", [np.zeros((2, 2, 3), np.uint8)], format="png", **PLAIN)


def test_a_file_without_a_record_is_not_replaced(tmp_path):
    path, image = tmp_path / "x.png", np.zeros((2, 2, 3), np.uint8)
    Image.new("RGB", (3, 3)).save(path)
    mine = path.read_bytes()
    with pytest.raises(InputError, match=r"x\.png is there, not written by gen or changed since"):
        image_writer.save(path, [image], format="png", **PLAIN)
    assert path.read_bytes() == mine
    path.unlink()
    for value in (0, 1):
        image_writer.save(path, [image + np.uint8(value)], format="png", **PLAIN)
    with Image.open(path) as made:
        assert made.getpixel((0, 0)) == (1, 1, 1)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_values_that_are_not_finite_are_refused_with_their_number(tmp_path, value):
    image = np.full((4, 5, 3), 0.5, np.float32)
    image[1, 2:4, 0] = value
    with pytest.raises(InputError, match=r"x\.png: 2 of its 60 values are NaN or infinite"):
        image_writer.save(tmp_path / "x.png", [image], format="png", **PLAIN)
    assert not list(tmp_path.iterdir())
    image_writer.save(tmp_path / "x.png", [np.nan_to_num(image, posinf=0)], format="png", **PLAIN)
    with Image.open(tmp_path / "x.png") as made:
        assert made.getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize("channels", [2, 4])
def test_behind_jpeg_is_white(tmp_path, channels):
    image = np.zeros((16, 16, channels), np.uint8)
    image[:8, :, -1] = 255
    image_writer.save(tmp_path / "x.jpg", [image], format="jpeg", **PLAIN)
    with Image.open(tmp_path / "x.jpg") as made:
        assert made.convert("RGB").getpixel((3, 14)) == (255, 255, 255)
        assert made.convert("RGB").getpixel((3, 2)) == (0, 0, 0)


@pytest.mark.parametrize("channels", [2, 4])
def test_gif_shows_what_is_mostly_opaque_and_nothing_else(tmp_path, channels):
    image = np.full((6, 60, channels), 90, np.uint8)
    image[..., -1] = np.repeat([0, 3, 127, 128, 200, 255], 10)
    image_writer.save(tmp_path / "x.gif", [image, image[::-1]], format="gif", **PLAIN)
    image_writer.save(tmp_path / "y.gif", [image], format="gif", **PLAIN)
    for name in ("x.gif", "y.gif"):
        with Image.open(tmp_path / name) as made:
            shown = np.asarray(made.convert("RGBA"))[2, 5::10]
        assert shown[:, -1].tolist() == [0, 0, 0, 255, 255, 255]
        assert (shown[3:, 0] == 90).all()


@pytest.mark.parametrize("shape", [(5, 4, 1), (5, 4, 2), (6, 3, 3), (3, 1, 4)])
def test_sixteen_bits_are_written_whole(shape):
    image = np.random.default_rng(0).integers(0, 65536, shape, np.uint16)
    content = image_writer.encode(
        [image],
        format="png",
        **PLAIN,
        carried=image_writer.Carried(provenance.About({"author": "Ada"}), profile=encoding.srgb_profile()),
    )
    with Image.open(io.BytesIO(content)) as made:
        made.load()
        assert made.info.get("icc_profile") == (encoding.srgb_profile() if shape[-1] > 2 else None)
        assert (made.info["Author"], made.getexif()[0x013B]) == ("Ada", "Ada")
        if shape[-1] == 1:
            np.testing.assert_array_equal(np.asarray(made), image[..., 0])
    samples = np.frombuffer(_unfiltered(content, shape), ">u2").reshape(shape)
    np.testing.assert_array_equal(samples, image)


def _unfiltered(content: bytes, shape: tuple[int, int, int]) -> bytes:
    """The samples of a PNG whose rows have the filters Sub and Up, by the specification."""
    at, packed = 8, b""
    while at < len(content):
        length = int.from_bytes(content[at : at + 4], "big")
        packed += content[at + 8 : at + 8 + length] if content[at + 4 : at + 8] == b"IDAT" else b""
        at += length + 12
    step, rows, above = 2 * shape[2], b"", bytes(2 * shape[1] * shape[2])
    for line in np.frombuffer(zlib.decompress(packed), np.uint8).reshape(shape[0], -1).tolist():
        row: list[int] = []
        for i, value in enumerate(line[1:]):
            row.append((value + (above[i] if line[0] == 2 else row[i - step] if i >= step else 0)) % 256)
        above = bytes(row)
        rows += above
    return rows
