"""Smoothing that keeps edges, by windows: bilateral, joint bilateral, guided."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import like, operator, per_image, require_colors
from gen.imaging.bounds import NotNegative, Radius, Window, whole
from gen.imaging.filters import _separable


@operator(work=lambda diameter: 8 * diameter**2)
def bilateral(
    x: jax.Array, diameter: Window, *, sigma_color: NotNegative = 0.1, sigma_space: NotNegative | None = None
) -> jax.Array:
    """Averages the pixels of a circular window, weighted by nearness in place and in color.

    x: [b h w c]. diameter: pixels, odd, from 1 (nothing changes) to 255. sigma_color: in units of x, of the sum of the
    absolute differences of the channels. sigma_space: pixels; None: a third of diameter - 1. Either may be [b].
    Equals cv2.bilateralFilter(x, diameter, sigma_color, sigma_space).
    Source: Tomasi and Manduchi, Bilateral filtering for gray and color images, ICCV 1998.
    """
    return _bilateral(x, x, diameter, sigma_color, sigma_space)


@operator(work=lambda diameter: 8 * diameter**2)
def joint_bilateral(
    x: jax.Array,
    guide: jax.Array,
    diameter: Window,
    *,
    sigma_color: NotNegative = 0.1,
    sigma_space: NotNegative | None = None,
) -> jax.Array:
    """Filters as `bilateral`, with the nearness in color measured in another image.

    guide: [b h w g], height and width as x, any number of channels; b may be 1. The others as in `bilateral`.
    Equals cv2.ximgproc.jointBilateralFilter(guide, x, diameter, sigma_color, sigma_space).
    Source: Petschnigg et al., Digital photography with flash and no-flash image pairs, SIGGRAPH 2004.
    """
    return _bilateral(x, like(guide, x, "joint_bilateral", "guide"), diameter, sigma_color, sigma_space)


def _bilateral(x: jax.Array, guide: jax.Array, diameter: int, color: Any, space: Any) -> jax.Array:
    radius = diameter // 2
    b, h, w, c = x.shape
    at = [(i, j, (i - radius) ** 2 + (j - radius) ** 2) for i in range(diameter) for j in range(diameter)]
    at = [(i, j, square) for i, j, square in at if square <= radius * radius]
    space = radius / 1.5 if space is None else space
    by_color, by_space = (-0.5 / jnp.square(jnp.maximum(per_image(s, x[..., 0]), 1e-4)) for s in (color, space))

    def split(image: jax.Array) -> list[jax.Array]:
        """Padded planes: slices of [b h w] are contiguous, and the channels of a tap share one exponential."""
        return [_separable.padded(image[..., k : k + 1], radius, radius)[..., 0] for k in range(image.shape[-1])]

    planes = split(x)
    guides = planes if guide is x else split(guide)
    center = [plane[:, radius : radius + h, radius : radius + w] for plane in guides]

    def tap(sums: list[jax.Array], window: Callable[[jax.Array], jax.Array], square: Any) -> list[jax.Array]:
        d: Any = sum(jnp.abs(window(plane) - own) for plane, own in zip(guides, center, strict=True))
        weight = jnp.exp(by_color * d * d + by_space * square)
        values: list[Any] = [*map(window, planes), 1]
        return [total + weight * value for total, value in zip(sums, values, strict=True)]

    sums = [jnp.zeros((b, h, w), x.dtype)] * (c + 1)
    if len(at) <= 113:  # diameter 13
        for i, j, square in at:
            window = functools.partial(lax.slice, start_indices=(0, i, j), limit_indices=(b, i + h, j + w))
            sums = tap(sums, window, square)
    else:  # half as fast, but it compiles
        table = jnp.asarray(at)

        @jax.checkpoint
        def step(t: jax.Array, sums: list[jax.Array]) -> list[jax.Array]:
            i, j, square = table[t]
            return tap(sums, lambda plane: lax.dynamic_slice(plane, (0, i, j), (b, h, w)), square.astype(x.dtype))

        sums = lax.fori_loop(0, len(at), step, sums)
    return jnp.stack([total / sums[-1] for total in sums[:-1]], axis=-1)


@operator()
def guided(
    x: jax.Array,
    radius: Radius,
    *,
    guide: jax.Array | None = None,
    eps: NotNegative = 1e-3,
    subsample: Annotated[int, whole(1, 1024)] = 1,
) -> jax.Array:
    """Fits a linear function of the guide to x in each window of 2*radius+1 pixels, and averages these functions.

    x: [b h w c]. radius: pixels, from 0 to 4096. guide: [b h w 1] or [b h w 3], b may be 1; None: x, which then has 1
    or 3 channels. eps: variance in the guide (units of x squared) up to which detail is smoothed away; a number or [b].
    subsample: the windows are fitted on an image smaller by this factor; much faster, nearly the same for radii of
    several times it. Equals, away from the border, cv2.ximgproc.guidedFilter(guide, x, radius, eps), which however
    takes colored guides in [0, 1] with small eps for singular, and then only blurs.
    Source: He, Sun and Tang, Guided image filtering, PAMI 2013, equations 11 to 21; He and Sun, Fast guided filter,
    2015.
    """
    if guide is None:
        require_colors(x, "guided", allowed=(1, 3))
    else:
        guide = like(guide, x, "guided", "guide", channels=(1, 3))
    eps = jnp.broadcast_to(per_image(eps, x[..., 0]), (x.shape[0], 1, 1))
    return _separable.each(functools.partial(_guided, radius, subsample), x, eps, *([] if guide is None else [guide]))


def _guided(radius: int, step: int, x: jax.Array, eps: jax.Array, guide: jax.Array | None = None) -> jax.Array:
    """`guided` for eps [b 1 1] and a guide that fits."""
    # Less its mean, which comes back at the end: the variances below are differences of numbers near to each other.
    level = lax.stop_gradient(jnp.mean(x, axis=(1, 2), keepdims=True))
    p = jnp.moveaxis(x - level, -1, 1)
    full = p if guide is None else jnp.moveaxis(guide - jnp.mean(guide, axis=(1, 2), keepdims=True), -1, 1)
    small, small_p = full, p
    if step > 1:
        radius = max(1, round(radius / step)) if radius else 0
        size = (-(-x.shape[1] // step), -(-x.shape[2] // step))
        small, small_p = (jax.image.resize(m, m.shape[:2] + size, "linear") for m in (full, p))
    a, b = _fit(small, small_p, None if guide is None else small_p, radius, eps)
    if step > 1:
        a, b = (jax.image.resize(m, m.shape[:-2] + full.shape[2:], "linear") for m in (a, b))
    fitted = [b[:, k] + sum(a[:, k, i] * full[:, i] for i in range(full.shape[1])) for k in range(b.shape[1])]
    return jnp.stack(fitted, axis=-1) + level


def _fit(
    guide: jax.Array, p: jax.Array, other: jax.Array | None, radius: int, eps: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """guide [b g h w], p [b c h w] to the means of the coefficients, a [b c g h w] and b [b c h w].

    other: p, or None if p is the guide, whose moments are then computed once. eps: [b 1 1].
    """
    g, c = guide.shape[1], p.shape[1]
    pairs = [(i, j) for i in range(g) for j in range(i, g)]
    moments = [guide] + [(guide[:, i] * guide[:, j])[:, None] for i, j in pairs]
    moments += [] if other is None else [p] + [guide * p[:, k : k + 1] for k in range(c)]
    mean = _means(jnp.concatenate(moments, axis=1), radius)
    mean_guide, rest = mean[:, :g], mean[:, g + len(pairs) :]
    variance = {ij: mean[:, g + n] - mean_guide[:, ij[0]] * mean_guide[:, ij[1]] for n, ij in enumerate(pairs)}
    variance |= {(j, i): value for (i, j), value in variance.items()}
    if other is None:
        mean_p, covariance = mean_guide, [[variance[k, i] for i in range(g)] for k in range(c)]
    else:
        mean_p = rest[:, :c]
        cross = rest[:, c:].reshape(rest.shape[0], c, g, *rest.shape[2:])
        covariance = [[cross[:, k, i] - mean_p[:, k] * mean_guide[:, i] for i in range(g)] for k in range(c)]
    matrix = variance | {(i, i): variance[i, i] + eps for i in range(g)}
    a: list[list[Any]] = [
        [sum(u * v for u, v in zip(row, column, strict=True)) for column in _inverse(matrix, g)] for row in covariance
    ]
    b: list[Any] = [mean_p[:, k] - sum(a[k][i] * mean_guide[:, i] for i in range(g)) for k in range(c)]
    mean = _means(jnp.stack([value for row in a for value in row] + b, axis=1), radius)
    return mean[:, : c * g].reshape(mean.shape[0], c, g, *mean.shape[2:]), mean[:, c * g :]


def _means(planes: jax.Array, radius: int) -> jax.Array:
    """[b n h w]: box means of each plane."""
    return _separable.box(planes.reshape(-1, *planes.shape[2:], 1), radius).reshape(planes.shape)


def _inverse(m: dict[tuple[int, int], jax.Array], g: int) -> list[list[jax.Array]]:
    """Of a symmetric 1 x 1 or 3 x 3 matrix of planes, in closed form; 0 where it is singular."""
    if g == 1:
        adjugate, determinant = [[jnp.ones_like(m[0, 0])]], m[0, 0]
    else:
        adjugate = [
            [
                m[(i + 1) % 3, (j + 1) % 3] * m[(i + 2) % 3, (j + 2) % 3]
                - m[(i + 1) % 3, (j + 2) % 3] * m[(i + 2) % 3, (j + 1) % 3]
                for j in range(3)
            ]
            for i in range(3)
        ]
        determinant = m[0, 0] * adjugate[0][0] + m[0, 1] * adjugate[0][1] + m[0, 2] * adjugate[0][2]
    tiny = jnp.finfo(determinant.dtype).tiny
    scale = jnp.where(jnp.abs(determinant) > tiny, 1 / jnp.where(jnp.abs(determinant) > tiny, determinant, 1), 0)
    return [[value * scale for value in row] for row in adjugate]
