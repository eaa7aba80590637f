"""Level sets, distances and borders of labels against scikit-image and scipy."""

import importlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo, reference

from gen.errors import InputError
from gen.imaging.segment.contours import chan_vese, clear_border, distance_transform, expand_labels, find_boundaries

GRAY = photo(40, 48).mean(-1)
MASK = (GRAY > 0.45).astype(np.int32)
LABELS = (np.kron(np.random.default_rng(0).integers(0, 4, (7, 8)), np.ones((5, 6), int))).astype(np.int32)


def skimage(name: str):
    return lambda *args, **kwargs: getattr(importlib.import_module("skimage.segmentation"), name)(*args, **kwargs)


@pytest.mark.parametrize("smoothness", [0.05, 0.25])
def test_chan_vese_equals_scikit_image(smoothness):
    def compute():
        return skimage("chan_vese")(GRAY, mu=smoothness, tol=0, max_num_iter=60).astype(np.float32)

    want = reference(f"chan_vese_{smoothness}", "skimage", compute)
    found = np.asarray(chan_vese(jnp.asarray(GRAY[..., None]), smoothness=smoothness, steps=60))[..., 0]
    assert ((found > 0.5) == want).mean() > 0.995
    assert 0.2 < want.mean() < 0.8


def test_chan_vese_of_colors_and_its_gradient():
    """Red and green of one brightness are told apart."""
    x = jnp.zeros((20, 20, 3)).at[:, :10, 0].set(0.6).at[:, 10:, 1].set(0.6)
    found = np.asarray(chan_vese(x, steps=50, smoothness=0.05))[..., 0] > 0.5
    assert found[:, :10].mean() in (0, 1)
    assert found[:, 10:].mean() == 1 - found[:, :10].mean()
    for image in (x, jnp.zeros_like(x), jnp.ones_like(x)):
        assert bool(jnp.isfinite(jax.grad(lambda x: chan_vese(x, steps=10).sum())(image)).all())


@pytest.mark.parametrize("mode", ["thick", "inner"])
def test_boundaries_equal_scikit_image(mode):
    want = reference(f"boundaries_{mode}", "skimage", lambda: skimage("find_boundaries")(LABELS, mode=mode))
    np.testing.assert_array_equal(np.asarray(find_boundaries(jnp.asarray(LABELS), mode=mode))[..., 0], want)


def test_distance_equals_scipy():
    def compute():
        edt = importlib.import_module("scipy.ndimage").distance_transform_edt
        return np.stack([edt(MASK), edt(1 - MASK)]).astype(np.float32)

    want = reference("distance", "scipy", compute)
    masks = jnp.asarray(np.stack([MASK, 1 - MASK])[..., None], jnp.float32)
    np.testing.assert_allclose(np.asarray(distance_transform(masks))[..., 0], want, atol=1e-6)
    assert want.max() > 5
    one = jnp.ones((30, 40, 1)).at[0, 0].set(0.0)  # the farthest that there is
    np.testing.assert_allclose(distance_transform(one)[-1, -1, 0], np.hypot(29, 39), rtol=1e-6)
    np.testing.assert_allclose(distance_transform(jnp.ones((3, 4, 1))), 5, rtol=1e-6)


@pytest.mark.parametrize("distance", [0, 1, 2.9, 100.0])
def test_expand_equals_scikit_image_but_for_ties(distance):
    points = np.where(np.random.default_rng(1).random((30, 35)) < 0.03, np.arange(1050).reshape(30, 35), 0)
    want = reference(f"expand_{distance}", "skimage", lambda: skimage("expand_labels")(points, distance))
    found = np.asarray(expand_labels(jnp.asarray(points, jnp.int32), distance))
    np.testing.assert_array_equal(found > 0, want > 0)
    at = np.argwhere(points > 0)
    away = np.hypot(*np.moveaxis(np.indices((30, 35))[:, :, :, None] - at.T[:, None, None], 0, 0))
    nearest = away.min(-1, keepdims=True) == away
    smallest = np.where(nearest, points[points > 0], 10**6).min(-1)
    np.testing.assert_array_equal(found, np.where(away.min(-1) <= distance, smallest, 0))


@pytest.mark.parametrize("margin", [0, 3])
def test_clear_border_equals_scikit_image(margin):
    want = reference(f"clear_{margin}", "skimage", lambda: skimage("clear_border")(LABELS, buffer_size=margin))
    np.testing.assert_array_equal(clear_border(jnp.asarray(LABELS), margin=margin), want)
    assert want.any()


def test_bad_inputs():
    labels = jnp.ones((4, 4), jnp.int32)
    with pytest.raises(InputError, match="mode='thik'; allowed: thick, inner; did you mean 'thick'"):
        find_boundaries(labels, mode="thik")
    with pytest.raises(InputError, match="distance=-1; allowed: numbers from 0"):
        expand_labels(labels, -1)
    with pytest.raises(InputError, match="margin=-2; allowed: whole numbers from 0"):
        clear_border(labels, margin=-2)
    with pytest.raises(InputError, match="steps=0; allowed: whole numbers from 1"):
        chan_vese(jnp.ones((4, 4, 1)), steps=0)
    with pytest.raises(InputError, match="distance_transform: x has 3 channels; allowed: 1"):
        distance_transform(jnp.ones((4, 4, 3)))
