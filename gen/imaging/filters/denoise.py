"""Denoising that keeps edges, by loops: non-local means, total variation, anisotropic diffusion."""

from __future__ import annotations

import functools
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator, per_image
from gen.imaging.bounds import NotNegative, Numbers, whole
from gen.imaging.filters import _separable


@operator(work=lambda patch, search: (2 * search + 1) ** 2 * (2 * patch + 10))
def denoise_nl_means(
    x: jax.Array,
    strength: NotNegative,
    *,
    patch: Annotated[int, whole(0, 16)] = 2,
    search: Annotated[int, whole(1, 64)] = 6,
    noise: NotNegative = 0.0,
) -> jax.Array:
    """Averages the pixels within `search`, weighted by the similarity of the patches around them (non-local means).

    The weight is exp(-max(d - 2 noise^2, 0) / strength^2), d the mean squared difference of the patches over pixels and
    channels. x: [b h w c]. strength: in units of x, from 0 (nothing changes); a number or [b]. patch, search: radii in
    pixels, patch from 0 to 16, search from 1 to 64. noise: standard deviation of the noise; a number or [b].
    As skimage.restoration.denoise_nl_means(x, 2*patch+1, search, strength, True, noise, channel_axis=-1), whose patches
    however lack a row and a column, and which drops weights below exp(-5).
    Source: Buades, Coll and Morel, A non-local algorithm for image denoising, CVPR 2005.
    """
    h, w, c = x.shape[1:]
    # The weight of two pixels is used for both: half of the offsets, and for each of them the weights of all pixels
    # from which the offset leads to a pixel of the image.
    offsets = [(i, j) for i in range(search + 1) for j in range(-search, search + 1) if i > 0 or j > 0]
    table, edge = jnp.asarray(offsets), 2 * search + patch
    height, width = h + search, w + 2 * search

    def smoothed(wide: jax.Array, scale: jax.Array, least: jax.Array) -> jax.Array:
        """wide [b c h+2*edge w+2*edge], scale and least [b 1 1], to [b c h w]."""
        b = wide.shape[0]
        planes = [wide[:, k] for k in range(c)]

        def window(plane: jax.Array, i: Any, j: Any, rows: int = h, columns: int = w) -> jax.Array:
            return lax.dynamic_slice(plane, (0, i, j), (b, rows, columns))

        def patches(i: Any, j: Any) -> list[jax.Array]:
            return [window(p, search + i, search + j, height + 2 * patch, width + 2 * patch) for p in planes]

        own = patches(0, 0)

        @jax.checkpoint
        def step(t: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
            i, j = table[t]
            squares = functools.reduce(jnp.add, [jnp.square(a - o) for a, o in zip(patches(i, j), own, strict=True)])
            rows = functools.reduce(jnp.add, [squares[:, k : k + height] for k in range(2 * patch + 1)])
            d = functools.reduce(jnp.add, [rows[:, :, k : k + width] for k in range(2 * patch + 1)])
            weight = jnp.exp(-jnp.maximum(d / (c * (2 * patch + 1) ** 2) - least, 0) * scale)
            ahead, behind = window(weight, search, search), window(weight, search - i, search - j)
            values = [ahead * window(p, edge + i, edge + j) + behind * window(p, edge - i, edge - j) for p in planes]
            return [total + value for total, value in zip(sums, [*values, ahead + behind], strict=True)]

        start = [window(p, edge, edge) for p in planes] + [jnp.ones((b, h, w), x.dtype)]
        *sums, weights = lax.fori_loop(0, len(offsets), step, start)
        return jnp.stack([total / weights for total in sums], axis=1)

    wide = jnp.moveaxis(_separable.padded(x, edge, edge), -1, 1)
    scale, least = 1 / jnp.square(jnp.maximum(_planes(strength, x), 1e-4)), 2 * jnp.square(_planes(noise, x))
    return jnp.moveaxis(_separable.each(smoothed, wide, scale, least), 1, -1)


def _planes(strength: Any, x: jax.Array) -> jax.Array:
    """A scalar or [b] as [b 1 1] in the dtype of x [b h w c]."""
    return jnp.broadcast_to(per_image(strength, x[..., 0]), (x.shape[0], 1, 1))


@operator(work=lambda iterations: 25 * iterations)
def total_variation(
    x: jax.Array, weight: NotNegative, *, iterations: Annotated[int, whole(0, 10_000)] = 50
) -> jax.Array:
    """Denoises by total variation: argmin over u of |u - x|^2 / 2 + weight * sum |gradient of u|.

    x: [b h w c], each channel by itself. weight: from 0 (nothing changes), more is smoother; a number or [b].
    iterations: from 0 to 10,000. No flow across the border, so that the mean of the image stays.
    Equals skimage.restoration.denoise_tv_chambolle(x, weight, eps=0, max_num_iter=iterations + 1, channel_axis=-1).
    Source: Chambolle, An algorithm for total variation minimization and applications, 2004, equation 9.
    """
    b, h, w, c = x.shape
    tau = 0.25

    def smoothed(image: jax.Array, weight: jax.Array) -> jax.Array:
        def step(_: int, p: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
            rows, columns = _differences(image + _divergence(*p))
            squares = jnp.square(rows) + jnp.square(columns)
            norm = jnp.where(squares > 0, jnp.sqrt(jnp.where(squares > 0, squares, 1)), 0)
            scale = 1 / (1 + tau / weight * norm)
            return (p[0] + tau * rows) * scale, (p[1] + tau * columns) * scale

        return image + _divergence(*lax.fori_loop(0, iterations, step, (jnp.zeros_like(image), jnp.zeros_like(image))))

    weights = jnp.repeat(jnp.maximum(_planes(weight, x), 1e-6), c, axis=0)
    out = _separable.each(smoothed, jnp.moveaxis(x, -1, 1).reshape(b * c, h, w), weights)
    return jnp.moveaxis(out.reshape(b, c, h, w), 1, -1)


def _differences(u: jax.Array) -> tuple[jax.Array, jax.Array]:
    """u [n h w] to the next row less this one, and the next column less this one; 0 at the end."""
    rows = jnp.pad(u[:, 1:] - u[:, :-1], ((0, 0), (0, 1), (0, 0)))
    return rows, jnp.pad(u[:, :, 1:] - u[:, :, :-1], ((0, 0), (0, 0), (0, 1)))


def _divergence(rows: jax.Array, columns: jax.Array) -> jax.Array:
    """What flows into each pixel of [n h w] less what flows out; minus the adjoint of `_differences`."""
    above = jnp.pad(rows[:, :-1], ((0, 0), (1, 0), (0, 0)))
    return rows - above + columns - jnp.pad(columns[:, :, :-1], ((0, 0), (0, 0), (1, 0)))


@operator(work=lambda iterations: 40 * iterations)
def anisotropic_diffusion(
    x: jax.Array,
    kappa: NotNegative,
    *,
    iterations: Annotated[int, whole(0, 10_000)] = 20,
    rate: Annotated[Any, Numbers(0, 0.25)] = 0.2,
    conduction: Literal["exponential", "rational"] = "exponential",
) -> jax.Array:
    """Diffuses but stops at edges: each pixel moves towards its four neighbors, the less the more they differ.

    x: [b h w c]. kappa: the difference, in units of x, at which the flow falls; from 0 (nothing changes); a number or
    [b]. Differences are root mean squares over the channels. iterations: from 0 to 10,000. rate: step in time, 0 to
    0.25; a number or [b]. conduction: "exponential", exp(-(d/kappa)^2), or "rational", 1 / (1 + (d/kappa)^2), which
    favors wide regions. No flow across the border, so that the mean of the image stays.
    Source: Perona and Malik, Scale-space and edge detection using anisotropic diffusion, PAMI 1990, equations 7 to 10.
    """
    channels = range(x.shape[-1])

    def smoothed(image: jax.Array, scale: jax.Array, rate: jax.Array) -> jax.Array:
        """image [b c h w], scale and rate [b 1 1]."""

        def flow(differences: list[jax.Array]) -> list[jax.Array]:
            ratio = sum(jnp.square(d) for d in differences) * scale
            conducted = rate * (jnp.exp(-ratio) if conduction == "exponential" else 1 / (1 + ratio))
            return [d * conducted for d in differences]

        def step(_: int, planes: list[jax.Array]) -> list[jax.Array]:
            rows, columns = (flow(list(d)) for d in zip(*map(_differences, planes), strict=True))
            return [u + _divergence(r, s) for u, r, s in zip(planes, rows, columns, strict=True)]

        return jnp.stack(lax.fori_loop(0, iterations, step, [image[:, k] for k in channels]), axis=1)

    scale = 1 / (len(channels) * jnp.square(jnp.maximum(_planes(kappa, x), 1e-6)))
    return jnp.moveaxis(_separable.each(smoothed, jnp.moveaxis(x, -1, 1), scale, _planes(rate, x)), 1, -1)
