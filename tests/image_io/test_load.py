"""Image files become what the data source of a run would have made of them."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from gen import provenance
from gen.errors import InputError
from gen.image_io.fit import center_crop_resize, to_resolution
from gen.image_io.load import image_files, load_images, load_readable
from gen.outputs import image_writer
from gen.provenance import policy


def save(path, shape, seed=0) -> np.ndarray:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def test_images_of_the_right_size_are_given_as_they_are(tmp_path):
    gray, color = save(tmp_path / "a.png", (8, 8)), save(tmp_path / "b.png", (8, 8, 3))
    loaded = load_images([tmp_path / "a.png"], (8, 8, 1))
    assert loaded.dtype == np.float32
    assert (loaded[0, ..., 0] == gray / np.float32(255)).all()
    both = load_images([tmp_path / "b.png", tmp_path / "a.png"], (8, 8, 3))
    assert (both == np.stack([color, gray[..., None].repeat(3, -1)]) / np.float32(255)).all()


def test_larger_ones_are_cropped_and_averaged_and_smaller_ones_padded(tmp_path):
    wide = save(tmp_path / "wide.png", (20, 30, 3))
    loaded = load_images([tmp_path / "wide.png"], (8, 8, 3))
    assert (loaded[0] == center_crop_resize(Image.fromarray(wide), 8) / np.float32(255)).all()
    small = save(tmp_path / "small.png", (28, 28))
    for padding, mode in (("zero", "constant"), ("edge", "edge")):
        loaded = load_images([tmp_path / "small.png"], (32, 32, 1), padding=padding)
        assert (loaded[0, ..., 0] == np.pad(small, 2, mode=mode) / np.float32(255)).all()


def test_images_that_are_not_square(tmp_path):
    tall = save(tmp_path / "tall.png", (16, 8, 3))
    assert (load_images([tmp_path / "tall.png"], (16, 8, 3))[0] == tall / np.float32(255)).all()
    large = save(tmp_path / "large.png", (40, 16, 3))  # twice as large, and 8 rows too high
    loaded = load_images([tmp_path / "large.png"], (16, 8, 3))
    means = large[4:-4].reshape(16, 2, 8, 2, 3).mean((1, 3)) / 255
    np.testing.assert_allclose(loaded[0], means, atol=1.1 / 255)
    save(tmp_path / "odd.png", (9, 29, 3))  # its crop, computed by a scale, would begin at -1e-15
    assert load_images([tmp_path / "odd.png"], (2, 7, 3)).shape == (1, 2, 7, 3)


def test_what_cannot_be_used_is_named(tmp_path):
    save(tmp_path / "tiny.png", (5, 5, 3))
    (tmp_path / "bad.png").write_bytes(b"no image")
    for name, words in (("tiny.png", "images of 5x5 cannot be padded"), ("bad.png", "cannot be read")):
        for shape in ((8, 8, 3), (8, 6, 3)):
            with pytest.raises(InputError, match=f"{name}: ") as caught:
                load_images([tmp_path / name], shape)
            assert "\n" not in str(caught.value)
        assert words in str(caught.value) or "is 5x5, smaller than 6x8; allowed: 6x8 or more" in str(caught.value)


def test_folders_are_searched_in_order(tmp_path):
    for name in ("b.png", "a/z.png", "a/y.jpg"):
        save(tmp_path / name, (4, 4, 3))
    (tmp_path / "note.txt").write_text("no image")
    found = image_files([tmp_path, tmp_path / "b.png"])
    assert [path.relative_to(tmp_path).as_posix() for path in found] == ["a/y.jpg", "a/z.png", "b.png", "b.png"]
    (tmp_path / "empty").mkdir()
    for place in ("empty", "nowhere"):
        with pytest.raises(InputError, match=place):
            image_files([tmp_path / place])


def test_grids_in_folders_are_not_taken_for_images(tmp_path, caplog):
    save(tmp_path / "set/a.png", (4, 4, 3))
    for suffix in ("png", "jpeg", "webp"):
        record = provenance.record(config_digest="0", step=1, seed="0-3", shows="grid")
        grid, path = np.zeros((9, 9, 3), np.uint8), tmp_path / f"set/grid.{suffix}"
        image_writer.save(path, [grid], format=suffix, record=record, policy=policy.RECORD)
    assert image_files([tmp_path / "set"]) == [tmp_path / "set/a.png"]
    assert "3 files ignored: 3 composed by gen (grids and figures)" in caplog.text
    assert image_files([tmp_path / "set/grid.png"]) == [tmp_path / "set/grid.png"]  # named by itself
    (tmp_path / "set/a.png").unlink()
    with pytest.raises(InputError, match="no images but those composed by gen"):
        image_files([tmp_path / "set"])


def test_what_cannot_be_used_is_left_out_with_one_line(tmp_path, caplog):
    files = [tmp_path / f"{name}.png" for name in "abcdef"]
    kept = save(files[2], (8, 8, 3))
    save(files[0], (5, 5, 3))
    for torn in (files[1], *files[3:]):
        torn.write_bytes(b"torn")
    indices, images = load_readable(files, (8, 8, 3))
    assert indices == [2]
    assert (images == kept / np.float32(255)).all()
    (line,) = [record.getMessage() for record in caplog.records]
    assert line.startswith(f"5 of 6 files left out: {files[0]}: images of 5x5 cannot be padded")
    assert line.endswith("; and 2 more")
    with pytest.raises(InputError, match=r"none of the 2 files can be used: .*b\.png: cannot be read .*; .*d\.png"):
        load_readable([files[1], files[3]], (8, 8, 3))


def test_a_padding_that_there_is_not_is_refused():
    with pytest.raises(InputError, match="padding is 'zer'; did you mean 'zero'"):
        to_resolution(np.zeros((1, 8, 8, 3), np.uint8), 9, "zer")
