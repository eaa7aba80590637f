"""What the mark adds: in the direction that the reader feels, with more luma than gray has, compiled or not."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.watermark import embed, embedding, frame, key, pattern
from gen.watermark.key import carriers

OWNER = key(b"the secret of the tests")


def test_the_direction_is_the_gradient_of_the_fit():
    draw = np.random.default_rng(0)
    band, signs = frame.band(32), carriers(OWNER, 32).signs
    host = (draw.normal(size=band.shape) + 1j * draw.normal(size=band.shape)).astype(np.complex64)[None] * band
    limit = frame.limit(host)

    def fit(real, imaginary):
        magnitude = jnp.sqrt(real**2 + imaginary**2 + 1e-12)
        return jnp.sum((real * signs.real + imaginary * signs.imag) / jnp.maximum(magnitude, limit))

    real, imaginary = jax.grad(fit, (0, 1))(host.real, host.imag)
    felt = pattern._felt(signs, np.zeros(band.shape, bool), host)
    np.testing.assert_allclose(felt, (real + 1j * imaginary) * limit, atol=1e-4)


def test_images_that_fit_badly_get_more_of_what_is_searched_for():
    known = carriers(OWNER, 64)
    more = [pattern._felt(known.signs, known.sync, sign * known.signs[None]) for sign in (1, -1)]
    strength = [np.abs(x[0])[known.sync].mean() / np.abs(x[0])[(known.signs != 0) & ~known.sync].mean() for x in more]
    assert strength == pytest.approx([1 / pattern.MOST, pattern.MOST], rel=1e-3)


def test_colors_give_an_eighth_more_luma_for_the_same_error():
    colors = pattern.colors(3)
    assert np.mean(colors) == pytest.approx(1)
    assert colors @ frame.LUMA / np.sqrt(np.mean(colors**2)) == pytest.approx(1.124, abs=1e-3)


def test_plain_images_are_told_from_rough_ones():
    contrast = np.full((3, 8, 8), [[[2.0]], [[2**2.74]], [[64.0]]], np.float32)
    rough = pattern.roughness(contrast, np.ones((8, 8), np.float32))
    np.testing.assert_allclose(rough, [0, 0.5, 1], atol=1e-5)
    np.testing.assert_allclose(pattern.weaker(rough, 6.0206), [0.5, 0.5**0.5, 1], rtol=1e-4)


def test_compiled_or_not_the_mark_is_the_same():
    image = np.random.default_rng(0).random((1, 33, 33, 3), np.float32)
    compiled = embed(image, OWNER, tag=3)
    with jax.disable_jit():
        eager = embed(image, OWNER, tag=3)
    np.testing.assert_allclose(eager, compiled, atol=2e-5)
    np.testing.assert_array_equal(embed(image, OWNER, tag=3), compiled)
    assert (embed(image, OWNER, tag=1 << 23) != compiled).any()


@pytest.mark.parametrize(("side", "psnr"), [(16, 40), (64, 40), (128, 41), (256, 42), (2000, 44)])
def test_the_default_strength(side, psnr):
    assert embedding.default_psnr(side, 3000) == psnr
