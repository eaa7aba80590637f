"""Low, high and band pass by their gain at each frequency, for any cutoff, without a seam at the border.

The image is continued by reflection for ever, which is this library's border rule. Then its spectrum is the cosine
transform of the first kind (DCT-I), and a gain that is symmetric in the frequencies acts on that: two products with a
matrix there, two back, at a quarter of the numbers that an FFT of the reflected image has.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gen.imaging._operator import operator, per_image
from gen.imaging.bounds import Numbers
from gen.imaging.filters.resize import product

Method = Literal["gaussian", "butterworth"]
Order = Annotated[float, Numbers(0, 64, above=True)]


@operator()
def low_pass(x: jax.Array, cutoff: Any, *, method: Method = "gaussian", order: Order = 2) -> jax.Array:
    """Keeps what is coarser than the cutoff.

    x: [b h w c]. cutoff: cycles per pixel, 0 (the mean is left) to 0.5 (the finest there is) and above; or [b].
    method: "gaussian", gain exp(-f^2 / 2 cutoff^2), the same as a Gaussian blur of sigma = 1 / (2 pi cutoff) pixels;
    "butterworth", gain 1 / (1 + (f / cutoff)^(2 order)), flatter and steeper, may ring. order: a number above 0, up to
    64.
    Equals skimage.filters.butterworth(x, cutoff, False, order) of the reflected image.
    Source: Butterworth, On the theory of filter amplifiers, Wireless Engineer 7 (1930).
    """
    return _filter(x, _gain(x, cutoff, method, order))


@operator()
def high_pass(x: jax.Array, cutoff: Any, *, method: Method = "gaussian", order: Order = 2) -> jax.Array:
    """Keeps what is finer than the cutoff: x - low_pass(x, cutoff). Values around 0.

    x: [b h w c]. cutoff, method, order: as in low_pass.
    Equals skimage.filters.butterworth(x, cutoff, True, order) of the reflected image.
    """
    return x - _filter(x, _gain(x, cutoff, method, order))


@operator()
def band_pass(x: jax.Array, low: Any, high: Any, *, method: Method = "gaussian", order: Order = 2) -> jax.Array:
    """Keeps what is finer than `low` and coarser than `high`: low_pass(x, high) - low_pass(x, low). Values around 0.

    x: [b h w c]. low, high: cycles per pixel, as `cutoff` in low_pass, low < high. method, order: as in low_pass.
    """
    gain = _gain(x, high, method, order) - _gain(x, low, method, order)
    return _filter(x, gain)


def _gain(x: jax.Array, cutoff: Any, method: Method, order: float) -> jax.Array:
    """[h w 1] or [b h w 1]: what remains of frequency (k / (2h - 2), l / (2w - 2)) below the cutoff."""
    rows, columns = (np.arange(n) / max(2 * (n - 1), 1) for n in x.shape[1:3])
    square = np.square(rows)[:, None, None] + np.square(columns)[:, None]
    cutoff = jnp.maximum(per_image(cutoff, x), 1e-6)
    if method == "gaussian":
        return jnp.exp(-0.5 * jnp.asarray(square, x.dtype) / jnp.square(cutoff))
    # 1 / (1 + e^t) as a sigmoid: at f = 0 and far above the cutoff neither it nor its gradient overflows.
    log = jnp.asarray(np.log(np.maximum(square, 1e-30)), x.dtype)
    return jax.nn.sigmoid(order * (2 * jnp.log(cutoff) - log)).at[..., 0, 0, :].set(1)


def _filter(x: jax.Array, gain: jax.Array) -> jax.Array:
    h, w = x.shape[1:3]
    forward = _cosines(h), _cosines(w)
    back = (matrix / max(2 * (n - 1), 1) for matrix, n in zip(forward, (h, w), strict=True))
    return product(product(x, *forward) * gain, *back)


def _cosines(n: int) -> np.ndarray:
    """DCT-I [n n]: the DFT of n samples reflected to 2(n - 1); its square is 2(n - 1) times the identity."""
    if n == 1:
        return np.ones((1, 1))
    twice = np.where((np.arange(n) == 0) | (np.arange(n) == n - 1), 1.0, 2.0)
    phase = np.outer(np.arange(n), np.arange(n)) % (2 * (n - 1))
    return twice * np.cos(np.pi * phase / (n - 1))
