"""Smoothing by a fixed window: box, gaussian, median, percentile_filter."""

from __future__ import annotations

import functools
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator
from gen.imaging.bounds import Numbers, Radius, Sigma, Window
from gen.imaging.filters import _separable


@operator()
def box(x: jax.Array, radius: Radius) -> jax.Array:
    """Averages the square of 2*radius+1 pixels around each pixel.

    x: [b h w c]. radius: pixels, from 0 (nothing changes) to 4096.
    Equals cv2.blur(x, (2*radius+1, 2*radius+1)).
    """
    return _separable.box(x, radius)


@_separable.sized
@operator()
def gaussian(x: jax.Array, sigma: Sigma, *, radius: Radius | None = None) -> jax.Array:
    """Convolves with a Gaussian that ends at `radius`.

    x: [b h w c]. sigma: standard deviation in pixels, from 0 (nothing changes) to 1024; a number, or [b] one for each
    image. radius: pixels; None: ceil(4 sigma), which needs sigma to be a Python number.
    Equals cv2.GaussianBlur(x, (2*radius+1, 2*radius+1), sigma), and where 4*sigma is a whole number
    skimage.filters.gaussian(x, sigma, mode="mirror", channel_axis=-1).
    """
    assert radius is not None
    taps = _separable.gaussian_taps(sigma, radius, x.dtype)
    return _separable.separable(x, taps) if radius else x


@operator(work=lambda size: 32 * size**2)
def median(x: jax.Array, size: Window) -> jax.Array:
    """Takes the exact median of the size x size pixels around each pixel, for each channel.

    x: [b h w c]. size: pixels, odd, from 1 (nothing changes) to 255. The gradient goes to the pixel that was selected,
    in equal parts where several have its value.
    Equals scipy.ndimage.median_filter(x, (size, size, 1), mode="mirror"); cv2.medianBlur has another border.
    Source: up to 13, Batcher's odd-even merging (Knuth, The Art of Computer Programming 3, 5.3.4) without what the
    median does not need; above, bisection of the 32 bits of the result.
    """
    return _ranked(x, size, size * size // 2) if size > 1 else x


@operator(work=lambda size: 32 * size**2)
def percentile_filter(x: jax.Array, size: Window, percent: Annotated[float, Numbers(0, 100)]) -> jax.Array:
    """Takes a percentile of the size x size pixels around each pixel, for each channel.

    x: [b h w c]. size: pixels, odd, from 1 (nothing changes) to 255. percent: 0 (the minimum) to 100 (the maximum), 50
    is the median; of n pixels the one of rank round(percent / 100 * (n - 1)). Gradient and source as of `median`.
    Equals scipy.ndimage.rank_filter(x, rank, (size, size, 1), mode="mirror").
    """
    return _ranked(x, size, round(percent / 100 * (size * size - 1))) if size > 1 else x


@functools.partial(jax.custom_jvp, nondiff_argnums=(1, 2))
def _ranked(x: jax.Array, size: int, rank: int) -> jax.Array:
    """The value in each window of size^2 that `rank` others come before."""
    b, h, w, c = x.shape
    # As int32 in the same order: XLA's minimum of floats keeps NaN, at four times the price.
    keys = _separable.padded(_keys(x), size // 2, size // 2).reshape(b, h + size - 1, -1)
    if size <= 13:
        found = _select(keys, size, rank, h, w * c, c)
    else:
        found = _separable.each(lambda keys: _bisect(keys, size, rank, h, w * c, c), keys)
    return _values(found.reshape(x.shape), x.dtype)


@_ranked.defjvp
def _ranked_jvp(size: int, rank: int, primals: tuple, tangents: tuple) -> tuple[jax.Array, jax.Array]:
    (x,), (dx,) = primals, tangents
    y = _ranked(x, size, rank)
    h, w = x.shape[1:3]
    window, change = _separable.padded(x, size // 2, size // 2), _separable.padded(dx, size // 2, size // 2)

    @jax.checkpoint  # the gradient of the loop then keeps no comparison
    def row(i: jax.Array, sums: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        total, equal = sums
        values, changes = (lax.dynamic_slice_in_dim(a, i, h, axis=1) for a in (window, change))
        for j in range(size):
            hit = values[:, :, j : j + w] == y
            total = total + jnp.where(hit, changes[:, :, j : j + w], 0)
            equal = equal + hit
        return total, equal

    total, equal = lax.fori_loop(0, size, row, (jnp.zeros_like(x), jnp.zeros_like(x)))
    return y, total / jnp.maximum(equal, 1)


def _keys(x: jax.Array) -> jax.Array:
    """Floats as integers of the same size in the same order."""
    bits = 8 * x.dtype.itemsize
    keys = lax.bitcast_convert_type(x, jnp.dtype(f"int{bits}"))
    return keys ^ ((keys >> (bits - 1)) & ((1 << (bits - 1)) - 1))


def _values(keys: jax.Array, dtype: Any) -> jax.Array:
    """The floats of `_keys`."""
    bits = 8 * keys.dtype.itemsize
    return lax.bitcast_convert_type(keys ^ ((keys >> (bits - 1)) & ((1 << (bits - 1)) - 1)), dtype)


def _select(keys: jax.Array, size: int, rank: int, h: int, w: int, stride: int) -> jax.Array:
    """The key of `rank` in each window of keys [b h+size-1 w+(size-1)*stride], by the comparators it depends on."""
    window = [keys[:, i : i + h, j * stride : j * stride + w] for j in range(size) for i in range(size)]
    known: dict[int, jax.Array] = {}

    def value(node: _Node) -> jax.Array:
        if isinstance(node, int):
            return window[node]
        if id(node) not in known:
            known[id(node)] = node[0](value(node[1]), value(node[2]))
        return known[id(node)]

    return value(_sort(list(range(size * size)))[rank])


_Node = Any  # an input by its number, or (lax.min or lax.max, node, node)


def _sort(nodes: list[_Node]) -> list[_Node]:
    half = len(nodes) // 2
    return _merge(_sort(nodes[:half]), _sort(nodes[half:])) if half else nodes


def _merge(a: list[_Node], b: list[_Node]) -> list[_Node]:
    """The nodes of two sorted lists in order: Batcher's merge, for lists of any lengths."""
    if not a or not b:
        return a + b
    if len(a) == len(b) == 1:
        return [(lax.min, a[0], b[0]), (lax.max, a[0], b[0])]
    even, odd = _merge(a[0::2], b[0::2]), _merge(a[1::2], b[1::2])
    out = even[:1]
    for i in range(max(len(odd), len(even) - 1)):
        pair = odd[i : i + 1] + even[i + 1 : i + 2]
        out += pair if len(pair) == 1 else [(lax.min, *pair), (lax.max, *pair)]
    return out


def _bisect(keys: jax.Array, size: int, rank: int, h: int, w: int, stride: int) -> jax.Array:
    """As `_select`, for windows of any size: the largest key with at most `rank` smaller ones, bit by bit."""
    bits = 8 * keys.dtype.itemsize

    def bit(i: jax.Array, found: jax.Array) -> jax.Array:
        tried = found + (
            jnp.ones((), keys.dtype) << (bits - 1 - i).astype(keys.dtype)
        )  # the first one wraps round to 0

        def row(k: Any, smaller: jax.Array) -> jax.Array:
            values = lax.dynamic_slice_in_dim(keys, k, h, axis=1)
            below = [values[:, :, j * stride : j * stride + w] < tried for j in range(size)]
            return functools.reduce(lambda total, one: total + one.astype(jnp.int32), below, smaller)

        smaller = jnp.zeros(tried.shape, jnp.int32)
        if size > 15:
            smaller = lax.fori_loop(0, size, row, smaller)
        else:  # a loop over so few would be fused with its slice, and ten times slower
            for k in range(size):
                smaller = row(k, smaller)
        return jnp.where(smaller <= rank, tried, found)

    return lax.fori_loop(0, bits, bit, jnp.full((keys.shape[0], h, w), jnp.iinfo(keys.dtype).min, keys.dtype))
