"""What JPEG loses, differentiable."""

from __future__ import annotations

import functools
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.imaging._operator import operator, per_image, require_colors
from gen.jpeg_tables import CHROMA, LUMA

# Rows Y, Cb, Cr of JFIF (ITU-T T.871), full range, without the offset of 128.
_YCBCR = np.array([[0.299, 0.587, 0.114], [-0.168736, -0.331264, 0.5], [0.5, -0.418688, -0.081312]], np.float32)
_RGB = np.linalg.inv(_YCBCR.astype(np.float64)).astype(np.float32)
_DCT = np.array(
    [[np.sqrt((1 + (k > 0)) / 8) * np.cos(np.pi * k * (2 * n + 1) / 16) for n in range(8)] for k in range(8)],
    np.float32,
)


@operator()
def jpeg(x: jax.Array, quality: Any) -> jax.Array:
    """Applies the losses of JPEG: 8x8 cosine transforms, rounded to steps that grow with frequency.

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
    decoded = [_round_blocks(p, scale, CHROMA if i else LUMA, 0 if i else 128) for i, p in enumerate(planes)]
    if c == 3:
        decoded = _mixed(_RGB, decoded)
    return jnp.clip(jnp.stack(decoded, axis=-1) / 255, 0.0, 1.0)


def _mixed(matrix: np.ndarray, planes: list[jax.Array]) -> list[jax.Array]:
    return [
        functools.reduce(jnp.add, (float(weight) * plane for weight, plane in zip(row, planes, strict=True)))
        for row in matrix
    ]


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
