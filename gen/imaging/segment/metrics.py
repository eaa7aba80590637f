"""Metrics of segmentations against another one, or against the picture: one number for each image, [b]."""

from __future__ import annotations

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator
from gen.imaging._segment_sum import sums_by_label
from gen.imaging.bounds import whole
from gen.imaging.segment.components import relabel_sequential


class AdaptedRand(NamedTuple):
    """error = 1 - the harmonic mean of precision and recall, all [b] in [0, 1]."""

    error: jax.Array
    precision: jax.Array
    recall: jax.Array


class VariationOfInformation(NamedTuple):
    """split = H(labels | other), bits by which `labels` cuts too much; merge = H(other | labels), too little; [b]."""

    split: jax.Array
    merge: jax.Array


@operator()
def adapted_rand_error(labels: jax.Array, other: jax.Array) -> AdaptedRand:
    """Compares pairs of pixels of `labels` and the truth `other`, whose label 0 is left out.

    precision: of the pairs that are together in `labels`, the share that is together in `other`; recall: the other way
    round. Where there is no such pair, 1. Equals skimage.metrics.adapted_rand_error(other, labels), whose second number
    is this recall and whose third is this precision, against the words of its documentation.
    """
    joint, mine, theirs, _ = _joint(labels, other, leave_out=True)
    both, first, second = (jnp.sum(n * (n - 1), axis=1) for n in (joint, mine, theirs))
    ratio = lambda pairs, total: jnp.where(total > 0, pairs / jnp.maximum(total, 1), 1.0)  # noqa: E731
    return AdaptedRand(1 - ratio(2 * both, first + second), ratio(both, first), ratio(both, second))


@operator()
def variation_of_information(labels: jax.Array, other: jax.Array) -> VariationOfInformation:
    """Measures the bits by which `labels` and the truth `other` differ, in two parts; every label counts.

    Equals skimage.metrics.variation_of_information(other, labels) in the reverse order.
    """
    joint, mine, theirs, _ = _joint(labels, other)
    size = labels[0].size
    together, first, second = (jnp.sum(_xlog2x(n / size), axis=1) for n in (joint, mine, theirs))
    return VariationOfInformation(jnp.maximum(second - together, 0), jnp.maximum(first - together, 0))


@operator()
def dice(mask: jax.Array, reference: jax.Array) -> jax.Array:
    """Computes 2 sum(mask reference) / (sum(mask) + sum(reference)), [b], of masks [b h w 1]; 1 if both are empty.

    Masks may be soft: differentiable.
    """
    both = jnp.sum(mask * reference, axis=(1, 2, 3))
    total = jnp.sum(mask, axis=(1, 2, 3)) + jnp.sum(reference, axis=(1, 2, 3))
    return jnp.where(total > 0, 2 * both / jnp.where(total > 0, total, 1), 1)


@operator()
def boundary_recall(labels: jax.Array, other: jax.Array, *, tolerance: Annotated[int, whole(0, 255)] = 2) -> jax.Array:
    """Computes the share [b] of the boundaries of the truth `other` that `labels` has at most `tolerance` pixels away.

    A boundary is where the pixel below or to the right has another label; distance is the larger of rows and columns.
    1 if the truth has none. (Neubert & Protzel 2012, "Superpixel Benchmark and Comparison".)
    """
    truth = _edges(other)
    window = (1, 2 * tolerance + 1, 2 * tolerance + 1)
    near = lax.reduce_window(_edges(labels), False, lax.bitwise_or, window, (1, 1, 1), "SAME")
    total = jnp.sum(truth, axis=(1, 2), dtype=jnp.float32)
    return jnp.where(total > 0, jnp.sum(truth & near, axis=(1, 2)) / jnp.maximum(total, 1), 1.0)


@operator()
def explained_variation(x: jax.Array, labels: jax.Array, count: Annotated[int, whole(1, 10**7)]) -> jax.Array:
    """Computes the share [b] of the variance of x [b h w c] that the means of its regions explain; 1 if it has none.

    labels: [b h w] from 0 to `count`, each of which is a region. Moore et al. 2008, "Superpixel Lattices".
    """
    d = x - jnp.mean(x, axis=(1, 2), keepdims=True)
    sums = sums_by_label(jnp.concatenate([jnp.ones_like(d[..., :1]), d], axis=-1), labels + 1, count + 1)
    between = jnp.sum(jnp.square(sums[..., 1:]) / jnp.maximum(sums[..., :1], 1), axis=(1, 2))
    total = jnp.sum(jnp.square(d), axis=(1, 2, 3))
    return jnp.where(total > 0, between / jnp.where(total > 0, total, 1), 1)


@operator()
def undersegmentation_error(labels: jax.Array, other: jax.Array) -> jax.Array:
    """Computes the share [b] of pixels by which superpixels `labels` leak over segments of the truth `other`.

    Sum over both of min(inside, outside) / pixels (Neubert & Protzel 2012): every label counts.
    """
    joint, mine, _, owner = _joint(labels, other)
    outside = jnp.take_along_axis(mine, owner, axis=1) - joint
    return jnp.sum(jnp.minimum(joint, outside), axis=1) / labels[0].size


def _joint(labels: jax.Array, other: jax.Array, *, leave_out: bool = False) -> tuple[jax.Array, ...]:
    """How many pixels share each pair of labels, at its first place in a sorted list of the pixels [b n], 0 elsewhere;
    how many have each label, and each other one, [b n+1]; and the label at each place. Labels are numbered anew.

    leave_out: without the pixels whose other label is 0.
    """
    b, n = labels.shape[0], labels[0].size
    mine, theirs = (relabel_sequential(numbers).labels.reshape(b, n) for numbers in (labels, other))
    mine, theirs = lax.sort((mine, theirs), dimension=1, num_keys=2)
    before = lambda values: jnp.pad(values[:, :-1], ((0, 0), (1, 0)), constant_values=-1)  # noqa: E731
    first = (mine != before(mine)) | (theirs != before(theirs))
    place = jnp.arange(n, dtype=jnp.int32)
    start = lax.cummin(jnp.where(first, place, n), axis=1, reverse=True)
    end = jnp.pad(start[:, 1:], ((0, 0), (0, 1)), constant_values=n)
    joint = jnp.where(first & (theirs > 0) if leave_out else first, end - place, 0).astype(jnp.float32)
    rows, empty = jnp.arange(b)[:, None], jnp.zeros((b, n + 1), jnp.float32)
    return joint, empty.at[rows, mine].add(joint), empty.at[rows, theirs].add(joint), mine


def _edges(labels: jax.Array) -> jax.Array:
    right = jnp.pad(labels[:, :, 1:] != labels[:, :, :-1], ((0, 0), (0, 0), (0, 1)))
    return right | jnp.pad(labels[:, 1:] != labels[:, :-1], ((0, 0), (0, 1), (0, 0)))


def _xlog2x(p: jax.Array) -> jax.Array:
    return jnp.where(p > 0, p * jnp.log2(jnp.where(p > 0, p, 1)), 0)
