"""Random augmentation of what a discriminator sees, real and generated alike (Karras et al. 2020, appendix B).

Images are [b h w c], float, in [-1, 1]: 0 is mid-gray. Results are not clipped. Every operation is linear in the image
(the colors: affine), so it can be differentiated to any order. What an operation brings in from beyond the border is
the image mirrored about the centers of its border pixels.

Which operations an image undergoes, and how strongly, is drawn for each image by itself. `flip`, `quarter_turn` and
`luma_flip`, when chosen, draw from all their outcomes, doing nothing included: used with a probability below 1 they
can then not leak into what the generator makes, as they could at 1/2 if they always acted when chosen.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import jax
import jax.numpy as jnp

from gen.errors import InputError, nearest

# The operations in the order in which they act, and how much of `probability` each gets: the values of R3GAN
# (Huang et al. 2024).
DEFAULT: Mapping[str, float] = {
    "flip": 1.0,  # left-right
    "quarter_turn": 1.0,  # by 0, 90, 180 or 270 degrees; oblong images: by 0 or 180
    "translation": 1.0,  # by whole pixels, up to 1/8 of the side
    "scale": 1.0,  # by a factor, median 1, standard deviation 0.2 octaves
    "rotation": 1.0,  # by any angle, before the stretching of `anisotropy`, or after, or both
    "anisotropy": 1.0,  # one side stretched by a factor as for `scale`, the other shrunk by it
    "fractional_translation": 1.0,  # by a normal deviate, standard deviation 1/8 of the side
    "brightness": 0.5,  # plus a normal deviate, standard deviation 0.2
    "contrast": 0.5,  # times a factor, median 1, standard deviation 0.5 octaves
    "luma_flip": 0.5,  # light for dark, colors kept; one channel: the negative
    "hue": 0.5,  # turned about the gray axis by any angle; three channels only, else nothing
    "saturation": 0.5,  # distance from gray times a factor, median 1, standard deviation 1 octave; one channel: nothing
    "cutout": 1.0,  # a rectangle with half the image's sides, centered anywhere in the image, is made mid-gray
}
_WARPS = ("scale", "rotation", "anisotropy", "fractional_translation")
_COLORS = ("brightness", "contrast", "luma_flip", "hue", "saturation")
Draws = Mapping[str, jax.Array]


def augment(
    key: jax.Array,
    images: jax.Array,
    probability: jax.Array | float,
    *,
    operation_weights: Mapping[str, float] = DEFAULT,
) -> jax.Array:
    """Augments each image [b h w c] at random; where nothing was drawn, it stays the same to the bit.

    Args:
      key: one key, of which image i uses fold_in(key, i); or [b] keys, one per image.
      images: float [b h w c] in [-1, 1], h and w at least 2. The result has the same dtype.
      probability: scalar in [0, 1], with which each operation is chosen. It may be traced: a schedule does not
        recompile.
      operation_weights: operation -> factor in [0, 1] on its probability. An absent operation, or 0, costs nothing.

    Raises:
      InputError: an unknown operation, or a factor out of range.
    """
    if images.ndim != 4 or min(images.shape[1:3]) < 2 or not jnp.issubdtype(images.dtype, jnp.floating):
        raise ValueError(f"images must be float [b h w c], h and w at least 2; got {images.dtype} {list(images.shape)}")
    used = _used(operation_weights)
    keys = key if key.ndim else jax.vmap(jax.random.fold_in, in_axes=(None, 0))(key, jnp.arange(len(images)))
    uniform, normal = _draw(keys, jnp.clip(probability, 0.0, 1.0), used)
    images = _move(images, uniform, used)
    if used.keys() & set(_WARPS):
        images = _warp(images, uniform, normal)
    if used.keys() & set(_COLORS):
        images = _recolor(images, uniform, normal)
    if "cutout" in used:
        images = jnp.where(_drawn(uniform["cutout"]), cutout(images, uniform["cutout"]), images)
    return images


def _used(operation_weights: Mapping[str, float]) -> dict[str, float]:
    """Returns the operations that can be chosen at all."""
    for name, weight in operation_weights.items():
        if name not in DEFAULT:
            allowed = ", ".join(DEFAULT)
            raise InputError(f"augmentation: no operation '{name}'{nearest(name, DEFAULT)}; allowed: {allowed}")
        if not 0 <= weight <= 1:
            raise InputError(f"augmentation: weight of '{name}' is {weight}; allowed: a number from 0 to 1")
    return {name: float(weight) for name, weight in operation_weights.items() if weight > 0}


def _draw(keys: jax.Array, probability: jax.Array, used: Mapping[str, float]) -> tuple[Draws, Draws]:
    """Draws for each operation two uniform numbers in [-1, 1) and two normal deviates, [b 2]; 0 where not chosen.

    0 stands for doing nothing. Numbers are drawn for unused operations too, so that leaving one out does not change
    what the others do.
    """
    chances = probability * jnp.array([used.get(name, 0.0) for name in DEFAULT])[:, None]
    # Two rotations, each with a chance of its own: together they leave the image alone with 1 - probability.
    twice = jnp.array([name == "rotation" for name in DEFAULT])[:, None]
    chances = jnp.where(twice, 1 - jnp.sqrt(1 - chances), chances)

    def draw(key: jax.Array) -> tuple[jax.Array, jax.Array]:
        luck_key, uniform_key, normal_key = jax.random.split(key, 3)
        shape = (len(DEFAULT), 2)
        luck = jax.random.uniform(luck_key, shape, jnp.float32)
        chosen = jnp.where(twice, luck, luck[:, :1]) < chances
        uniform = jax.random.uniform(uniform_key, shape, jnp.float32, minval=-1.0)
        normal = jax.random.normal(normal_key, shape, jnp.float32)
        return jnp.where(chosen, uniform, 0), jnp.where(chosen, normal, 0)

    uniform, normal = ({name: x[:, i] for i, name in enumerate(DEFAULT)} for x in jax.vmap(draw)(keys))
    return uniform, normal


def _expand(numbers: jax.Array) -> jax.Array:
    """Reshapes [b] to [b 1 1 1]."""
    return numbers[:, None, None, None]


def _drawn(*numbers: jax.Array) -> jax.Array:
    """Returns whether any of these numbers [b n] is not 0, [b 1 1 1]: other images keep their pixels to the bit."""
    return _expand(jnp.any(jnp.concatenate(numbers, axis=-1) != 0, axis=-1))


def _move(images: jax.Array, uniform: Draws, used: Mapping[str, float]) -> jax.Array:
    """Applies the operations that only reorder pixels, exactly."""
    if "flip" in used:
        images = jnp.where(_expand(uniform["flip"][:, 0] < 0), images[:, :, ::-1], images)
    if "quarter_turn" in used:
        images = quarter_turns(images, jnp.floor(2 * uniform["quarter_turn"][:, 0]).astype(jnp.int32))
    if "translation" in used:
        pixels = jnp.round(uniform["translation"] * jnp.array(images.shape[1:3]) / 8)
        images = translate(images, pixels.astype(jnp.int32))
    return images


def _warp(images: jax.Array, uniform: Draws, normal: Draws) -> jax.Array:
    """Applies the operations that resample, as one affine map and one resampling."""
    scale = jnp.exp2(0.2 * normal["scale"][:, 0])
    stretch = jnp.exp2(0.2 * normal["anisotropy"][:, 0])
    sides = jnp.stack([scale / stretch, scale * stretch], axis=-1)
    before, after = jnp.moveaxis(rotation(jnp.pi * uniform["rotation"]), 1, 0)
    # The map leads from the result back to the image, so the last rotation is undone first.
    matrix = jnp.matmul(before / sides[:, None, :], after, precision="highest")
    shift = normal["fractional_translation"] * jnp.array(images.shape[1:3]) / 8
    touched = _drawn(normal["scale"], uniform["rotation"], normal["anisotropy"], shift)
    return jnp.where(touched, resample(images, matrix, shift), images)


def _recolor(images: jax.Array, uniform: Draws, normal: Draws) -> jax.Array:
    """Applies the color operations, as one affine map of the channels."""
    contrast = jnp.exp2(0.5 * normal["contrast"][:, 0])
    flip = jnp.minimum(uniform["luma_flip"][:, :1], 0)
    luma = jnp.where(flip[:, 0] < 0, -contrast, contrast)
    chroma = contrast * jnp.exp2(normal["saturation"][:, 0])
    offset = luma * 0.2 * normal["brightness"][:, 0]
    angle = jnp.pi * uniform["hue"][:, 0]
    touched = _drawn(normal["brightness"], normal["contrast"], flip, uniform["hue"], normal["saturation"])
    return jnp.where(touched, recolor(images, offset, luma, chroma, angle), images)


def quarter_turns(images: jax.Array, turns: jax.Array) -> jax.Array:
    """Turns image i [b h w c] counterclockwise by turns[i] quarters, int [b]; oblong images by whole halves only."""
    turns = _expand(turns)
    images = jnp.where(turns & 2 != 0, images[:, ::-1, ::-1], images)
    if images.shape[1] == images.shape[2]:
        images = jnp.where(turns & 1 != 0, jnp.rot90(images, axes=(1, 2)), images)
    return images


def _reflect(position: jax.Array, last: jax.Array | int) -> jax.Array:
    """Mirrors positions in pixels at 0 and at `last` until they lie between them."""
    return last - jnp.abs(jnp.mod(position, 2 * last) - last)


def translate(images: jax.Array, shift: jax.Array) -> jax.Array:
    """Moves image i [b h w c] down and right by shift[i] pixels, int [b 2], exactly."""
    for axis in (1, 2):
        source = _reflect(jnp.arange(images.shape[axis]) - shift[:, axis - 1, None], images.shape[axis] - 1)
        source = jnp.expand_dims(source, (3 - axis, 3))
        images = jnp.take_along_axis(images, source, axis, mode="promise_in_bounds")
    return images


def rotation(angle: jax.Array) -> jax.Array:
    """Makes the map [... 2 2] of (down, right) that turns an image counterclockwise by `angle` radians [...]."""
    cosine, sine = jnp.cos(angle), jnp.sin(angle)
    return jnp.stack([jnp.stack([cosine, sine], axis=-1), jnp.stack([-sine, cosine], axis=-1)], axis=-2)


def resample(images: jax.Array, matrix: jax.Array, shift: jax.Array) -> jax.Array:
    """Resamples [b h w c]: at p, (down, right) in pixels from the center, the image at matrix @ (p - shift).

    matrix: [b 2 2]; shift: [b 2].

    Bilinear. Forward and transposed together, four gathers of single pixels are faster than gathers of 2x2 patches
    and than products with interpolation matrices.
    """
    b, h, w, c = images.shape
    last = jnp.array([h - 1, w - 1])
    position = jnp.stack(jnp.meshgrid(jnp.arange(h), jnp.arange(w), indexing="ij"), axis=-1).reshape(h * w, 2)
    position = (position - last / 2) - shift[:, None]
    position = _reflect(jnp.einsum("bij,bpj->bpi", matrix, position, precision="highest") + last / 2, last)
    corner = jnp.clip(jnp.floor(position), 0, last - 1)
    down, right = jnp.moveaxis(position - corner, -1, 0)[..., None]
    row, column = jnp.moveaxis(corner.astype(jnp.int32), -1, 0)
    flat = images.reshape(b, h * w, c)

    def at(i: int, j: int) -> jax.Array:
        index = (row + i) * w + column + j
        return jnp.take_along_axis(flat, index[..., None], axis=1, mode="promise_in_bounds")

    above = (1 - right) * at(0, 0) + right * at(0, 1)
    below = (1 - right) * at(1, 0) + right * at(1, 1)
    return ((1 - down) * above + down * below).astype(images.dtype).reshape(images.shape)


def recolor(images: jax.Array, offset: jax.Array, luma: jax.Array, chroma: jax.Array, angle: jax.Array) -> jax.Array:
    """Makes luma, the mean of the channels, luma * itself + offset, and multiplies chroma, the rest: [b h w c].

    With three channels chroma is also turned by `angle` radians about the gray axis, red towards green (Rodrigues'
    formula). All four numbers are [b].
    """
    offset, luma, chroma, angle = map(_expand, (offset, luma, chroma, angle))
    gray = jnp.mean(images, axis=-1, keepdims=True, dtype=jnp.float32)
    color = images - gray
    if images.shape[-1] == 3:
        # The vector product of the gray axis, (1, 1, 1) / sqrt(3), with the color.
        cross = (jnp.roll(color, 1, axis=-1) - jnp.roll(color, -1, axis=-1)) / math.sqrt(3)
        color = jnp.cos(angle) * color + jnp.sin(angle) * cross
    return (luma * gray + offset + chroma * color).astype(images.dtype)


def cutout(images: jax.Array, center: jax.Array) -> jax.Array:
    """Makes [b h w c] mid-gray within a quarter of the sides from `center` [b 2], (down, right) in -1 to 1."""
    h, w = images.shape[1:3]
    down = jnp.abs((2 * jnp.arange(h) + 1) / h - 1 - center[:, :1]) < 0.5
    right = jnp.abs((2 * jnp.arange(w) + 1) / w - 1 - center[:, 1:]) < 0.5
    return jnp.where(down[:, :, None, None] & right[:, None, :, None], 0, images)
