"""The equation of a flow, where data are Gaussian and all is known in closed form."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.tasks import ode

MEAN = np.array([0.5, -0.2, 0.1], np.float32)
FACTOR = np.array([[0.6, 0.0, 0.0], [0.5, 0.3, 0.0], [-0.2, 0.1, 0.4]], np.float32)
COVARIANCE = FACTOR @ FACTOR.T
TRUTH = jnp.asarray(MEAN), jnp.asarray(COVARIANCE)


def velocity(z, t):
    """E[e - x | z] for x of N(mean, covariance): linear in z."""
    mean, covariance = TRUTH
    spread = (1 - t) ** 2 * covariance + t**2 * jnp.eye(3)
    off = jnp.linalg.solve(spread, (z - (1 - t) * mean).T).T
    return t * off - mean - (1 - t) * off @ covariance


def keys(count):
    return jax.vmap(jax.random.key)(jnp.arange(count, dtype=jnp.uint32))


def noise(count, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=(count, 3)).astype(np.float32))


@pytest.mark.parametrize("shift", [1.0, 3.0, 0.5])
def test_samples_have_the_mean_and_the_covariance_of_the_data(shift):
    made = np.asarray(jax.jit(lambda z: ode.solve(velocity, z, steps=32, last=1e-3, shift=shift))(noise(20_000)))
    np.testing.assert_allclose(made.mean(0), MEAN, atol=0.02)
    np.testing.assert_allclose(np.cov(made.T), COVARIANCE, atol=0.02)


def test_the_error_falls_with_the_square_of_the_steps():
    solve = jax.jit(lambda z, steps: ode.solve(velocity, z, steps=steps, last=1e-4))
    exact = solve(noise(50), 1024)
    errors = [float(jnp.abs(solve(noise(50), steps) - exact).max()) for steps in (8, 16, 32)]
    assert errors[0] > 2.5 * errors[1] > 6 * errors[2], errors
    assert errors[2] < 0.02


def test_times_are_shifted_by_their_odds():
    times = np.linspace(0, 1, 11, dtype=np.float32)
    moved = np.asarray(ode.shifted(times, 3.0))
    assert (moved[0], moved[-1]) == (0, 1)
    np.testing.assert_allclose(moved[1:-1] / (1 - moved[1:-1]), 3 * times[1:-1] / (1 - times[1:-1]), rtol=1e-5)
    np.testing.assert_allclose(ode.shifted(moved, 1 / 3), times, atol=1e-6)


def test_shifted_steps_are_longer_near_the_image_and_end_at_the_same_time():
    seen = list[float]()

    def still(z, t):
        seen.append(float(t))
        return jnp.zeros_like(z)

    with jax.disable_jit():
        ode.solve(still, noise(1), steps=6, last=0.1, shift=3.0)
    times = [*seen[:-1:2], seen[-1]]  # each step begins at the first of its two
    assert times[0] == 1
    assert times[-1] == pytest.approx(1 / 6)
    assert (np.diff(np.diff(times)) < -0.01).all(), times


def test_one_step_gives_the_mean():
    made = ode.solve(velocity, noise(4), steps=1, last=1e-3)
    np.testing.assert_allclose(made, np.broadcast_to(MEAN, (4, 3)), atol=1e-5)


@pytest.mark.parametrize("last", [0.1, 0.3])
def test_from_the_last_time_it_goes_to_the_expected_image(last):
    """Of N(mean, C) these have the covariance (1 - t)^2 C S^-1 C, with S that of z at that time."""
    made = np.asarray(jax.jit(lambda z: ode.solve(velocity, z, steps=32, last=last))(noise(20_000)))
    spread = (1 - last) ** 2 * COVARIANCE + last**2 * np.eye(3)
    wanted = (1 - last) ** 2 * COVARIANCE @ np.linalg.solve(spread, COVARIANCE)
    np.testing.assert_allclose(made.mean(0), MEAN, atol=0.02)
    np.testing.assert_allclose(np.cov(made.T), wanted, atol=0.02)


@pytest.mark.parametrize("steps", [4, 40])
def test_what_is_known_is_kept_and_the_rest_follows_from_it(steps):
    """The third number given the first two is normal, with a mean and a variance in closed form."""
    given, known = jnp.array([1.2, 0.6, 0.0]), jnp.array([True, True, False])
    project = lambda x: jnp.where(known, given, x)  # noqa: E731
    solve = jax.jit(lambda z: ode.solve(velocity, z, steps=steps, last=1e-3, project=project, keys=keys(4000)))
    made = np.asarray(solve(noise(4000)))
    np.testing.assert_allclose(made[:, :2], np.broadcast_to(given[:2], (4000, 2)), atol=1e-5)
    weights = np.linalg.solve(COVARIANCE[:2, :2], COVARIANCE[:2, 2])
    mean = MEAN[2] + weights @ (np.asarray(given[:2]) - MEAN[:2])
    spread = np.sqrt(COVARIANCE[2, 2] - weights @ COVARIANCE[:2, 2])
    assert abs(made[:, 2].mean() - mean) < 0.06 * (1 + 4 * (steps == 4)), (made[:, 2].mean(), mean)
    if steps > 4:
        assert abs(made[:, 2].std() - spread) < 0.08, (made[:, 2].std(), spread)


def log_density(x):
    off = np.asarray(x, np.float64) - MEAN
    inverse = np.linalg.inv(COVARIANCE.astype(np.float64))
    _, log_determinant = np.linalg.slogdet(2 * np.pi * COVARIANCE.astype(np.float64))
    return -0.5 * (np.einsum("ni,ij,nj->n", off, inverse, off) + log_determinant)


def test_the_likelihood_is_exact_within_its_tolerance():
    data = noise(32) @ FACTOR.T + MEAN
    found, error = jax.jit(lambda x: ode.nats(velocity, x, ode.exact_probes((3,)), tolerance=1e-4))(data)
    assert float(error.max()) <= 1e-4
    np.testing.assert_allclose(-np.asarray(found).sum(1), log_density(data), atol=3 * 3e-4)


def test_random_probes_are_right_in_the_mean():
    data = noise(4) @ FACTOR.T + MEAN
    probes = ode.random_probes(jax.random.key(0), 2000, (3,))
    found, _ = jax.jit(lambda x: ode.nats(velocity, x, probes, tolerance=1e-2))(data)
    np.testing.assert_allclose(-np.asarray(found).sum(1), log_density(data), atol=0.05)


def test_an_image_settles_for_itself():
    """A row has the same likelihood beside one that needs more steps."""
    data = jnp.concatenate([noise(1) @ FACTOR.T + MEAN, 40 * noise(1)])
    likelihood = jax.jit(lambda x: ode.nats(velocity, x, ode.exact_probes((3,)), tolerance=1e-3)[0])
    np.testing.assert_allclose(likelihood(data)[:1], likelihood(data[:1].repeat(2, 0))[:1], rtol=1e-6)
