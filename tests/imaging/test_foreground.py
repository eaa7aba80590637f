"""The foreground of drawn scenes, whose masks are known, and of a photograph."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.data.shapes import LUMA, render
from gen.errors import InputError
from gen.imaging.segment.foreground import foreground
from gen.imaging.segment.metrics import dice


@pytest.fixture(scope="module")
def scenes():
    return render(np.arange(8), resolution=48)


def test_finds_drawn_shapes(scenes):
    assert float(dice((foreground(scenes.image) > 0.5).astype(jnp.float32), scenes.mask).min()) > 0.94
    boxed = foreground(scenes.image, box=(0.05, 0.05, 0.95, 0.95))
    assert float(dice((boxed > 0.5).astype(jnp.float32), scenes.mask).min()) > 0.94
    gray = (scenes.image * jnp.asarray(LUMA)).sum(-1, keepdims=True)
    assert float(jnp.median(dice(foreground(gray), scenes.mask))) > 0.9


def test_a_box_or_a_mask_bounds_it(scenes):
    found = foreground(scenes.image, box=(0.2, 0.1, 0.6, 0.9))
    rows, columns = np.nonzero(np.asarray(found).max((0, 3)))
    assert rows.min() >= 9
    assert rows.max() < 29
    assert columns.min() >= 4
    assert columns.max() < 44
    boxes = jnp.asarray([(0.2, 0.1, 0.6, 0.9)] * 4 + [(0.0, 0.0, 1.0, 1.0)] * 4)
    np.testing.assert_allclose(foreground(scenes.image, box=boxes)[:4], found[:4], atol=1e-2)
    guess = jnp.full((8, 48, 48, 1), 0.4).at[:, :, :20].set(0.0).at[:, :4, 40:].set(1.0)
    led = foreground(scenes.image, mask=guess)
    assert float(led[:, :, :20].max()) == 0
    assert float(led[:, :4, 40:].min()) == 1


def test_of_a_photograph_it_is_a_soft_mask_that_keeps_to_edges():
    x = jnp.asarray(photo(64, 64))
    found = np.asarray(foreground(x))
    assert found.shape == (64, 64, 1)
    assert found.min() >= 0
    assert found.max() <= 1
    assert found[24:40, 16:34].mean() > 0.8  # the face
    assert found[:, 52:].mean() < 0.05  # the wall beside it


def test_gradients_are_finite(scenes):
    slope = jax.jit(jax.grad(lambda x: jnp.sum(foreground(x) ** 2)))
    for x in (scenes.image[:1, ::4, ::4], jnp.zeros((1, 12, 12, 3)), jnp.ones((1, 12, 12, 3))):
        assert bool(jnp.isfinite(slope(x)).all())
    assert float(jnp.abs(slope(scenes.image[:1, ::4, ::4])).max()) > 0


def test_bad_inputs():
    x = jnp.zeros((4, 4, 3))
    with pytest.raises(InputError, match="both box and mask; allowed: one of them or none"):
        foreground(x, box=(0, 0, 1, 1), mask=jnp.zeros((4, 4, 1)))
    with pytest.raises(InputError, match="components=9; allowed: whole numbers from 1 to 8"):
        foreground(x, components=9)
    with pytest.raises(InputError, match="rounds=0; allowed: whole numbers from 1"):
        foreground(x, rounds=0)
