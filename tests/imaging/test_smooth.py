"""Box, gaussian, median and camera blur against OpenCV, SciPy and closed forms, and what they refuse."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging import _operator
from gen.imaging.color.spaces import from_linear, to_linear
from gen.imaging.filters import _separable, box, defocus_blur, gaussian, median, motion_blur


def cv2():
    return pytest.importorskip("cv2")


@pytest.mark.parametrize("radius", [1, 4, 9, 17])
def test_box_is_that_of_opencv(radius):
    x = photo(28, 32)
    wanted = reference(f"box_{radius}", "cv2", lambda: cv2().blur(x, (2 * radius + 1,) * 2))
    np.testing.assert_allclose(box(x, radius), wanted, atol=1e-6)


@pytest.mark.parametrize("sigma", [0.4, 1.0, 2.5, 6.0])
def test_gaussian_is_that_of_opencv(sigma):
    """From slices (small sigma) and from band matrices (large)."""
    x, size = photo(28, 32), 2 * int(np.ceil(4 * sigma)) + 1
    wanted = reference(f"gaussian_{sigma}", "cv2", lambda: cv2().GaussianBlur(x, (size, size), sigma))
    np.testing.assert_allclose(gaussian(x, sigma), wanted, atol=2e-6)


def test_gaussian_takes_one_sigma_for_each_image():
    x = jnp.stack([photo(), photo()[::-1], photo()])
    sigmas = (0.0, 1.0, 3.0)
    found = gaussian(x, jnp.array(sigmas), radius=12)
    for one, image, sigma in zip(found, x, sigmas, strict=True):
        np.testing.assert_allclose(one, gaussian(image, sigma, radius=12), atol=1e-6)
    np.testing.assert_array_equal(found[0], x[0])


def test_gaussian_has_the_gradient_of_sigma():
    x = jnp.asarray(photo())
    loss = jax.jit(lambda sigma: jnp.mean(gaussian(x, sigma, radius=6) ** 2))
    slope = (loss(1.51) - loss(1.49)) / 0.02
    np.testing.assert_allclose(jax.grad(loss)(1.5), slope, rtol=2e-2)


@pytest.mark.parametrize("axis", [1, 2])
@pytest.mark.parametrize("shape", [(2, 40, 44, 3), (2, 5, 6, 1)])
def test_correlate_by_slices_and_by_bands(axis, shape):
    """Against a sum over reflected indices, for a filter that is not symmetric; 5 and 6 pixels take the band matrix."""
    rng = np.random.default_rng(0)
    x, taps = rng.random(shape, np.float32), np.array([0.5, -1.0, 0.0, 2.0, 0.25], np.float32)
    near = _operator.reflect(shape[axis], 2, 2)
    wanted = sum(t * np.take(x, near[k : k + shape[axis]], axis) for k, t in enumerate(taps))
    np.testing.assert_allclose(_separable.correlate(jnp.asarray(x), taps, axis), wanted, atol=1e-6)
    two = jnp.stack([taps, 2 * taps])
    found = _separable.correlate(jnp.asarray(x), two, axis)
    np.testing.assert_allclose(found, wanted * np.array([1, 2]).reshape(2, 1, 1, 1), atol=1e-6)


@pytest.mark.parametrize("size", [3, 5, 7, 9, 15, 17])
def test_median_is_that_of_scipy(size):
    """Every value, to the last bit: networks up to 13, bisection above."""
    x = photo(24, 28)

    def compute():
        ndimage = pytest.importorskip("scipy.ndimage")
        return ndimage.median_filter(x, (size, size, 1), mode="mirror")

    np.testing.assert_array_equal(median(x, size), reference(f"median_{size}", "scipy", compute))


@pytest.mark.parametrize("size", [3, 5, 7])
def test_median_is_that_of_opencv_away_from_the_border(size):
    levels = np.rint(photo() * 255).astype(np.uint8)
    wanted = reference(f"median_cv2_{size}", "cv2", lambda: cv2().medianBlur(levels, size))
    found = np.rint(np.asarray(median(levels.astype(np.float32) / 255, size)) * 255)
    inner = slice(size // 2, -(size // 2))
    np.testing.assert_array_equal(found[inner, inner], wanted[inner, inner])


def test_median_orders_negative_values_and_zeros():
    x = np.random.default_rng(1).normal(size=(9, 9, 1)).astype(np.float32)
    x[3:5] = 0
    for size in (3, 15):
        y = np.asarray(median(x, size))
        window = x[np.ix_(*(_operator.reflect(9, size // 2, size // 2)[4 : 4 + size],) * 2)]
        assert y[4, 4, 0] == np.median(window)


def test_the_gradient_of_the_median_goes_to_the_selected_pixel():
    x = jnp.asarray(np.random.default_rng(2).permutation(49).reshape(7, 7, 1).astype(np.float32))
    slope = jax.grad(lambda x: median(x, 3)[3, 3, 0])(x)
    wanted = (x == median(x, 3)[3, 3, 0]).astype(np.float32)
    np.testing.assert_array_equal(slope, wanted)
    flat = jax.grad(lambda x: median(x, 3)[3, 3, 0])(jnp.zeros((7, 7, 1)))  # all equal: in equal parts
    np.testing.assert_allclose(flat[2:5, 2:5], 1 / 9, rtol=1e-6)
    np.testing.assert_allclose(jnp.sum(flat), 1, rtol=1e-6)


@pytest.mark.parametrize(("angle", "slope"), [(0.0, (0, 1)), (90.0, (1, 0)), (45.0, (-1, 1)), (-45.0, (1, 1))])
def test_motion_blur_runs_along_its_angle(angle, slope):
    x = jnp.zeros((15, 15, 1)).at[7, 7].set(1.0)
    light = np.asarray(to_linear(motion_blur(x, 5, angle=angle)))[..., 0]
    np.testing.assert_allclose(light.sum(), 1, atol=1e-4)
    for step in (-1, 1):
        assert light[7 + step * slope[0], 7 + step * slope[1]] > 0.1
    down, right = np.mgrid[-7:8, -7:8]
    across = np.abs(down * slope[1] - right * slope[0]) / np.hypot(*slope)
    assert light[across >= 1].max() < 1e-5


def test_motion_blur_is_the_mean_of_a_row_in_linear_light():
    x = photo()
    wanted = from_linear(box_row(to_linear(jnp.asarray(x)), 2))
    np.testing.assert_allclose(motion_blur(x, 5), wanted, atol=2e-5)


def box_row(x, radius):
    return _separable.correlate(x[None], np.full(2 * radius + 1, 1 / (2 * radius + 1), np.float32), 2)[0]


def test_motion_blur_takes_one_angle_for_each_image():
    x = jnp.stack([photo(), photo()])
    found = motion_blur(x, 7, angle=jnp.array([10.0, 80.0]))
    np.testing.assert_allclose(found[1], motion_blur(x[1], 7, angle=80.0), atol=2e-6)
    assert np.abs(found[0] - found[1]).max() > 0.05


def test_defocus_blur_makes_a_disc_of_a_point():
    x = jnp.zeros((21, 21, 1)).at[10, 10].set(1.0)
    light = np.asarray(to_linear(defocus_blur(x, 4.0)))[..., 0]
    far = np.hypot(*np.mgrid[-10:11, -10:11])
    assert light[far > 4.5].max() < 1e-5
    np.testing.assert_allclose(light[far < 3.4], light[10, 10], rtol=1e-3)
    np.testing.assert_allclose(1 / light[10, 10], np.pi * 4.0**2, rtol=0.05)  # its area


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: box(x, -1), "box: radius=-1; allowed: whole numbers from 0"),
        (lambda x: box(x, 1.5), "box: radius=1.5; allowed: whole numbers from 0"),
        (lambda x: median(x, 4), "median: size=4; allowed: odd numbers from 1"),
        (lambda x: gaussian(x, -1.0), "gaussian: sigma=-1.0; allowed: numbers from 0 to"),
        (lambda x: gaussian(x, 1.0, radius=-2), "gaussian: radius=-2; allowed: whole numbers from 0"),
        (
            lambda x: gaussian(x, jnp.ones(1)),
            "gaussian: radius=None with a traced or per-image sigma; allowed: a whole number of pixels",
        ),
        (lambda x: motion_blur(x, 0.5), "motion_blur: length=0.5; allowed: numbers from 1 to"),
        (lambda x: defocus_blur(x, float("nan")), "defocus_blur: radius=nan; allowed: numbers from 0 to"),
    ],
)
def test_bad_sizes_are_refused_in_one_line(call, message):
    with pytest.raises(InputError) as error:
        call(jnp.zeros((1, 8, 8, 3)))
    assert str(error.value).startswith(message)
