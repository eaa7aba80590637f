"""Derivatives per pixel, and edges made of them. Values around 0, or magnitudes from 0; units of x per pixel."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import luma, operator, per_image, require_colors
from gen.imaging._segment_sum import pack
from gen.imaging.bounds import Numbers, Radius, Sigma
from gen.imaging.filters import _separable
from gen.imaging.filters.smooth import gaussian

Direction = Literal["magnitude", "x", "y"]


@operator()
def sobel(x: jax.Array, *, direction: Direction = "magnitude") -> jax.Array:
    """Computes the slope of each channel: central differences, smoothed across by (1 2 1) / 4.

    x: [b h w c]. direction: "x" (positive where it gets brighter to the right), "y" (downwards), or "magnitude",
    sqrt(x^2 + y^2), at least 0.
    Equals cv2.Sobel / 8; the magnitude is skimage.filters.sobel / sqrt(2), and kornia.filters.sobel up to its 1e-6.
    """
    return _slope(x, direction, 0.5)


@operator()
def scharr(x: jax.Array, *, direction: Direction = "magnitude") -> jax.Array:
    """Computes slopes as sobel, smoothed across by (3 10 3) / 16: less dependent on the direction of the edge.

    x: [b h w c]. direction: "x", "y" or "magnitude".
    Equals cv2.Scharr / 32; the magnitude is skimage.filters.scharr / sqrt(2).
    Source: Scharr, Optimale Operatoren in der digitalen Bildverarbeitung (2000).
    """
    return _slope(x, direction, 0.625)


@operator()
def laplace(x: jax.Array, *, neighbors: Literal[4, 8] = 4) -> jax.Array:
    """Sums the second derivatives of each channel: positive in dark spots and lines.

    x: [b h w c]. neighbors: 4, the stencil (0 1 0; 1 -4 1; 0 1 0); 8, the one whose error is the same in all
    directions, (1 4 1; 4 -20 4; 1 4 1) / 6.
    Equals cv2.Laplacian(x, ddepth, ksize=1) and -skimage.filters.laplace(x, ksize=3) with 4 neighbors.
    """
    at = window(x)
    sides = at(-1, 0) + at(1, 0) + at(0, -1) + at(0, 1)
    if neighbors == 4:
        return sides - 4 * x
    corners = at(-1, -1) + at(-1, 1) + at(1, -1) + at(1, 1)
    return (corners + 4 * sides - 20 * x) * (1 / 6)


@_separable.sized
@operator()
def difference_of_gaussians(
    x: jax.Array, sigma: Sigma, ratio: Annotated[float, Numbers(1, 64, above=True)], *, radius: Radius | None = None
) -> jax.Array:
    """Subtracts two Gaussians, sigma and ratio * sigma: a band of detail, positive in bright spots of about that size.

    x: [b h w c]. sigma: pixels, a number, or [b]. ratio: above 1, up to 64; 1.6 is nearest to the Laplacian of a
    Gaussian.
    radius: of the narrow Gaussian, the wide one ends at ratio * radius; None: ceil(4 sigma), if sigma is a number.
    Equals skimage.filters.difference_of_gaussians(x, sigma, ratio * sigma, mode="mirror", channel_axis=-1) where 4
    sigma and 4 ratio * sigma are whole numbers. Source: Marr and Hildreth, Theory of edge detection (1980), appendix B.
    """
    assert radius is not None
    sigma = jnp.asarray(sigma, x.dtype)
    wide = math.ceil(radius * ratio)
    return gaussian(x, sigma, radius=radius) - gaussian(x, ratio * sigma, radius=wide)


@_separable.sized
@operator()
def canny(x: jax.Array, sigma: Sigma, low: Any, high: Any, *, radius: Radius | None = None) -> jax.Array:
    """Finds edges one pixel thin: 1 on them, else 0, [b h w 1]. The gradient is 0.

    x: [b h w c], colors as their luma. sigma: of the Gaussian that is applied first, in pixels, a number, or [b].
    low, high: the slope that an edge must have everywhere, and somewhere along it; in 8 times the units of sobel, as
    in other libraries; numbers, or [b]. radius: of the Gaussian; None: ceil(4 sigma), if sigma is a number.
    Equals skimage.feature.canny(luma, sigma, low, high, mode="mirror") except in the outermost pixels, which it never
    marks. Source: Canny, A computational approach to edge detection (1986), sections VII and VIII.
    """
    require_colors(x, "canny", allowed=(1, 3))
    x = lax.stop_gradient(gaussian(luma(x), sigma, radius=radius))
    at = window(x)
    right, down = _sums(at, 2.0)
    magnitude = jnp.sqrt(jnp.square(right) + jnp.square(down))
    thin = (magnitude >= per_image(low, x)) & _ridge(magnitude, right, down)
    strong = thin & (magnitude >= per_image(high, x))
    edges = _unpack(_grow(pack(strong[..., 0]), pack(thin[..., 0])), x.shape[2])
    return edges[..., None].astype(x.dtype)


def window(x: jax.Array) -> Callable[[int, int], jax.Array]:
    """at(i, j): the image whose pixels are the neighbors i rows below and j columns to the right, i, j in -1 .. 1."""
    b, h, w, c = x.shape
    flat = _separable.padded(x, 1, 1).reshape(b, h + 2, -1)

    def at(i: int, j: int) -> jax.Array:
        return flat[:, i + 1 : i + 1 + h, (j + 1) * c : (j + 1 + w) * c].reshape(x.shape)

    return at


def slopes(x: jax.Array, side: float) -> tuple[jax.Array, jax.Array]:
    """The derivatives to the right and downwards, smoothed across by (1-side)/2, side, (1-side)/2."""
    middle = 2 * side / (1 - side)
    right, down = _sums(window(x), middle)
    scale = 1 / (2 * (middle + 2))
    return right * scale, down * scale


def _sums(at: Callable[[int, int], jax.Array], middle: float) -> tuple[jax.Array, jax.Array]:
    """The differences to the right and downwards, summed across with weights 1, middle, 1."""
    fall, rise = at(1, 1) - at(-1, -1), at(-1, 1) - at(1, -1)
    return fall + rise + middle * (at(0, 1) - at(0, -1)), fall - rise + middle * (at(1, 0) - at(-1, 0))


def _slope(x: jax.Array, direction: Direction, side: float) -> jax.Array:
    right, down = slopes(x, side)
    if direction != "magnitude":
        return right if direction == "x" else down
    square = jnp.square(right) + jnp.square(down)
    positive = square > 0
    return jnp.where(positive, jnp.sqrt(jnp.where(positive, square, 1)), 0)


def _ridge(magnitude: jax.Array, right: jax.Array, down: jax.Array) -> jax.Array:
    """Where the magnitude is at least that on both sides along the slope, interpolated between two neighbors."""
    at = window(magnitude)
    steep = jnp.abs(down) > jnp.abs(right)
    large = jnp.maximum(jnp.abs(down), jnp.abs(right))
    share = jnp.minimum(jnp.abs(down), jnp.abs(right)) / jnp.where(large > 0, large, 1)
    same = ((down >= 0) & (right >= 0)) | ((down <= 0) & (right <= 0))
    after = jnp.where(same, at(1, 1), at(-1, 1)), jnp.where(steep, jnp.where(same, at(1, 0), at(-1, 0)), at(0, 1))
    before = jnp.where(same, at(-1, -1), at(1, -1)), jnp.where(steep, jnp.where(same, at(-1, 0), at(1, 0)), at(0, -1))
    highest = [diagonal * share + straight * (1 - share) for diagonal, straight in (after, before)]
    return (highest[0] <= magnitude) & (highest[1] <= magnitude)


def _unpack(words: jax.Array, width: int) -> jax.Array:
    bits = (words[..., None] >> jnp.arange(32, dtype=jnp.uint32)) & 1
    return bits.reshape(*words.shape[:2], -1)[..., :width]


def _grow(seeds: jax.Array, allowed: jax.Array) -> jax.Array:
    """All pixels of `allowed` that are connected to seeds by 8 neighbors, 32 pixels at a time."""

    def spread(_: int, y: jax.Array) -> jax.Array:
        before = jnp.pad(y, ((0, 0), (0, 0), (1, 0)))[..., :-1] >> 31
        after = jnp.pad(y, ((0, 0), (0, 0), (0, 1)))[..., 1:] << 31
        y = jnp.pad(y | (y << 1) | (y >> 1) | before | after, ((0, 0), (1, 1), (0, 0)))
        return (y[:, :-2] | y[:, 1:-1] | y[:, 2:]) & allowed

    def rounds(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        y = lax.fori_loop(0, 8, spread, state[0])
        return y, jnp.any(y != state[0])

    return lax.while_loop(lambda state: state[1], rounds, (seeds, jnp.any(seeds != 0)))[0]
