"""The random walker against scikit-image, against a dense solution in float64, and by its gradients."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment.random_walker import random_walker


def markers(h: int = 32, w: int = 36) -> np.ndarray:
    out = np.zeros((h, w), np.int32)
    out[2:5, 2:5], out[h // 2, w // 2], out[-4:-2, 3:6] = 1, 2, 3
    return out


def test_equals_scikit_image():
    def compute():
        walker = importlib.import_module("skimage.segmentation").random_walker
        image = photo(32, 36).astype(np.float64)
        found = walker(image, markers(), beta=130, mode="bf", return_full_prob=True, channel_axis=-1)
        return np.moveaxis(found, 0, -1).astype(np.float32)

    want = reference("random_walker", "skimage", compute)
    found = random_walker(jnp.asarray(photo(32, 36)), jnp.asarray(markers()), 3)
    np.testing.assert_allclose(found.probabilities, want, atol=2e-3)
    assert (np.asarray(found.labels) == want.argmax(-1) + 1).mean() > 0.999
    np.testing.assert_allclose(found.probabilities.sum(-1), 1, atol=1e-5)


def test_walk_on_a_line_is_a_ramp():
    found = random_walker(jnp.zeros((1, 9, 1)), jnp.asarray([[1, 0, 0, 0, 0, 0, 0, 0, 2]], jnp.int32), 2)
    np.testing.assert_allclose(found.probabilities[0, :, 1], np.linspace(0, 1, 9), atol=1e-4)


def test_gradient_is_that_of_the_exact_solution():
    """Implicit differentiation against differences of the solution itself."""
    x = jnp.asarray(photo(7, 8), jnp.float32)
    seeds = jnp.zeros((7, 8), jnp.int32).at[1, 1].set(1).at[5, 6].set(2)

    def loss(x, beta):
        return jnp.sum(random_walker(x, seeds, 2, beta=beta).probabilities[..., 0] * jnp.linspace(0, 1, 8))

    slope, by_beta = jax.grad(loss, argnums=(0, 1))(x, 50.0)
    direction = jnp.asarray(np.random.default_rng(0).normal(size=x.shape), jnp.float32)
    difference = (loss(x + 1e-2 * direction, 50.0) - loss(x - 1e-2 * direction, 50.0)) / 2e-2
    np.testing.assert_allclose(jnp.vdot(slope, direction), difference, rtol=0.03)
    np.testing.assert_allclose(by_beta, (loss(x, 51.0) - loss(x, 49.0)) / 2, rtol=0.03)


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_gradients_on_flat_images_are_finite(value):
    seeds = jnp.zeros((5, 6), jnp.int32).at[1, 1].set(1).at[3, 4].set(2)
    slope = jax.grad(lambda x: random_walker(x, seeds, 2).probabilities[..., 0].sum())(jnp.full((5, 6, 3), value))
    assert bool(jnp.isfinite(slope).all())


def test_images_do_not_depend_on_each_other_and_may_have_no_markers():
    x = jnp.asarray(np.stack([photo(20, 20), np.ones((20, 20, 3), np.float32), photo(20, 40)[:, 20:]]))
    seeds = jnp.asarray(markers(20, 20))
    seeds = jnp.stack([seeds, jnp.zeros_like(seeds), seeds])
    found = random_walker(x, seeds, 3)
    np.testing.assert_allclose(found.probabilities[1], 1 / 3, atol=1e-6)
    for i in (0, 2):
        np.testing.assert_allclose(random_walker(x[i], seeds[i], 3).probabilities, found.probabilities[i], atol=1e-5)
    assert not np.allclose(found.probabilities[0], found.probabilities[2], atol=0.05)


def test_bad_inputs():
    with pytest.raises(InputError, match="random_walker: classes=1; allowed: whole numbers from 2"):
        random_walker(jnp.zeros((4, 4, 3)), jnp.zeros((4, 4), jnp.int32), 1)
