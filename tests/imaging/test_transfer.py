"""Color transfer against closed forms: moments, distances of distributions, edges without halos."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.color.spaces import rgb_to_lab, rgb_to_oklab
from gen.imaging.color.transfer import match_linear, match_low_frequency, match_reinhard, match_sliced, monge
from gen.imaging.filters.smooth import gaussian

X = photo(48, 40)
OTHER = np.clip(photo(64, 64)[10:60, ::-1] ** 1.4 * np.float32([1, 0.75, 0.5]) + 0.05, 0, 1)


def moments(values):
    pixels = np.asarray(values, np.float64).reshape(-1, 3)
    return pixels.mean(0), np.cov(pixels.T, bias=True)


@pytest.mark.parametrize(("space", "to", "unit"), [("lab", rgb_to_lab, 1.0), ("oklab", rgb_to_oklab, 0.01)])
def test_reinhard_gives_mean_and_deviation(space, to, unit):
    matched = match_reinhard(jnp.asarray(X), jnp.asarray(OTHER), space=space)
    (mean, covariance), (wanted_mean, wanted) = moments(to(matched)), moments(to(jnp.asarray(OTHER)))
    np.testing.assert_allclose(mean, wanted_mean, atol=0.02 * unit)
    np.testing.assert_allclose(np.diag(covariance) ** 0.5, np.diag(wanted) ** 0.5, rtol=2e-3)


def test_reinhard_of_an_even_image_is_the_mean_of_the_reference():
    for space, to in (("lab", rgb_to_lab), ("oklab", rgb_to_oklab)):
        matched = match_reinhard(jnp.full((8, 8, 3), 0.4), jnp.asarray(OTHER), space=space)
        want = np.asarray(to(jnp.asarray(OTHER))).reshape(-1, 3).mean(0)
        np.testing.assert_allclose(
            np.asarray(to(matched)).reshape(-1, 3), want[None].repeat(64, 0), rtol=2e-3, atol=1e-3
        )


def test_linear_gives_mean_and_covariance():
    matched = match_linear(jnp.asarray(X), jnp.asarray(OTHER))
    (mean, covariance), (wanted_mean, wanted) = moments(matched), moments(OTHER)
    np.testing.assert_allclose(mean, wanted_mean, atol=1e-5)
    np.testing.assert_allclose(covariance, wanted, atol=1e-5)


def test_linear_is_the_closed_form():
    """A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2 with roots by scipy."""

    def compute():
        root = importlib.import_module("scipy.linalg").sqrtm
        (mean, a), (wanted_mean, b) = moments(X), moments(OTHER)
        a, b = a + 1e-6 * np.eye(3), b + 1e-6 * np.eye(3)
        half = root(a).real
        t = np.linalg.inv(half) @ root(half @ b @ half).real @ np.linalg.inv(half)
        return ((X.astype(np.float64) - mean) @ t + wanted_mean).astype(np.float32)

    want = reference("match_linear", "scipy", compute)
    np.testing.assert_allclose(match_linear(jnp.asarray(X), jnp.asarray(OTHER)), want, atol=1e-4)


def test_linear_undoes_a_mix_of_channels_that_keeps_directions():
    """A symmetric positive map is itself the optimal transport: matching to its result finds it."""
    mix = np.float32([[0.7, 0.1, 0.05], [0.1, 0.6, 0.1], [0.05, 0.1, 0.8]])
    wanted = X @ mix + 0.05
    np.testing.assert_allclose(match_linear(jnp.asarray(X), jnp.asarray(wanted)), wanted, atol=2e-3)


def test_monge_solves_its_equation_and_has_the_right_gradient():
    """T sigma T = wanted, also where variances differ a thousandfold and where eigenvalues are equal."""
    random = np.random.default_rng(0)
    for scales in ((1, 1, 1), (0.1, 0.01, 0.003)):
        a, b = (
            (basis * np.square(scales)) @ basis.T
            for basis in (np.linalg.qr(random.normal(size=(3, 3)))[0] for _ in range(2))
        )
        a, b = jnp.asarray(a[None], jnp.float32), jnp.asarray(b[None], jnp.float32)
        t = monge(a, b)
        np.testing.assert_allclose(t, jnp.swapaxes(t, 1, 2), rtol=1e-4, atol=1e-6)
        np.testing.assert_allclose(t @ a @ t, b, rtol=1e-3, atol=2e-6)

    weights = jnp.asarray(random.normal(size=(1, 3, 3)), jnp.float32)
    step = np.float32([[[0.1, 0.02, -0.03], [0.02, -0.05, 0.04], [-0.03, 0.04, 0.07]]]) * 0.05
    matrix = np.float32([[[2, 0.3, 0.1], [0.3, 1, 0.2], [0.1, 0.2, 1.5]]])
    for first, second in ((matrix, np.eye(3, dtype=np.float32)[None]), (np.eye(3, dtype=np.float32)[None], matrix)):
        for i in (0, 1):

            def f(change, i=i, first=first, second=second):
                return jnp.sum(monge(first + (1 - i) * change, second + i * change) * weights)

            g = np.asarray(jax.grad(f)(jnp.zeros((1, 3, 3))))
            numeric = (f(jnp.asarray(step)) - f(jnp.asarray(-step))) / 2
            assert np.sum(g * step) == pytest.approx(float(numeric), rel=5e-3, abs=1e-5)


def test_sliced_comes_nearer_than_linear_and_channels():
    """Sliced distance along axes that were not used: the mean gap between sorted projections."""
    directions = np.random.default_rng(3).normal(size=(20, 3))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    share = np.linspace(0.005, 0.995, 200)

    def distance(image):
        a, b = (
            np.quantile(np.asarray(v, np.float64).reshape(-1, 3) @ directions.T, share, axis=0) for v in (image, OTHER)
        )
        return np.abs(a - b).mean()

    sliced = match_sliced(jax.random.key(1), jnp.asarray(X), jnp.asarray(OTHER))
    linear = match_linear(jnp.asarray(X), jnp.asarray(OTHER))
    assert distance(sliced) < 0.006
    assert distance(sliced) < 0.4 * distance(linear) < distance(X)


def test_sliced_keeps_a_gradient_and_depends_on_its_key():
    ramp = jnp.linspace(0.1, 0.6, 900)
    x = jnp.broadcast_to(jnp.stack([ramp, ramp**2, 1 - ramp], -1)[None], (1, 900, 3))
    y = np.asarray(match_sliced(jax.random.key(0), x, jnp.asarray(OTHER), iterations=3))
    assert len(np.unique(y.reshape(-1, 3), axis=0)) >= 900
    other = match_sliced(jax.random.key(1), x, jnp.asarray(OTHER), iterations=3)
    assert np.abs(other - y).max() > 1e-3


def test_low_frequency_corrects_a_drift_and_keeps_detail():
    image = photo(64, 64)
    drifted = image * np.float32([1.0, 0.85, 1.1]) + np.float32([0.05, 0.02, -0.04])
    blurred = np.asarray(gaussian(jnp.asarray(image), 1.5))  # the reference knows the colors, not the detail
    fixed = np.asarray(match_low_frequency(jnp.asarray(drifted), jnp.asarray(blurred)))
    assert np.abs(fixed - image).mean() < 0.3 * np.abs(drifted - image).mean()
    roughness = [np.abs(np.diff(v, axis=1)).mean() for v in (fixed, image)]
    assert roughness[0] == pytest.approx(roughness[1], rel=0.1)


def test_low_frequency_has_no_halo():
    """A step whose sides both drift: the blurring low pass leaves a seam along it, this one none."""
    step = np.where(np.arange(64) < 32, 0.2, 0.8).astype(np.float32)
    wanted = np.where(np.arange(64) < 32, 0.3, 0.6).astype(np.float32)
    x, wanted = (jnp.asarray(np.broadcast_to(v[None, :, None], (32, 64, 3))) for v in (step, wanted))
    blur = np.abs(x + gaussian(wanted - x, 4.0) - wanted).max()
    guided = np.abs(match_low_frequency(x, wanted, radius=8, eps=1e-4) - wanted).max()
    assert blur > 0.08
    assert guided < 0.01


def test_low_frequency_takes_a_reference_of_another_size():
    small = jnp.full((7, 9, 3), 0.5)
    np.testing.assert_allclose(match_low_frequency(jnp.full((20, 24, 3), 0.3), small, radius=4), 0.5, atol=1e-5)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: match_reinhard(x, x, space="okla"), "space='okla'; allowed: lab, oklab; did you mean 'oklab'?"),
        (lambda x: match_reinhard(x[..., :1], x), "match_reinhard: x has 1 channels; allowed: 3"),
        (lambda x: match_linear(x, x[..., :2]), "match_linear: reference has 2 channels; allowed: 3"),
        (lambda x: match_sliced(jax.random.key(0), x, x, iterations=0), "iterations=0; allowed: whole numbers from 1"),
        (lambda x: match_low_frequency(x, x, radius=0), "match_low_frequency: radius=0; allowed: whole numbers from 1"),
        (lambda x: match_low_frequency(x[None], jnp.stack([x] * 3)), "reference has 3 images; allowed: 1 or 1"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call(jnp.zeros((4, 5, 3)))
