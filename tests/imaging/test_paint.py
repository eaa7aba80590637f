"""Percentiles against SciPy, JPEG against Pillow, holes against the exact solution, Kuwahara against a loop."""

from __future__ import annotations

import io

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from PIL import Image
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.filters import inpaint, jpeg, kuwahara, median, percentile_filter


@pytest.mark.parametrize(("size", "percent", "rank"), [(3, 0, 0), (3, 25, 2), (5, 80, 19), (3, 100, 8)])
def test_percentile_is_the_rank_filter(size, percent, rank):
    def compute():
        from scipy import ndimage

        return ndimage.rank_filter(photo(20, 24), rank, (size, size, 1), mode="mirror")

    wanted = reference(f"rank_{size}_{rank}", "scipy", compute)
    np.testing.assert_array_equal(percentile_filter(photo(20, 24), size, percent), wanted)
    np.testing.assert_array_equal(percentile_filter(photo(20, 24), size, 50), median(photo(20, 24), size))


@pytest.mark.parametrize("quality", [20, 75, 95])
@pytest.mark.parametrize("gray", [False, True])
def test_jpeg_is_that_of_pillow_but_for_rounding(quality, gray):
    x = photo(40, 45)[..., :1] if gray else photo(40, 45)
    buffer = io.BytesIO()
    pixels = np.rint(x * 255).astype(np.uint8)
    Image.fromarray(pixels[..., 0] if gray else pixels).save(buffer, "JPEG", quality=quality, subsampling=0)
    wanted = np.asarray(Image.open(buffer)).reshape(x.shape) / 255
    found = np.asarray(jpeg(x, quality))
    assert np.abs(found - wanted).mean() < (0.004 if gray else 0.006)  # Pillow rounds the planes to 8 bits, twice
    assert np.abs(wanted - x).mean() > (2 if quality < 90 else 0.8) * np.abs(found - wanted).mean()


def test_jpeg_of_high_quality_keeps_and_gradients_pass_its_rounding():
    x = jnp.asarray(photo(16, 16))
    assert float(jnp.abs(jpeg(x, 100.0) - x).max()) < 0.02
    slope = jax.grad(lambda x: jnp.sum(jpeg(x, 30.0)[..., 1]))(jnp.full((8, 8, 3), 0.4))
    np.testing.assert_allclose(slope[..., 1], 1.0, atol=0.05)


def test_holes_are_filled_by_the_harmonic_function():
    rows, columns = np.mgrid[:20, :24].astype(np.float32)
    plane = (0.2 + 0.01 * rows + 0.02 * columns)[..., None]  # harmonic: found again exactly
    mask = np.zeros((20, 24, 1), np.float32)
    mask[5:14, 6:17] = 1
    np.testing.assert_allclose(inpaint(np.where(mask > 0, 9.0, plane), mask), plane, atol=1e-5)
    edge = np.zeros((1, 9, 1), np.float32)  # on a line: straight between its ends
    edge[:, 4:] = 1
    found = inpaint(edge, np.float32([[[0], [0], [1], [1], [1], [1], [1], [0], [0]]]))[0, :, 0]
    np.testing.assert_allclose(found, [0, 0, 1 / 6, 2 / 6, 3 / 6, 4 / 6, 5 / 6, 1, 1], atol=1e-5)


def test_what_is_no_hole_stays_bit_by_bit():
    x, mask = photo(20, 24), (np.random.default_rng(0).random((20, 24, 1)) > 0.6).astype(np.float32)
    y = np.asarray(inpaint(x, mask))
    kept = np.broadcast_to(mask == 0, x.shape)
    assert (y[kept] == x[kept]).all()
    assert np.abs(y - x)[~kept].mean() < 0.05
    assert np.isfinite(np.asarray(inpaint(x, np.ones_like(mask)))).all()


def test_kuwahara_takes_the_evenest_square():
    x = photo(12, 14)[..., :1]
    padded = np.pad(x[..., 0], 2, mode="reflect")
    wanted = np.zeros((12, 14))
    for i in range(12):
        for j in range(14):
            squares = [padded[i + a : i + a + 3, j + b : j + b + 3] for a in (0, 2) for b in (0, 2)]
            wanted[i, j] = min(squares, key=np.var).mean()
    np.testing.assert_allclose(kuwahara(x, 2)[..., 0], wanted, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda x: percentile_filter(x, 4, 50), "percentile_filter: size=4"),
        (lambda x: percentile_filter(x, 3, 101), "percentile_filter: percent=101; allowed: numbers from 0 to 100"),
        (lambda x: inpaint(x, x), "inpaint: mask has shape"),
        (lambda x: inpaint(x, x[..., :1], iterations=0), "inpaint: iterations=0"),
        (lambda x: kuwahara(x, -1), "kuwahara: radius=-1"),
        (lambda x: jpeg(x[..., :2], 50.0), "jpeg: x has 2 channels"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call(photo(8, 8))
