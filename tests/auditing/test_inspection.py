"""One image file: what it is, what is wrong with it, and nothing that it can do."""

import io
import os
import struct
import subprocess
import sys
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageCms

from gen.auditing import pool
from gen.auditing.inspection import Inspected, fingerprint_in_color, inspect
from gen.outputs import image_writer
from gen.provenance import record
from gen.provenance.policy import RECORD

PIXELS = np.random.default_rng(0).integers(0, 255, (40, 60, 3), np.uint8)


def encoded(image: Image.Image, form: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that declares 40,000 x 40,000 pixels."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


def test_a_sound_file_is_described():
    content = encoded(Image.fromarray(PIXELS), "PNG")
    seen = inspect(content)
    assert (seen.width, seen.height, seen.format, seen.error, seen.facts) == (60, 40, "PNG", "", {})
    assert seen.size == len(content)
    assert len(seen.sha256) == 64
    assert seen.numbers["aspect"] == 1.5
    assert len(seen.gray) == 48 * 48
    assert len(seen.color) == 32 * 32 * 3


def test_the_same_pixels_have_the_same_digest_in_any_file(tmp_path):
    png, bmp = (encoded(Image.fromarray(PIXELS), form) for form in ("PNG", "BMP"))
    (tmp_path / "a.png").write_bytes(png)
    assert inspect(png).pixels == inspect(bmp).pixels == inspect(tmp_path / "a.png").pixels
    assert inspect(png).pixels == inspect(PIXELS).pixels
    assert inspect(PIXELS[:, ::-1]).pixels != inspect(PIXELS).pixels


JPEG = encoded(Image.fromarray(PIXELS), "JPEG", quality=95)


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"no image", "unreadable"),
        (b"", "unreadable"),
        (JPEG[: len(JPEG) // 2], "truncated"),
        (encoded(Image.fromarray(PIXELS), "PNG")[:2000], "truncated"),
        (bomb(), "too_large"),
    ],
)
def test_what_cannot_be_read_is_told_with_a_reason(content, kind):
    seen = inspect(content)
    assert seen.error_kind == kind
    assert seen.error
    assert "\n" not in seen.error
    assert seen.size == len(content)


def test_missing_files_folders_and_pipes_are_told(tmp_path):
    os.mkfifo(tmp_path / "pipe.png")
    for path in (tmp_path / "none.png", tmp_path, tmp_path / "pipe.png"):
        assert inspect(path).error_kind == "unreadable"


def test_a_file_whose_end_is_missing_is_told_though_it_was_decoded():
    assert "truncated" in inspect(JPEG[:-2]).facts or inspect(JPEG[:-2]).error_kind == "truncated"
    assert "truncated" not in inspect(JPEG).facts
    assert "truncated" not in inspect(JPEG + b"\0" * 50).facts


def test_what_phones_append_to_a_photo_is_no_missing_end():
    film = np.random.default_rng(3).integers(0, 256, 200_000, np.uint8).tobytes() + b"\xff\xda"
    for seed in range(5):
        assert "truncated" not in inspect(JPEG + film[seed * 1000 :]).facts
    progressive = encoded(Image.fromarray(PIXELS), "JPEG", progressive=True)
    assert inspect(progressive).facts == {}


def test_a_bitmap_is_not_deep_for_its_width():
    assert inspect(encoded(Image.fromarray(np.zeros((2, 720, 3), np.uint8)), "BMP")).facts == {}


def rotated() -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6
    return encoded(Image.fromarray(PIXELS), "JPEG", exif=exif.tobytes())


def transparent() -> bytes:
    alpha = np.full((40, 60, 1), 255, np.uint8)
    alpha[:20] = 0
    return encoded(Image.fromarray(np.concatenate([PIXELS, alpha], -1)), "PNG")


def profiled() -> bytes:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    return encoded(Image.fromarray(PIXELS), "PNG", icc_profile=lab.tobytes())


FACTS = {
    "rotated": rotated(),
    "transparent": transparent(),
    "deep": encoded(Image.fromarray(PIXELS[..., 0].astype(np.uint16) * 257), "PNG"),
    "cmyk": encoded(Image.fromarray(PIXELS).convert("CMYK"), "JPEG"),
    "frames": encoded(
        Image.fromarray(PIXELS), "GIF", save_all=True, append_images=[Image.fromarray(PIXELS[::-1])], duration=50
    ),
}


@pytest.mark.parametrize("kind", FACTS)
def test_what_a_file_is_besides_is_told(kind):
    seen = inspect(FACTS[kind])
    assert list(seen.facts) == [kind]
    assert not seen.error


def test_a_turned_photo_is_measured_upright():
    assert (inspect(rotated()).width, inspect(rotated()).height) == (40, 60)


def test_srgb_and_opaque_alpha_are_nothing_to_tell():
    assert inspect(profiled()).facts == {}
    opaque = np.concatenate([PIXELS, np.full((40, 60, 1), 255, np.uint8)], -1)
    assert inspect(encoded(Image.fromarray(opaque), "PNG")).facts == {}


@pytest.mark.parametrize("form", ["png", "jpeg", "webp"])
def test_what_gen_made_is_told_by_its_record(form):
    about = record(config_digest="c" * 64, step=3, seed=1, run="shapes")
    content = image_writer.encode([PIXELS], format=form, record=about, policy=RECORD)
    assert inspect(content).facts["generated"] == "a record of gen: shapes"


def test_quality_of_a_jpeg_is_known():
    assert inspect(encoded(Image.fromarray(PIXELS), "JPEG", quality=20)).numbers["quality"] == pytest.approx(20, abs=1)


def test_color_is_averaged_over_areas():
    image = np.zeros((64, 64, 3), np.uint8)
    image[::2] = 200
    assert (fingerprint_in_color(image) == 100).all()


class Deadly:
    """What ends the process that receives it, as a decoder might."""

    def __reduce__(self):
        return os._exit, (1,)


def test_a_file_that_ends_its_process_does_not_end_the_audit():
    items = list(range(70))
    jobs = dict.fromkeys(items, PIXELS) | {33: Deadly()}
    (found,) = pool.inspected(items, jobs.__getitem__)
    told = dict(found)
    assert told[33].error == "it ends the process that decodes it"
    assert all(told[i].error == "" for i in items if i != 33)


def test_many_are_looked_at_in_processes_as_few_are_in_this_one():
    items = list(range(65))
    images = np.random.default_rng(1).integers(0, 255, (65, 32, 32, 3), np.uint8)
    (many,) = pool.inspected(items, images.__getitem__)
    assert [i for i, _ in many] == items
    assert [repr(seen) for _, seen in many[:3]] == [repr(inspect(image)) for image in images[:3]]
    (few,) = pool.inspected([0, 1], images.__getitem__)
    assert repr(few) == repr(many[:2])


def test_what_is_gone_is_told(tmp_path):
    def job(item: int) -> bytes:
        raise FileNotFoundError(2, "No such file or directory")

    assert list(pool.inspected([0], job)) == [
        [(0, Inspected(error_kind="unreadable", error="No such file or directory", passing=True))]
    ]


SCRIPT = """
import sys
import numpy as np
from gen import api
images = np.random.default_rng(0).integers(0, 255, (70, 24, 24, 3), np.uint8)
found = api.audit(images, fast=True)
print(len(found.entries), found.counts.get("unreadable", 0))
"""


@pytest.mark.parametrize("piped", [True, False])
def test_a_script_without_a_guard_audits_too(tmp_path, piped):
    (tmp_path / "script.py").write_text(SCRIPT)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "GEN_CACHE": str(tmp_path / "cache")}
    command = [sys.executable, "-" if piped else "script.py"]
    given = {"input": SCRIPT} if piped else {}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, cwd=tmp_path, **given)
    assert done.stdout.split() == ["70", "0"], done.stderr


def test_trouble_that_may_pass_is_not_remembered(tmp_path):
    seen = inspect(tmp_path / "none.png")
    assert seen.passing
    assert not inspect(b"no image").passing


def test_transparent_images_are_measured_as_they_are_shown():
    """A red disk on nothing, with noise where nothing is seen: neither noisy nor without contrast."""
    rows, columns = np.mgrid[:64, :64]
    disk = (rows - 32) ** 2 + (columns - 32) ** 2 < 20**2
    hidden = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    image = np.where(disk[..., None], np.array([200, 30, 30], np.uint8), hidden)
    seen = inspect(encoded(Image.fromarray(np.dstack([image, np.where(disk, 255, 0)]).astype(np.uint8)), "PNG"))
    shown = inspect(encoded(Image.fromarray(np.where(disk[..., None], image, 255).astype(np.uint8)), "PNG"))
    assert seen.numbers["noise"] == pytest.approx(shown.numbers["noise"], abs=0.01)
    assert seen.numbers["contrast"] == pytest.approx(shown.numbers["contrast"], abs=0.01)
    assert seen.numbers["palest"] < 0.2 < shown.numbers["contrast"]
