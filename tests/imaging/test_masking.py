"""Refinement inside masks and segments: outside nothing changes by a bit, edges fade, segments are alone."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.errors import InputError
from gen.imaging.masking import apply_masked, feathered, map_segments


def image() -> jax.Array:
    return jnp.asarray(photo(24, 30))


def square_mask() -> jax.Array:
    return jnp.zeros((24, 30, 1)).at[6:18, 8:24].set(1.0)


@pytest.mark.parametrize("feather", [0, 3])
@pytest.mark.parametrize("follow", [False, True])
def test_outside_the_mask_every_bit_stays(feather, follow):
    x, mask = image(), square_mask()
    y = jax.jit(lambda x: apply_masked(x, mask, lambda y: 1 - y, feather=feather, follow=follow))(x)
    outside = np.broadcast_to(np.asarray(mask) == 0, x.shape)
    assert (np.asarray(y)[outside] == np.asarray(x)[outside]).all()
    assert float(jnp.abs(y - x).max()) > 0.2
    if not follow:
        np.testing.assert_allclose(y[11:13, 14:18], 1 - x[11:13, 14:18], atol=1e-6)


def test_a_feather_fades_from_the_edge_inwards():
    weight = feathered(square_mask()[None], image()[None], feather=4, follow=False)[0, :, 16, 0]
    assert (weight[:6] == 0).all()
    assert (jnp.diff(weight[5:12]) >= 0).all()
    assert 0 < float(weight[6]) < 0.5
    assert float(weight[12]) == 1.0


def test_a_fade_follows_the_edges_of_the_picture():
    x = jnp.zeros((1, 24, 30, 1)).at[:, :, 12:].set(1.0)  # an edge at 12; the mask begins at 10, two pixels before it
    mask = jnp.zeros((1, 24, 30, 1)).at[:, :, 10:].set(1.0)
    plain = feathered(mask, x, feather=4, follow=False)[0, 12, :, 0]
    guided = feathered(mask, x, feather=4)[0, 12, :, 0]
    assert float(guided[12] - guided[11]) > 2 * float(plain[12] - plain[11])


def test_a_soft_mask_blends():
    x = image()
    y = apply_masked(x, jnp.full((24, 30, 1), 0.25), lambda y: y * 0)
    np.testing.assert_allclose(y, 0.75 * x, atol=1e-6)


def test_foreground_and_background_are_found_and_complete_each_other():
    x = jnp.full((1, 32, 32, 3), 0.2).at[:, 10:22, 9:23].set(jnp.array([0.9, 0.5, 0.1]))
    bright = apply_masked(x, "foreground", lambda y: y * 0)
    assert float(bright[0, 16, 16].max()) < 0.05
    np.testing.assert_allclose(bright[0, 2, 2], x[0, 2, 2], atol=0.02)
    dark = apply_masked(x, "background", lambda y: y * 0)
    np.testing.assert_allclose(bright + dark, x, atol=1e-5)


def test_a_segment_sees_only_itself():
    x = image()
    labels = jnp.ones((24, 30), jnp.int32).at[:, 15:].set(2).at[0].set(0)
    stretch = lambda y: (y - y.min((1, 2), keepdims=True)) / jnp.ptp(y, axis=(1, 2), keepdims=True)  # noqa: E731
    y = map_segments(x[None], labels[None], stretch, count=2)[0]
    assert (y[0] == x[0]).all()
    for part in (y[1:, :15], y[1:, 15:]):
        np.testing.assert_allclose(part.min((0, 1)), 0, atol=1e-6)
        np.testing.assert_allclose(part.max((0, 1)), 1, atol=1e-6)


@pytest.mark.parametrize("how", ["kmeans(3)", "threshold_otsu", "threshold_multiotsu(3)"])
def test_segments_are_found(how):
    x = image()
    y = map_segments(x, how, lambda part: jnp.broadcast_to(part.mean((0, 1)), part.shape))
    assert y.shape == x.shape
    assert 2 <= len(np.unique(np.asarray(y).reshape(-1, 3).round(4), axis=0)) <= 3


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda x: apply_masked(x, "foregruond", lambda y: y),
            "no mask 'foregruond'; allowed: .*; did you mean 'foreground'?",
        ),
        (lambda x: apply_masked(x, square_mask()[:5], lambda y: y), "mask has shape"),
        (lambda x: apply_masked(x, square_mask(), lambda y: y[:5]), "allowed: the same shape"),
        (lambda x: apply_masked(x, square_mask(), lambda y: y, feather=-1), "feather=-1"),
        (lambda x: map_segments(x, "kmaens(3)", lambda y: y), "did you mean 'kmeans'?"),
        (lambda x: map_segments(x, "threshold_otsu(3)", lambda y: y), "allowed: given labels"),
        (lambda x: map_segments(x, jnp.ones((24, 30)), lambda y: y, count=1), "labels is float32; allowed: int32"),
        (lambda x: map_segments(x, jnp.ones((24, 30), jnp.int32), lambda y: y), "count=None"),
    ],
)
def test_bad_input_is_refused(call, words):
    with pytest.raises(InputError, match=words):
        call(image())
