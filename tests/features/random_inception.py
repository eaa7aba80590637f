"""Weights for the Inception network that need no file: each tensor is drawn from its name."""

from __future__ import annotations

import functools
import math
import zlib

import numpy as np

from gen.features.inception import shapes

# Statistics that are not 0 and 1, so that a mistake in the normalization shows.
DRAWS = {
    "conv.weight": lambda rng, shape: rng.standard_normal(shape, np.float32) * math.sqrt(2 / math.prod(shape[1:])),
    "fc.weight": lambda rng, shape: rng.standard_normal(shape, np.float32) / math.sqrt(shape[1]),
    "fc.bias": lambda rng, shape: rng.standard_normal(shape, np.float32) / 2,
    "bn.weight": lambda rng, shape: rng.uniform(0.5, 1.5, shape),
    "bn.bias": lambda rng, shape: rng.normal(0, 0.1, shape),
    "bn.running_mean": lambda rng, shape: rng.normal(0, 0.1, shape),
    "bn.running_var": lambda rng, shape: rng.uniform(0.2, 1.5, shape),
}


def images() -> np.ndarray:
    """Two pictures uint8 [2 40 52 3] with smooth parts and noise, and three channels that differ."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:40, :52]
    waves = np.stack(
        [128 + 100 * np.sin(x / a + c) * np.cos(y / b) for a, b, c in [(5, 9, 0), (11, 4, 1), (3, 20, 2)]], -1
    )
    noisy = np.stack([waves + rng.normal(0, 12, waves.shape), waves[::-1, ::-1, ::-1] + rng.normal(0, 25, waves.shape)])
    return np.clip(np.rint(noisy), 0, 255).astype(np.uint8)


@functools.cache
def weights() -> dict[str, np.ndarray]:
    """A state dict of the network: its names, float32 in its shapes."""
    made = {}
    for name, like in shapes().items():
        draw = DRAWS[".".join(name.split(".")[-2:])]
        made[name] = draw(np.random.default_rng(zlib.crc32(name.encode())), like.shape).astype(np.float32)
    return made
