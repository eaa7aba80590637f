"""Gray morphology with flat squares and disks, for each channel; pixels outside the image take no part.

That is the border rule of this library too: a reflected pixel is always in the window already.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Annotated, Literal

import jax
import jax.numpy as jnp
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import like, operator
from gen.imaging.bounds import whole

Shape = Literal["square", "disk"]
Reach = Annotated[int, whole(0, 1_000_000)]
_LARGEST_DISK = 255
State = tuple[jax.Array, jax.Array]
Arrays = tuple[jax.Array, ...]


@operator()
def erode(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Takes the smallest value around each pixel: bright things shrink.

    x: [b h w c]. radius: pixels, from 0 (nothing changes); beyond the image there is nothing more to find. shape:
    "square" of 2*radius+1 pixels, or "disk" of all pixels at a distance of at most radius, then up to 255. The gradient
    goes to the pixel that was selected.
    Equals cv2.erode(x, kernel), scipy.ndimage.grey_erosion(x, footprint=kernel, mode="mirror"),
    skimage.morphology.erosion, with kernel numpy.ones((2*radius+1,) * 2) or skimage.morphology.disk(radius).
    """
    return _extreme("erode", x, radius, shape, jnp.inf)


@operator()
def dilate(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Takes the largest value around each pixel: bright things grow.

    x: [b h w c]. radius, shape: as in erode. Equals cv2.dilate(x, kernel), scipy.ndimage.grey_dilation.
    """
    return _extreme("dilate", x, radius, shape, -jnp.inf)


@operator()
def opening(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Erodes, then dilates: removes what is bright and narrower than the window, and keeps other outlines.

    x: [b h w c]. radius, shape: as in erode. Equals cv2.morphologyEx(x, cv2.MORPH_OPEN, kernel).
    """
    return _extreme("opening", _extreme("opening", x, radius, shape, jnp.inf), radius, shape, -jnp.inf)


@operator()
def closing(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Dilates, then erodes: removes what is dark and narrower than the window.

    x: [b h w c]. radius, shape: as in erode. Equals cv2.morphologyEx(x, cv2.MORPH_CLOSE, kernel).
    """
    return _extreme("closing", _extreme("closing", x, radius, shape, -jnp.inf), radius, shape, jnp.inf)


@operator()
def white_tophat(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Keeps only what is bright and narrower than the window: x - opening(x), at least 0.

    x: [b h w c]. radius, shape: as in erode. Equals cv2.morphologyEx(x, cv2.MORPH_TOPHAT, kernel).
    """
    return x - opening(x, radius, shape=shape)


@operator()
def black_tophat(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Keeps only what is dark and narrower than the window: closing(x) - x, at least 0.

    x: [b h w c]. radius, shape: as in erode. Equals cv2.morphologyEx(x, cv2.MORPH_BLACKHAT, kernel).
    """
    return closing(x, radius, shape=shape) - x


@operator()
def morphological_gradient(x: jax.Array, radius: Reach, *, shape: Shape = "square") -> jax.Array:
    """Measures how much the values around each pixel differ: dilate(x) - erode(x), at least 0.

    x: [b h w c]. radius, shape: as in erode. Equals cv2.morphologyEx(x, cv2.MORPH_GRADIENT, kernel).
    """
    return dilate(x, radius, shape=shape) - erode(x, radius, shape=shape)


@operator()
def reconstruct(x: jax.Array, mask: jax.Array, *, method: Literal["dilation", "erosion"] = "dilation") -> jax.Array:
    """Dilates x by its 8 neighbors until nothing changes, never above the mask.

    x: [b h w c], where to start. mask: the limit, [b h w c] or [b h w 1]; x is cut there first. method: "dilation";
    or "erosion", eroded but never below the mask. The gradient goes to the pixel of x or mask that gave the value.
    Equals skimage.morphology.reconstruction(x, mask, method) for each channel.
    Source: Vincent, Morphological grayscale reconstruction (1993): sweeps in four directions until nothing changes.
    """
    mask = jnp.broadcast_to(like(mask, x, "reconstruct", "mask", channels=(1, x.shape[3])), x.shape)
    if method == "erosion":
        return -_reconstruct(-x, -mask)
    return _reconstruct(x, mask)


def _extreme(place: str, x: jax.Array, radius: int, shape: Shape, worst: float) -> jax.Array:
    """The maximum (worst = -inf) or minimum (worst = inf) over the window."""
    if radius == 0:
        return x
    b, h, w, c = x.shape

    def best(a: jax.Array, b: jax.Array) -> jax.Array:  # faster than jnp.maximum, which must keep NaN
        return jnp.where(a > b if worst < 0 else a < b, a, b)

    # Beyond the size of the image there is nothing to find, and the square of that radius is the whole image.
    rows, columns = min(radius, h - 1), min(radius, w - 1)
    if shape == "disk" and radius >= math.hypot(h - 1, w - 1):
        shape = "square"
    if shape == "disk" and radius > _LARGEST_DISK:
        raise InputError(f"{place}: radius={radius} of a disk; allowed: whole numbers from 0 to {_LARGEST_DISK}")
    flat = jnp.pad(x, ((0, 0), (rows, rows), (columns, columns), (0, 0)), constant_values=worst)
    flat = lax.optimization_barrier(flat.reshape(b, h + 2 * rows, -1))
    if shape == "square":
        flat = _windows(flat, 2, c, best)(0, 2 * columns + 1, w * c)
        return _windows(flat, 1, 1, best)(0, 2 * rows + 1, h).reshape(x.shape)
    across = _windows(flat, 2, c, best)
    halves = [min(math.isqrt(radius * radius - i * i), columns) for i in range(rows + 1)]
    widths = {half: across((columns - half) * c, 2 * half + 1, w * c) for half in set(halves)}
    out = widths[halves[0]][:, rows : rows + h]
    for i in range(1, rows + 1):
        lines = widths[halves[i]]
        out = best(out, best(lines[:, rows - i : rows - i + h], lines[:, rows + i : rows + i + h]))
    return out.reshape(x.shape)


def _windows(
    x: jax.Array, axis: int, step: int, best: Callable[[jax.Array, jax.Array], jax.Array]
) -> Callable[[int, int, int], jax.Array]:
    """get(start, size, n): the best of `size` values, `step` apart, from each of the n places from `start` along axis.

    From the best of 1, 2, 4, .. values: a window of any size is two of those that overlap.
    """
    levels = [x]

    def get(start: int, size: int, n: int) -> jax.Array:
        k = size.bit_length() - 1
        while len(levels) <= k:
            last, shift = levels[-1], step << (len(levels) - 1)
            end = last.shape[axis]
            pairs = best(
                lax.slice_in_dim(last, 0, end - shift, axis=axis), lax.slice_in_dim(last, shift, end, axis=axis)
            )
            levels.append(lax.optimization_barrier(pairs) if len(levels) > 1 else pairs)
        second = start + (size - (1 << k)) * step
        first = lax.slice_in_dim(levels[k], start, start + n, axis=axis)
        return best(first, lax.slice_in_dim(levels[k], second, second + n, axis=axis)) if second > start else first

    return get


@jax.custom_jvp
def _reconstruct(x: jax.Array, mask: jax.Array) -> jax.Array:
    (y,) = _flood(_lines(x), _lines(mask))
    b, h, w, c = x.shape
    return y.reshape(h, w, b, c).transpose(2, 0, 1, 3)


@_reconstruct.defjvp
def _reconstruct_jvp(primals: State, tangents: State) -> State:
    """Floods with the number of the pixel, of x or of the mask, that each value came from; takes the change there."""
    (b, h, w, c), n = primals[0].shape, primals[0].size
    number = jnp.arange(n, dtype=jnp.int32).reshape(h, w, b * c)
    _, source = _flood((*_lines(primals[0]), number), (*_lines(primals[1]), number + n))
    y, change = (
        jnp.concatenate([_lines(a)[0].ravel() for a in pair])[source].reshape(h, w, b, c).transpose(2, 0, 1, 3)
        for pair in (primals, tangents)
    )
    return y, change


def _lines(x: jax.Array) -> Arrays:
    """[b h w c] to ([h w b*c],), whose rows are contiguous."""
    b, h, w, c = x.shape
    return (x.transpose(1, 2, 0, 3).reshape(h, w, b * c),)


def _flood(state: Arrays, limit: Arrays) -> Arrays:
    """The reconstruction of state[0] under limit[0], both [h w k]; the other arrays go where those of the first go."""
    fills = (-jnp.inf, 0)[: len(state)]

    def pick(better: jax.Array, new: Arrays, old: Arrays) -> Arrays:
        return tuple(jnp.where(better, a, b) for a, b in zip(new, old, strict=True))

    def line(before: Arrays, here: tuple[Arrays, Arrays]) -> tuple[Arrays, Arrays]:
        """What is larger in the line before, straight and diagonally, comes here, up to the limit."""
        state, limit = here
        for j in (0, 1, 2):
            other = tuple(a[j : j + len(state[0])] for a in before)
            state = pick(other[0] > state[0], other, state)
        state = pick(state[0] > limit[0], limit, state)
        return pad(state), state

    def pad(state: Arrays) -> Arrays:
        return tuple(jnp.pad(a, ((1, 1), (0, 0)), constant_values=v) for a, v in zip(state, fills, strict=True))

    def sweeps(state: Arrays, limit: Arrays) -> Arrays:
        """Downwards, then upwards."""
        none = tuple(jnp.full((a.shape[1] + 2, a.shape[2]), v, a.dtype) for a, v in zip(state, fills, strict=True))
        for reverse in (False, True):
            state = lax.scan(line, none, (state, limit), reverse=reverse)[1]
        return state

    def turn(state: Arrays) -> Arrays:
        return tuple(a.swapaxes(0, 1) for a in state)

    turned = lax.optimization_barrier(turn(limit))

    def body(carry: tuple[Arrays, jax.Array]) -> tuple[Arrays, jax.Array]:
        state = turn(sweeps(turn(sweeps(carry[0], limit)), turned))
        return state, jnp.any(state[0] != carry[0][0])

    first = pick(state[0] > limit[0], limit, state)
    return lax.while_loop(lambda carry: carry[1], body, (first, jnp.array(True)))[0]
