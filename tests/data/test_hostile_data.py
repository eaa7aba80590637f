"""Data that somebody made to harm who learns from them: archives, arrays, images."""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from pathlib import Path

import numpy as np
import pytest
from damage import whole
from hostile import bounded, chunk, png, program, refused

from gen.data import celeba, folder, npz
from gen.features.weights import read_weights
from gen.image_io import open_image, open_picture
from gen.image_io.load import load_images
from gen.imaging.color.cube import read_cube
from gen.npz import read_npz
from gen.provenance import read_all

MB = 2**20


@pytest.fixture(autouse=True)
def _cache(monkeypatch, tmp_path):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))


def archive(path: Path, members: dict[str, bytes], *, links: dict[str, str] | None = None) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as made:
        for name, content in members.items():
            made.writestr(name, content)
        for name, target in (links or {}).items():
            info = zipfile.ZipInfo(name)
            info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
            made.writestr(info, target)
    return path


GOOD = {f"{kind}/{kind}{i}.png": png(16, 16 + i) for kind in ("a", "b") for i in range(4)}


def test_links_and_paths_in_an_archive_lead_nowhere(tmp_path):
    outside = tmp_path / "outside.png"
    outside.write_bytes(png(40, 40))
    names = {f"{place}c.png": png(20, 20) for place in ("../", "../../", f"{tmp_path}/made/", "a/../../", "C:\\", "/")}
    links = {"a/link.png": str(outside), "a/up": "../..", "b/link.png": "/etc/passwd"}
    path = archive(tmp_path / "x.zip", GOOD | names, links=links)
    (tmp_path / "in").mkdir()
    before = sorted(tmp_path.iterdir())
    with bounded():
        skipped = folder(path, 8, labeled=False).metadata["skipped"]
    assert [entry["file"] for entry in skipped] == ["a/link.png", "b/link.png"]  # what they lead to is not read
    assert sorted(set(tmp_path.iterdir()) - {tmp_path / "cache"}) == before


def lying(path: Path, size: int) -> Path:
    """An archive whose first member declares fewer bytes than it unfolds to."""
    data = bytearray(archive(path, {"a/x.png": bytes(size)} | GOOD).read_bytes())
    central = data.find(b"PK\x01\x02")
    data[central + 24 : central + 28] = data[22:26] = struct.pack("<I", 100)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize("source", [folder, celeba])
@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda path: lying(path, 500 * MB), "Bad CRC"),
        (lambda path: archive(path, {"a/x.png": bytes(250 * MB)} | GOOD), "as no image does"),
    ],
    ids=["lying", "zeros"],
)
def test_zip_bombs_are_left_out(tmp_path, source, make, reason):
    path = make(tmp_path / "x.zip")
    with bounded():
        (skipped,) = source(path, 8).metadata["skipped"]
    assert skipped["file"] == "a/x.png"
    assert reason in skipped["reason"]


def test_a_list_of_labels_that_unfolds_is_refused(tmp_path):
    path = archive(tmp_path / "x.zip", GOOD | {"dataset.json": b"[" + b"0," * (60 * MB) + b"0]"})
    with refused(match=r"dataset\.json unfolds "):
        folder(path, 8)


@pytest.mark.parametrize("protocol", [0, 2, 5])
def test_object_arrays_and_pickles_in_npz_files_run_nothing(tmp_path, protocol):
    canary = tmp_path / "canary"
    objects = np.empty(8, object)
    objects[:] = [type("_", (), {"__reduce__": lambda self: (__import__("os").mkdir, (str(canary),))})()] * 8
    np.savez(tmp_path / "objects.npz", x_train=objects, y_train=np.zeros(8, np.int64))
    archive(tmp_path / "pickles.npz", {"x_train.npy": program(canary)})
    (tmp_path / "plain.npz").write_bytes(program(canary))
    for name in ("objects", "pickles", "plain"):
        path = tmp_path / f"{name}.npz"
        for read in (read_npz, read_weights, npz):
            with refused(canary):
                read(path)


@pytest.mark.parametrize("version", [(1, 0), (2, 0), (3, 0)])
def test_headers_of_arrays(tmp_path, version):
    length = 65_535 if version == (1, 0) else 200 * MB
    for declared in {length, 65_535 if version == (1, 0) else 2**32 - 1}:
        size = struct.pack("<H" if version == (1, 0) else "<I", declared)
        path = archive(tmp_path / "x.npz", {"x_train.npy": b"\x93NUMPY" + bytes(version) + size + b"{" + b" " * length})
        for read in (read_npz, read_weights, npz):
            with refused(match=f"declares a header of {declared:,} bytes"):
                read(path)


FLOODS = {
    "zTXt": chunk(b"zTXt", b"k\0\0" + zlib.compress(b"x" * 100 * MB)),
    "iTXt": chunk(b"iTXt", b"k\0\1\0\0\0" + zlib.compress(b"x" * 100 * MB)),
    "iCCP": chunk(b"iCCP", b"p\0\0" + zlib.compress(b"x" * 300 * MB)),
    "many zTXt": b"".join(chunk(b"zTXt", b"k%d\0\0" % i + zlib.compress(b"x" * 1_000_000)) for i in range(120)),
}


@pytest.mark.parametrize("kind", FLOODS)
def test_floods_of_text_in_a_png(tmp_path, kind):
    path = tmp_path / "x.png"
    path.write_bytes(png(extra=FLOODS[kind]))
    for read in (open_image, open_picture, read_all, lambda path: load_images([path], (16, 16, 3))):
        with refused(match="too large|Too much memory"):
            read(path)


def test_many_small_texts_in_a_png_take_little_memory(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(png(extra=b"".join(chunk(b"tEXt", b"k%d\0v" % i) for i in range(50_000))))
    with bounded():
        assert open_image(path).size == (16, 16)
        assert read_all(path) == {}


def _gif(side: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", side, side, 0x80, 0, 0) + bytes(6)
    return head + b"," + struct.pack("<HHHHB", 0, 0, side, side, 0) + b"\x02\x02\x4c\x01\x00;"


def _bmp(side: int) -> bytes:
    head = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + head


def _jpeg(side: int) -> bytes:
    data = bytearray(whole("color.jpg"))
    at = data.find(b"\xff\xc0") + 5
    data[at : at + 4] = struct.pack(">HH", side, side)
    return bytes(data)


BOMBS = {
    "jpg": _jpeg(65_500),
    "png": png(20_000, 20_000, pixels=zlib.compress(b"")),
    "png, all there": png(12_000, 12_000, pixels=zlib.compress(bytes(12_000 * 36_001))),
    "gif": _gif(65_535),
    "bmp": _bmp(30_000),
    "ppm": b"P6 60000 60000 255\n",
}


@pytest.mark.parametrize("kind", BOMBS)
def test_pictures_that_declare_more_than_is_decoded(tmp_path, kind):
    path = tmp_path / f"x.{kind[:3]}"
    path.write_bytes(BOMBS[kind])
    for read in (open_image, open_picture, read_all, lambda path: load_images([path], (16, 16, 3))):
        with refused(match=r"large; allowed are 134,217,728 "):
            read(path)


def test_pixels_that_unfold_to_more_than_the_picture_has(tmp_path):
    content = png(pixels=zlib.compress(bytes(300 * MB)))
    with bounded():
        assert open_image(content).size == (16, 16)


def test_tables_of_colors_run_nothing_and_take_no_more_than_they_have(tmp_path):
    canary, path = tmp_path / "canary", tmp_path / "x.cube"
    for content in (program(canary), b"LUT_3D_SIZE 256\n", b"LUT_1D_SIZE 65536\n0 0 0\n", b"LUT_3D_SIZE 1e9\n"):
        path.write_bytes(content)
        with refused(canary):
            read_cube(path)
    with path.open("wb") as file:
        file.truncate(2**36)
    with refused(canary, "too large"):
        read_cube(path)
