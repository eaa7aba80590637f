"""Resize by area, linear, cubic, Lanczos and nearest: for each axis a matrix, made in NumPy, and a product with it."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import operator
from gen.imaging.bounds import whole


def _cubic(t: np.ndarray) -> np.ndarray:
    """Keys' cubic convolution with a = -1/2 (IEEE Trans. ASSP 29, 1981, equation 15)."""
    t = np.abs(t)
    near = (1.5 * t - 2.5) * t * t + 1
    far = ((-0.5 * t + 2.5) * t - 4) * t + 2
    return np.where(t < 1, near, np.where(t < 2, far, 0.0))


# Name: half the width in samples, and the weight at a distance.
_KERNELS: dict[str, tuple[float, Callable[[np.ndarray], np.ndarray]]] = {
    "area": (0.5, lambda t: ((t > -0.5) & (t <= 0.5)).astype(np.float64)),
    "linear": (1.0, lambda t: np.maximum(1 - np.abs(t), 0.0)),
    "cubic": (2.0, _cubic),
    "lanczos3": (3.0, lambda t: np.where(np.abs(t) < 3, np.sinc(t) * np.sinc(t / 3), 0.0)),
}
Method = Literal["area", "linear", "cubic", "lanczos3", "nearest"]
Side = Annotated[int, whole(1, 16_384)]
_MOST_PIXELS = 100_000_000


@operator()
def resize(x: jax.Array, height: Side, width: Side, *, method: Method = "area", antialias: bool = True) -> jax.Array:
    """Resamples an image to another size; the outer edges of the outermost pixels stay in place.

    x: [b h w c] to [b height width c], up to 16,384 a side and 100,000,000 pixels. method: "area" (Pillow's box filter:
    the mean of the pixels of x whose centers fall into a pixel, whole ones; a pixel that lies across a border is not
    shared out, and an enlargement repeats pixels), "linear", "cubic", "lanczos3" (both may overshoot [0, 1]),
    "nearest". antialias: when there are fewer pixels the kernel is as many times wider; False: it has the same width in
    samples of x, which aliases. Weights outside x are left out.
    Equals PIL's resize((width, height), BOX, BILINEAR, BICUBIC, LANCZOS, NEAREST) of a mode "F" image, and
    cv2.resize(x, (width, height), interpolation=cv2.INTER_AREA) by "area" to whole fractions of the size.
    """
    if height * width > _MOST_PIXELS:
        raise InputError(f"resize: {height} x {width} is {height * width:,} pixels; allowed: {_MOST_PIXELS:,}")
    h, w = x.shape[1:3]
    if method == "nearest":
        rows, columns = (((np.arange(m) + 0.5) * n / m).astype(int) for n, m in ((h, height), (w, width)))
        return x[:, rows][:, :, columns]
    if method == "area" and antialias and h % height == 0 and w % width == 0:
        return _blocks(x, h // height, w // width)
    return product(x, weights(h, height, method, antialias), weights(w, width, method, antialias))


def weights(n: int, m: int, method: str, antialias: bool) -> np.ndarray | None:
    """Makes the matrix [m n] that resamples n samples to m, with sums of 1; None where that changes nothing."""
    if n == m:
        return None
    support, kernel = _KERNELS[method]
    stretch = max(n / m, 1.0) if antialias else 1.0
    center = (np.arange(m)[:, None] + 0.5) * (n / m)
    distance = np.arange(n) + 0.5 - center
    # As Pillow: samples whose place rounds into the support, so that no pixel is left without one.
    inside = (np.arange(n) >= np.floor(center - support * stretch + 0.5)) & (
        np.arange(n) < np.floor(center + support * stretch + 0.5)
    )
    matrix = np.where(inside, kernel(distance / stretch), 0.0)
    return matrix / matrix.sum(axis=1, keepdims=True)


def product(x: jax.Array, rows: np.ndarray | None, columns: np.ndarray | None) -> jax.Array:
    """Multiplies rows [p h] by x [b h w c] by columns^T [w q]: [b p q c], in the cheaper order; None: identity."""

    def across(y: jax.Array, matrix: np.ndarray) -> jax.Array:
        return _down(y.swapaxes(1, 2), matrix).swapaxes(1, 2)

    if rows is None or columns is None:
        x = x if rows is None else _down(x, rows)
        return x if columns is None else across(x, columns)
    if rows.shape[0] * columns.shape[1] <= columns.shape[0] * rows.shape[1]:
        return across(_down(x, rows), columns)
    return _down(across(x, columns), rows)


def _down(x: jax.Array, matrix: np.ndarray) -> jax.Array:
    """matrix [m n] times axis 1 of x [b n ..]: as a sum over what is not 0 in its rows, where that is little."""
    b, n, *rest = x.shape
    x = lax.optimization_barrier(x.reshape(b, n, -1))
    used = matrix != 0
    start, end = used.argmax(axis=1), n - used[:, ::-1].argmax(axis=1)
    length = int((end - start).max())
    if length > 32:
        out = jnp.einsum("mn,bnk->bmk", jnp.asarray(matrix, x.dtype), x, precision=lax.Precision.HIGHEST)
        return out.reshape(b, -1, *rest)
    start = np.minimum(start, n - length)
    parts = (
        jnp.asarray(np.take_along_axis(matrix, start[:, None] + k, axis=1), x.dtype)
        * lax.optimization_barrier(x[:, start + k])  # else all gathers are in one loop, which is not vectorized
        for k in range(length)
    )
    return functools.reduce(jnp.add, parts).reshape(b, -1, *rest)


def _blocks(x: jax.Array, rows: int, columns: int) -> jax.Array:
    """The mean of blocks of rows x columns pixels that tile x."""
    total = functools.reduce(jnp.add, (x[:, i::rows] for i in range(rows)))
    total = lax.optimization_barrier(total) if rows * columns > 4 else total
    total = functools.reduce(jnp.add, (total[:, :, j::columns] for j in range(columns)))
    return total * (1 / (rows * columns))
