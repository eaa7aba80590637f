"""Separable filters on [b h w c], for the other modules: shifted slices of one padded copy, or a band matrix if wide.

Border as in `gen.imaging._operator.pad`. What decides speed on XLA:CPU: no convolution; slices along contiguous memory;
and no gather for the border, because a gather that is fused with the taps is not vectorized.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import math
import numbers
from collections.abc import Callable
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging import bounds
from gen.imaging._operator import pad

Function = TypeVar("Function", bound=Callable[..., Any])


def sized(function: Function) -> Function:
    """Wraps an operator with `sigma` and `radius=None`: the radius is ceil(4 sigma) where sigma is a Python number."""
    signature = inspect.signature(function)
    place = function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        x, sigma, radius = given["x"], given["sigma"], given.get("radius")
        bounds.arguments(function)["sigma"].check(place, sigma)
        if sigma is not None and np.shape(sigma) not in ((), (1,), np.shape(x)[:1] if np.ndim(x) == 4 else ()):
            raise InputError(
                f"{place}: sigma has shape {list(np.shape(sigma))}; allowed: a number, or one for each image"
            )
        if radius is None and not isinstance(sigma, numbers.Real):
            raise InputError(
                f"{place}: radius=None with a traced or per-image sigma; allowed: a whole number of pixels"
            )
        kwargs["radius"] = math.ceil(4 * sigma) if radius is None else radius
        return function(*args, **kwargs)

    return call  # type: ignore[return-value]


def padded(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """Pads as `_operator.pad`, and keeps the result in memory as far as the compiler allows it."""
    return lax.optimization_barrier(pad(x, rows, columns))


def each(function: Callable[..., jax.Array], *arrays: jax.Array) -> jax.Array:
    """Calls function(*arrays [b ...]) -> [b ...] for one image after the other on a CPU, for all at once elsewhere.

    For what goes many times over arrays of the size of its images: those of one image stay in a CPU's cache, which
    makes it about twice as fast.
    """

    def in_turn(*arrays: jax.Array) -> jax.Array:
        return lax.map(lambda one: function(*(a[None] for a in one))[0], arrays)

    return lax.platform_dependent(*arrays, cpu=in_turn, default=function)


def gaussian_taps(sigma: Any, radius: int, dtype: Any) -> jax.Array:
    """Samples a Gaussian at -radius .. radius, with sum 1: [2*radius+1], or [b 2*radius+1] for sigma [b]."""
    sigma = jnp.maximum(jnp.asarray(sigma, dtype), 1e-3)[..., None]  # at 0 this is the identity, with finite gradients
    weights = jnp.exp(-0.5 * jnp.square(jnp.arange(-radius, radius + 1, dtype=dtype) / sigma))
    return weights / jnp.sum(weights, axis=-1, keepdims=True)


def correlate(x: jax.Array, taps: Any, axis: int) -> jax.Array:
    """Computes sum_k taps[k] x[i + k - radius] along axis 1 or 2 of x [b h w c].

    taps: [2*radius+1], or [b 2*radius+1] for one filter for each image; NumPy or traced. Zeros in NumPy cost nothing.
    """
    _, h, w, c = x.shape
    length = taps.shape[-1]
    if not isinstance(taps, np.ndarray):
        taps = lax.optimization_barrier(taps)  # else they are computed again for each pixel
    if length > 128 or 6 * length > x.shape[axis] > 1:  # a product with n columns costs about as much as n / 6 slices
        return _band(x, taps, axis)
    flat, stride, size = _lines(x, length // 2, axis)
    total = jnp.zeros((), x.dtype)
    for k in range(length):
        tap = taps[..., k]
        if isinstance(taps, np.ndarray) and not tap.any():
            continue
        weight = jnp.asarray(tap, x.dtype).reshape((*tap.shape, 1, 1) if tap.ndim else ())
        total = total + weight * lax.slice_in_dim(flat, k * stride, k * stride + size, axis=axis)
    return jnp.broadcast_to(total, (*flat.shape[:1], h, w * c)).reshape(x.shape)


def separable(x: jax.Array, taps: Any) -> jax.Array:
    """Correlates with the same taps along both axes, see `correlate`."""
    return correlate(correlate(x, taps, 1), taps, 2)


def _lines(x: jax.Array, radius: int, axis: int) -> tuple[jax.Array, int, int]:
    """x [b h w c] padded along an axis, its rows in one piece; the step from pixel to pixel, and the size unpadded."""
    b, h, w, c = x.shape
    if axis == 1:
        return padded(x, radius, 0).reshape(b, -1, w * c), 1, h
    return padded(x, 0, radius).reshape(b, h, -1), c, w * c


def fft_size(n: int, *, step: int = 1) -> int:
    """Finds the next multiple of `step` that has no prime factor above 5: an FFT of that size is fast."""

    def rest(m: int) -> int:
        for prime in (2, 3, 5):
            while m % prime == 0:
                m //= prime
        return m

    return next(m for m in itertools.count(-(-n // step) * step, step) if rest(m) == 1)


def _band(x: jax.Array, taps: Any, axis: int) -> jax.Array:
    """`correlate` as the product with a matrix [n n] that has the taps in a band, folded at the border.

    The reflected image repeats itself after 2 (n - 1) pixels, so taps that far apart are one: there is no more work
    for a window that is larger than the image.
    """
    n, length = x.shape[axis], taps.shape[-1]
    period = max(2 * (n - 1), 1)
    taps = jnp.asarray(taps, x.dtype)
    place = (np.arange(length) - length // 2) % period
    folded = jnp.zeros((*taps.shape[:-1], period), x.dtype).at[..., place].add(taps)
    i, j = jnp.arange(n)[:, None], jnp.arange(n)
    ahead, mirrored = folded[..., (j - i) % period], folded[..., (-j - i) % period]
    matrix = ahead + jnp.where((j > 0) & (j < n - 1), mirrored, 0)
    matrix = jnp.broadcast_to(matrix, (x.shape[0], n, n)) if matrix.ndim == 3 else matrix
    letters = ("bij" if matrix.ndim == 3 else "ij") + (",bjwc->biwc" if axis == 1 else ",bhjc->bhic")
    return jnp.einsum(letters, matrix, x, precision=lax.Precision.HIGHEST)


def box(x: jax.Array, radius: int) -> jax.Array:
    """Averages the (2*radius+1)^2 pixels around each pixel of x [b h w c]."""
    for axis in (1, 2) if radius else ():
        x = _box(x, radius, axis) if x.shape[axis] > 1 else x
    return x


def _box(x: jax.Array, radius: int, axis: int) -> jax.Array:
    """The mean along one axis, by sums of 1, 2, 4, .. neighbors: log2 additions, and no error as of running sums."""
    length = 2 * radius + 1
    if 8 * radius >= x.shape[axis]:
        return _band(x, np.full(length, 1 / length), axis)
    flat, stride, size = _lines(x, radius, axis)
    total: jax.Array | None = None
    start, width = 0, 1
    while True:
        if length & width:
            part = lax.slice_in_dim(flat, start * stride, start * stride + size, axis=axis)
            total = part if total is None else total + part
            start += width
        if 2 * width > length:
            assert total is not None
            return (total * (1 / length)).reshape(x.shape)
        end = flat.shape[axis]
        first, second = (0, end - width * stride), (width * stride, end)
        flat = lax.slice_in_dim(flat, *first, axis=axis) + lax.slice_in_dim(flat, *second, axis=axis)
        width *= 2
