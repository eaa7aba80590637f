"""SLIC: exact where the answer is known, in one piece, and no worse than scikit-image on a photograph."""

import importlib

import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment.components import connected_components
from gen.imaging.segment.metrics import boundary_recall, explained_variation
from gen.imaging.segment.superpixels import slic


def quadrants() -> jnp.ndarray:
    colors = jnp.asarray([[(1.0, 0.0, 0.0), (0.0, 1.0, 0.0)], [(0.0, 0.0, 1.0), (1.0, 1.0, 0.0)]])
    return jnp.repeat(jnp.repeat(colors, 10, axis=0), 11, axis=1)


def test_finds_four_quadrants():
    want = np.kron([[1, 2], [3, 4]], np.ones((10, 11), int))
    np.testing.assert_array_equal(slic(quadrants(), 4), want)
    moved = jnp.roll(quadrants(), (3, -2), axis=(0, 1))[3:, :-2]  # edges that are not those of the grid
    found = np.asarray(slic(moved, 4, compactness=1.0))
    assert len({(label, *rgb) for label, rgb in zip(found.ravel(), np.asarray(moved).reshape(-1, 3), strict=True)}) == 4


def test_large_compactness_gives_squares():
    labels = np.asarray(slic(jnp.asarray(photo(40, 60)), 24, compactness=1e5, connected=False))
    rows, columns = np.mgrid[:40, :60]
    for k in range(24):  # the cells of the grid, give or take a pixel
        y, x = rows[labels == k + 1], columns[labels == k + 1]
        assert abs(y.min() - k // 6 * 10) + abs(x.min() - k % 6 * 10) <= 4
        assert len(y) >= 0.95 * (np.ptp(y) + 1) * (np.ptp(x) + 1)


def test_numbers_run_from_one_and_every_superpixel_is_one_piece():
    x = jnp.asarray(photo(64, 64))
    labels = np.asarray(slic(x, 50))
    n = labels.max()
    assert sorted(set(labels.ravel().tolist())) == list(range(1, n + 1))
    assert int(connected_components(jnp.asarray(labels), connectivity=4).count) == n
    areas = np.bincount(labels.ravel())[1:]
    assert areas.min() >= 64 * 64 / 49 / 4
    loose = np.asarray(slic(x, 50, connected=False))
    assert loose.max() <= 49
    assert int(connected_components(jnp.asarray(loose), connectivity=4).count) > 49


def test_no_worse_than_scikit_image_at_equal_count():
    """Explained variation, and recall of the edges between three levels of brightness, as functions of the count."""
    x = jnp.asarray(photo(64, 64))
    truth = jnp.asarray(np.digitize(photo(64, 64).mean(-1), (0.25, 0.6)), jnp.int32)

    def quality(labels: np.ndarray) -> tuple[float, float, float]:
        labels = jnp.asarray(labels, jnp.int32)
        variation = explained_variation(x, labels, 400)
        return float(labels.max()), float(variation), float(boundary_recall(labels, truth, tolerance=1))

    def compute():
        slic = importlib.import_module("skimage.segmentation").slic
        return np.float32([quality(slic(photo(64, 64), n, start_label=1)) for n in range(20, 141, 15)])

    count, variation, recall = reference("slic_quality", "skimage", compute).T
    order = np.argsort(count)
    for segments in (35, 80):
        mine = quality(np.asarray(slic(x, segments)))
        assert count.min() < mine[0] < count.max()
        assert mine[1] >= np.interp(mine[0], count[order], variation[order])
        assert mine[2] >= np.interp(mine[0], count[order], recall[order])


def test_gray_sizes_and_bad_inputs():
    gray = jnp.asarray(photo(17, 23).mean(-1, keepdims=True))
    assert slic(gray, 6, iterations=1).shape == (17, 23)
    assert int(slic(jnp.zeros((4, 4, 3)), 1000, iterations=1, connected=False).max()) == 16
    with pytest.raises(InputError, match="n_segments=0; allowed: whole numbers from 1"):
        slic(gray, 0)
    with pytest.raises(InputError, match="iterations=0; allowed: whole numbers from 1"):
        slic(gray, 4, iterations=0)
    with pytest.raises(InputError, match="x has 2 channels; allowed: 1 or 3"):
        slic(jnp.zeros((4, 4, 2)), 4)
