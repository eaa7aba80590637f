"""Undoes a known blur, given as a point spread function: an array, or the sigma of a Gaussian.

Both work on the values as they are. A blur of light is exact in linear light: put to_linear and from_linear around.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Annotated, Any, TypeVar

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging import bounds
from gen.imaging._operator import operator, per_image, reflect
from gen.imaging.bounds import NotNegative, Numbers, whole
from gen.imaging.filters import _separable

Function = TypeVar("Function", bound=Callable[..., Any])
Blur = Annotated[Any, Numbers(0, 64)] | None
Reach = Annotated[int, whole(0, 256)] | None


def _spread(function: Function) -> Function:
    """Wraps an operator with `sigma=None`, `psf=None`, `radius=None`: takes exactly one of sigma and psf."""
    signature = inspect.signature(function)
    by_sigma, place = _separable.sized(function), function.__name__

    @functools.wraps(function)
    def call(*args: Any, **kwargs: Any) -> Any:
        given = signature.bind(*args, **kwargs).arguments
        sigma, psf = given.get("sigma"), given.get("psf")
        if (sigma is None) == (psf is None):
            raise InputError(f"{place}: {'neither' if psf is None else 'both'} of sigma and psf; allowed: one of them")
        if psf is None:
            return by_sigma(*args, **kwargs)
        bounds.arguments(function)["psf"].check(place, psf)
        shape = np.shape(psf)
        if len(shape) != 2 or not all(n % 2 for n in shape):
            raise InputError(f"{place}: psf has shape {list(shape)}; allowed: [k l] with odd k and l")
        if not isinstance(psf, jax.core.Tracer) and not np.sum(psf) > 1e-6:
            raise InputError(f"{place}: psf has the sum {np.sum(psf):g}; allowed: above 0")
        return function(*args, **kwargs | {"psf": jnp.asarray(psf)})

    return call  # type: ignore[return-value]


@_spread
@operator(work=lambda iterations, radius: 16 * iterations * ((radius or 8) + 1))
def richardson_lucy(
    x: jax.Array,
    sigma: Blur,
    *,
    psf: NotNegative = None,
    iterations: Annotated[int, whole(1, 1000)] = 10,
    radius: Reach = None,
) -> jax.Array:
    """Finds the image that most likely gives x when blurred, for noise of counted photons: sharper with each step.

    x: [b h w c]; counts are not negative: what is below 0 counts as 0. The result is at least 0, and may be above 1.
    sigma: of a Gaussian blur, pixels up to 64, a number, or [b]. psf: instead, [k l] with odd k and l, its center in
    the middle, made to have sum 1. iterations: from 1 to 1000; more are sharper, and noisier. radius: of the Gaussian;
    None: ceil(4 sigma).
    Equals skimage.restoration.richardson_lucy(x, psf, iterations, clip=False) away from the border, which skimage
    takes to be black. Source: Richardson (1972); Lucy (1974), equation 15.
    """
    if psf is None:
        assert radius is not None
        taps = lax.optimization_barrier(_separable.gaussian_taps(sigma, radius, x.dtype))

        def blur(u: jax.Array) -> jax.Array:
            return _separable.separable(u, taps)

        back = blur
    else:
        psf = _unit(psf, x)
        blur, back = functools.partial(_correlate, taps=psf[::-1, ::-1]), functools.partial(_correlate, taps=psf)

    x = jnp.maximum(x, 0)

    def step(_: int, u: jax.Array) -> jax.Array:
        return u * back(x / jnp.maximum(blur(u), 1e-7))

    # From any constant image the first step gives back(x).
    return lax.fori_loop(1, iterations, step, back(x))


@_spread
@operator()
def wiener(
    x: jax.Array, sigma: Blur, *, psf: Any = None, balance: NotNegative = 0.1, radius: Reach = None
) -> jax.Array:
    """Finds the u that minimizes |psf * u - x|^2 + balance |laplacian u|^2, by its Fourier transform.

    x: [b h w c]. sigma, psf, radius: the blur, as in richardson_lucy. balance: above 0, more is smoother; or [b].
    The result may overshoot [0, 1]. The image is continued by reflections that fade into each other.
    Equals skimage.restoration.wiener(x, psf, balance, clip=False) of the continued image, and nearly so inside.
    Source: Hunt, The application of constrained least squares estimation to image restoration (1973), equation 23.
    """
    h, w = x.shape[1:3]
    if psf is None:
        assert radius is not None
        taps = _separable.gaussian_taps(sigma, radius, x.dtype)
        reach = [radius, radius]
    else:
        psf = _unit(psf, x)
        reach = [n // 2 for n in psf.shape]
    tall, wide = (_separable.fft_size(n + max(16, 4 * r), step=2) for n, r in zip((h, w), reach, strict=True))
    rows, columns = np.fft.fftfreq(tall), np.fft.rfftfreq(wide)
    if psf is None:
        vertical, horizontal = (
            taps @ jnp.asarray(_waves(f, r).real, x.dtype) for f, r in zip((rows, columns), reach, strict=True)
        )
        gain = (vertical[..., :, None] * horizontal[..., None, :])[..., None].astype(_complex(x))
    else:
        left, right = (jnp.asarray(_waves(f, r), _complex(x)) for f, r in zip((rows, columns), reach, strict=True))
        gain = jnp.einsum("ki,kl,lj->ij", left, psf.astype(left.dtype), right, precision=lax.Precision.HIGHEST)[
            ..., None
        ]
    curvature = 4 - 2 * np.cos(2 * np.pi * rows)[:, None] - 2 * np.cos(2 * np.pi * columns)
    smooth = per_image(balance, x) * jnp.asarray(np.square(curvature), x.dtype)[..., None]
    power = jnp.square(gain.real) + jnp.square(gain.imag)
    inverse = gain.conj() / jnp.maximum(power + smooth, 1e-12)
    spectrum = jnp.fft.rfft2(_continued(_continued(x, tall, 1), wide, 2), axes=(1, 2))
    return jnp.fft.irfft2(spectrum * inverse, s=(tall, wide), axes=(1, 2))[:, :h, :w].astype(x.dtype)


def _unit(psf: jax.Array, x: jax.Array) -> jax.Array:
    psf = psf.astype(x.dtype)
    return psf / jnp.sum(psf)


def _complex(x: jax.Array) -> Any:
    return jnp.complex128 if x.dtype == jnp.float64 else jnp.complex64


def _correlate(x: jax.Array, taps: jax.Array) -> jax.Array:
    """sum_ij taps[i, j] x[.. + i - k // 2, .. + j - l // 2, ..] with reflected borders: slices, or by FFT if large."""
    b, h, w, c = x.shape
    k, l = taps.shape  # noqa: E741
    flat = _separable.padded(x, k // 2, l // 2)
    if k * l <= 100:
        flat = flat.reshape(b, h + k - 1, -1)
        parts = (taps[i, j] * flat[:, i : i + h, j * c : (j + w) * c] for i in range(k) for j in range(l))
        return functools.reduce(jnp.add, parts).reshape(x.shape)
    size = _separable.fft_size(h + k - 1, step=2), _separable.fft_size(w + l - 1, step=2)
    gain = jnp.fft.rfft2(taps, s=size).conj()[..., None]
    out = jnp.fft.irfft2(jnp.fft.rfft2(flat, s=size, axes=(1, 2)) * gain, s=size, axes=(1, 2))
    return out[:, :h, :w].astype(x.dtype)


def _continued(x: jax.Array, size: int, axis: int) -> jax.Array:
    """n samples to `size`: its reflection at the end fades into that at the beginning, which comes next."""
    n = x.shape[axis]
    more = size - n
    end, beginning = reflect(n, 0, more)[n:], reflect(n, more, 0)[:more]
    share = jnp.asarray(np.arange(1, more + 1) / (more + 1), x.dtype).reshape((-1,) + (1,) * (3 - axis))
    added = jnp.take(x, end, axis) * (1 - share) + jnp.take(x, beginning, axis) * share
    return jnp.concatenate([x, added], axis)


def _waves(frequencies: np.ndarray, radius: int) -> np.ndarray:
    """exp(-2 pi i f k) for k = -radius .. radius: [2*radius+1 n]."""
    return np.exp(-2j * np.pi * np.outer(np.arange(-radius, radius + 1), frequencies))
