"""The averaged parameters."""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
import pytest

from gen.tasks.state import ema


@pytest.mark.parametrize("batch", [8, 32, 500])
def test_after_its_half_life_half_of_the_old_average_is_left(batch):
    average, params = {"a": jnp.zeros(3)}, {"a": jnp.array([1.0, -2.0, 4.0])}
    for _ in range(4000 // batch):
        average = ema(average, params, half_life=2000.0, images=batch)
    np.testing.assert_allclose(average["a"], params["a"] * 0.75, rtol=1e-5)  # twice the half-life


def test_a_half_life_of_zero_copies():
    for half_life in (0, 0.0, jnp.float32(0)):
        assert ema({"a": jnp.array([3.0])}, {"a": jnp.array([5.0])}, half_life=half_life, images=8)["a"] == 5


def test_the_average_keeps_the_dtype_of_the_parameters():
    params = {"a": jnp.ones(2, jnp.bfloat16), "b": jnp.ones(2)}
    found = ema(params, params, half_life=100.0, images=8)
    assert {name: leaf.dtype for name, leaf in found.items()} == {"a": jnp.bfloat16, "b": jnp.float32}
