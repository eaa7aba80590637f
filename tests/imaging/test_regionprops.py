"""Statistics of regions against NumPy, pixel by pixel."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.errors import InputError
from gen.imaging.segment.regionprops import region_statistics

LABELS = np.kron(np.random.default_rng(0).integers(0, 7, (6, 8)), np.ones((5, 6), int)).astype(np.int32)
X = photo(30, 48)


def test_equals_numpy():
    found = region_statistics(jnp.asarray(X), jnp.asarray(LABELS), 5)  # 0 and 6 are left out
    for k in range(1, 6):
        inside = k == LABELS
        rows, columns = np.nonzero(inside)
        assert found.area[k - 1] == inside.sum()
        np.testing.assert_allclose(found.mean[k - 1], X[inside].mean(0), atol=1e-6)
        np.testing.assert_allclose(found.covariance[k - 1], np.cov(X[inside].T, bias=True), atol=1e-6)
        box = rows.min(), columns.min(), rows.max() + 1, columns.max() + 1
        np.testing.assert_array_equal(found.box[k - 1], box)
        np.testing.assert_allclose(found.centroid[k - 1], (rows.mean(), columns.mean()), atol=1e-4)


def test_batches_and_empty_regions():
    labels = jnp.stack([jnp.asarray(LABELS), jnp.zeros_like(jnp.asarray(LABELS)).at[2, 3].set(2)])
    found = region_statistics(jnp.stack([jnp.asarray(X)] * 2), labels, 9)
    assert found.mean.shape == (2, 9, 3)
    assert found.covariance.shape == (2, 9, 3, 3)
    for field in found:
        np.testing.assert_array_equal(field[1, [0, 2, 8]], np.zeros_like(field[1, [0, 2, 8]]))
        np.testing.assert_array_equal(field[0, 7:], np.zeros_like(field[0, 7:]))
    np.testing.assert_array_equal(found.box[1, 1], [2, 3, 3, 4])
    np.testing.assert_allclose(found.mean[1, 1], X[2, 3], atol=1e-6)


def test_gradient_of_a_mean_is_one_over_the_area():
    slope = jax.grad(lambda x: region_statistics(x, jnp.asarray(LABELS), 6).mean[2, 1])(jnp.asarray(X))
    want = np.zeros_like(X)
    want[..., 1] = (LABELS == 3) / (LABELS == 3).sum()
    np.testing.assert_allclose(slope, want, atol=1e-7)


def test_bad_inputs():
    with pytest.raises(InputError, match="count=0; allowed: whole numbers from 1"):
        region_statistics(jnp.asarray(X), jnp.asarray(LABELS), 0)
    with pytest.raises(InputError, match=r"labels has shape \[48\]; allowed"):
        region_statistics(jnp.asarray(X), jnp.asarray(LABELS[0]), 3)
