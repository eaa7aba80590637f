"""Resampling on the host, block by block: no compiler, and no matrix as large as an image is wide.

The kernel and the places of the samples are those of `frame.resampling`.
"""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from gen.watermark.frame import lanczos

_BLOCK = 16  # samples, or pixels, whichever are fewer


class Block(NamedTuple):
    """Some samples, the pixels that they are made of, and the weights float32 [samples, pixels]."""

    samples: slice
    pixels: slice
    weights: np.ndarray


@functools.lru_cache(maxsize=64)
def blocks(length: int, samples: int, scale: float) -> tuple[Block, ...]:
    """All samples of a side of `length` pixels, `scale` samples a pixel, in order."""
    count, narrow = max(_BLOCK, round(_BLOCK * scale)), min(1.0, scale)
    found = []
    for start in range(0, samples, count):
        stop = min(start + count, samples)
        center = (np.arange(start, stop) - (samples - 1) / 2) / scale + (length - 1) / 2
        low = max(0, math.ceil(center[0] - 3 / narrow))
        high = min(length, math.floor(center[-1] + 3 / narrow) + 1)
        weights = lanczos((np.arange(low, high) - center[:, None]) * narrow)
        weights /= weights.sum(axis=1, keepdims=True)
        found.append(Block(slice(start, stop), slice(low, high), weights.astype(np.float32)))
    return tuple(found)


def resampled_widths(x: np.ndarray, samples: int, scale: float) -> np.ndarray:
    """Resamples the last axis: float32 [..., length] to [..., samples]."""
    parts = [x[..., block.pixels] @ block.weights.T for block in blocks(x.shape[-1], samples, scale)]
    return np.concatenate(parts, axis=-1)
