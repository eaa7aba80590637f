"""Bytes as vectors: a word is known wherever it stands, and two words are not taken for each other."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.models.byte_embedding import ByteEmbedding, hashed_words
from gen.text import to_bytes, tokens_of

FACTOR, MIX = 0x9E3779B1, 0x85EBCA77


def tokens(*texts, length=40):
    return jnp.asarray(tokens_of([None if text is None else to_bytes(text) for text in texts], length))


def words_of(text, length=40):
    """The hash of each word, in order."""
    row, ends = hashed_words(tokens(text, length=length))
    return np.asarray(row)[np.asarray(ends)].tolist()


def hashed(word):
    """The definition, by the integers of Python."""
    value = 0
    for byte in word.lower().encode():
        value = (value * FACTOR + byte + 1) % 2**32
    value = (value ^ value >> 15) * MIX % 2**32
    return value >> 1 ^ value >> 16


@pytest.mark.parametrize(
    "text", ["a red star", "Two  small, GREEN rings!", "3 Sterne über dem Mond", "", "赤い星", "-"]
)
def test_words_are_hashed_by_the_definition(text):
    spaced = "".join(letter if letter.isalnum() else " " for letter in text)
    assert words_of(text) == [hashed(word) for word in spaced.split()]


def test_a_word_is_the_same_wherever_it_stands_and_in_upper_case():
    assert words_of("red star")[0] == words_of("a star, RED")[2]
    assert words_of("red")[0] != words_of("der")[0]


def test_many_words_have_rows_of_their_own_in_a_large_table():
    words = [f"word{number}" for number in range(2000)]
    rows = np.array([hashed(word) for word in words])
    assert len(set(rows.tolist())) == len(words)
    # As many distinct rows of 4,096 as by chance: n (1 - (1 - 1/n)^k), within four deviations.
    expected = 4096 * (1 - (1 - 1 / 4096) ** len(words))
    assert abs(len(set((rows % 4096).tolist())) - expected) < 4 * 15


@pytest.mark.parametrize("stride", [1, 4])
def test_a_word_adds_the_same_vector_at_any_place(stride):
    net = ByteEmbedding(width=16, stride=stride)
    texts = tokens("red", "a red", "to red", "our red")
    params = net.init(jax.random.key(0), texts)
    without = {"params": {**params["params"], "word": jax.tree.map(jnp.zeros_like, params["params"]["word"])}}
    added = np.asarray((net.apply(params, texts) - net.apply(without, texts)).sum(1))
    others = np.asarray(
        (net.apply(params, tokens("", "a", "to", "our")) - net.apply(without, tokens("", "a", "to", "our"))).sum(1)
    )
    for row in added - others:
        np.testing.assert_allclose(row, added[0], atol=1e-5)
    assert np.linalg.norm(added[0]) > 0.5


def test_a_step_of_four_bytes_tells_their_order_and_gradients_are_finite():
    net = ByteEmbedding(width=16, stride=4)
    texts = tokens("abc", "acb", length=8)
    params = net.init(jax.random.key(0), texts)
    made = net.apply(params, texts)
    assert made.shape == (2, 2, 16)
    assert np.abs(made[0] - made[1]).max() > 0.1
    grads = jax.jit(jax.grad(lambda p: jnp.sin(net.apply(p, texts)).sum()))(params)
    assert all(np.isfinite(leaf).all() and np.any(leaf) for leaf in jax.tree.leaves(grads))
    np.testing.assert_allclose(jax.jit(net.apply)(params, texts), made, atol=1e-6)
