"""Effects against Pillow, kornia and plain loops; lens and film against what their words say."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.color.spaces import to_linear
from gen.imaging.filters.effects import (
    emboss,
    error_diffusion,
    halftone,
    invert,
    ordered_dither,
    pixelate,
    posterize,
    sepia,
    solarize,
)
from gen.imaging.filters.film import bloom, chromatic_aberration, grain, halation, vignette

LEVELS = np.arange(256, dtype=np.uint8)


def as_image(values):
    return np.asarray(values, np.float32).reshape(16, 16, 1)


def even(value, size=64, channels=1):
    return np.full((size, size, channels), value, np.float32)


def test_posterize_solarize_invert_equal_pillow():
    from PIL import Image, ImageOps

    picture = Image.fromarray(LEVELS.reshape(16, 16))
    x = as_image(LEVELS / 255)
    for bits in (1, 2, 3, 4):
        index = np.asarray(ImageOps.posterize(picture, bits)) >> (8 - bits)
        np.testing.assert_allclose(posterize(x, 2**bits)[..., 0], index / (2**bits - 1), atol=1e-6)
    for threshold in (0, 100, 128):
        expected = np.asarray(ImageOps.solarize(picture, threshold)) / 255
        np.testing.assert_allclose(solarize(x, threshold / 255 - 1e-6)[..., 0], expected, atol=1e-6)
    np.testing.assert_allclose(invert(x)[..., 0], np.asarray(ImageOps.invert(picture)) / 255, atol=1e-6)


def test_sepia_equals_kornia():
    def compute():
        import torch
        from kornia.color import sepia_from_rgb

        planes = torch.from_numpy(photo(12, 12).transpose(2, 0, 1).copy())
        return sepia_from_rgb(planes, rescale=False).numpy().transpose(1, 2, 0)

    np.testing.assert_allclose(sepia(photo(12, 12), 1.0), reference("sepia", "kornia", compute), atol=1e-6)
    half = sepia(photo(12, 12), 0.5)
    np.testing.assert_allclose(half, (photo(12, 12) + sepia(photo(12, 12), 1.0)) / 2, atol=1e-6)


def test_emboss_lights_the_slopes_that_face_the_light():
    rising = np.broadcast_to(np.arange(9, dtype=np.float32)[None, :, None] / 10, (9, 9, 1))
    for angle, sign in ((180.0, 1), (0.0, -1), (90.0, 0)):  # a slope that rises to the right faces the left
        np.testing.assert_allclose(emboss(rising, 2.0, angle=angle)[:, 1:-1], 0.5 + 2 * 0.1 * sign, atol=1e-6)
    falling = rising.swapaxes(0, 1)[::-1]  # from the bottom up it rises: it faces the bottom
    np.testing.assert_allclose(emboss(falling, 1.0, angle=270.0)[1:-1], 0.6, atol=1e-6)


def test_pixelate_gives_each_block_its_mean():
    got = np.asarray(pixelate(photo(10, 9), 4))
    for i in range(0, 10, 4):
        for j in range(0, 9, 4):
            block = photo(10, 9)[i : i + 4, j : j + 4]
            np.testing.assert_allclose(
                got[i : i + 4, j : j + 4], np.broadcast_to(block.mean((0, 1)), block.shape), atol=1e-6
            )


def test_ordered_dither_has_every_tone_in_every_tile():
    order = np.round((1 - np.asarray([ordered_dither(even(k / 16), 2, size=4).mean() for k in range(17)])) * 16)
    assert np.array_equal(order, np.arange(16, -1, -1))
    # The thresholds themselves: pixel by pixel, how many of 4 tones are white is Bayer's matrix [0 2; 3 1] upside down.
    white = sum(np.asarray(ordered_dither(even((k + 0.5) / 4, 2), 2, size=2))[..., 0] for k in range(4))
    assert np.array_equal(white, [[1, 3], [4, 2]])
    levels = np.unique(ordered_dither(photo(), 5))
    np.testing.assert_allclose(levels, [0, 0.25, 0.5, 0.75, 1])


@pytest.mark.parametrize("levels", [2, 4])
def test_error_diffusion_equals_a_plain_loop(levels):
    image = photo(13, 17)
    got = np.asarray(error_diffusion(image, levels))
    values = np.round(image.astype(np.float64) * 65536).astype(int)
    sums = np.zeros((14, 19, 3), int)  # sixteenths of errors, for pixel (y, x) at [y, x + 1]
    for y in range(13):
        for x in range(17):
            value = values[y, x] + (sums[y, x + 1] >> 4)
            level = np.clip((value * (levels - 1) + 32768) >> 16, 0, levels - 1)
            error = value - (level * 65536 + (levels - 1) // 2) // (levels - 1)
            for i, j, weight in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                sums[y + i, x + 1 + j] += weight * error
            np.testing.assert_array_equal(got[y, x], (level / (levels - 1)).astype(np.float32))


def test_error_diffusion_is_near_pillow():
    """Pillow rounds errors to 8 bits, so only means can be compared: of 8 x 8 pixels to 1/32, of all to 1/256."""

    def compute():
        from PIL import Image

        return np.asarray(Image.fromarray(np.uint8(photo()[..., 1] * 255)).convert("1")).astype(np.float32)

    expected, got = compute(), np.asarray(error_diffusion(photo()[..., 1:2], 2))[..., 0]
    means = [image.reshape(5, 8, 6, 8).mean((1, 3)) for image in (expected, got, photo()[..., 1])]
    assert np.abs(means[0] - means[1]).max() < 0.06
    assert np.abs(means[1] - means[2]).max() < 0.06
    assert abs(expected.mean() - got.mean()) < 0.008


def test_steps_pass_the_gradient_through():
    for operator in (lambda x: posterize(x, 4), lambda x: ordered_dither(x, 2), lambda x: error_diffusion(x, 2)):
        gradient = jax.grad(lambda x, operator=operator: jnp.sum(operator(x) * jnp.arange(6)))(np.full((5, 6, 6), 0.3))
        np.testing.assert_allclose(gradient, np.broadcast_to(np.arange(6), (5, 6, 6)), atol=1e-6)


@pytest.mark.parametrize("channels", [1, 3])
def test_halftone_keeps_tones(channels):
    for tone in (0.1, 0.35, 0.5, 0.8):
        got = np.asarray(halftone(even(tone, 96, channels), 6.0, hardness=4.0))
        np.testing.assert_allclose(got.mean((0, 1)), tone, atol=0.03)
        assert np.mean((got < 0.02) | (got > 0.98)) > 0.8
    for tone in (0.0, 1.0):
        assert np.array_equal(halftone(even(tone, 9, channels), 4.0), even(tone, 9, channels))


def test_halftone_repeats_at_its_distance():
    """At 0 degrees (45 turned back) the dots are `size` apart, exactly."""
    got = np.asarray(halftone(even(0.4, 40), 8.0, angle=-45.0))[..., 0]
    np.testing.assert_allclose(got[:, 8:], got[:, :-8], atol=1e-3)
    np.testing.assert_allclose(got[8:], got[:-8], atol=1e-3)
    assert np.abs(got[4:] - got[:-4]).max() > 0.9


def test_grain():
    x = even(0.5, 96)
    for size in (0, 0.7, 1.5):
        noise = np.asarray(grain(jax.random.key(0), x, 0.05, size=size)) - 0.5
        inner = noise[8:-8, 8:-8, 0]
        assert abs(inner.std() - 0.05) < 0.006
        assert abs(inner.mean()) < 0.006
        neighbors = np.mean(inner[:, 1:] * inner[:, :-1]) / inner.var()
        expected = np.exp(-0.25 / size**2) if size else 0.0
        assert abs(neighbors - expected) < 0.08
    for value in (0.0, 1.0):  # none in black and white
        assert np.array_equal(grain(jax.random.key(0), even(value, 5), 0.3), even(value, 5))
    gray = np.asarray(grain(jax.random.key(1), even(0.5, 9, 3), 0.1)) - 0.5
    assert np.array_equal(gray[..., 0], gray[..., 2])
    color = np.asarray(grain(jax.random.key(1), even(0.5, 9, 3), 0.1, color=True)) - 0.5
    assert not np.allclose(color[..., 0], color[..., 2])


def test_grain_has_a_key_for_each_image():
    x = np.stack([photo(8, 8), photo(8, 8)])
    keys = jax.vmap(jax.random.key)(np.arange(2))
    got = np.asarray(grain(keys, x, 0.1))
    for i in (0, 1):
        np.testing.assert_allclose(got[i], grain(jax.random.key(i), x[i], 0.1), atol=1e-6)
    one = np.asarray(grain(jax.random.key(0), x, 0.1))
    assert np.abs(one[0] - one[1]).max() > 0.05


def test_vignette_takes_that_share_of_light_in_the_corners():
    light = np.asarray(to_linear(vignette(even(0.8, 33), 0.6, start=0.5)))[..., 0] / float(
        to_linear(even(0.8, 1))[0, 0, 0]
    )
    np.testing.assert_allclose(light[[0, 0, -1, -1], [0, -1, 0, -1]], 0.4, atol=1e-5)
    assert np.allclose(light[16, 9:24], 1, atol=1e-5)
    assert np.all(np.diff(np.diag(light)[16:]) <= 1e-6)
    middle = light[4, 4]  # three quarters of the way: half of the step
    assert abs(middle - 0.7) < 1e-5


def test_bloom_adds_a_gaussian_of_light():
    x = even(0.0, 41, 3)
    x[20, 20] = 1
    added = np.asarray(to_linear(bloom(x, 3.0, 0.5)))
    i = np.arange(-12, 13)
    taps = np.exp(-0.5 * np.square(i / 3.0))
    taps /= taps.sum()
    expected = 0.5 * np.outer(taps, taps)
    expected[12, 12] = 1  # white stays white
    np.testing.assert_allclose(added[8:33, 8:33, 1], expected, atol=1e-5)
    red = np.asarray(to_linear(halation(x, 3.0, 0.5)))
    expected[12, 12] = 0
    for channel, tint in enumerate((1.0, 0.3, 0.1)):
        got = red[8:33, 8:33, channel].copy()
        got[12, 12] = 0
        np.testing.assert_allclose(got, tint * expected, atol=1e-5)
    # Below the threshold there is nothing to spread.
    np.testing.assert_allclose(bloom(even(0.6, 9, 3), 3.0, 1.0), 0.6, atol=1e-6)


def test_chromatic_aberration_moves_red_out_and_blue_in():
    y, x = np.mgrid[:31, :41].astype(np.float32)
    image = np.stack([x / 40, y / 30, x / 40], axis=-1)
    got = np.asarray(chromatic_aberration(image, 1.5))
    move = 1.5 * (x - 20) / np.hypot(20, 15)
    np.testing.assert_allclose(got[..., 0], (x - move) / 40, atol=1e-6)
    np.testing.assert_allclose(got[..., 1], y / 30, atol=1e-7)
    np.testing.assert_allclose(got[..., 2], np.clip(x + move, 0, 40) / 40, atol=1e-6)


def test_bad_input():
    for operator, name in (
        (posterize, "posterize"),
        (ordered_dither, "ordered_dither"),
        (error_diffusion, "error_diffusion"),
    ):
        with pytest.raises(InputError, match=rf"^{name}: levels=1; allowed: whole numbers from 2"):
            operator(photo(), 1)
        with pytest.raises(InputError, match=rf"^{name}: levels=257; allowed: whole numbers from 2 to 256"):
            operator(photo(), 257)
    with pytest.raises(InputError, match=r"^ordered_dither: size=3; allowed: 2, 4, 8, 16"):
        ordered_dither(photo(), 2, size=3)
    with pytest.raises(InputError, match=r"^sepia: x has 1 channels; allowed: 3"):
        sepia(photo()[..., :1], 1.0)
    with pytest.raises(InputError, match=r"^halation: tint has shape \[2\]; allowed: three numbers"):
        halation(photo(), 2.0, 0.5, tint=(1.0, 0.5))
    with pytest.raises(
        InputError, match=r"^grain: key is uint32 \[2\]; allowed: jax.random.key\(seed\), or one per image"
    ):
        grain(np.zeros(2, np.uint32), photo(), 0.1)
    with pytest.raises(InputError, match=r"^grain: size=-1; allowed: numbers from 0 to"):
        grain(jax.random.key(0), photo(), 0.1, size=-1)
    with pytest.raises(InputError, match=r"^pixelate: size=0; allowed: whole numbers from 1"):
        pixelate(photo(), 0)
