"""Drawing tokens: frequencies of known distributions, and what temperature, top-k, top-p and guidance leave of them."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from gen.models import token_sampling
from gen.models.token_sampling import classifier_free_guidance, sample_token

KEYS = jax.vmap(jax.random.key)(np.arange(20_000, dtype=np.uint32))
P = np.array([0.1, 0.4, 0.05, 0.25, 0.2])
LOGITS = np.log(P).astype(np.float32) + 3  # any constant


def drawn(logits=LOGITS, **settings) -> np.ndarray:
    return np.asarray(jax.jit(jax.vmap(lambda key: sample_token(key, logits, **settings)))(KEYS))


def check_frequencies(tokens: np.ndarray, p: np.ndarray) -> None:
    """Each token as often as its probability says, to 4.5 standard deviations."""
    p, n = np.asarray(p, np.float64) / np.sum(p), len(tokens)
    found = np.bincount(tokens, minlength=len(p)) / n
    assert len(found) == len(p)
    assert (np.abs(found - p) <= 4.5 * np.sqrt(p * (1 - p) / n)).all(), (found, p)


@pytest.mark.parametrize(
    ("settings", "p"),
    [
        ({}, P),
        ({"temperature": 0.5}, P**2),
        ({"temperature": 2.0}, np.sqrt(P)),
        ({"temperature": 0.0}, P == 0.4),
        ({"top_k": 0}, P),
        ({"top_k": 2}, P * (P >= 0.25)),
        ({"top_k": 9}, P),
        ({"top_k": 1}, P == 0.4),
        ({"top_p": 0.39}, P == 0.4),
        ({"top_p": 0.41}, P * (P >= 0.25)),
        ({"top_p": 0.64}, P * (P >= 0.25)),
        ({"top_p": 0.66}, P * (P >= 0.2)),
        ({"top_p": 0.0}, P == 0.4),
        ({"top_p": 1.0}, P),
        # Of 0.4, 0.25, 0.2 the first two have 0.65 / 0.85 = 0.76.
        ({"top_k": 3, "top_p": 0.75}, P * (P >= 0.25)),
        ({"top_k": 3, "top_p": 0.78}, P * (P >= 0.2)),
        # Squared 0.16, 0.0625, 0.04, 0.01, 0.0025: the first two have 0.81 of all.
        ({"temperature": 0.5, "top_p": 0.8}, P**2 * (P >= 0.25)),
        ({"temperature": 0.5, "top_p": 0.82}, P**2 * (P >= 0.2)),
        ({"temperature": 0.0, "top_k": 3, "top_p": 0.9}, P == 0.4),
    ],
    ids=str,
)
def test_frequencies(settings, p):
    check_frequencies(drawn(**settings), p)


def test_of_equals_exactly_k_are_kept():
    check_frequencies(drawn(np.zeros(4, np.float32), top_k=3), np.array([1, 1, 1, 0]))
    check_frequencies(drawn(np.zeros(4, np.float32), top_p=0.6), np.array([1, 1, 1, 0]))


def test_one_is_no_limit_whatever_the_rounding():
    logits = jnp.array([0.0, -20.0, -40.0])  # of which the first has a probability that rounds to 1
    assert token_sampling._kept(logits, 1.0, None, 1.0).all()
    np.testing.assert_array_equal(token_sampling._kept(logits, 1.0, None, 0.999), [True, False, False])


def test_a_key_keeps_its_choice_where_the_settings_allow_it():
    free, limited = drawn(), drawn(top_k=3)
    allowed = np.isin(free, [1, 3, 4])
    np.testing.assert_array_equal(free[allowed], limited[allowed])
    assert np.isin(limited, [1, 3, 4]).all()
    assert 0.8 < allowed.mean() < 0.9


def test_traced_settings_are_compiled_once_and_agree_with_static_ones():
    traced = []

    @jax.jit
    def choices(temperature, top_k, top_p):
        traced.append(1)
        settings = {"temperature": temperature, "top_k": top_k, "top_p": top_p}
        return jax.vmap(lambda key: sample_token(key, LOGITS, **settings))(KEYS[:500])

    for settings in ((1.0, 0, 1.0), (0.0, 0, 1.0), (0.7, 2, 1.0), (1.5, 4, 0.8)):
        eager = [
            int(sample_token(key, LOGITS, temperature=settings[0], top_k=settings[1], top_p=settings[2]))
            for key in KEYS[:5]
        ]
        np.testing.assert_array_equal(choices(*settings)[:5], eager)
    assert len(traced) == 1
    assert choices(1.0, 0, 1.0).dtype == jnp.int32


def test_guidance_by_hand():
    c, u = np.array([1.0, 0.0, -2.0]), np.array([0.5, 0.0, 1.0])
    np.testing.assert_allclose(classifier_free_guidance(c, u, 1.0), c, atol=1e-6)
    np.testing.assert_allclose(classifier_free_guidance(c, u, 0.0), u)
    np.testing.assert_allclose(classifier_free_guidance(c, u, 3.0), [2.0, 0.0, -8.0])
