"""Image files with their records: every format, stills and animations, and what cannot be written."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen import pictures, provenance
from gen.errors import InputError

RECORD = provenance.record(config_digest="d", step=5, seed=7, label="Sandal")


@pytest.mark.parametrize("format", pictures.STILLS + pictures.ANIMATIONS)
@pytest.mark.parametrize("channels", [1, 3])
def test_every_format_keeps_pixels_and_record(tmp_path, format, channels):
    frames = [np.full((8, 6, channels), value, np.uint8) for value in (40, 200)][
        : 2 if format in ("webp", "gif") else 1
    ]
    path = tmp_path / "new" / f"x{pictures.suffix(format)}"
    pictures.save(path, frames, format=format, record=RECORD)
    assert provenance.read(path) == RECORD
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with Image.open(path) as made:
        assert getattr(made, "n_frames", 1) == len(frames)
        for index, frame in enumerate(frames):
            made.seek(index)
            np.testing.assert_allclose(np.asarray(made.convert("RGB"))[..., :channels], frame, atol=6)


@pytest.mark.parametrize("channels", [2, 4])
def test_png_keeps_transparency(tmp_path, channels):
    pixels = np.random.default_rng(0).integers(0, 256, (5, 4, channels), np.uint8)
    pictures.save(tmp_path / "x.png", [pixels], format="png", record=RECORD)
    with Image.open(tmp_path / "x.png") as made:
        np.testing.assert_array_equal(np.asarray(made), pixels)


def test_a_file_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "x.png").mkdir()
    with pytest.raises(InputError, match=r"cannot write .*x\.png: "):
        pictures.save(tmp_path / "x.png", [np.zeros((2, 2, 3), np.uint8)], format="png", record=RECORD)
