"""k-means on clusters that are known, against OpenCV's energy, with positions, the same every time."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment.kmeans import kmeans


def energy(x, labels, centers):
    return ((x - np.asarray(centers)[np.asarray(labels) - 1]) ** 2).sum(-1).mean()


def test_known_clusters_in_the_order_of_brightness():
    random = np.random.default_rng(0)
    truth = random.integers(0, 4, (30, 40))
    means = np.float32([[0.1, 0.1, 0.2], [0.2, 0.4, 0.2], [0.8, 0.5, 0.3], [0.9, 0.95, 0.9]])
    x = means[truth] + random.normal(0, 0.02, (30, 40, 3)).astype(np.float32)
    labels, centers = kmeans(jnp.asarray(x), 4)
    assert labels.dtype == jnp.int32
    np.testing.assert_array_equal(labels, truth + 1)
    np.testing.assert_allclose(centers, [x[truth == k].mean(0) for k in range(4)], atol=1e-5)


def test_energy_is_that_of_opencv():
    """The best of ten random starts, run to the end, is little better: they differ by as much."""
    x = photo(64, 64)
    for k, slack in ((3, 1.001), (8, 1.03), (16, 1.1)):

        def compute(k=k):
            cv2 = importlib.import_module("cv2")
            cv2.setRNGSeed(0)
            stop = (cv2.TERM_CRITERIA_EPS + cv2.TERM_CRITERIA_MAX_ITER, 100, 1e-6)
            return np.float32(
                cv2.kmeans(x.reshape(-1, 3), k, None, stop, 10, cv2.KMEANS_PP_CENTERS)[0] / x[..., 0].size
            )

        want = reference(f"kmeans_{k}", "cv2", compute)
        assert energy(x, *kmeans(jnp.asarray(x), k, iterations=30)) < slack * want


def test_labels_are_the_nearest_and_centers_the_means():
    x = photo(32, 32)
    labels, centers = (np.asarray(v) for v in kmeans(jnp.asarray(x), 5, iterations=60))
    nearest = ((x[:, :, None] - centers) ** 2).sum(-1).argmin(-1) + 1
    assert (nearest == labels).mean() > 0.995
    for k in range(5):
        np.testing.assert_allclose(centers[k], x[labels == k + 1].mean(0), atol=1e-5)


def test_positions_divide_an_even_image():
    x = jnp.full((16, 32, 1), 0.5)
    assert len(np.unique(kmeans(x, 2).labels)) == 1
    labels = np.asarray(kmeans(x, 2, position_weight=1.0).labels)
    assert (labels == labels[0]).all()
    (change,) = np.nonzero(np.diff(labels[0]))[0]
    assert change in (14, 15, 16)  # a column in the middle between two centers may stay with either


def test_weight_for_each_image():
    x = jnp.asarray(np.stack([photo(16, 20)] * 2))
    both = kmeans(x, 4, position_weight=jnp.asarray([0.0, 2.0])).labels
    np.testing.assert_array_equal(both[0], kmeans(x[0], 4).labels)
    np.testing.assert_array_equal(both[1], kmeans(x[1], 4, position_weight=2.0).labels)


def test_centers_are_differentiable():
    x = jnp.asarray(photo(12, 12))
    labels = np.asarray(kmeans(x, 3).labels)
    g = np.asarray(jax.grad(lambda x: jnp.sum(kmeans(x, 3).centers))(x))
    want = 1 / np.array([(labels == k).sum() for k in (1, 2, 3)])[labels - 1]
    np.testing.assert_allclose(g, want[..., None].repeat(3, -1), rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda x: kmeans(x, 0), "kmeans: clusters=0; allowed: whole numbers from 1 to 256"),
        (lambda x: kmeans(x, 3, iterations=-1), "kmeans: iterations=-1; allowed: whole numbers from 0 to 1000"),
        (lambda x: kmeans((x * 255).astype(jnp.uint8), 3), "kmeans: x is uint8; .*divide by 255"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(InputError, match=message):
        call(jnp.zeros((4, 5, 3)))
