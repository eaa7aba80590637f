"""Bottlenecks: tokens and codes against their definitions, gradients through rounding, codebooks that stay in use."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.errors import InputError
from gen.models.bottleneck import FSQ, LFQ, DiagonalGaussian, Identity, VectorQuantizer

DISCRETE = [
    FSQ((8, 5, 5, 5)),
    FSQ((2, 3, 4)),
    LFQ(bits=6),
    VectorQuantizer(codes=32, size=4),
]
ALL = [Identity(size=3), DiagonalGaussian(size=3), *DISCRETE]
name = lambda part: f"{type(part).__name__}-{part.vocabulary}"  # noqa: E731


def features(part, count=16, scale=1.0, seed=0) -> jax.Array:
    return scale * jax.random.normal(jax.random.key(seed), (count, 4, 4, part.inputs))


def start(part, x):
    return jax.jit(part.init)(jax.random.key(1), x)


def run(part, x, key=None):
    return jax.jit(part.apply)(start(part, x), x, key=key)


def lookup(part, params, tokens):
    return jax.jit(lambda params, tokens: part.apply(params, tokens, method="lookup"))(params, tokens)


@pytest.mark.parametrize("part", ALL, ids=name)
def test_shapes_and_finite_gradients(part):
    x = features(part, scale=3.0)
    params = start(part, x)
    code = jax.jit(part.apply)(params, x, key=jax.random.key(2))
    assert code.z.shape == (16, 4, 4, part.channels)
    assert code.penalty.shape == (16,)
    assert (code.tokens is None) == (part.vocabulary == 0)
    assert all(value.shape == () and np.isfinite(value) for value in code.statistics.values())
    loss = lambda x: (part.apply(params, x).z * 2).sum() + part.apply(params, x).penalty.sum()  # noqa: E731
    gradient = jax.jit(jax.grad(loss))(x)
    assert np.isfinite(gradient).all()
    assert (np.abs(gradient) > 0).mean() > 0.5


@pytest.mark.parametrize("part", DISCRETE, ids=name)
def test_tokens_name_the_codes(part):
    x = features(part, count=64, scale=2.0)
    params = start(part, x)
    code = jax.jit(part.apply)(params, x)
    assert code.tokens.dtype == jnp.int32
    assert 0 <= code.tokens.min() <= code.tokens.max() < part.vocabulary
    np.testing.assert_allclose(lookup(part, params, code.tokens), code.z, atol=1e-5)
    counts = np.bincount(np.ravel(code.tokens), minlength=part.vocabulary)
    share = counts[counts > 0] / counts.sum()
    assert float(code.statistics["usage"]) == pytest.approx((counts > 0).mean())
    assert float(code.statistics["perplexity"]) == pytest.approx(np.exp(-(share * np.log(share)).sum()), rel=1e-4)


@pytest.mark.parametrize("levels", [(2,), (3,), (8, 5, 5, 5), (2, 3, 4)])
def test_finite_scalar_reaches_every_code_and_only_those(levels):
    part = FSQ(levels)
    code = run(part, 1.2 * jax.random.normal(jax.random.key(0), (1, 1, 200_000, len(levels))))
    assert len(np.unique(code.tokens)) == math.prod(levels)
    for channel, level in enumerate(levels):
        values = np.unique(np.round(code.z[..., channel], 5))
        wanted = (np.arange(level) - level // 2) / (level // 2)  # Mentzer et al. 2023, section 3.1, divided by L // 2
        np.testing.assert_allclose(values, wanted, atol=1e-5)
    everything = jnp.arange(part.vocabulary).reshape(1, 1, -1)
    assert len(np.unique(lookup(part, {}, everything)[0, 0], axis=0)) == part.vocabulary


def test_lookup_free_is_the_sign_read_as_a_binary_number():
    x = jnp.array([[[[0.3, -2.0, 5.0], [-1.0, -1.0, -1.0]]]])
    code = run(LFQ(bits=3), x)
    assert code.tokens.tolist() == [[[0b101, 0]]]
    assert code.z.tolist() == [[[[1, -1, 1], [-1, -1, -1]]]]
    half_and_half = jnp.concatenate([jnp.full((8, 4, 4, 3), 9.0), jnp.full((8, 4, 4, 3), -9.0)])
    part = LFQ(bits=3, commitment=0.0, entropy=1.0)
    assert run(part, half_and_half).penalty == pytest.approx(np.full(16, -math.log(2)), abs=1e-4)  # certain and varied
    assert run(part, jnp.full((8, 4, 4, 3), 9.0)).penalty == pytest.approx(np.zeros(8), abs=1e-4)  # certain, all alike
    assert run(part, jnp.zeros((8, 4, 4, 3))).penalty == pytest.approx(np.zeros(8), abs=1e-4)  # undecided


def test_vector_quantized_takes_the_nearest_direction():
    part = VectorQuantizer(codes=32, size=4)
    x = features(part)
    params = start(part, x)
    book = np.array(params["params"]["sums"])
    book /= np.linalg.norm(book, axis=-1, keepdims=True)
    unit = np.array(x) / np.linalg.norm(x, axis=-1, keepdims=True)
    distance = ((unit[..., None, :] - book) ** 2).sum(-1)
    code = jax.jit(part.apply)(params, x)
    np.testing.assert_array_equal(code.tokens, distance.argmin(-1))
    np.testing.assert_allclose(code.penalty, 0.25 * distance.min(-1).mean((1, 2)), rtol=1e-4)


def test_a_codebook_learns_the_directions_of_its_data_and_all_of_it_is_used():
    part = VectorQuantizer(codes=64, size=8, decay=0.8)
    rng = np.random.default_rng(0)
    centers = rng.normal(size=(16, 8))
    params = start(part, jnp.zeros((1, 4, 4, 8)))["params"]
    apply, update = jax.jit(part.apply), jax.jit(part.update)
    penalty, tokens = [], []
    for step in range(60):
        x = centers[rng.integers(0, 16, (8, 4, 4))] + 0.01 * rng.normal(size=(8, 4, 4, 8))
        code = apply({"params": params}, jnp.asarray(x, jnp.float32))
        params = update(jax.random.key(step), params, code)
        penalty.append(float(code.penalty.mean()))
        tokens.append(np.asarray(code.tokens))
    assert penalty[-1] < 0.01 * penalty[0]
    assert len(np.unique(tokens[-5:])) > 0.95 * 64  # by the 640 vectors of five batches; of one, some are always left
    assert float(code.statistics["usage"]) == len(np.unique(tokens[-1])) / 64


def test_the_running_mean_of_a_codebook_in_numbers():
    part = VectorQuantizer(codes=2, size=2, decay=0.9, revive_below=0.0)
    params = {"sums": jnp.array([[1.0, 0.0], [0.0, 1.0]]), "counts": jnp.array([1.0, 1.0])}
    x = jnp.array([3.0, 4.0]).reshape(1, 1, 1, 2)  # direction (0.6, 0.8): nearest to the second
    code = part.apply({"params": params}, x)
    new = part.update(jax.random.key(0), params, code)
    np.testing.assert_allclose(new["counts"], [0.9, 1.0], rtol=1e-6)
    np.testing.assert_allclose(new["sums"], [[0.9, 0.0], [0.06, 0.98]], rtol=1e-6)
    revived = VectorQuantizer(codes=2, size=2, decay=0.9, revive_below=0.95).update(jax.random.key(0), params, code)
    np.testing.assert_allclose(revived["sums"], [[0.6, 0.8], [0.06, 0.98]], rtol=1e-6)


def test_gaussian_divergence_in_bits_and_noise_only_with_a_key():
    part = DiagonalGaussian(size=1, beta=0.5)
    mean, deviation = 0.7, 0.4
    x = jnp.broadcast_to(jnp.array([mean, 2 * math.log(deviation)]), (3, 4, 4, 2))
    code = run(part, x)
    nats = (mean**2 + deviation**2 - 1 - 2 * math.log(deviation)) / 2  # Kingma and Welling 2014, appendix B
    np.testing.assert_allclose(code.penalty, np.full(3, 0.5 * nats), rtol=1e-5)
    assert float(code.statistics["rate_bits"]) == pytest.approx(16 * nats / math.log(2), rel=1e-5)
    np.testing.assert_allclose(code.z, np.full((3, 4, 4, 1), mean), rtol=1e-6)
    many = jnp.broadcast_to(x[:1], (500, 4, 4, 2))
    drawn = np.asarray(run(part, many, jax.random.key(0)).z)
    assert drawn.mean() == pytest.approx(mean, abs=4 * deviation / math.sqrt(drawn.size))
    assert drawn.std() == pytest.approx(deviation, rel=0.05)


def test_continuous_codes_have_no_tokens():
    with pytest.raises(InputError, match="Identity codes are continuous: they have no tokens"):
        Identity(size=3).apply({}, jnp.zeros((1, 4, 4), jnp.int32), method="lookup")


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (FSQ((1, 5)), r"task.network.bottleneck.levels=\(1, 5\) cannot be used; allowed: 2 to 1.04858e\+06"),
        (FSQ(()), "allowed: 1 to 16 numbers"),
        (FSQ((1000, 1000, 10)), "allowed: at most 1,048,576 codes in all"),
        (LFQ(bits=21), "bottleneck.bits=21 cannot be used; allowed: 1 to 20"),
        (VectorQuantizer(codes=1), "bottleneck.codes=1 cannot be used"),
        (VectorQuantizer(decay=1.0), "bottleneck.decay=1.0 cannot be used"),
    ],
)
def test_fields_that_make_no_sense(part, message):
    with pytest.raises(InputError, match=message):
        part.check("task.network.bottleneck")
