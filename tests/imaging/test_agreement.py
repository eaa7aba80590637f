"""Agreement of segmentations against scikit-image and against counts by hand."""

import importlib

import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment import metrics

RANDOM = np.random.default_rng(0)
TRUTH = np.kron(RANDOM.integers(0, 5, (6, 8)), np.ones((5, 6), int)).astype(np.int32)
FOUND = np.where(RANDOM.random((30, 48)) < 0.1, 7, np.roll(TRUTH, 2, axis=1) * 3).astype(np.int32)


def skimage_metrics(name: str):
    return lambda *args: getattr(importlib.import_module("skimage.metrics"), name)(*args)


def test_adapted_rand_equals_scikit_image():
    want = reference(
        "adapted_rand_error", "skimage", lambda: np.float32(skimage_metrics("adapted_rand_error")(TRUTH, FOUND))
    )
    found = metrics.adapted_rand_error(jnp.asarray(FOUND), jnp.asarray(TRUTH))
    np.testing.assert_allclose((found.error, found.recall, found.precision), want, rtol=1e-5)  # it calls them so
    np.testing.assert_allclose(
        metrics.adapted_rand_error(jnp.asarray(TRUTH) * 9, jnp.asarray(TRUTH)), (0, 1, 1), atol=1e-6
    )


def test_adapted_rand_precision_is_that_of_the_segmentation():
    whole, halves = jnp.ones((2, 4), jnp.int32), jnp.asarray([[1, 1, 2, 2]] * 2, jnp.int32)
    together = metrics.adapted_rand_error(whole, halves)  # finds all pairs, and others
    np.testing.assert_allclose((together.precision, together.recall), (24 / 56, 1), rtol=1e-6)
    apart = metrics.adapted_rand_error(jnp.arange(8).reshape(2, 4), whole)
    np.testing.assert_allclose(apart, (1, 1, 0))


def test_variation_of_information_equals_scikit_image():
    def compute():
        return np.float32(skimage_metrics("variation_of_information")(TRUTH, FOUND))

    want = reference("variation_of_information", "skimage", compute)
    found = metrics.variation_of_information(jnp.asarray(FOUND), jnp.asarray(TRUTH))
    np.testing.assert_allclose(found, want, rtol=1e-4)
    halves, whole = jnp.asarray([[1, 1, 2, 2]], jnp.int32), jnp.ones((1, 4), jnp.int32)
    np.testing.assert_allclose(metrics.variation_of_information(halves, whole), (1, 0), atol=1e-6)


def test_dice():
    first, second = jnp.zeros((4, 4, 1)).at[:2].set(1.0), jnp.zeros((4, 4, 1)).at[:, :2].set(1.0)
    np.testing.assert_allclose(metrics.dice(first, second), 0.5)
    np.testing.assert_allclose(metrics.dice(first, first), 1)
    np.testing.assert_allclose(metrics.dice(first * 0, first * 0), 1)
    np.testing.assert_allclose(metrics.dice(jnp.stack([first, first]), jnp.stack([second, first])), (0.5, 1))


def test_boundary_recall_counts_with_a_tolerance():
    truth = jnp.ones((9, 12), jnp.int32).at[:, 6:].set(2)
    moved = jnp.ones((9, 12), jnp.int32).at[:, 8:].set(2)
    recall = [float(metrics.boundary_recall(moved, truth, tolerance=t)) for t in range(4)]
    assert recall == [0, 0, 1, 1]
    half = moved.at[:4].set(1)  # the boundary goes on for two rows, by the tolerance
    np.testing.assert_allclose(metrics.boundary_recall(half, truth, tolerance=2), 7 / 9, rtol=1e-6)
    np.testing.assert_allclose(metrics.boundary_recall(truth, jnp.ones_like(truth)), 1)


def test_explained_variation_by_hand():
    x = photo(30, 48)
    means = np.stack([x[k == TRUTH].mean(0) for k in range(5)])[TRUTH]
    want = ((means - x.mean((0, 1))) ** 2).sum() / ((x - x.mean((0, 1))) ** 2).sum()
    np.testing.assert_allclose(metrics.explained_variation(jnp.asarray(x), jnp.asarray(TRUTH), 4), want, rtol=1e-4)
    np.testing.assert_allclose(metrics.explained_variation(jnp.ones((30, 48, 3)), jnp.asarray(TRUTH), 4), 1)


def test_undersegmentation_by_hand():
    total = 0
    for k in np.unique(FOUND):
        inside = np.bincount(TRUTH[k == FOUND])
        total += np.minimum(inside, inside.sum() - inside).sum()
    found = metrics.undersegmentation_error(jnp.asarray(FOUND), jnp.asarray(TRUTH))
    np.testing.assert_allclose(found, total / FOUND.size, rtol=1e-5)
    assert float(metrics.undersegmentation_error(jnp.asarray(TRUTH), jnp.asarray(TRUTH))) == 0


def test_bad_inputs():
    labels = jnp.ones((4, 4), jnp.int32)
    with pytest.raises(InputError, match="tolerance=-1; allowed: whole numbers from 0"):
        metrics.boundary_recall(labels, labels, tolerance=-1)
    with pytest.raises(InputError, match="count=0; allowed: whole numbers from 1"):
        metrics.explained_variation(jnp.ones((4, 4, 3)), labels, 0)
    with pytest.raises(InputError, match="other is float32; allowed: int32"):
        metrics.adapted_rand_error(labels, jnp.ones((4, 4)))
