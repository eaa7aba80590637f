"""Layers against references: convolutions against lax, FIR filters against zero-stuffing and numpy."""

from __future__ import annotations

import functools

import jax
import jax.numpy as jnp
import jax.test_util
import numpy as np
import pytest

from gen.models import layers

# (how, kernel side, groups); None is what `formulation` chooses here. A 1 x 1 kernel of one group is a matrix product.
CONVOLUTIONS = [
    ("lax", 3, 1),
    ("lax", 5, 1),
    ("patches", 1, 2),
    ("patches", 3, 2),
    ("patches", 5, 4),
    ("shifts", 1, 2),
    ("shifts", 3, 2),
    ("shifts", 3, 1),
    (None, 1, 1),
    (None, 3, 2),
]


def reference(x: jax.Array, kernel: jax.Array, groups: int) -> jax.Array:
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=numbers, feature_group_count=groups
    )


def everything(convolution, x: jax.Array, kernel: jax.Array) -> dict[str, jax.Array]:
    """Output, first gradients, and the gradients of penalties on first gradients: all that a penalized step uses."""

    def loss(x, kernel):
        return jnp.sum(jnp.sin(convolution(x, kernel).astype(jnp.float32)))

    def penalty(x, kernel):  # on both gradients, so that every rule is differentiated by every argument
        return sum(jnp.sum(jnp.square(g.astype(jnp.float32))) for g in jax.grad(loss, (0, 1))(x, kernel))

    names = ("output", "dx", "dkernel", "penalty_dx", "penalty_dkernel")
    return dict(
        zip(
            names,
            (convolution(x, kernel), *jax.grad(loss, (0, 1))(x, kernel), *jax.grad(penalty, (0, 1))(x, kernel)),
            strict=True,
        )
    )


@functools.cache
def wanted_of(size: int, groups: int, dtype=jnp.float32) -> dict[str, jax.Array]:
    exact = [a.astype(jnp.float32) for a in operands(size, groups, dtype=dtype)]
    return jax.jit(lambda *a: everything(lambda x, k: reference(x, k, groups), *a))(*exact)


def operands(size: int, groups: int, shape=(2, 5, 7, 4), dtype=jnp.float32) -> tuple[jax.Array, jax.Array]:
    x_key, kernel_key = jax.random.split(jax.random.key(size + 10 * groups))
    x = jax.random.normal(x_key, shape, dtype)
    kernel = jax.random.normal(kernel_key, (size, size, shape[-1] // groups, 8), dtype) / size / 2
    return x, kernel


@pytest.mark.parametrize(("how", "size", "groups"), CONVOLUTIONS)
def test_conv_is_that_of_lax_with_all_derivatives(how, size, groups):
    x, kernel = operands(size, groups)
    found = jax.jit(lambda *a: everything(lambda x, k: layers.conv(x, k, groups=groups, how=how), *a))(x, kernel)
    for name, value in wanted_of(size, groups).items():
        np.testing.assert_allclose(found[name], value, rtol=2e-4, atol=2e-5 * float(jnp.abs(value).max()), err_msg=name)


@pytest.mark.parametrize(("how", "groups"), [("lax", 1), ("patches", 2), ("shifts", 2)])
def test_conv_in_bfloat16_is_as_good_as_its_dtype(how, groups):
    x, kernel = operands(3, groups, dtype=jnp.bfloat16)
    found = jax.jit(lambda *a: everything(lambda x, k: layers.conv(x, k, groups=groups, how=how), *a))(x, kernel)
    for name, value in wanted_of(3, groups, jnp.bfloat16).items():
        assert found[name].dtype == jnp.bfloat16, name
        error = jnp.linalg.norm((found[name].astype(jnp.float32) - value).ravel()) / jnp.linalg.norm(value.ravel())
        assert error < 0.02, name  # a bfloat16 has 8 bits, 0.4 %


def test_conv_of_an_image_smaller_than_the_kernel():
    x, kernel = operands(5, 1, shape=(1, 1, 2, 4))
    for how in ("lax", "patches"):
        found = jax.jit(jax.grad(lambda *a, how=how: jnp.sum(layers.conv(*a, how=how) ** 2), (0, 1)))(x, kernel)
        wanted = jax.jit(jax.grad(lambda *a: jnp.sum(reference(*a, 1) ** 2), (0, 1)))(x, kernel)
        for a, b in zip(found, wanted, strict=True):
            np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5)


def test_one_place_chooses_the_formulation():
    chosen = {
        (groups, backend): layers.implementation(groups, backend) for groups in (1, 4) for backend in ("cpu", "gpu")
    }
    assert chosen == {(1, "cpu"): "lax", (4, "cpu"): "patches", (1, "gpu"): "lax", (4, "gpu"): "shifts"}
    assert layers.implementation(1) == layers.implementation(1, jax.default_backend())
    with pytest.raises(ValueError, match="how='lax' is for groups=1, got groups=2"):
        layers.conv(*operands(3, 2), groups=2, how="lax")


# -- Resampling


def stuffed(x: np.ndarray, axis: int) -> np.ndarray:
    """Upsampling as its definition says: edges repeated, zeros between the samples, [1 3 3 1]/4."""

    def line(samples):
        padded = np.pad(samples, 1, mode="edge")
        between = np.zeros(2 * len(padded))
        between[::2] = padded
        return np.convolve(between, [0.25, 0.75, 0.75, 0.25])[3 : 3 + 2 * len(samples)]

    return np.apply_along_axis(line, axis, x)


def thinned(x: np.ndarray, axis: int) -> np.ndarray:
    """Downsampling as its definition says: edges repeated, [1 3 3 1]/8, every second result."""
    taps = [0.125, 0.375, 0.375, 0.125]
    return np.apply_along_axis(lambda line: np.convolve(np.pad(line, 1, mode="edge"), taps, "valid")[::2], axis, x)


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 2, 2, 1), (1, 1, 3, 2)])
def test_upsample_is_the_fir_filter(shape):
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    found = jax.jit(layers.upsample)(x)
    assert found.shape == (shape[0], 2 * shape[1], 2 * shape[2], shape[3])
    np.testing.assert_allclose(found, stuffed(stuffed(x, 1), 2), atol=1e-6)


@pytest.mark.parametrize("resample", [layers.upsample, layers.downsample], ids=["up", "down"])
@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 2, 2, 1), (1, 8, 2, 2)])
def test_resampling_declares_its_adjoint(resample, shape):
    x = jax.random.normal(jax.random.key(0), shape)
    resample = jax.jit(resample)
    out, adjoint = jax.vjp(resample, x)
    y = jax.random.normal(jax.random.key(1), out.shape)
    np.testing.assert_allclose(jnp.vdot(out, y), jnp.vdot(x, adjoint(y)[0]), rtol=1e-4, atol=1e-5)
    jax.test_util.check_grads(resample, (x,), order=2, modes=["rev"])


@pytest.mark.parametrize("shape", [(2, 4, 6, 3), (1, 2, 2, 1), (1, 8, 2, 2)])
def test_downsample_is_the_fir_filter(shape):
    x = np.random.default_rng(1).normal(size=shape).astype(np.float32)
    found = jax.jit(layers.downsample)(x)
    assert found.shape == (shape[0], shape[1] // 2, shape[2] // 2, shape[3])
    np.testing.assert_allclose(found, thinned(thinned(x, 1), 2), atol=1e-6)


@pytest.mark.parametrize("resample", [layers.upsample, layers.downsample])
def test_resampling_knows_no_direction_and_keeps_constants_and_dtype(resample):
    resample = jax.jit(resample)
    x = jax.random.normal(jax.random.key(2), (1, 8, 8, 2))
    np.testing.assert_allclose(resample(jnp.full((1, 8, 8, 2), 0.7)), 0.7, rtol=1e-6)
    for turn in (lambda a: a[:, ::-1], lambda a: a[:, :, ::-1], lambda a: a.swapaxes(1, 2)):
        np.testing.assert_allclose(resample(turn(x)), turn(resample(x)), atol=1e-6)
    assert jax.eval_shape(resample, x.astype(jnp.bfloat16)).dtype == jnp.bfloat16


def test_a_ramp_stays_a_ramp_inside():
    ramp = jnp.broadcast_to(jnp.arange(8.0)[:, None, None], (1, 8, 8, 1))
    np.testing.assert_allclose(jax.jit(layers.upsample)(ramp)[0, 1:-1, 3, 0], (np.arange(1, 15) - 0.5) / 2, rtol=1e-6)
    np.testing.assert_allclose(jax.jit(layers.downsample)(ramp)[0, 1:-1, 2, 0], 2 * np.arange(1, 3) + 0.5, rtol=1e-6)


def test_downsample_does_not_alias():
    finest = jnp.broadcast_to(
        (-1.0) ** jnp.arange(16)[:, None, None], (1, 16, 16, 1)
    )  # each row the negative of the last
    inside = jax.jit(layers.downsample)(finest)[0, 1:-1]
    np.testing.assert_allclose(inside, 0, atol=1e-6)  # taking every second row would give a constant 1
    assert jnp.std(finest[:, ::2]) == 0


def test_depth_to_space_undoes_space_to_depth():
    x = jnp.arange(2 * 6 * 4 * 3).reshape(2, 6, 4, 3)
    for factor in (1, 2):
        deep = layers.space_to_depth(x, factor)
        assert deep.shape == (2, 6 // factor, 4 // factor, 3 * factor**2)
        np.testing.assert_array_equal(layers.depth_to_space(deep, factor), x)
    np.testing.assert_array_equal(layers.space_to_depth(x, 2)[1, 2, 1], x[1, 4:6, 2:4].ravel())  # one patch, row by row


# -- Modules


@pytest.mark.parametrize(("size", "groups", "gain"), [(1, 1, 1.0), (3, 1, 0.5), (3, 8, layers.LEAKY_RELU_GAIN)])
def test_conv_starts_at_its_gain(size, groups, gain):
    conv = layers.Conv(features=64, size=size, groups=groups, gain=gain)
    x = jax.random.normal(jax.random.key(0), (2, 16, 16, 64))
    y, variables = jax.jit(conv.init_with_output)(jax.random.key(1), x)
    assert variables["params"]["kernel"].shape == (size, size, 64 // groups, 64)
    inside = y[:, 2:-2, 2:-2]  # zeros come in from beyond the border
    assert float(jnp.sqrt(jnp.mean(jnp.square(inside)))) == pytest.approx(gain, rel=0.1)
    assert abs(float(jnp.mean(inside))) < 0.1 * gain


def test_a_gain_of_zero_is_zeros_and_parameters_are_float32_whatever_the_input():
    x = jnp.ones((1, 4, 4, 8), jnp.bfloat16)
    for module in (layers.Conv(8, 3, gain=0.0), layers.Linear(8, use_bias=True), layers.BiasLeakyReLU()):
        given = x[:, 0, 0] if isinstance(module, layers.Linear) else x
        y, variables = jax.jit(module.init_with_output)(jax.random.key(0), given)
        assert y.dtype == jnp.bfloat16
        assert {leaf.dtype for leaf in jax.tree.leaves(variables)} == {jnp.dtype(jnp.float32)}
        if isinstance(module, layers.Conv):
            np.testing.assert_array_equal(y, 0)


def test_leaky_relu_and_its_gain():
    np.testing.assert_allclose(layers.leaky_relu(jnp.array([-2.0, 0.0, 3.0])), [-0.4, 0.0, 3.0], rtol=1e-6)
    y = layers.LEAKY_RELU_GAIN * layers.leaky_relu(jax.random.normal(jax.random.key(0), (100_000,)))
    assert float(jnp.mean(jnp.square(y))) == pytest.approx(1, rel=0.02)
    biased = layers.BiasLeakyReLU().apply({"params": {"bias": jnp.array([-1.0, 2.0])}}, jnp.zeros((1, 2)))
    np.testing.assert_allclose(biased, [[-0.2, 2.0]], rtol=1e-6)


def test_linear():
    params = {"kernel": jnp.array([[1.0], [10.0]]), "bias": jnp.array([0.5])}
    x = jnp.array([[1.0, 2.0]])
    np.testing.assert_allclose(layers.Linear(1, use_bias=True).apply({"params": params}, x), [[21.5]])
    without = {"kernel": params["kernel"]}
    np.testing.assert_allclose(layers.Linear(1).apply({"params": without}, x), [[21.0]])
