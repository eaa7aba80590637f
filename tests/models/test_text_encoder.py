"""The reader of texts: what fills a row counts for nothing, order counts, no text is a vector of its own."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.models.text_encoder import TextEncoder, _reversed
from gen.text import tokens_of

TEXTS = [b"red left of blue", b"blue left of red", b"red left of blu", b"", None]


@pytest.fixture(scope="module", params=["rglru", "gru"])
def encoder(request):
    net = TextEncoder(width=16, layers=2, cell=request.param)
    return net, net.init(jax.random.key(0), tokens_of(TEXTS, 24))


def test_what_fills_the_row_counts_for_nothing(encoder):
    net, params = encoder
    short, long = (net.apply(params, tokens_of(TEXTS, length)) for length in (24, 40))
    np.testing.assert_allclose(short.pooled, long.pooled, atol=1e-5)
    np.testing.assert_allclose(short.states, long.states[:, :6], atol=1e-5)
    np.testing.assert_array_equal(short.inside, long.inside[:, :6])
    np.testing.assert_array_equal(long.inside.sum(1), [5, 5, 5, 1, 0])  # of 18, 18, 17, 2 and 0 tokens, 4 at once
    assert not np.any(long.states[:, 6:])


def test_texts_of_the_same_bytes_in_another_order_differ_and_no_text_is_not_the_empty_one(encoder):
    net, params = encoder
    pooled = np.asarray(net.apply(params, tokens_of(TEXTS, 24)).pooled)
    distance = np.linalg.norm(pooled[:, None] - pooled[None], axis=-1) + 10 * np.eye(len(TEXTS))
    assert distance.min() > 0.05
    np.testing.assert_array_equal(pooled[-1], params["params"]["nothing"])


def test_both_directions_reach_every_byte(encoder):
    net, params = encoder
    base = tokens_of([b"abcdefgh"], 16)
    for changed in (1, 8):  # the first and the last byte
        other = base.copy()
        other[0, changed] += 1
        moved = np.abs(net.apply(params, base).states - net.apply(params, other).states)[0].max(-1)
        assert (moved[:3] > 1e-6).all()
        assert not moved[3:].any()


def test_batch_is_singles_and_jit_is_eager(encoder):
    net, params = encoder
    tokens = tokens_of(TEXTS, 24)
    whole = net.apply(params, tokens)
    for row in range(len(TEXTS)):
        alone = net.apply(params, tokens[row : row + 1])
        np.testing.assert_allclose(alone.pooled[0], whole.pooled[row], atol=1e-5)
    np.testing.assert_allclose(jax.jit(net.apply)(params, tokens).pooled, whole.pooled, atol=1e-5)


def test_gradients_are_finite_and_reach_all_parameters(encoder):
    net, params = encoder
    loss = lambda p: jnp.sin(net.apply(p, tokens_of(TEXTS, 24)).pooled * 3).sum()  # noqa: E731
    found = jax.tree.leaves(jax.jit(jax.grad(loss))(params))
    assert all(np.isfinite(leaf).all() for leaf in found)
    assert all(np.any(leaf) for leaf in found)


def test_reversing_leaves_the_rest_and_is_its_own_inverse():
    x = jnp.arange(12.0).reshape(2, 6, 1)
    found = _reversed(x, jnp.array([4, 0]))
    np.testing.assert_array_equal(found[..., 0], [[3, 2, 1, 0, 4, 5], [6, 7, 8, 9, 10, 11]])
    np.testing.assert_array_equal(_reversed(found, jnp.array([4, 0])), x)
