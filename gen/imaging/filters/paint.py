"""What repairs, degrades and repaints: holes filled from their border, the losses of JPEG, the strokes of Kuwahara."""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.imaging._operator import like, luma, operator, pad, per_image, require_colors
from gen.imaging.bounds import whole

__all__ = ["inpaint", "jpeg", "kuwahara"]

# Annex K of ITU-T T.81 (1992), tables K.1 and K.2: quantization of luminance and chrominance.
_LUMA = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
# Rows Y, Cb, Cr of JFIF (ITU-T T.871), full range, without the offset of 128.
_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_RGB = np.linalg.inv(_YCBCR.astype(np.float64)).astype(np.float32)
_DCT = np.array(
    [[np.sqrt((1 + (k > 0)) / 8) * np.cos(np.pi * k * (2 * n + 1) / 16) for n in range(8)] for k in range(8)],
    np.float32,
)

_State = tuple[jax.Array, jax.Array, jax.Array, jax.Array]


@operator()
def jpeg(x: jax.Array, quality: Any) -> jax.Array:
    """What JPEG of this quality loses: 8x8 cosine transforms, rounded to steps that grow with frequency.

    x: [b h w c], c = 1 or 3. quality: 1 to 100, the scale of libjpeg; or [b]. Chrominance is not subsampled. Rounding
    passes gradients through as if it were not there. Clipped to [0, 1].
    Nearly equals PIL's image.save(quality=quality, subsampling=0), which also rounds between its stages.
    Source: ITU-T T.81, A.3.3, A.3.4 and annex K.
    """
    require_colors(x, "jpeg", allowed=(1, 3))
    c = x.shape[-1]
    quality = jnp.clip(per_image(quality, x), 1.0, 100.0)
    scale = jnp.where(quality < 50, 5000.0 / quality, 200.0 - 2 * quality) / 100
    planes = [255 * x[..., i] for i in range(c)]
    if c == 3:
        planes = _mixed(_YCBCR, planes)
    decoded = [_round_blocks(p, scale, _CHROMA if i else _LUMA, 0 if i else 128) for i, p in enumerate(planes)]
    if c == 3:
        decoded = _mixed(_RGB, decoded)
    return jnp.clip(jnp.stack(decoded, axis=-1) / 255, 0.0, 1.0)


def _mixed(matrix: np.ndarray, planes: list[jax.Array]) -> list[jax.Array]:
    return [_sum(float(weight) * plane for weight, plane in zip(row, planes, strict=True)) for row in matrix]


def _sum(parts: Iterable[jax.Array]) -> jax.Array:
    return functools.reduce(jnp.add, parts)


def _round_blocks(plane: jax.Array, scale: jax.Array, table: Any, offset: int) -> jax.Array:
    """A plane [b h w] of 0..255 after the quantization of its 8x8 blocks; the last ones repeat the edge."""
    b, h, w = plane.shape
    plane = jnp.pad(plane - offset, ((0, 0), (0, -h % 8), (0, -w % 8)), mode="edge")
    blocks = plane.reshape(b, plane.shape[1] // 8, 8, plane.shape[2] // 8, 8)
    steps = jnp.clip(jnp.floor(jnp.asarray(table, plane.dtype) * scale.reshape(-1, 1, 1) + 0.5), 1.0, 255.0)
    steps = steps[:, None, :, None, :]
    found = jnp.einsum("ki,bminj,lj->bmknl", _DCT, blocks, _DCT) / steps
    found = (found + lax.stop_gradient(jnp.round(found) - found)) * steps
    back = jnp.einsum("ki,bmknl,lj->bminj", _DCT, found, _DCT).reshape(plane.shape)
    return back[:, :h, :w] + offset


@operator(work=lambda iterations: 30 * iterations)
def inpaint(x: jax.Array, mask: jax.Array, *, iterations: Annotated[int, whole(1, 10_000)] = 200) -> jax.Array:
    """Fills the holes of a picture smoothly from what is around them: the harmonic function with these borders.

    x: [b h w c]. mask: [b h w 1], above 0.5 where x is not to be trusted; b may be 1. Where it is not, nothing changes
    by a bit. A picture that is all hole becomes 0. iterations: of conjugate gradients, enough for holes of about as
    many pixels across.
    Source: Laplace's equation; Chan and Shen, Mathematical models for local nontexture inpaintings, 2002, section 3.
    """
    hole = like("inpaint", "mask", mask, x, (1,)) > 0.5
    known = jnp.where(hole, 0.0, x)

    def neighbors(a: jax.Array) -> jax.Array:
        p = jnp.pad(a, ((0, 0), (1, 1), (1, 1), (0, 0)))
        return p[:, :-2, 1:-1] + p[:, 2:, 1:-1] + p[:, 1:-1, :-2] + p[:, 1:-1, 2:]

    degree = neighbors(jnp.ones_like(x[..., :1]))

    def laplacian(a: jax.Array) -> jax.Array:  # symmetric and positive on functions that live in the hole
        return jnp.where(hole, degree * a - neighbors(a), 0.0)

    def dot(a: jax.Array, b: jax.Array) -> jax.Array:
        return jnp.sum(a * b, axis=(1, 2), keepdims=True)

    def step(state: _State, _: None) -> tuple[_State, None]:
        value, residual, direction, square = state
        image = laplacian(direction)
        length = square / jnp.maximum(dot(direction, image), 1e-20)
        value, residual = value + length * direction, residual - length * image
        new = dot(residual, residual)
        return (value, residual, residual + new / jnp.maximum(square, 1e-20) * direction, new), None

    def solve(_: Any, border: jax.Array) -> jax.Array:
        border = jnp.where(hole, border, 0.0)
        state = (jnp.zeros_like(x), border, border, dot(border, border))
        return lax.scan(step, state, None, length=iterations)[0][0]

    value = lax.custom_linear_solve(laplacian, jnp.where(hole, neighbors(known), 0.0), solve, symmetric=True)
    return jnp.where(hole, value, x)


@operator()
def kuwahara(x: jax.Array, radius: Annotated[int, whole(0, 127)]) -> jax.Array:
    """As if painted: each pixel takes the mean of that of four squares about it whose values differ least.

    x: [b h w c]. radius: pixels, from 0 (nothing changes) to 127; a square has radius + 1 pixels a side, the pixel is
    one of its corners. Variances are those of the luma.
    Source: Kuwahara et al., Processing of RI-angiocardiographic images, 1976.
    """
    if radius == 0:
        return x
    light = luma(x) if x.shape[-1] == 3 else jnp.mean(x, axis=-1, keepdims=True)
    h, w = x.shape[1:3]
    both = pad(jnp.concatenate([x, light, light * light], axis=-1), radius, radius)
    size = radius + 1
    rows = _sum(both[:, i : i + h + radius] for i in range(size)) / size
    means = _sum(rows[:, :, i : i + w + radius] for i in range(size)) / size  # of the square that begins at a pixel
    squares = jnp.stack([means[:, i : i + h, j : j + w] for i in (0, radius) for j in (0, radius)])
    spread = squares[..., -1:] - squares[..., -2:-1] ** 2
    evenest = jnp.argmin(lax.stop_gradient(spread), axis=0, keepdims=True)
    return jnp.take_along_axis(squares[..., :-2], evenest, axis=0)[0]
