"""A data set without files: one to four objects, their colors, sizes, places and relations, with captions.

Images are float [n h w 3] in [0, 1], RGB; see gen.data.scene_world for what is in them and which combinations of color
and kind, and of kind and relation, are never learned from, and gen.data.scene_captions for the captions.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Sequence
from types import ModuleType
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen.data import outlines, scene_captions, scene_world
from gen.data.cache import Add, cached
from gen.data.captions import shortened
from gen.data.dataset import DatasetSplits
from gen.data.outlines import KINDS, OUTLINES, textures
from gen.data.scene_world import COLORS, PATTERNS, SCENES, TONES, Scene, draw
from gen.errors import InputError

MOST_THINGS = 4
HELD_OUT_START = 2**30  # held-out scenes are the same ones however many are trained on
UNSEEN_START = 2**30 + 2**29  # from here on, each scene has a combination that none before has
_MOST_BYTES = 2**36  # of all images


class RenderedScenes(NamedTuple):
    """image float [n h w 3] in [0, 1]; label int32 [n], index into SCENES; masks float [n 4 h w 1], the share of each
    pixel where an object is to see; boxes [n 4 4]: left, top, right, bottom of the pixels at least half its own, 0
    where there is none; factors: see `pack`, and `scenes` as they were drawn."""

    image: jax.Array
    label: jax.Array
    masks: jax.Array
    boxes: jax.Array
    factors: dict[str, jax.Array]
    scenes: tuple[Scene, ...]


def scene(index: int, *, seed: int = 0) -> Scene:
    """Draws scene `index`, at least 0, of the world `seed`: kind SCENES[index modulo 4], all else by chance."""
    rng = np.random.default_rng((seed, index))
    label = index % len(SCENES)
    if index < UNSEEN_START:
        return draw(rng, label)
    return draw(rng, label, unseen="relation" if label >= 2 and rng.integers(2) else "color")


def pack(scenes: Sequence[Scene]) -> dict[str, np.ndarray]:
    """Makes arrays of scenes: present, kind, x, y, radius, rotation [n 4] and color [n 4 3] of the objects, background
    [n 3], pattern (index into PATTERNS), amplitude, frequency, angle [n] and lattice [n 7 7]."""
    packed = {
        "present": np.zeros((len(scenes), MOST_THINGS), bool),
        "kind": np.zeros((len(scenes), MOST_THINGS), np.int32),
        "color": np.zeros((len(scenes), MOST_THINGS, 3), np.float32),
        **{name: np.zeros((len(scenes), MOST_THINGS), np.float32) for name in ("x", "y", "rotation")},
        "radius": np.ones((len(scenes), MOST_THINGS), np.float32),
    }
    for n, each in enumerate(scenes):
        for k, thing in enumerate(each.things):
            packed["present"][n, k], packed["kind"][n, k] = True, KINDS.index(thing.kind)
            packed["color"][n, k] = thing.rgb
            for name in ("x", "y", "radius", "rotation"):
                packed[name][n, k] = getattr(thing, name)
    grounds = [each.background for each in scenes]
    packed["background"] = np.array([TONES[ground.tone] for ground in grounds], np.float32)
    packed["pattern"] = np.array([PATTERNS.index(ground.pattern) for ground in grounds], np.int32)
    for name in ("amplitude", "frequency", "angle", "lattice"):
        packed[name] = np.array([getattr(ground, name) for ground in grounds], np.float32)
    return packed


def masks_of(factors: dict[str, jax.Array], resolution: int, *, softness: float = 1.0) -> jax.Array:
    """Computes the visible parts [4 h w] of the objects of one scene. softness: how many pixels wide an edge is.

    The first object covers the others. Differentiable in x, y, radius and rotation where an edge is.
    """
    grid = (jnp.arange(resolution) + 0.5) / resolution
    x, y = jnp.meshgrid(grid, grid)

    def whole(thing: dict[str, jax.Array]) -> jax.Array:
        right, up = (x - thing["x"]) / thing["radius"], (thing["y"] - y) / thing["radius"]
        cos, sin = jnp.cos(thing["rotation"]), jnp.sin(thing["rotation"])
        u, v = right * cos + up * sin, up * cos - right * sin
        distance = jnp.stack([outline(u, v) for outline in OUTLINES])[thing["kind"]] * thing["radius"]
        return jnp.clip(0.5 - distance * resolution / softness, 0, 1) * thing["present"]

    names = ("present", "kind", "x", "y", "radius", "rotation")
    full = jax.vmap(whole)({name: factors[name] for name in names})
    free = jnp.cumprod(1 - full, axis=0)
    return full * jnp.concatenate([jnp.ones_like(free[:1]), free[:-1]])


def ground_of(factors: dict[str, jax.Array], resolution: int) -> jax.Array:
    """Computes the background [h w 3] of one scene."""
    grid = (jnp.arange(resolution) + 0.5) / resolution
    x, y = jnp.meshgrid(grid, grid)
    drawn = textures(factors["lattice"], x, y, frequency=factors["frequency"], angle=factors["angle"])
    pattern = jnp.concatenate([jnp.zeros_like(drawn[:1]), drawn])[factors["pattern"]]
    return factors["background"] + factors["amplitude"] * pattern[..., None]


@functools.partial(jax.jit, static_argnames="resolution")
def paint(factors: dict[str, jax.Array], *, resolution: int = 32) -> tuple[jax.Array, jax.Array]:
    """Draws what `pack` returned: images [n h w 3], and the visible part of each object, [n 4 h w 1]."""

    def one(factors: dict[str, jax.Array]) -> tuple[jax.Array, jax.Array]:
        masks = masks_of(factors, resolution)[..., None]
        image = (masks * factors["color"][:, None, None]).sum(0)
        return image + (1 - masks.sum(0)) * ground_of(factors, resolution), masks

    return jax.vmap(one)(factors)


def boxes_of(masks: np.ndarray) -> np.ndarray:
    """Finds the boxes [n 4 4], see RenderedScenes, of masks [n 4 h w 1]."""
    side = masks.shape[2]
    mine: np.ndarray = np.asarray(masks)[..., 0] >= 0.5
    rows, columns = np.any(mine, axis=3), np.any(mine, axis=2)
    first = [along.argmax(-1) for along in (columns, rows)]
    last = [side - along[..., ::-1].argmax(-1) for along in (columns, rows)]
    return np.where(np.any(mine, axis=(2, 3))[..., None], np.stack([*first, *last], -1) / side, 0)


def render(indices: Sequence[int] | np.ndarray, *, resolution: int = 32, seed: int = 0) -> RenderedScenes:
    """Draws the scenes `indices` [n] of the world `seed`: the same index is the same scene at every resolution."""
    drawn = tuple(scene(int(index), seed=seed) for index in indices)
    factors = jax.tree.map(jnp.asarray, pack(drawn))
    image, masks = paint(factors, resolution=resolution)
    label = jnp.array([each.label for each in drawn], jnp.int32)
    return RenderedScenes(image, label, masks, jnp.asarray(boxes_of(np.asarray(masks))), factors, drawn)


def scenes(
    resolution: int = 32,
    *,
    num_train: int = 20_000,
    num_held_out: int = 2_000,
    captions: int = 3,
    seed: int = 0,
) -> DatasetSplits:
    """Draws `num_train` and `num_held_out` square RGB images, disjoint, with `captions` captions each, from `seed`.

    Classes are the kinds of scene. Neither part has a combination of UNSEEN_COLORS or UNSEEN_RELATIONS.
    """
    bytes_wanted = 3 * resolution**2 * (num_train + num_held_out)
    fits = 16 <= resolution <= 1024 and bytes_wanted <= _MOST_BYTES
    if not fits or min(num_train, num_held_out) < 1 or not 1 <= captions <= 16 or not 0 <= seed < 2**31:
        raise InputError(
            f"scenes: resolution={resolution}, num_train={num_train}, num_held_out={num_held_out}, "
            f"captions={captions}, seed={seed}: allowed are a resolution from 16 to 1024, both numbers at least 1 and "
            f"images of at most {_MOST_BYTES:,} bytes in all, 1 to 16 captions, a seed from 0 to {2**31 - 1}"
        )
    chunk = max(1, min(1000, 2**20 // resolution**2))

    def make(add: Add) -> tuple[tuple[str, ...], dict]:
        for split, start, count in (("train", 0, num_train), ("held_out", HELD_OUT_START, num_held_out)):
            for begin in range(0, count, chunk):
                number = min(chunk, count - begin)
                made = render(np.arange(start + begin, start + begin + chunk), resolution=resolution, seed=seed)
                images = np.round(np.asarray(made.image) * 255).astype(np.uint8)[:number]
                texts = [
                    shortened(scene_captions.captions_of(each, start + begin + n, number=captions, seed=seed))
                    for n, each in enumerate(made.scenes[:number])
                ]
                add(split, images, np.asarray(made.label)[:number], texts)
        return SCENES, {"source": "drawn by gen.data.scenes", "license": "no rights reserved", "colors": list(COLORS)}

    options = {"resolution": resolution, "num_train": num_train, "num_held_out": num_held_out}
    parts: tuple[ModuleType | None, ...] = (outlines, scene_world, scene_captions, inspect.getmodule(scenes))
    identity = [inspect.getsource(part) for part in parts if part]
    return cached("scenes", {**options, "captions": captions, "seed": seed}, make, identity=identity)
