"""Drawing one token from logits [v]: temperature, top-k, top-p, guidance. Settings may be traced scalars.

For a batch, `vmap` over keys and logits: each token then depends on its own key alone.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp

Scalar = jax.Array | float


def sample_token(
    key: jax.Array,
    logits: jax.Array,
    *,
    temperature: Scalar | None = None,
    top_k: jax.Array | int | None = None,
    top_p: Scalar | None = None,
) -> jax.Array:
    """Draws a token, int32 in 0..v-1, from softmax(logits / temperature) over what top_k and top_p leave.

    temperature: 0: the most probable token; None: 1. top_k: only the k most probable; 0 or None: all. top_p: only the
    most probable, as few as have this probability together and at least one (nucleus sampling, Holtzman et al. 2020,
    section 3.1), after the other two; None: all. Drawn by the Gumbel-max trick, with one number for each token, so that
    a key's choice changes only where the settings rule it out.
    """
    noise = jax.random.gumbel(key, jnp.shape(logits), jnp.float32)
    return choose_token(noise, logits, temperature=temperature, top_k=top_k, top_p=top_p)


def choose_token(
    noise: jax.Array,
    logits: jax.Array,
    *,
    temperature: Scalar | None = None,
    top_k: jax.Array | int | None = None,
    top_p: Scalar | None = None,
) -> jax.Array:
    """Does what `sample_token` does with this standard Gumbel noise [v]."""
    logits, temperature = jnp.asarray(logits), 1.0 if temperature is None else temperature
    if top_k is not None or top_p is not None:
        logits = jnp.where(_kept(logits, temperature, top_k, top_p), logits, -jnp.inf)
    # Not logits / temperature + noise, which has the same maximum, but none at 0.
    return jnp.argmax(logits + temperature * noise).astype(jnp.int32)


def _kept(logits: jax.Array, temperature: Scalar, top_k: jax.Array | int | None, top_p: Scalar | None) -> jax.Array:
    """Returns which tokens may be drawn: bool [v]. Of equals the first come first: top_k keeps exactly k."""
    order = jnp.argsort(-logits)
    ranks = jnp.arange(len(logits))
    kept = ranks >= 0
    if top_k is not None:
        kept = (ranks < top_k) | jnp.equal(top_k, 0)
    if top_p is not None:
        scaled = jnp.where(kept, logits[order], -jnp.inf) / jnp.maximum(temperature, 1e-4)
        p = jax.nn.softmax(scaled)
        kept &= (jnp.cumsum(p) - p < top_p) | (ranks == 0) | jnp.greater_equal(top_p, 1)  # 1: whatever the rounding
    return jnp.zeros_like(kept).at[order].set(kept)


def classifier_free_guidance(conditional: jax.Array, unconditional: jax.Array, guidance: Scalar) -> jax.Array:
    """Moves logits away from the unconditional ones: u + g (c - u); 1: unchanged (Ho and Salimans 2022, eq. 6)."""
    return unconditional + guidance * (conditional - unconditional)
