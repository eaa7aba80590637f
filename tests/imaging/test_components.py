"""Connected pieces against scikit-image (numbers too) and scipy (divisions), on shapes that are hard to follow."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import reference

from gen.errors import InputError
from gen.imaging.segment.components import connected_components, relabel_sequential, remove_small_objects


def spiral(n: int) -> np.ndarray:
    """One path to the middle, with walls of one pixel."""
    mask, y, x, (dy, dx) = np.zeros((n, n), np.int32), 0, 0, (0, 1)
    mask[0, 0] = turns = 1
    while turns < 3:
        ahead = [(y + k * dy, x + k * dx) for k in (1, 2)]
        inside = [0 <= v < n and 0 <= u < n for v, u in ahead]
        if inside[0] and not mask[ahead[0]] and not (inside[1] and mask[ahead[1]]):
            y, x = ahead[0]
            mask[y, x], turns = 1, 0
        else:
            dy, dx, turns = dx, -dy, turns + 1
    return mask


def pictures() -> dict[str, np.ndarray]:
    random = np.random.default_rng(0)
    smooth = random.random((48, 51))
    for axis in (0, 1) * 6:
        smooth = (np.roll(smooth, 1, axis) + smooth + np.roll(smooth, -1, axis)) / 3
    comb = np.zeros((33, 40), np.int32)
    comb[:, ::2] = 1
    comb[-1] = 1
    return {
        "blobs": (smooth > 0.5).astype(np.int32),
        "spiral": spiral(41),
        "comb": comb,
        "noise": (random.random((37, 50)) < 0.5).astype(np.int32),
        "labels": random.integers(-1, 3, (33, 40)).astype(np.int32),
        "blocks": np.kron(random.integers(0, 4, (6, 7)), np.ones((5, 6), int)).astype(np.int32),
        "empty": np.zeros((5, 6), np.int32),
        "pixel": np.ones((1, 1), np.int32),
    }


PICTURES = pictures()


@pytest.mark.parametrize("connectivity", [4, 8])
@pytest.mark.parametrize("name", PICTURES)
def test_equals_scikit_image(name, connectivity):
    labels = np.maximum(PICTURES[name], 0)

    def compute():
        measure = importlib.import_module("skimage.measure")
        return measure.label(labels, background=0, connectivity=connectivity // 4).astype(np.int32)

    want = reference(f"components_{name}_{connectivity}", "skimage", compute)
    found = connected_components(jnp.asarray(PICTURES[name]), connectivity=connectivity)
    np.testing.assert_array_equal(found.labels, want)
    assert int(found.count) == want.max()
    assert found.labels.dtype == jnp.int32


@pytest.mark.parametrize("name", ["blobs", "spiral", "noise"])
def test_divides_as_scipy(name):
    mask = PICTURES[name]

    def compute():
        return importlib.import_module("scipy.ndimage").label(mask, np.ones((3, 3)))[0].astype(np.int32)

    want = reference(f"components_scipy_{name}", "scipy", compute)
    found = np.asarray(connected_components(jnp.asarray(mask)).labels)
    pairs = np.unique(np.stack([found.ravel(), want.ravel()]), axis=1)
    assert pairs.shape[1] == found.max() + 1 == want.max() + 1


def test_the_spiral_is_one_path():
    """The picture is as hard as it says: a flood would take hundreds of rounds."""
    assert PICTURES["spiral"].sum() > 700
    assert int(connected_components(jnp.asarray(PICTURES["spiral"]), connectivity=4).count) == 1


def test_images_of_a_batch_are_apart_and_a_mask_is_as_good_as_labels():
    random = np.random.default_rng(1)
    batch = jnp.asarray(random.integers(0, 2, (5, 20, 23)), jnp.int32)
    found = connected_components(batch)
    for one, labels, count in zip(batch, found.labels, found.count, strict=True):
        np.testing.assert_array_equal(connected_components(one).labels, labels)
        assert int(count) == int(labels.max())
    as_labels = connected_components(jnp.where(batch > 0, 7, 0))  # takes the way of many labels
    np.testing.assert_array_equal(as_labels.labels, found.labels)


def test_every_division_of_small_masks():
    """All 4096 masks of 3x4 pixels, against a flood."""
    bits = (np.arange(2**12)[:, None] >> np.arange(12)) & 1
    masks = jnp.asarray(bits.reshape(-1, 3, 4), jnp.int32)
    start = jnp.where(masks > 0, jnp.arange(1, 13).reshape(3, 4), 0)

    def flood(numbers):
        padded = jnp.pad(numbers, ((0, 0), (1, 1), (1, 1)), constant_values=99)
        padded = jnp.where(padded == 0, 99, padded)
        around = jnp.stack([padded[:, y : y + 3, x : x + 4] for y in range(3) for x in range(3)])
        return jnp.where(masks > 0, around.min(0), 0)

    lowest = np.asarray(jax.lax.fori_loop(0, 12, lambda _, numbers: flood(numbers), start))
    want = np.stack([np.searchsorted(np.unique(np.append(one, 0)), one) for one in lowest])
    np.testing.assert_array_equal(connected_components(masks).labels, want)


def test_remove_small_counts_connected_pixels():
    labels = jnp.asarray([[1, 1, 0, 2, 0, 1], [0, 1, 0, 0, 2, 0], [3, 0, 3, 0, 0, 2], [3, 3, 3, 0, 2, 2]], jnp.int32)
    want = [[1, 1, 0, 2, 0, 0], [0, 1, 0, 0, 2, 0], [3, 0, 3, 0, 0, 2], [3, 3, 3, 0, 2, 2]]
    np.testing.assert_array_equal(remove_small_objects(labels, 3), want)
    np.testing.assert_array_equal(remove_small_objects(labels, 0), labels)
    sizes = remove_small_objects(jnp.stack([labels, labels]), jnp.asarray([4, 6]))
    assert [sorted(set(np.asarray(one).ravel().tolist())) for one in sizes] == [[0, 2, 3], [0]]


@pytest.mark.parametrize("scale", [1, 10**6])
def test_relabel_keeps_the_order(scale):
    labels = jnp.asarray([[0, 5, 5], [9, 2, -3], [2, 2, 9]], jnp.int32) * scale
    found = relabel_sequential(labels)
    np.testing.assert_array_equal(found.labels, [[0, 2, 2], [3, 1, 0], [1, 1, 3]])
    assert int(found.count) == 3
    assert int(relabel_sequential(jnp.zeros((2, 2), jnp.int32)).count) == 0


def test_bad_inputs():
    with pytest.raises(InputError, match="connectivity=6; allowed: 4, 8"):
        connected_components(jnp.ones((3, 3), jnp.int32), connectivity=6)
    with pytest.raises(InputError, match="labels is float32; allowed: int32"):
        connected_components(jnp.ones((3, 3)))
