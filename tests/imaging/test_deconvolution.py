"""Deconvolution against scikit-image, and on photographs that were blurred on purpose."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.filters.deconvolution import richardson_lucy, wiener
from gen.imaging.filters.smooth import gaussian

# Not symmetric about its center, so that a flip would show.
PSF = np.array([[0, 0, 1, 4, 1], [0, 1, 3, 1, 0], [0, 2, 1, 0, 0]], np.float32)
PSF /= PSF.sum()


def test_richardson_lucy_equals_skimage_inside():
    def compute():
        from skimage.restoration import richardson_lucy as expected

        planes = [expected(photo()[..., c], PSF, 4, clip=False) for c in range(3)]
        return np.stack(planes, axis=-1).astype(np.float32)

    expected = reference("richardson_lucy", "skimage", compute)
    got = np.asarray(richardson_lucy(photo(), None, psf=PSF, iterations=4))
    # What skimage does not see beyond the border comes in by the reach of the function, twice a step.
    inside = slice(9, -9), slice(18, -18)
    np.testing.assert_allclose(got[inside], expected[inside], atol=1e-5)
    # Scaling it changes nothing.
    np.testing.assert_allclose(richardson_lucy(photo(), None, psf=5 * PSF, iterations=4), got, atol=1e-5)


def test_large_spread_functions_go_another_way_to_the_same_place():
    wide = np.pad(PSF, ((5, 5), (4, 4)))
    got = richardson_lucy(photo(), None, psf=wide, iterations=4)
    np.testing.assert_allclose(got, richardson_lucy(photo(), None, psf=PSF, iterations=4), atol=2e-5)


def test_wiener_equals_skimage():
    image = photo()

    def compute():
        from skimage.restoration import wiener as expected

        # As the operator continues it: to 40 + 16 -> 60 rows, 48 + 16 -> 64 columns.
        planes = [expected(continued(continued(image, 60, 0), 64, 1)[..., c], PSF, 0.02, clip=False) for c in range(3)]
        return np.stack(planes, axis=-1)[:40, :48].astype(np.float32)

    expected = reference("wiener", "skimage", compute)
    np.testing.assert_allclose(wiener(image, None, psf=PSF, balance=0.02), expected, atol=2e-5)


def continued(image, size, axis):
    n = image.shape[axis]
    more = size - n
    image = np.moveaxis(image, axis, 0).astype(np.float64)
    share = (np.arange(1, more + 1) / (more + 1))[:, None, None]
    added = image[-2 : -2 - more : -1] * (1 - share) + image[more:0:-1] * share
    return np.moveaxis(np.concatenate([image, added]), 0, axis)


@pytest.mark.parametrize("name", ["richardson_lucy", "wiener"])
def test_sharpens_what_was_blurred(name):
    blurred = gaussian(photo(), 1.5)
    by_sigma = (
        richardson_lucy(blurred, 1.5, iterations=30)
        if name == "richardson_lucy"
        else wiener(blurred, 1.5, balance=1e-3)
    )
    before, after = (np.sqrt(np.mean(np.square(image - photo()))) for image in (blurred, by_sigma))
    assert after < 0.72 * before
    line = np.exp(-0.5 * np.square(np.arange(-6, 7) / 1.5))
    psf = np.outer(line, line)
    again = (
        richardson_lucy(blurred, None, psf=psf, iterations=30)
        if name == "richardson_lucy"
        else wiener(blurred, None, psf=psf, balance=1e-3)
    )
    np.testing.assert_allclose(again, by_sigma, atol=1e-3)


def test_the_spread_function_can_be_learned():
    blurred = gaussian(photo(16, 16), 1.0)

    def loss(psf, restore):
        return jnp.mean(jnp.square(restore(blurred, None, psf=psf) - photo(16, 16)))

    delta = np.zeros((3, 3), np.float32)
    delta[1, 1] = 1
    for restore in (richardson_lucy, wiener):
        gradient = jax.grad(loss)(delta + 0.01, restore)
        assert np.isfinite(gradient).all()
        # A wider function explains the blur better than a point.
        assert gradient[0, 1] < gradient[1, 1]


def test_bad_input():
    for operator, name in ((richardson_lucy, "richardson_lucy"), (wiener, "wiener")):
        with pytest.raises(InputError, match=rf"^{name}: neither of sigma and psf; allowed: one of them"):
            operator(photo(), None)
        with pytest.raises(InputError, match=rf"^{name}: both of sigma and psf; allowed: one of them"):
            operator(photo(), 1.0, psf=PSF)
        with pytest.raises(InputError, match=rf"^{name}: psf has shape \[2, 3\]; allowed: \[k l\] with odd k and l"):
            operator(photo(), None, psf=np.ones((2, 3)))
        with pytest.raises(InputError, match=rf"^{name}: radius=None with a traced or per-image sigma; allowed: "):
            operator(photo()[None], np.array([1.0]))
    with pytest.raises(InputError, match=r"^richardson_lucy: iterations=0; allowed: whole numbers from 1"):
        richardson_lucy(photo(), 1.0, iterations=0)
