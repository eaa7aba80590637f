"""The arithmetic under the color spaces and the grading: pixels as planes, powers, sRGB's curve, Oklab.

Powers are exp(p log x), which on XLA:CPU is several times faster than pow or cbrt. They are vectorized on planes, but
not across the step from interleaved channels to planes, and a mix of channels that is fused with them computes them
again for each output. So planes with powers are stored: written into an array, which XLA does not fuse (XLA:CPU drops
optimization_barrier before it fuses). Together this makes Oklab ten times faster. Without powers, fusing is faster.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np

Matrix = Sequence[Sequence[float]]


def inverse(matrix: Matrix) -> Matrix:
    """Of a 3x3 matrix, in float64."""
    return np.linalg.inv(np.array(matrix, np.float64)).tolist()


# Linear sRGB to XYZ (IEC 61966-2-1, six digits) and the D65 white of CIE 1931, both as scikit-image has them.
XYZ = ((0.412453, 0.357580, 0.180423), (0.212671, 0.715160, 0.072169), (0.019334, 0.119193, 0.950227))
WHITE = (0.95047, 1.0, 1.08883)
# Ottosson, "A perceptual color space for image processing" (2020): linear sRGB to cones, their roots to Oklab.
_OK_CONES = (
    (0.4122214708, 0.5363325363, 0.0514459929),
    (0.2119034982, 0.6806995451, 0.1073969566),
    (0.0883024619, 0.2817188376, 0.6299787005),
)
_OK_LAB = (
    (0.2104542553, 0.7936177850, -0.0040720468),
    (1.9779984951, -2.4285922050, 0.4505937099),
    (0.0259040371, 0.7827717662, -0.8086757660),
)
_OK_CONES_INVERSE, _OK_LAB_INVERSE = inverse(_OK_CONES), inverse(_OK_LAB)
TINY = 1e-15  # below it a difference is none: its reciprocal squared is still a float32


def store(planes: Sequence[jax.Array]) -> jax.Array:
    """Planes to one array [3 ...] that is computed once, whatever is made of it."""
    out = jnp.zeros((len(planes), *planes[0].shape), planes[0].dtype)
    for i, plane in enumerate(planes):
        out = out.at[i].set(plane)
    return out


def channels(x: jax.Array) -> list[jax.Array]:
    """[... 3] to planes."""
    return [x[..., i] for i in range(x.shape[-1])]


def split(x: jax.Array) -> jax.Array:
    """[... 3] to stored planes [3 ...]."""
    return store(channels(x))


def join(planes: Sequence[jax.Array] | jax.Array) -> jax.Array:
    """Planes to [... 3]."""
    return jnp.moveaxis(jnp.stack(list(planes)), 0, -1)  # faster than a stack on the last axis


def _dot(row: Sequence[float], planes: Sequence[jax.Array] | jax.Array) -> jax.Array:
    r, g, b = planes
    return row[0] * r + row[1] * g + row[2] * b


def mix(matrix: Matrix, planes: Sequence[jax.Array] | jax.Array) -> list[jax.Array]:
    """Three planes to three by a 3x3 matrix."""
    return [_dot(row, planes) for row in matrix]


def power(x: jax.Array, exponent: jax.Array | float) -> jax.Array:
    """sign(x) |x| ** exponent, 0 and with gradient 0 where |x| < 1e-15; at most 1e26."""
    size = jnp.maximum(jnp.abs(x), TINY)
    root = jnp.exp(jnp.minimum(exponent * jnp.log(size), 60))
    return jnp.where(size > TINY, jnp.where(x < 0, -root, root), 0.0)


def above(x: jax.Array, threshold: float, exponent: float) -> jax.Array:
    """x ** exponent, for x above the threshold; something finite elsewhere."""
    return jnp.exp(exponent * jnp.log(jnp.maximum(x, threshold)))


def linear(x: jax.Array) -> jax.Array:
    """Display-referred sRGB to linear light (IEC 61966-2-1)."""
    curve = above((x + 0.055) / 1.055, (0.04045 + 0.055) / 1.055, 2.4)
    return jnp.where(x > 0.04045, curve, x * (1 / 12.92))


def display(x: jax.Array) -> jax.Array:
    """Linear light to display-referred sRGB."""
    return jnp.where(x > 0.0031308, 1.055 * above(x, 0.0031308, 1 / 2.4) - 0.055, x * 12.92)


def divide(numerator: jax.Array, denominator: jax.Array) -> jax.Array:
    """Quotient, 0 where the denominator is not above 1e-15."""
    valid = denominator > TINY
    return jnp.where(valid, numerator, 0.0) / jnp.where(valid, denominator, 1.0)


def _root(cones: jax.Array) -> jax.Array:
    """Cube roots; vertical at 0, so a straight line replaces them below 1e-9 (a display value of 1.3e-8)."""
    size = jnp.abs(cones)
    root = jnp.exp(jnp.log(jnp.maximum(size, 1e-9)) / 3)
    return jnp.where(size < 1e-9, cones * 1e6, jnp.where(cones < 0, -root, root))


def light(x: jax.Array) -> jax.Array:
    """sRGB [... 3] to stored planes [3 ...] of linear light."""
    return store([linear(plane) for plane in split(x)])


def show(planes: Sequence[jax.Array] | jax.Array) -> jax.Array:
    """Planes of linear light to display-referred sRGB [... 3]."""
    return join(store([display(plane) for plane in planes]))


def oklab(x: jax.Array) -> list[jax.Array]:
    """sRGB [... 3] to planes of Oklab."""
    return mix(_OK_LAB, store([_root(cone) for cone in mix(_OK_CONES, light(x))]))


def from_oklab(planes: Sequence[jax.Array] | jax.Array) -> jax.Array:
    """Planes of Oklab to sRGB [... 3]."""
    roots = mix(_OK_LAB_INVERSE, planes)
    cones = [jnp.where(jnp.abs(root) < 1e-3, root * 1e-6, root * root * root) for root in roots]
    return show(mix(_OK_CONES_INVERSE, cones))


def shift_oklab(x: jax.Array, change: Callable[[list[jax.Array]], Sequence[jax.Array]]) -> jax.Array:
    """sRGB [... 3] moved in Oklab by change(planes of Oklab); where that is 0 to the last digit x stays x.

    There and back through float32 would lose 1e-5 in saturated colors, so the shift itself is carried back:
    (r + d)^3 - r^3 for each root r.
    """
    rgb = light(x)
    roots = store([_root(cone) for cone in mix(_OK_CONES, rgb)])
    shifts = mix(_OK_LAB_INVERSE, change(mix(_OK_LAB, roots)))
    cones = [d * (3 * root * (root + d) + d * d) for root, d in zip(roots, shifts, strict=True)]
    return show([a + b for a, b in zip(rgb, mix(_OK_CONES_INVERSE, cones), strict=True)])
