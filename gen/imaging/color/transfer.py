"""The colors of another image: its mean and spread, its covariance, its whole distribution, or its soft light.

x [b h w c] takes on colors of reference [b or 1, any h, any w, c]. `amount` blends with x: 0 leaves it, [b] for each
image. Nothing is clipped: colors between which the reference has none may leave [0, 1] a little.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator, per_image, require_colors
from gen.imaging.bounds import Bins, NotNegative, whole
from gen.imaging.color.histogram import check_reference, transport
from gen.imaging.color.spaces import lab_to_rgb, oklab_to_rgb, rgb_to_lab, rgb_to_oklab
from gen.imaging.filters.edge_aware import guided

# There, back, and the least deviation.
_SPACES = {"lab": (rgb_to_lab, lab_to_rgb, 0.1), "oklab": (rgb_to_oklab, oklab_to_rgb, 3e-4)}


@operator()
def match_reinhard(
    x: jax.Array, reference: jax.Array, *, amount: Any = 1.0, space: Literal["lab", "oklab"] = "lab"
) -> jax.Array:
    """Gives each axis of a color space the mean and the standard deviation that it has in the reference.

    Three channels. `space`: "lab" (CIE) or "oklab". Deviations below 0.1 (0.0003 in Oklab), the noise of 8 bits,
    count as that: an even image takes on the mean of the reference, and no noise.
    Source: Reinhard et al., "Color Transfer between Images", IEEE CG&A 21 (2001), eq. 10-11, there in another space.
    """
    require_colors(x, "match_reinhard")
    check_reference(x, reference, "match_reinhard")
    to, back, least = _SPACES[space]

    def moments(values: jax.Array) -> tuple[jax.Array, jax.Array]:
        mean = jnp.mean(values, axis=(1, 2), keepdims=True)
        variance = jnp.mean(jnp.square(values - mean), axis=(1, 2), keepdims=True)
        return mean, jnp.sqrt(variance + least**2)

    values = to(x)
    (mean, deviation), (wanted_mean, wanted_deviation) = moments(values), moments(to(reference))
    matched = back((values - mean) * (wanted_deviation / deviation) + wanted_mean)
    return x + per_image(amount, x) * (matched - x)


@operator()
def match_linear(x: jax.Array, reference: jax.Array, *, amount: Any = 1.0) -> jax.Array:
    """Gives x the mean and the covariance of the channels of the reference by the linear map that moves colors least.

    Any number of channels, display-referred. Unlike scaling each channel it turns the cloud of colors, and it is the
    optimal transport between normal distributions (Monge-Kantorovich). Variances below 1e-6 count as 1e-6.
    Source: Pitie and Kokaram, "The linear Monge-Kantorovitch linear color mapping" (CVMP 2007), eq. 6.
    """
    check_reference(x, reference, "match_linear")
    c = x.shape[-1]

    def moments(values: jax.Array) -> tuple[jax.Array, jax.Array]:
        pixels = values.reshape(values.shape[0], -1, c)
        mean = jnp.mean(pixels, axis=1, keepdims=True)
        pixels = pixels - mean
        covariance = jnp.einsum("bni,bnj->bij", pixels, pixels, precision=lax.Precision.HIGHEST) / pixels.shape[1]
        return mean[:, None], covariance + 1e-6 * jnp.eye(c, dtype=x.dtype)

    (mean, sigma), (wanted_mean, wanted) = moments(x), moments(reference)
    t = monge(sigma, jnp.broadcast_to(wanted, sigma.shape))
    around = lax.optimization_barrier(jnp.moveaxis(x - mean, -1, 0))
    # A product of matrices as thin as this is ten times slower on XLA:CPU.
    columns = [sum(t[:, i, j, None, None] * around[i] for i in range(c)) for j in range(c)]
    matched = jnp.moveaxis(jnp.stack(columns), 0, -1) + wanted_mean
    return x + per_image(amount, x) * (matched - x)


def _product(*factors: jax.Array) -> jax.Array:
    product = factors[0]
    for factor in factors[1:]:
        product = jnp.matmul(product, factor, precision=lax.Precision.HIGHEST)
    return product


def _factors(sigma: jax.Array, wanted: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    """F with sigma = F F^T, F^-1, and the roots of the eigenvalues of F^T wanted F with its eigenvectors."""
    values, vectors = _eigen(sigma)
    d = jnp.sqrt(jnp.maximum(values, 1e-12))[..., None, :]
    f, inverse = vectors * d, (vectors / d).mT
    values, vectors = _eigen(d.mT * _product(f.mT / d.mT, wanted, f / d) * d)
    return f, inverse, jnp.sqrt(jnp.maximum(values, 1e-24)), vectors


@jax.custom_jvp
def monge(sigma: jax.Array, wanted: jax.Array) -> jax.Array:
    """The symmetric positive T with T sigma T = wanted, for positive definite [b n n].

    T = F^-T (F^T wanted F)^1/2 F^-1. F is scaled eigenvectors: along them the digits of small variances survive, which
    in the basis of the channels drown in the large ones.
    """
    _, inverse, s, v = _factors(sigma, wanted)
    return _product(inverse.mT, v * s[..., None, :], v.mT, inverse)


@monge.defjvp
def _monge_jvp(primals: tuple[jax.Array, ...], tangents: tuple[jax.Array, ...]) -> tuple[jax.Array, jax.Array]:
    """From dT sigma T + T sigma dT = dwanted - T dsigma T; in the eigenvectors of the root that only divides by s + s.

    Differentiating the eigenvectors instead would divide by differences of eigenvalues, 0 for grays.
    """
    f, inverse, s, v = _factors(*primals)
    t = _product(inverse.mT, v * s[..., None, :], v.mT, inverse)
    change = _product(v.mT, f.mT, tangents[1] - _product(t, tangents[0], t), f, v)
    change = change / (s[..., :, None] + s[..., None, :])
    return t, _product(inverse.mT, v, change, v.mT, inverse)


def _eigen(a: jax.Array) -> tuple[jax.Array, jax.Array]:
    """Eigenvalues and eigenvectors (columns) of symmetric [b n n] by Jacobi's rotations, for small n.

    Unlike eigh exact to the last digits of each entry where rows and columns are of very different sizes.
    """
    n = a.shape[-1]

    def sweep(_: int, state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        a, vectors = state
        for p in range(n - 1):
            for q in range(p + 1, n):
                off = a[:, p, q]
                some = off != 0
                tau = (a[:, q, q] - a[:, p, p]) / jnp.where(some, 2 * off, 1)
                t = jnp.where(some, jnp.where(tau < 0, -1, 1) / (jnp.abs(tau) + jnp.sqrt(1 + tau * tau)), 0)
                c = 1 / jnp.sqrt(1 + t * t)
                turn = jnp.broadcast_to(jnp.eye(n, dtype=a.dtype), a.shape)
                turn = turn.at[:, p, p].set(c).at[:, q, q].set(c).at[:, p, q].set(t * c).at[:, q, p].set(-t * c)
                first, second = a[:, p, p] - t * off, a[:, q, q] + t * off
                a = _product(turn.mT, a, turn)
                a = a.at[:, p, p].set(first).at[:, q, q].set(second).at[:, p, q].set(0).at[:, q, p].set(0)
                vectors = _product(vectors, turn)
        return a, vectors

    a, vectors = lax.fori_loop(0, 6, sweep, (a, jnp.broadcast_to(jnp.eye(n, dtype=a.dtype), a.shape)))
    return jnp.diagonal(a, axis1=-2, axis2=-1), vectors


@operator()
def match_sliced(
    key: jax.Array,
    x: jax.Array,
    reference: jax.Array,
    *,
    amount: Any = 1.0,
    iterations: Annotated[int, whole(1, 100)] = 10,
    bins: Bins = 256,
) -> jax.Array:
    """Gives x the whole distribution of the colors of the reference, step by step along random axes.

    Any number of channels, display-referred. Each of the `iterations` (1 to 100) takes random orthogonal axes, the
    first time the channels themselves, and on each axis moves x to the distribution of the reference as
    `match_histogram` does, with `bins` levels between the smallest and the largest value. All images of a batch have
    the same axes. The curves are constants to a gradient.
    Source: Pitie, Kokaram and Dahyot, "N-Dimensional Probability Density Function Transfer" (ICCV 2005); as sliced
    optimal transport, Rabin et al. (SSVM 2011).
    """
    check_reference(x, reference, "match_sliced")
    b, h, w, c = x.shape
    pixels, wanted = (jnp.moveaxis(v.reshape(v.shape[0], -1, c), -1, 1) for v in (x, reference))
    axes = jax.random.orthogonal(key, c, shape=(iterations - 1,), dtype=x.dtype)
    axes = jnp.concatenate([jnp.eye(c, dtype=x.dtype)[None], axes])

    def turned(matrix: jax.Array, values: jax.Array) -> jax.Array:
        return jnp.stack([sum(matrix[i, j] * values[:, j] for j in range(c)) for i in range(c)], axis=1)

    def step(pixels: jax.Array, matrix: jax.Array) -> tuple[jax.Array, None]:
        along, goal = turned(matrix, pixels), turned(matrix, wanted)
        low = jnp.minimum(jnp.min(along, -1, keepdims=True), jnp.min(goal, -1, keepdims=True))
        high = jnp.maximum(jnp.max(along, -1, keepdims=True), jnp.max(goal, -1, keepdims=True))
        return pixels + turned(matrix.T, transport(along, goal, low, high, bins) - along), None

    pixels, _ = lax.scan(step, pixels, axes)
    matched = jnp.moveaxis(pixels, 1, -1).reshape(b, h, w, c)
    return x + per_image(amount, x) * (matched - x)


@operator()
def match_low_frequency(
    x: jax.Array,
    reference: jax.Array,
    *,
    amount: Any = 1.0,
    radius: Annotated[int, whole(1, 4096)] = 16,
    eps: NotNegative = 1e-3,
) -> jax.Array:
    """Keeps the detail of x and takes the large forms of light and color from the reference, without halos.

    The reference shows the same scene, and may be blurred; one of another size is resized. Result = x - low(x) +
    low(reference), where low is a guided filter with x as the guide, which by linearity is x + guided(reference - x).
    A low pass that blurs over edges leaves bright seams along them; this one follows the edges of x. It is fitted to
    images smaller by radius / 4: finer detail than that is left to x, even where the reference has it blurred.
    `radius` in pixels, better 8 or more; `eps`: edges of x much below sqrt(eps) are not followed. One or three
    channels.
    Source: He, Sun and Tang, "Guided Image Filtering" (ECCV 2010); He and Sun, "Fast Guided Filter" (2015).
    """
    require_colors(x, "match_low_frequency", allowed=(1, 3))
    check_reference(x, reference, "match_low_frequency")
    if reference.shape[1:3] != x.shape[1:3]:
        size = (reference.shape[0], *x.shape[1:])
        reference = jax.image.resize(reference, size, "linear", antialias=True)
    change = guided(reference - x, radius, guide=x, eps=eps, subsample=max(1, radius // 4))
    return x + per_image(amount, x) * change
