"""Histograms and sums over regions: scatter-add where that is fast, products of one-hot matrices on a TPU."""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jax import lax


def histogram(indices: jax.Array, bins: int) -> jax.Array:
    """Counts how often 0..bins-1 occurs in each row: int32 [... n] to int32 [... bins]. Others do not count."""
    rows = indices.reshape(-1, indices.shape[-1]).astype(jnp.int32)
    counts = lax.platform_dependent(
        rows, tpu=lambda rows: _counts_product(rows, bins), default=lambda rows: _counts_scatter(rows, bins)
    )
    return counts.reshape(*indices.shape[:-1], bins)


def sums_by_label(values: jax.Array, labels: jax.Array, count: int) -> jax.Array:
    """Sums values over each region: [b h w f] by int32 labels [b h w] to [b count f]; row k - 1 is region k.

    Any number of axes between the first and the last. Label 0 and labels above `count` belong nowhere. Differentiable
    in the values. Means are sums_by_label(...) divided by max(area, 1), with the area from a feature that is 1.
    """
    values = values.reshape(values.shape[0], -1, values.shape[-1])
    labels = labels.reshape(labels.shape[0], -1).astype(jnp.int32)
    return lax.platform_dependent(
        values,
        labels,
        tpu=lambda values, labels: _sums_product(values, labels, count),
        default=lambda values, labels: _sums_scatter(values, labels, count),
    )


@jax.custom_jvp
def stored(x: jax.Array) -> jax.Array:
    """Stores x [.. n] in memory, for values that are looked up or broadcast after a costly computation.

    XLA:CPU fuses what makes an array into each gather from it and into each channel that it is added to, even behind an
    optimization barrier, and computes it again there. It does not fuse a scatter.
    """

    def copy(x: jax.Array) -> jax.Array:
        rows = x.reshape(-1, x.shape[-1])
        at = jnp.arange(rows.shape[0])
        return jnp.zeros_like(rows).at[at].set(rows, mode="promise_in_bounds", unique_indices=True).reshape(x.shape)

    return lax.platform_dependent(x, cpu=copy, default=lambda x: x)


@stored.defjvp
def _stored_jvp(primals: tuple[jax.Array], tangents: tuple[jax.Array]) -> tuple[jax.Array, jax.Array]:
    return stored(primals[0]), tangents[0]


def pack(marks: jax.Array) -> jax.Array:
    """Packs marks bool [.. n] into words uint32 [.. ceil(n / 32)]: mark k in bit k % 32."""
    padded = jnp.pad(marks, [(0, 0)] * (marks.ndim - 1) + [(0, -marks.shape[-1] % 32)])
    bits = padded.reshape(*marks.shape[:-1], -1, 32).astype(jnp.uint32) << jnp.arange(32, dtype=jnp.uint32)
    return jnp.sum(bits, axis=-1, dtype=jnp.uint32)


def _counts_scatter(rows: jax.Array, bins: int) -> jax.Array:
    """One flat scatter: the row is in the index, and what is outside goes to a cell behind the last row."""
    n = rows.shape[0]
    inside = (rows >= 0) & (rows < bins)
    flat = jnp.where(inside, rows + bins * jnp.arange(n, dtype=jnp.int32)[:, None], n * bins)
    counts = jnp.zeros(n * bins + 1, jnp.int32).at[flat.reshape(-1)].add(1, mode="promise_in_bounds")
    return counts[:-1].reshape(n, bins)


def _counts_product(rows: jax.Array, bins: int) -> jax.Array:
    """onehot(high)^T onehot(low) with bins = high * low: a matrix product of 0 and 1, exact in bfloat16 inputs."""
    low = 2 ** math.ceil(math.log2(bins) / 2)
    high = -(-bins // low)
    inside = (rows >= 0) & (rows < bins)
    first = jax.nn.one_hot(jnp.where(inside, rows // low, -1), high, dtype=jnp.bfloat16)
    second = jax.nn.one_hot(rows % low, low, dtype=jnp.bfloat16)
    counts = jnp.einsum("rnh,rnl->rhl", first, second, preferred_element_type=jnp.float32)
    return counts.reshape(rows.shape[0], -1)[:, :bins].astype(jnp.int32)


def _sums_scatter(values: jax.Array, labels: jax.Array, count: int) -> jax.Array:
    b, _, f = values.shape
    inside = (labels >= 1) & (labels <= count)
    flat = jnp.where(inside, labels - 1 + count * jnp.arange(b, dtype=jnp.int32)[:, None], b * count)
    sums = jnp.zeros((b * count + 1, f), values.dtype)
    sums = sums.at[flat.reshape(-1)].add(values.reshape(-1, f), mode="promise_in_bounds")
    return sums[:-1].reshape(b, count, f)


def _sums_product(values: jax.Array, labels: jax.Array, count: int) -> jax.Array:
    chosen = jax.nn.one_hot(labels - 1, count, dtype=values.dtype)
    return jnp.einsum("bnk,bnf->bkf", chosen, values, precision=lax.Precision.HIGHEST)
