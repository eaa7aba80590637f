"""What every public operator of gen.imaging promises, checked over the rows of table_*.py."""

from __future__ import annotations

import importlib
import inspect
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from reference import photo

from gen.errors import InputError
from gen.imaging import color, filters, segment
from gen.imaging.catalog import OPERATORS

TABLES = sorted(path.stem for path in pathlib.Path(__file__).parent.glob("table_*.py"))
ROWS = [row for table in TABLES for row in importlib.import_module(table).OPERATORS]
IMAGES = [row for row in ROWS if row.image]
SIDE = 13
PUBLIC = {name: getattr(module, name) for module in (filters, color, segment) for name in module.__all__}


def each(rows):
    return pytest.mark.parametrize("row", rows, ids=lambda row: row.name)


def batch(row) -> jax.Array:
    """Two crops of a photograph, [2 13 13 c]."""
    images = np.stack([photo()[4 : 4 + SIDE, 6 : 6 + SIDE], photo()[20 : 20 + SIDE, 22 : 22 + SIDE]])
    return jnp.asarray(images.mean(-1, keepdims=True) if row.gray else images)


def close(found, wanted, tolerance) -> None:
    """Trees of arrays; labels and counts must be equal."""
    for a, b in zip(jax.tree.leaves(found), jax.tree.leaves(wanted), strict=True):
        assert a.shape == b.shape
        assert a.dtype == b.dtype
        rtol, atol = (1e-4, tolerance) if jnp.issubdtype(a.dtype, jnp.floating) else (0, 0)
        np.testing.assert_allclose(np.asarray(a), np.asarray(b), rtol=rtol, atol=atol)


def leaves_finite(tree) -> bool:
    return all(bool(jnp.isfinite(leaf).all()) for leaf in jax.tree.leaves(tree))


def test_every_public_operator_has_a_row():
    functions = {name for name, value in PUBLIC.items() if inspect.isfunction(value)}
    files = {"read_cube", "write_cube"}
    assert functions - files - {row.name for row in ROWS} == set()
    assert {row.name for row in ROWS} - functions == set()


def test_every_public_operator_says_what_it_takes():
    for name, function in PUBLIC.items():
        assert len(inspect.getdoc(function) or "") > 60, name


@each(IMAGES)
def test_constants_flips_identities_and_ranges_are_kept(row):
    """All of them are images of one shape, so that an operator is compiled once for them."""
    x, tolerance = batch(row), max(row.tolerance, 2e-5)
    y = row.call(x)
    assert y.shape == x.shape
    if row.constant:
        for value in (0.0, 0.4, 1.0):
            even = jnp.full_like(x, value)
            np.testing.assert_allclose(row.call(even), even, atol=tolerance, err_msg=f"a constant image of {value}")
    if row.flips:
        for flip in (lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a.transpose(0, 2, 1, 3)):
            np.testing.assert_allclose(row.call(flip(x)), flip(y), atol=tolerance, err_msg="a flipped image")
    if row.identity:
        np.testing.assert_allclose(row.identity(x), x, atol=tolerance, err_msg="parameters that change nothing")
    if row.bounded:
        for image in (y, row.call(jnp.where(x > 0.5, 1.0, 0.0))):
            assert image.min() >= -1e-5
            assert image.max() <= 1 + 1e-5
    half = row.call(x.astype(jnp.bfloat16))
    assert (y.dtype, half.dtype) == (jnp.float32, jnp.bfloat16)
    if row.half is not None:
        assert float(jnp.abs(half.astype(jnp.float32) - y).max()) <= row.half


@pytest.mark.usefixtures("compiled_quickly")
@each(ROWS)
def test_small_and_hard_images_stay_finite_and_do_not_depend_on_their_batch(row):
    """Hard is what an operator before it may have made: negative, above 1, one bright pixel, nothing at all."""
    x, shape, rng = batch(row)[:, :5, :8], (5, 8, 1 if row.gray else 3), np.random.default_rng(0)
    if row.image and row.name in OPERATORS:
        spike = np.zeros(shape, np.float32)
        spike[0, 0] = 65504
        hard = [rng.uniform(-1, 3, shape), spike, np.where(rng.random(shape) > 0.5, 1, 0)]
        hard += [np.full(shape, value) for value in (0, 1, -1, 0.3, 1e-30)]
        x = jnp.concatenate([x, jnp.asarray(np.stack(hard), jnp.float32)])
    together = row.call(x)
    assert leaves_finite(together)
    assert leaves_finite(row.call(batch(row)[:, :1, :1]))
    pair = jax.tree.map(lambda leaf: leaf[:2], together)
    if row.exact_batch:
        singles = [row.call(image) for image in x[:2]]
        close(jax.tree.map(lambda *leaves: jnp.stack(leaves), *singles), pair, row.tolerance)
        close(jax.jit(jax.vmap(row.call))(x[:2]), pair, row.tolerance)
    else:
        close(jax.jit(row.call)(x), together, row.tolerance)
    if row.image:
        assert together.shape == x.shape


@pytest.mark.usefixtures("compiled_quickly")
@each([row for row in IMAGES if row.gradients])
def test_gradients_are_finite(row):
    x = batch(row)
    slope = jax.jit(jax.grad(lambda x: jnp.sum(row.call(x) * jnp.linspace(0.5, 1.5, SIDE)[:, None])))
    gray = jnp.broadcast_to(x.mean(-1, keepdims=True), x.shape)
    for image in (x, jnp.zeros_like(x), jnp.ones_like(x), gray):
        assert leaves_finite(slope(image))


@pytest.mark.usefixtures("compiled_quickly")
@each([row for row in ROWS if row.per_image])
def test_one_strength_for_each_image(row):
    x, strengths = batch(row), jnp.asarray(row.strengths)
    together = row.per_image(x, strengths)
    for i, strength in enumerate(strengths):
        alike = row.per_image(x, jnp.full(2, strength))
        close(together[i], alike[i], row.tolerance)
        assert not np.allclose(together[1 - i], alike[1 - i], atol=1e-6)


@each(ROWS)
def test_bad_arrays_are_refused_in_one_line(row):
    x = batch(row)
    eight_bits = (x * 255).astype(jnp.uint8)
    for bad, words in ((x[0, 0], "has shape"), (jnp.stack([x, x]), "has shape"), (eight_bits, "uint8")):
        with pytest.raises(InputError, match=words) as caught:
            row.call(bad)
        assert "\n" not in str(caught.value)
        assert "allowed" in str(caught.value)
