"""Folders of images made here: every format and pixel kind, layouts, damage, and splits that stay put."""

import logging

import numpy as np
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from gen.data import folder
from gen.errors import InputError
from gen.report import save_png

RED, WHITE = (200, 40, 20), (255, 255, 255)


def _save(path, color=RED, size=(12, 10), mode="RGB", **options):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path, **options)


def _only(root, resolution=4, **options):
    """The one picture that all files of the folder show."""
    source = folder(root, resolution, **options)
    np.testing.assert_array_equal(source.train.images[0], source.held_out.images[0])
    return source.train.images[0].astype(int)


def _twice(tmp_path, name, image, **options):
    root = tmp_path / "images"
    root.mkdir()
    for copy in "12":
        image.save(root / f"{copy}{name}", **options)
    return root


@pytest.mark.parametrize("suffix", ["png", "jpg", "jpeg", "webp", "bmp", "gif", "tif", "tiff", "ppm", "PNG"])
def test_every_format(tmp_path, suffix):
    image = _only(_twice(tmp_path, f".{suffix}", Image.new("RGB", (9, 8), RED)))
    np.testing.assert_allclose(image, np.broadcast_to(RED, (4, 4, 3)), atol=6)


def test_area_average_of_the_central_square(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (8, 14, 3), np.uint8)
    expected = pixels[:, 3:11].reshape(4, 2, 4, 2, 3).mean((1, 3))
    np.testing.assert_allclose(_only(_twice(tmp_path, ".png", Image.fromarray(pixels))), expected, atol=1)


@pytest.mark.parametrize(("background", "expected"), [(WHITE, (255, 148, 255)), ((0, 0, 0), (127, 20, 127))])
@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_transparency_shows_the_background(tmp_path, mode, background, expected):
    color = (255, 40, 255, 127) if mode == "RGBA" else (40, 127)
    expected = np.broadcast_to(expected if mode == "RGBA" else expected[1], (4, 4, 3))
    image = _only(_twice(tmp_path, ".png", Image.new(mode, (6, 6), color)), background=background)
    np.testing.assert_allclose(image, expected, atol=1)


def test_palette_with_a_transparent_entry(tmp_path):
    image = Image.new("P", (8, 8), 0)
    image.putpalette([9, 9, 9, *RED])
    image.paste(1, (4, 0, 8, 8))
    result = _only(_twice(tmp_path, ".png", image, transparency=0), background=(0, 255, 0))
    np.testing.assert_array_equal(result[:, :2], np.broadcast_to((0, 255, 0), (4, 2, 3)))
    np.testing.assert_array_equal(result[:, 2:], np.broadcast_to(RED, (4, 2, 3)))


@pytest.mark.parametrize("suffix", [".png", ".tif", ".pgm"])
def test_sixteen_bits_are_scaled_not_clipped(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 16, dtype=np.uint16).reshape(4, 4)
    image = _only(_twice(tmp_path, suffix, Image.fromarray(ramp)), grayscale=True)
    np.testing.assert_allclose(image[..., 0], ramp / 257, atol=0.51)


def test_cmyk(tmp_path):
    image = _only(_twice(tmp_path, ".jpg", Image.new("CMYK", (8, 8), (0, 255, 255, 0)), quality=95))
    np.testing.assert_allclose(image, np.broadcast_to((255, 0, 0), (4, 4, 3)), atol=4)


def test_exif_orientation(tmp_path):
    upright = np.zeros((8, 8, 3), np.uint8)
    upright[:4] = RED
    exif = Image.Exif()
    exif[0x0112] = 6  # stored lying on its left side: turn a quarter clockwise to see it
    stored = Image.fromarray(np.rot90(upright).copy())
    image = _only(_twice(tmp_path, ".png", stored, exif=exif))
    np.testing.assert_array_equal(image, upright[::2, ::2])


def test_grayscale(tmp_path):
    image = _only(_twice(tmp_path, ".png", Image.new("RGB", (6, 6), RED)), grayscale=True)
    assert image.shape == (4, 4, 1)
    np.testing.assert_allclose(image, 0.299 * 200 + 0.587 * 40 + 0.114 * 20, atol=1)


def test_first_frame_of_a_moving_image(tmp_path):
    frames = [Image.new("RGB", (6, 6), color) for color in (RED, (0, 0, 255))]
    image = _only(_twice(tmp_path, ".gif", frames[0], save_all=True, append_images=frames[1:]))
    np.testing.assert_allclose(image, np.broadcast_to(RED, (4, 4, 3)), atol=3)


def _many(root, count=40, classes=("cat", "dog")):
    for number in range(count):
        _save(root / classes[number % len(classes)] / f"{number}.png", (number * 6, number % len(classes) * 100, 7))
    return root


def test_subfolders_are_classes(tmp_path):
    root = _many(tmp_path / "animals")
    _save(root / "dog" / "deep" / "er" / "x.png", (250, 100, 7))
    (root / "notes.txt").write_text("not an image")
    _save(root / "dog" / ".hidden.png")
    source = folder(root, 8)
    assert source.class_names == ("cat", "dog")
    assert source.image_shape == (8, 8, 3)
    assert source.metadata["num_train"] + source.metadata["num_held_out"] == 41
    for split in (source.train, source.held_out):
        np.testing.assert_array_equal(split.images[:, 0, 0, 1] // 100, split.labels)
    flat = folder(root, 8, labeled=False)
    assert flat.num_classes == 0
    assert not flat.train.labels.any()


@pytest.mark.parametrize("layout", ["flat", "one"])
def test_without_several_subfolders_there_are_no_labels(tmp_path, layout):
    for number in range(4):
        _save(tmp_path / "x" / ("only" if layout == "one" else "") / f"{number}.png")
    source = folder(tmp_path / "x", 4)
    assert source.class_names == ()
    assert not source.train.labels.any()


def test_given_splits_are_used(tmp_path):
    root = tmp_path / "x"
    for split, count, red in (("train", 6, 10), ("test", 2, 20), ("val", 2, 30)):
        for number in range(count):
            _save(root / split / "ab"[number % 2] / f"{number}.png", (red, number, 0))
    source = folder(root, 4)
    assert source.class_names == ("a", "b")
    assert set(source.train.images[:, 0, 0, 0]) == {10}
    assert set(source.held_out.images[:, 0, 0, 0]) == {20, 30}
    assert len(source.train.images) == 6
    assert len(source.held_out.images) == 4


def test_split_is_disjoint_complete_and_stays_when_files_are_added(tmp_path):
    root = _many(tmp_path / "x")

    def members(source):
        return tuple({int(image[0, 0, 0]) for image in split.images} for split in (source.train, source.held_out))

    train, held_out = members(folder(root, 4, held_out=0.3))
    assert not train & held_out
    assert train | held_out == {6 * number for number in range(40)}
    assert 4 <= len(held_out) <= 20
    for number in range(20):
        _save(root / "cat" / f"new{number}.png", (number * 6 + 3, 0, 0))
    train_after, held_out_after = members(folder(root, 4, held_out=0.3))
    assert train <= train_after
    assert held_out <= held_out_after


@pytest.mark.parametrize("held_out", [0.001, 0.5, 0.999])
def test_two_images_make_one_of_each(tmp_path, held_out):
    _save(tmp_path / "x" / "a.png")
    _save(tmp_path / "x" / "b.png", (1, 2, 3))
    source = folder(tmp_path / "x", 4, held_out=held_out)
    assert len(source.train.images) == len(source.held_out.images) == 1
    assert (source.train.images != source.held_out.images).any()


def test_cached_until_a_file_changes(tmp_path, cache):
    root = _many(tmp_path / "x", 6)
    first = folder(root, 4)
    assert isinstance(folder(root, 4).train.images, np.memmap)
    assert folder(root, 4).metadata == first.metadata
    assert len(list(cache.glob("folder-*"))) == 1
    folder(root, 5)
    _save(root / "cat" / "0.png", (99, 0, 7), size=(20, 20))
    assert folder(root, 4).metadata["digest"] != first.metadata["digest"]
    assert len(list(cache.glob("folder-*"))) == 3


def _damaged(root):
    """A folder of six good images beside five that cannot be used, one of them a link that leads nowhere."""
    _many(root, 6)
    Image.effect_noise((64, 64), 90).save(root / "cat" / "half.jpg")
    data = (root / "cat" / "half.jpg").read_bytes()
    (root / "cat" / "half.jpg").write_bytes(data[: len(data) // 2])
    (root / "cat" / "text.png").write_text("this is no image")
    (root / "dog" / "empty.png").write_bytes(b"")
    (root / "dog" / "gone.png").symlink_to(root / "nowhere.png")
    Image.new("F", (9, 9), 7.0).save(root / "dog" / "float.tif")
    return root


def test_unreadable_files_are_listed_and_left_out(tmp_path, caplog):
    root = _damaged(tmp_path / "x")
    for _ in range(2):  # decoded, then from the cache
        caplog.clear()
        source = folder(root, 4)
        assert [entry["file"] for entry in source.metadata["skipped"]] == [
            "cat/half.jpg",
            "cat/text.png",
            "dog/empty.png",
            "dog/float.tif",
        ]
        assert all(entry["reason"] for entry in source.metadata["skipped"])
        assert source.metadata["num_train"] + source.metadata["num_held_out"] == 6
        assert ["\n" in record.getMessage() for record in caplog.records] == [False] * 3  # the third: few images
        assert "4 of 10" in caplog.text
        assert "1 file ignored: 1 links that lead nowhere" in caplog.text
    with pytest.raises(InputError, match="strict=False"):
        folder(root, 4, strict=True)


def test_bombs_are_left_out(tmp_path, monkeypatch):
    root = _many(tmp_path / "x", 6)
    _save(root / "cat" / "bomb.png", size=(64, 64))
    monkeypatch.setattr("gen.image_io.open.MAX_PIXELS", 64 * 63)
    (skipped,) = folder(root, 4).metadata["skipped"]
    assert skipped == {"file": "cat/bomb.png", "reason": "it is 64 x 64 pixels large; allowed are 4,032 in all"}
    with pytest.raises(InputError, match=r"bomb\.png"):
        folder(root, 4, strict=True)


def test_small_images_are_skipped_enlarged_or_refused(tmp_path, caplog):
    root = _many(tmp_path / "x", 6)
    _save(root / "cat" / "small.png", size=(7, 30))
    assert folder(root, 8).metadata["skipped"] == [
        {"file": "cat/small.png", "reason": "is 7x30, smaller than resolution=8"}
    ]
    assert "1 of 7 image files" in caplog.text
    assert "--config.data.small=enlarge takes the 1 too small" in caplog.text
    source = folder(root, 8, small="enlarge")
    assert source.metadata["num_train"] + source.metadata["num_held_out"] == 7
    with pytest.raises(InputError, match=r"small\.png is 7x30, smaller than resolution=8.*--config\.data\.small=skip"):
        folder(root, 8, small="refuse")


def test_pictures_that_gen_composed_are_no_images(tmp_path):
    root = _many(tmp_path / "x", 6)
    text = PngInfo()
    text.add_itxt("gen:shows", "grid")
    _save(root / "cat" / "grid.png", pnginfo=text)
    save_png(root / "cat" / "figure.png", np.zeros((9, 9, 3), np.uint8))
    skipped = folder(root, 4).metadata["skipped"]
    assert [entry["file"] for entry in skipped] == ["cat/figure.png", "cat/grid.png"]
    assert "shows a grid, as gen wrote it" in skipped[1]["reason"]


def _one_line(error):
    assert "\n" not in str(error.value)
    return str(error.value)


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, "does not exist"),
        (lambda root: root.write_text("x"), "is a file"),
        (lambda root: root.mkdir(), "is empty"),
        (
            lambda root: (root.mkdir(), (root / "a.txt").write_text("x")),
            "1 file ignored: 1 .txt; an image ends in .jpg",
        ),
        (lambda root: _save(root / "a.png"), "both need at least one"),
        (lambda root: (root.mkdir(), (root / "a.png").write_text("x")), "both need at least one"),
        (
            lambda root: (_save(root / "a" / "1.png"), _save(root / "b" / "1.png"), _save(root / "2.png")),
            "labeled=False",
        ),
    ],
)
def test_bad_folders_get_one_line(tmp_path, prepare, message):
    root = tmp_path / "root"
    prepare(root)
    with pytest.raises(InputError, match=message) as error:
        folder(root, 4)
    assert str(root) in _one_line(error)


@pytest.mark.parametrize(
    ("path", "options", "message"),
    [
        ("", {}, "path is empty"),
        ("x", {"held_out": 1.0}, "held_out=1.0"),
        ("x", {"resolution": 0}, "resolution=0"),
        ("x", {"background": (0, 0, 300)}, "background"),
    ],
)
def test_bad_options_get_one_line(path, options, message):
    with pytest.raises(InputError, match=message) as error:
        folder(path, **{"resolution": 4, **options})
    _one_line(error)


def test_misspelt_path_names_its_neighbor(tmp_path):
    _save(tmp_path / "flowers" / "a.png")
    with pytest.raises(InputError, match="did you mean 'flowers'"):
        folder(tmp_path / "flwers", 4)


def test_a_few_images_are_accepted_with_one_warning(tmp_path, caplog):
    folder(_many(tmp_path / "few", 40), 4)
    (warning,) = [record.getMessage() for record in caplog.records if record.levelno == logging.WARNING]
    assert "few images to train on" in warning
    assert "a model will copy them" in warning
    assert str(tmp_path / "few") in warning
    caplog.clear()
    assert folder(_many(tmp_path / "many", 120), 4).metadata["num_train"] >= 100
    assert caplog.records == []
