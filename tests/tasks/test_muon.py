"""gen.tasks.muon: what a step is, and of which parameters."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from gen.tasks.muon import muon, orthogonalize


@pytest.mark.parametrize("shape", [(32, 32), (24, 64), (64, 24), (3, 3, 16, 40), (3, 3, 40, 16)])
def test_singular_vectors_stay_and_singular_values_become_alike(shape: tuple[int, ...]) -> None:
    x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
    matrix = x.reshape(-1, shape[-1])
    u, _, v = np.linalg.svd(matrix, full_matrices=False)
    found = np.asarray(orthogonalize(jnp.asarray(x))).reshape(matrix.shape)
    in_its_vectors = u.T @ found @ v.T
    values = np.diag(in_its_vectors) / max(matrix.shape) ** 0.5
    np.testing.assert_allclose(in_its_vectors, np.diag(np.diag(in_its_vectors)), atol=1e-3)
    assert np.median(values) > 0.5
    assert values.max() < 2.0
    assert 0.7 < np.sqrt(np.square(found).mean()) < 1.6


def test_scale_of_the_gradient_does_not_matter_and_zeros_stay() -> None:
    x = jax.random.normal(jax.random.key(0), (20, 30))
    np.testing.assert_allclose(orthogonalize(1e-6 * x), orthogonalize(1e4 * x), rtol=1e-3, atol=1e-4)
    assert (orthogonalize(jnp.zeros((20, 30))) == 0).all()


def test_small_singular_values_of_an_ill_conditioned_matrix_are_raised() -> None:
    u, _, v = np.linalg.svd(np.random.default_rng(1).normal(size=(32, 48)), full_matrices=False)
    values = np.geomspace(1.0, 1e-2, 32)
    found = np.asarray(orthogonalize(jnp.asarray(u * values @ v, jnp.float32)))
    after = np.diag(u.T @ found @ v.T) / 48**0.5
    assert after[0] / after[-1] < 10 < values[0] / values[-1]


def test_kernels_have_muon_and_all_else_adam() -> None:
    params = {
        "block": {"kernel": jnp.ones((3, 3, 16, 16)), "bias": jnp.ones(16)},
        "image": {"kernel": jnp.ones((3, 3, 16, 3))},
        "table": {"embedding": jnp.ones((32, 32))},
    }
    keys = iter(jax.random.split(jax.random.key(0), 4))
    gradients = jax.tree.map(lambda leaf: jax.random.normal(next(keys), leaf.shape), params)
    optimizer, adam = muon(lambda _: 0.1), optax.adam(0.3, b1=0.9, b2=0.99)
    found, _ = optimizer.update(gradients, optimizer.init(params), params)
    expected, _ = adam.update(gradients, adam.init(params), params)
    block = -found["block"].pop("kernel") / 0.1
    expected["block"].pop("kernel")
    jax.tree.map(np.testing.assert_array_equal, found, expected)
    np.testing.assert_allclose(block, orthogonalize(gradients["block"]["kernel"]), rtol=1e-4, atol=1e-4)


def test_minimum_of_a_quadratic_is_found() -> None:
    wanted = jax.random.normal(jax.random.key(1), (16, 24))
    loss = lambda params: jnp.square(params["kernel"] - wanted).sum()  # noqa: E731
    optimizer = muon(optax.cosine_decay_schedule(0.1, 200))
    params = {"kernel": jnp.zeros((16, 24))}
    state = optimizer.init(params)

    @jax.jit
    def step(params: dict[str, jax.Array], state: optax.OptState) -> tuple[dict[str, jax.Array], optax.OptState]:
        updates, state = optimizer.update(jax.grad(loss)(params), state, params)
        return optax.apply_updates(params, updates), state

    for _ in range(200):
        params, state = step(params, state)
    assert loss(params) < 0.02 * loss({"kernel": jnp.zeros((16, 24))})
