"""Print and picture effects: fewer levels, dither, halftone, relief, inversions. Display-referred values in [0, 1].

Where levels are counted the result is a step function; its gradient is passed straight through, as if it were x.
"""

from __future__ import annotations

import functools
import math
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.imaging._operator import operator, per_image, require_colors
from gen.imaging.bounds import Numbers, whole
from gen.imaging.filters.edges import slopes

Errors = tuple[jax.Array, jax.Array, jax.Array]
Levels = Annotated[int, whole(2, 256)]
_ONE = 1 << 16  # 1.0 in the whole numbers of error_diffusion
# Degrees: the screens of cyan, magenta, yellow 30 apart, where they give no moire; one ink at 45, the least visible.
_ANGLES = {1: (45.0,), 3: (15.0, 75.0, 45.0)}
# Kodak's slide tone, as everywhere since Microsoft's sample code.
_SEPIA = ((0.393, 0.769, 0.189), (0.349, 0.686, 0.168), (0.272, 0.534, 0.131))


@operator()
def invert(x: jax.Array) -> jax.Array:
    """Inverts: 1 - x, so black becomes white and each color its complement. x: [b h w c]."""
    return 1 - x


@operator()
def solarize(x: jax.Array, threshold: Any) -> jax.Array:
    """Inverts values from the threshold up, as in a print exposed to light during development.

    x: [b h w c]. threshold: a number, or [b]; above 1 nothing changes.
    Equals PIL.ImageOps.solarize(x, 255 * threshold), dm_pix.solarize.
    """
    return jnp.where(x < per_image(threshold, x), x, 1 - x)


@operator()
def sepia(x: jax.Array, amount: Any) -> jax.Array:
    """Mixes x with the brown of old photographs.

    x: [b h w 3]. amount: 0 (nothing changes) to 1; or [b]. Whites become up to (1.35, 1.2, 0.94): clip.
    Equals kornia.enhance.sepia / kornia.color.sepia_from_rgb(x, rescale=False) with amount 1.
    """
    require_colors(x, "sepia")
    toned = jnp.einsum("bhwc,dc->bhwd", x, jnp.asarray(_SEPIA, x.dtype), precision=lax.Precision.HIGHEST)
    return x + per_image(amount, x) * (toned - x)


@operator()
def emboss(x: jax.Array, amount: Any, *, angle: Any = 135.0) -> jax.Array:
    """Shows x as a gray relief: 0.5 where it is even, brighter on slopes that face the light. Not clipped.

    x: [b h w c]. amount: gray levels for a slope of one gray level per pixel; or [b].
    angle: where the light comes from, degrees from the right, counter-clockwise; 135 is top left; or [b].
    Slopes are those of sobel. Source: the kernels of Pillow's EMBOSS and Albumentations' Emboss, for all angles.
    """
    right, down = slopes(x, 0.5)
    radians = per_image(angle, x) * (math.pi / 180)
    return 0.5 + per_image(amount, x) * (jnp.sin(radians) * down - jnp.cos(radians) * right)


@operator()
def pixelate(x: jax.Array, size: Annotated[int, whole(1, 1_000_000)]) -> jax.Array:
    """Averages squares of size x size pixels, counted from the top left; the last ones may be smaller.

    x: [b h w c]. size: pixels, from 1 (nothing changes); larger than the image is as
    large as that.
    """
    whole_square = size
    for axis in (1, 2) if whole_square > 1 else ():
        n = x.shape[axis]
        size = min(whole_square, n)
        blocks = -(-n // size)
        widths = [(0, blocks * size - n) if i == axis else (0, 0) for i in range(4)]
        split = jnp.pad(x, widths).reshape(*x.shape[:axis], blocks, size, *x.shape[axis + 1 :])
        filled = np.minimum(np.arange(1, blocks + 1) * size, n) - np.arange(blocks) * size
        mean = jnp.sum(split, axis=axis + 1) / jnp.asarray(filled, x.dtype).reshape((-1,) + (1,) * (3 - axis))
        x = lax.slice_in_dim(jnp.repeat(mean, size, axis=axis), 0, n, axis=axis)
    return x


@operator()
def posterize(x: jax.Array, levels: Levels) -> jax.Array:
    """Reduces values to a few even levels from 0 to 1, each for an equal share of [0, 1]. Clipped to [0, 1].

    x: [b h w c]. levels: for each channel, from 2 to 256.
    Equals PIL.ImageOps.posterize to b bits with levels = 2**b, stretched so that the brightest level is white.
    """
    return _through(jnp.clip(jnp.floor(x * levels), 0, levels - 1) / (levels - 1), x)


@operator()
def ordered_dither(x: jax.Array, levels: Levels, *, size: Literal[2, 4, 8, 16] = 8) -> jax.Array:
    """Dithers to a few levels with Bayer's pattern, which keeps the mean of size x size pixels. Clipped to [0, 1].

    x: [b h w c]. levels: for each channel, from 2 to 256, evenly from 0 to 1. size: of the pattern, 2, 4, 8 or 16.
    Source: Bayer, An optimum method for two-level rendition of continuous-tone pictures (1973).
    """
    _, h, w, _ = x.shape
    pattern = jnp.asarray(bayer(h, w, size)[..., None], x.dtype)
    step = jnp.clip(jnp.floor(x * (levels - 1) + pattern), 0, levels - 1)
    return _through(step / (levels - 1), x)


def bayer(height: int, width: int, size: int) -> np.ndarray:
    """Makes thresholds [height width] in (0, 1), even in each square of size x size pixels (Bayer 1973)."""
    order = np.zeros((1, 1))
    while len(order) < size:
        order = np.block([[4 * order, 4 * order + 2], [4 * order + 3, 4 * order + 1]])
    return np.tile((order + 0.5) / size**2, (-(-height // size), -(-width // size)))[:height, :width]


@operator()
def error_diffusion(x: jax.Array, levels: Levels) -> jax.Array:
    """Dithers to a few levels by error diffusion (Floyd-Steinberg). Clipped to [0, 1].

    x: [b h w c]. levels: for each channel, from 2 to 256, evenly from 0 to 1. Computed in whole numbers of 1/65536, so
    that the pattern is the same on every machine and in any batch.
    Source: Floyd and Steinberg, An adaptive algorithm for spatial grayscale (1976). Pixels x + 2y = t need only pixels
    of t - 1, t - 2 and t - 3, so each such diagonal is one step.
    """
    b, h, w, c = x.shape
    steps = w + 2 * (h - 1)
    fixed = jnp.round(jnp.clip(lax.stop_gradient(x), 0, 1) * _ONE).astype(jnp.int32)
    # Rows of steps + 2 numbers, read as rows of `steps`: row y is shifted by 2y.
    rows = jnp.pad(jnp.moveaxis(fixed, 3, 1), ((0, 0), (0, 0), (0, 0), (0, steps + 2 - w)))
    skewed = rows.reshape(b, c, -1)[..., : h * steps].reshape(b, c, h, steps)
    column = np.arange(steps)[:, None] - 2 * np.arange(h)
    inside = (column >= 0) & (column < w)

    def step(errors: Errors, here: tuple[jax.Array, jax.Array]) -> tuple[Errors, jax.Array]:
        value, valid = here
        left, above, before = errors  # of the steps t - 1, t - 2, t - 3
        sums = 7 * left + sum(
            weight * jnp.pad(error, ((0, 0), (0, 0), (1, 0)))[..., :-1]
            for weight, error in ((3, left), (5, above), (1, before))
        )
        value = value + (sums >> 4)
        level = jnp.clip((value * (levels - 1) + _ONE // 2) >> 16, 0, levels - 1)
        # Rounded, so that no level is missed by a hair and its error carried along for ever.
        error = jnp.where(valid, value - (level * _ONE + (levels - 1) // 2) // (levels - 1), 0)
        return (error, left, above), level

    zero = jnp.zeros((b, c, h), jnp.int32)
    level = jnp.moveaxis(lax.scan(step, (zero, zero, zero), (jnp.moveaxis(skewed, 3, 0), jnp.asarray(inside)))[1], 0, 3)
    level = jnp.pad(level.reshape(b, c, -1), ((0, 0), (0, 0), (0, 2 * h))).reshape(b, c, h, steps + 2)[..., :w]
    return _through(jnp.moveaxis(level, 1, 3).astype(x.dtype) / (levels - 1), x)


@operator()
def halftone(
    x: jax.Array,
    size: Annotated[Any, Numbers(2, 4096)],
    *,
    angle: Any = 0.0,
    hardness: Annotated[Any, Numbers(0, 1000, above=True)] = 2.0,
) -> jax.Array:
    """Prints ink dots on a grid for each ink (cyan, magenta, yellow), larger where x is darker. Clipped to [0, 1].

    x: [b h w 3], or [b h w 1] for black ink. size: the distance of the dots, pixels, a number of at least 2; or [b].
    angle: degrees by which all grids are turned, counter-clockwise; or [b]. hardness: of the edges of the dots, from
    about 0.5 (soft) to 10 (jagged); or [b]. The mean of a large even area is kept but for 0.5 / (size * hardness).
    Source: the screen is a sum of two cosines (PostScript Language Reference, 7.4.2), made uniform by its distribution.
    """
    require_colors(x, "halftone", allowed=(1, 3))
    h, w, c = x.shape[1:]
    turns = (per_image(angle, x) + jnp.asarray(_ANGLES[c], x.dtype)) * (math.pi / 180)
    i, j = jnp.arange(h, dtype=x.dtype)[:, None, None], jnp.arange(w, dtype=x.dtype)[:, None]
    waves = 2 * math.pi / per_image(size, x)
    right, up = jnp.cos(turns), jnp.sin(turns)
    spot = jnp.cos(waves * (right * j - up * i)) + jnp.cos(waves * (up * j + right * i))
    table = jnp.asarray(_spot_distribution(), x.dtype)
    place = (spot + 2) * (len(_spot_distribution()) - 1) / 4
    below = jnp.clip(jnp.floor(place), 0, len(_spot_distribution()) - 2)
    first = below.astype(jnp.int32)
    screen = table[first] + (place - below) * (table[first + 1] - table[first])
    sharp = per_image(size, x) * per_image(hardness, x)
    return jnp.clip((sharp + 1) * x - sharp * screen, 0, 1)


@functools.cache
def _spot_distribution() -> np.ndarray:
    """The share of the area where cos a + cos b is below -2 .. 2, at 513 places."""
    angle = np.cos((np.arange(512) + 0.5) * (np.pi / 512))
    values = np.sort((angle[:, None] + angle).ravel())
    return np.searchsorted(values, np.linspace(-2, 2, 513)) / values.size


def _through(steps: jax.Array, x: jax.Array) -> jax.Array:
    """`steps`, with the gradient of x."""
    return steps + (x - lax.stop_gradient(x))
