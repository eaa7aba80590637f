"""Watershed against scikit-image where there are no ties, against an exact search everywhere, and its rule for ties."""

import heapq
import importlib

import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment.watershed import watershed


def relief() -> np.ndarray:
    gray = photo(40, 48).mean(-1)
    return np.hypot(*np.gradient(gray)).astype(np.float32)


def markers() -> np.ndarray:
    out = np.zeros((40, 48), np.int32)
    out[4::10, 5::12] = np.arange(1, 17).reshape(4, 4)
    return out


def by_queue(relief: np.ndarray, markers: np.ndarray) -> np.ndarray:
    """The heights of the passes, by Dijkstra's search."""
    height = np.full(relief.shape, np.inf)
    heap = [(relief[p], p) for p in zip(*np.nonzero(markers), strict=True)]
    heapq.heapify(heap)
    while heap:
        level, (y, x) = heapq.heappop(heap)
        if level < height[y, x]:
            height[y, x] = level
            for v, u in ((y - 1, x), (y, x - 1), (y, x + 1), (y + 1, x)):
                if 0 <= v < relief.shape[0] and 0 <= u < relief.shape[1]:
                    heapq.heappush(heap, (max(level, relief[v, u]), (v, u)))
    return height


def test_equals_scikit_image_without_ties():
    def compute():
        return importlib.import_module("skimage.segmentation").watershed(relief(), markers()).astype(np.int32)

    want = reference("watershed", "skimage", compute)
    got = np.asarray(watershed(jnp.asarray(relief()[..., None]), jnp.asarray(markers())))
    assert (got == want).mean() > 0.998
    np.testing.assert_array_equal(got[markers() > 0], markers()[markers() > 0])


def test_every_pixel_is_reached_over_the_lowest_pass_of_its_own_region():
    """With many ties: inside the region alone, the passes to its marker are as low as in the whole picture."""
    steps = np.round(relief() * 20).astype(np.float32)
    labels = np.asarray(watershed(jnp.asarray(steps[..., None]), jnp.asarray(markers())))
    want = by_queue(steps, markers())
    assert labels.min() == 1
    for k in range(1, 17):
        alone = by_queue(np.where(labels == k, steps, np.inf).astype(np.float32), np.where(markers() == k, k, 0))
        np.testing.assert_array_equal(alone[labels == k], want[labels == k])


def test_ties_are_shared_in_time_and_go_up_then_left():
    flat = jnp.zeros((1, 7, 1))
    ends = jnp.asarray([[3, 0, 0, 0, 0, 0, 5]], jnp.int32)
    np.testing.assert_array_equal(watershed(flat, ends), [[3, 3, 3, 3, 5, 5, 5]])  # the middle goes to the left
    np.testing.assert_array_equal(watershed(flat[0][:, None], ends[0][:, None])[:, 0], [3, 3, 3, 3, 5, 5, 5])
    wide = jnp.asarray([[2, 0, 0], [0, 0, 0], [0, 0, 1]], jnp.int32)
    np.testing.assert_array_equal(watershed(jnp.zeros((3, 3, 1)), wide), [[2, 2, 2], [2, 2, 1], [2, 1, 1]])
    # behind a pass the steps count anew: both come over height 1, the right one has the shorter way from there
    hill = jnp.asarray([[0.0, 0.0, 1.0, 0.5, 0.5, 0.5, 1.0, 0.0]])[..., None]
    seeds = jnp.asarray([[1, 0, 0, 0, 0, 0, 0, 2]], jnp.int32)
    np.testing.assert_array_equal(watershed(hill, seeds), [[1, 1, 1, 1, 1, 2, 2, 2]])


def test_walls_and_what_cannot_be_reached():
    mask = jnp.ones((3, 5, 1)).at[:, 2].set(0.0)
    seeds = jnp.zeros((3, 5), jnp.int32).at[1, 0].set(4)
    np.testing.assert_array_equal(watershed(jnp.zeros((3, 5, 1)), seeds, mask=mask), [[4, 4, 0, 0, 0]] * 3)
    broken = jnp.zeros((3, 5, 1)).at[:, 2].set(jnp.nan)
    np.testing.assert_array_equal(watershed(broken, seeds), [[4, 4, 0, 0, 0]] * 3)
    np.testing.assert_array_equal(watershed(jnp.zeros((3, 5, 1)), jnp.zeros((3, 5), jnp.int32)), np.zeros((3, 5)))


def test_bad_inputs():
    with pytest.raises(InputError, match="watershed: x has 3 channels; allowed: 1"):
        watershed(jnp.zeros((4, 4, 3)), jnp.zeros((4, 4), jnp.int32))
    with pytest.raises(InputError, match="markers is float32; allowed: int32"):
        watershed(jnp.zeros((4, 4, 1)), jnp.zeros((4, 4)))
