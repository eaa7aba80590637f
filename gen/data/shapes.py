"""A data set without files: colored shapes on textured backgrounds, drawn from an index, with all parameters known.

Images are float [h w c] in [0, 1], RGB; lengths are fractions of the image side, x to the right and y downwards from
the top left corner.
"""

from __future__ import annotations

import functools
import math
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen.data import outlines
from gen.data.cache import Add, cached
from gen.data.dataset import DatasetSplits
from gen.data.outlines import KINDS, LATTICE, OUTLINES, TEXTURES, textures
from gen.errors import InputError

CLASS_NAMES = KINDS
HELD_OUT_START = 2**30  # held-out scenes are the same ones however many are trained on
LUMA = (0.299, 0.587, 0.114)
MIN_CONTRAST = 0.2  # least difference of luma between the shape and any background pixel
_MOST_BYTES = 2**36  # of all images


class Rendered(NamedTuple):
    """image float [n h w 3] in [0, 1]; label int32 [n]; mask float [n h w 1], the covered share of each pixel;
    factors: x, y, radius, rotation (radians, anticlockwise), texture (index into TEXTURES), amplitude, frequency, angle
    as [n], color and background as [n 3]."""

    image: jax.Array
    label: jax.Array
    mask: jax.Array
    factors: dict[str, jax.Array]


# -- Scenes.


def _luma(rgb: jax.Array) -> jax.Array:
    return (rgb * jnp.array(LUMA)).sum(-1)


def _hue(hue: jax.Array) -> jax.Array:
    """Returns the pure color [3] of a hue in [0, 1): red, yellow, green, cyan, blue, magenta."""
    return jnp.clip(jnp.abs(jnp.mod(hue * 6 + jnp.array([0.0, 4.0, 2.0]), 6) - 3) - 1, 0, 1)


def _factors(key: jax.Array) -> dict[str, jax.Array]:
    """Draws one scene. The background's luma is at least 0.25 away from the shape's, the texture takes at most 0.05."""
    u = jax.random.uniform(key, (13,))
    color = (0.85 + 0.15 * u[5]) * (1 - (0.8 + 0.2 * u[4]) * (1 - _hue(u[3])))
    shape_luma, gap, tint = _luma(color), 0.25 + 0.1 * u[6], _hue(u[7])
    background_luma = jnp.where(shape_luma > 0.5, shape_luma - gap, shape_luma + gap)
    return {
        "x": 0.5 + 0.06 * (2 * u[0] - 1),
        "y": 0.5 + 0.06 * (2 * u[1] - 1),
        "radius": 0.3 + 0.12 * u[2],
        "rotation": (2 * u[8] - 1) * math.pi / 12,
        "color": color,
        "background": background_luma + 0.1 * (tint - _luma(tint)),
        "texture": (u[9] * len(TEXTURES)).astype(jnp.int32),
        "amplitude": 0.02 + 0.03 * u[10],
        "frequency": 3 + 3 * u[11],
        "angle": math.pi * u[12],
    }


def _scene(index: jax.Array, seed: jax.Array, resolution: int) -> Rendered:
    key = jax.random.fold_in(jax.random.key(seed), index)
    scene_key, noise_key = jax.random.split(key)
    label = (index % len(CLASS_NAMES)).astype(jnp.int32)
    factors = _factors(scene_key)
    grid = (jnp.arange(resolution) + 0.5) / resolution
    x, y = jnp.meshgrid(grid, grid)

    right, up = (x - factors["x"]) / factors["radius"], (factors["y"] - y) / factors["radius"]
    cos, sin = jnp.cos(factors["rotation"]), jnp.sin(factors["rotation"])
    u, v = right * cos + up * sin, up * cos - right * sin
    distance = jnp.stack([outline(u, v) for outline in OUTLINES])[label] * factors["radius"]
    mask = jnp.clip(0.5 - distance * resolution, 0, 1)[..., None]  # an edge is one pixel wide

    lattice = jax.random.uniform(noise_key, (LATTICE, LATTICE), minval=-1, maxval=1)
    waves = {name: factors[name] for name in ("frequency", "angle")}
    texture = factors["amplitude"] * textures(lattice, x, y, **waves)[factors["texture"]]
    image = mask * factors["color"] + (1 - mask) * (factors["background"] + texture[..., None])
    return Rendered(image, label, mask, factors)


@functools.partial(jax.jit, static_argnames="resolution")
def render(indices: jax.Array | np.ndarray, *, resolution: int = 32, seed: int | jax.Array = 0) -> Rendered:
    """Draws the scenes `indices` [n] of the world `seed`: the same index is the same scene at every resolution.

    The class is index modulo 8, so that any run of consecutive indices is balanced; all else is drawn from the index.
    """
    return jax.vmap(_scene, in_axes=(0, None, None))(jnp.asarray(indices), jnp.asarray(seed), resolution)


def shapes(
    resolution: int = 32,
    *,
    num_train: int = 20_000,
    num_held_out: int = 2_000,
    seed: int = 0,
) -> DatasetSplits:
    """Draws `num_train` and `num_held_out` square RGB images of 8 classes, disjoint, from `seed`."""
    if resolution < 8 or min(num_train, num_held_out) < 1:
        raise InputError(
            f"shapes: resolution={resolution}, num_train={num_train}, num_held_out={num_held_out}: "
            "resolution must be at least 8 and both numbers at least 1"
        )
    wanted = 3 * resolution**2 * (num_train + num_held_out)
    if resolution > 1024 or wanted > _MOST_BYTES or not 0 <= seed < 2**31:
        raise InputError(
            f"shapes: resolution={resolution}, num_train={num_train}, num_held_out={num_held_out}, seed={seed}: "
            f"resolution must be at most 1024, all images at most {_MOST_BYTES:,} bytes, seed from 0 to {2**31 - 1}"
        )
    chunk = max(1, min(1000, 2**22 // resolution**2))

    def make(add: Add) -> tuple[tuple[str, ...], dict]:
        for split, start, count in (("train", 0, num_train), ("held_out", HELD_OUT_START, num_held_out)):
            for begin in range(0, count, chunk):
                scenes = render(np.arange(start + begin, start + begin + chunk), resolution=resolution, seed=seed)
                number = min(chunk, count - begin)
                add(split, np.round(np.asarray(scenes.image) * 255).astype(np.uint8)[:number], scenes.label[:number])
        return CLASS_NAMES, {"source": "drawn by gen.data.shapes", "license": "no rights reserved"}

    options = {"resolution": resolution, "num_train": num_train, "num_held_out": num_held_out, "seed": seed}
    return cached("shapes", options, make, identity=[Path(__file__).read_text(), Path(outlines.__file__).read_text()])
