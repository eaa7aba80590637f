"""What is written is marked: each image by itself, in the region that was made, in every format and kind of picture."""

from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from gen import provenance, watermark
from gen.outputs import image_writer, marking
from gen.outputs.image_writer import Still
from gen.outputs.marking import Unmarked, mark
from gen.provenance import run_tag
from gen.provenance.policy import RECORD, Policy

KEY = watermark.key(b"a secret of the tests")
MARKS = Policy("mark", KEY)
MADE = provenance.record(config_digest="d", step=5, seed=7)


def picture(height: int, width: int, channels: int = 3, *, seed: int = 0) -> np.ndarray:
    """Blocks of color with grain, uint8 [h w c]."""
    rng = np.random.default_rng(seed)
    blocks = rng.integers(60, 196, (height // 8, width // 8, channels)).repeat(8, 0).repeat(8, 1)
    return np.clip(blocks + rng.normal(0, 6, blocks.shape), 0, 255).astype(np.uint8)


def test_without_a_key_the_pixels_stay():
    image = picture(32, 32)
    assert mark([Unmarked(image, 1)], RECORD)[0] is image


def test_an_image_is_marked_as_if_it_were_alone():
    region = np.zeros((32, 48), bool)
    region[:, :24] = True
    given = [
        *[Unmarked(picture(32, 32, seed=seed), 3) for seed in range(5)],
        Unmarked(picture(32, 32, seed=9), 4),
        Unmarked(picture(32, 48), 3),
        Unmarked(picture(32, 48), 3, region),
        Unmarked(picture(32, 32).astype(np.uint16) * 257, 3),
        Unmarked(picture(32, 32, 4), 3),
        Unmarked(picture(8, 8), 3),
    ]
    together = mark(given, MARKS)
    for image, marked in zip(given, together, strict=True):
        assert marked.dtype == image.pixels.dtype
        np.testing.assert_array_equal(marked, mark([image], MARKS)[0])
        np.testing.assert_array_equal((marked != image.pixels).any(), min(marked.shape[:2]) >= watermark.MIN)
    np.testing.assert_array_equal(together[7][~region], given[7].pixels[~region])
    np.testing.assert_array_equal(together[9][..., 3], given[9].pixels[..., 3])


def test_what_is_compiled_before_is_what_marks(tmp_path):
    stills = [Still(tmp_path / f"{i}.png", picture(32, 32, seed=i), MADE) for i in range(3)]
    image_writer.save_all(stills, format="png", policy=MARKS, shape=(32, 32, 3))
    for still in stills:
        with Image.open(still.path) as made:
            np.testing.assert_array_equal(np.asarray(made), mark([Unmarked(still.image, run_tag(MADE))], MARKS)[0])


@pytest.mark.parametrize(("format", "frames"), [("png", 1), ("jpeg", 1), ("webp", 3), ("gif", 3)])
def test_the_mark_is_found_in_every_format(format, frames):
    film = [picture(128, 128, seed=seed) for seed in range(frames)]
    content = image_writer.encode(film, format=format, record=MADE, policy=MARKS)
    with Image.open(io.BytesIO(content)) as made:
        found = []
        for i in range(frames):
            made.seek(i)
            found.append(np.asarray(made.convert("RGB")))
    result = watermark.pool(found, KEY)
    assert result.found
    assert result.tag == run_tag(MADE) >> (24 - result.tag_bits) << (24 - result.tag_bits)


def test_a_figure_is_not_marked():
    image = picture(64, 64)
    content = image_writer.encode([image], format="png", record=MADE, policy=MARKS, mark=False)
    with Image.open(io.BytesIO(content)) as made:
        np.testing.assert_array_equal(np.asarray(made), image)


def test_the_record_says_what_the_pixels_were_before_the_mark():
    image = picture(64, 64)
    content = image_writer.encode([image], format="png", record=MADE, policy=MARKS)
    with Image.open(io.BytesIO(content)) as made:
        assert (np.asarray(made) != image).any()
        assert made.info["gen:pixels"] == provenance.pixels_digest(image)


def test_few_are_marked_at_once_where_they_are_large():
    assert [marking.at_once(side, side) for side in (32, 64, 128, 512, 4000)] == [64, 64, 16, 1, 1]
    assert marking.at_once(32, 48) == 1  # no compiler
