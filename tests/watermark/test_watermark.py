"""The mark as its users see it: what is embedded is found again, in what is left of the image, and nowhere else."""

import io

import jax
import numpy as np
import pytest
from PIL import Image

from gen.errors import InputError
from gen.watermark import Key, detect, embed, key, pool

OWNER = key(b"the secret of the tests")
OTHER = key(b"the secret of others")
TAG = 0xA5C3F1


def scene(height, width, channels=3, seed=0):
    """A smooth picture with edges and texture, uint8."""
    rng = np.random.default_rng(seed)
    small = rng.integers(30, 225, (6, 6, 3), np.uint8)
    image = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)).astype(float)
    image += rng.normal(0, 6, image.shape) * (np.indices((height, width))[1] > width / 2)[..., None]
    image[height // 3 : height // 2, width // 4 : width // 2] += 40
    image = np.clip(np.rint(image), 0, 255).astype(np.uint8)
    alpha = np.full((height, width, 1), 200, np.uint8)
    gray = image[..., :1]
    return {1: gray, 2: np.concatenate([gray, alpha], -1), 3: image, 4: np.concatenate([image, alpha], -1)}[channels]


def psnr(a, b, peak=255.0):
    return -10 * np.log10(np.mean((np.asarray(a, float) - np.asarray(b, float)) ** 2) / peak**2)


def jpeg(image, quality):
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality, subsampling=2)
    return np.asarray(Image.open(file))


@pytest.fixture(scope="module")
def marked():
    return embed(scene(256, 256)[None], OWNER, tag=TAG)[0]


def test_the_mark_and_its_tag_are_found(marked):
    (found,) = detect(marked[None], OWNER)
    assert found.found
    assert found.p_value < 1e-12
    assert (found.tag, found.tag_bits, found.version, found.place) == (TAG, 24, 1, "")


def test_an_unmarked_image_and_another_key_give_nothing(marked):
    for image, owner in ((scene(256, 256), OWNER), (marked, OTHER)):
        (found,) = detect(image[None], owner)
        assert not found.found
        assert found.tag is None
        assert found.tag_bits == 0
        assert found.p_value > 1e-3


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_the_psnr_is_what_was_asked_for_and_alpha_stays(channels):
    image = scene(64, 96, channels)
    changed = embed(image[None], OWNER, tag=TAG, psnr=40.0)[0]
    colors = 3 if channels > 2 else 1
    assert psnr(changed[..., :colors], image[..., :colors]) == pytest.approx(40, abs=0.1)
    np.testing.assert_array_equal(changed[..., colors:], image[..., colors:])


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_every_dtype_is_kept_and_marked(dtype):
    image = scene(128, 128)
    image = {"u1": image, "u2": image.astype(np.uint16) * 257, "f4": image / np.float32(255)}[np.dtype(dtype).str[1:]]
    changed = embed(image[None], OWNER, tag=TAG)
    assert changed.dtype == dtype
    assert changed.shape == (1, 128, 128, 3)
    assert detect(changed, OWNER)[0].found
    if dtype == np.float32:
        assert changed.min() >= 0
        assert changed.max() <= 1


@pytest.mark.parametrize("level", [0, 128, 255])
def test_flat_images_take_a_weaker_mark_in_spite_of_clipping(level):
    image = np.full((1, 128, 128, 3), level, np.uint8)
    changed = embed(image, OWNER, tag=TAG)
    assert psnr(changed, image) == pytest.approx(44, abs=0.3)
    assert detect(changed, OWNER)[0].tag == TAG


@pytest.mark.parametrize(
    ("turned", "place"),
    [
        (lambda x: x[:, ::-1], "mirrored"),
        (lambda x: np.rot90(x), "turned by 90 degrees"),
        (lambda x: np.rot90(x[:, ::-1], 3), "mirrored, turned by 270 degrees"),
    ],
)
def test_turned_and_mirrored_images_are_told(turned, place):
    changed = embed(scene(128, 201)[None], OWNER, tag=TAG, psnr=50.0)[0]
    straight = detect(changed[None], OWNER)[0]
    (found,) = detect(turned(changed)[None], OWNER)
    assert found.place == place
    assert np.log(found.p_value) == pytest.approx(np.log(straight.p_value), rel=1e-3)


def test_the_mark_survives_jpeg_and_other_sizes(marked):
    half = np.asarray(Image.fromarray(marked).resize((128, 128), Image.Resampling.BICUBIC))
    larger = np.asarray(Image.fromarray(marked).resize((351, 351), Image.Resampling.BICUBIC))
    for image in (jpeg(marked, 50), half, jpeg(larger, 80)):
        (found,) = detect([image], OWNER)
        assert found.found
        assert found.tag == TAG


def test_only_the_region_changes(marked):
    image = scene(256, 256)
    region = np.zeros((256, 256), bool)
    region[40:200, 30:220] = True
    changed = embed(image[None], OWNER, tag=TAG, psnr=42.0, region=region)[0]
    np.testing.assert_array_equal(changed[~region], image[~region])
    assert psnr(changed[region], image[region]) == pytest.approx(42, abs=0.1)
    assert detect(changed[None], OWNER)[0].found


def test_a_batch_gives_what_single_images_give():
    images = np.stack([scene(32, 48, seed=seed) for seed in range(5)])
    together = embed(images, OWNER, tag=TAG)
    for image, changed in zip(images, together, strict=True):
        np.testing.assert_array_equal(embed(image[None], OWNER, tag=TAG)[0], changed)


def test_many_small_images_together_show_what_one_does_not():
    images = np.stack([scene(32, 32, seed=seed) for seed in range(32)])
    changed = np.stack([jpeg(image, 80) for image in embed(images, OWNER, tag=TAG)])
    found = pool(changed, OWNER)
    assert found.p_value < 1e-12
    assert (found.tag, found.tag_bits) == (TAG & 0xFF0000, 8)
    assert not pool(changed, OTHER).found
    assert not pool(images, OWNER).found


def test_copies_of_one_image_are_no_more_evidence_than_one():
    image = scene(64, 64)[None]
    one, many = pool(image, OWNER), pool(np.repeat(image, 40, 0), OWNER)
    assert many.p_value == pytest.approx(one.p_value, rel=1e-3)


def test_an_image_too_small_comes_back():
    for shape in ((1, 15, 40, 3), (0, 64, 64, 3)):
        image = np.full(shape, 100, np.uint8)
        np.testing.assert_array_equal(embed(image, OWNER, tag=TAG), image)


def test_jax_arrays_are_taken(marked):
    np.testing.assert_array_equal(embed(jax.numpy.asarray(scene(256, 256)[None]), OWNER, tag=TAG)[0], marked)


def test_the_secret_is_in_no_text_of_the_key():
    assert OWNER.name != OTHER.name
    assert len(OWNER.name) == 8
    assert "secret of" not in repr(OWNER) + str(OWNER)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: key(b"short"), "watermark key: 5 bytes; allowed: at least 16"),
        (lambda: key("text, not bytes, of this test"), "watermark key: a str; allowed: bytes"),  # type: ignore[arg-type]
        (lambda: embed(np.zeros((1, 32, 32, 3), np.uint8), OWNER, tag=1 << 24), "watermark: tag 16777216"),
        (lambda: embed(np.full((1, 32, 32, 3), 255.0), OWNER, tag=1), "watermark: values from 255 to 255; allowed"),
        (lambda: embed(np.full((1, 32, 32, 3), np.nan), OWNER, tag=1), "watermark: values from nan to nan; allowed"),
        (lambda: embed(np.zeros((1, 32, 32, 3)), OWNER, tag=1, psnr=-3), "watermark: psnr -3; allowed: 20 to 80 dB"),
        (lambda: detect(np.zeros((32, 32, 3)), OWNER), "watermark: an image [32, 3]; allowed: [n h w c], or a list"),
        (lambda: embed(np.zeros((32, 32, 3), np.uint8), OWNER, tag=1), "watermark: uint8 [32, 32, 3]; allowed"),
        (lambda: detect(np.zeros((1, 32, 32, 3), np.uint8), OWNER, search="all"), "watermark: search 'all'"),
        (lambda: pool([], OWNER), "watermark: no images"),
        (lambda: pool(np.full((1, 32, 32, 3), np.nan), OWNER), "watermark: an image with values that are NaN"),
        (lambda: detect(np.full((1, 32, 32, 3), np.inf), OWNER), "watermark: an image with values that are NaN"),
        (lambda: detect(np.zeros((1, 0, 32, 3)), OWNER), "watermark: an image of float64 [0, 32, 3]; allowed"),
        (lambda: detect(np.zeros((1, 32, 32, 3), int), OWNER), "watermark: an image of int64 [32, 32, 3]; allowed"),
        (
            lambda: embed(np.zeros((1, 32, 48, 3)), OWNER, tag=1, region=np.ones(48, bool)),
            "watermark: region [48]; allowed: [32, 48] or [1, 32, 48]",
        ),
    ],
)
def test_wrong_input_is_refused_in_one_line(call, message):
    with pytest.raises(InputError) as error:
        call()
    assert str(error.value).startswith(message)


def test_keys_of_one_secret_are_equal():
    assert key(b"the secret of the tests") == OWNER == Key(b"the secret of the tests")


@pytest.mark.parametrize("mirrored", [False, True])
def test_a_part_of_an_image_enlarged_or_not_is_found_by_a_full_search(marked, mirrored):
    part = marked[31:223, 20:212]
    enlarged = np.asarray(Image.fromarray(part).resize((256, 256), Image.Resampling.BICUBIC))
    image = jpeg(enlarged[:, ::-1] if mirrored else part, 80)
    (aligned,), (found,) = detect([image], OWNER), detect([image], OWNER, search="full")
    assert not aligned.found
    assert found.found
    assert found.tag == TAG
    assert found.place == ("mirrored, " if mirrored else "") + "cut: its short side is 75% of the original's"


def test_an_unmarked_image_gives_nothing_in_a_full_search():
    (found,) = detect([scene(192, 256)], OWNER, search="full")
    assert (found.found, found.p_value, found.place) == (False, 1.0, "")
