"""What a lens and a film do to a picture: vignette, bloom, halation, chromatic aberration, grain."""

from __future__ import annotations

import math
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.imaging._operator import luma, operator, per_image, require_colors, strengths
from gen.imaging.bounds import Numbers, Radius, Sigma
from gen.imaging.color.spaces import from_linear, to_linear
from gen.imaging.filters import _separable
from gen.imaging.filters.smooth import gaussian


@operator()
def grain(
    key: jax.Array, x: jax.Array, amount: Any, *, size: Annotated[float, Numbers(0, 64)] = 0.7, color: bool = False
) -> jax.Array:
    """Adds film grain: noise in clumps, strongest at middle gray, none in black and white. Not clipped.

    key: jax.random.key, one for all images (they get different grain), or [b]; a single image and a batch of one get
    the same from it. x: [b h w c]. amount: standard deviation at middle gray, such as 0.05; or [b].
    size: sigma of the clumps in pixels, up to 64, a number; 0: each pixel by itself. color: grain for each channel by
    itself.
    Source: the variance p (1 - p) of a layer of opaque grains (Nutting 1913), smoothed by the grains' own shape.
    """
    require_colors(x, "grain", allowed=(1, 3))
    b, h, w, c = x.shape
    if not jnp.issubdtype(key.dtype, jax.dtypes.prng_key) or key.shape not in ((), (b,)):
        raise InputError(
            f"grain: key is {key.dtype} {list(key.shape)}; allowed: jax.random.key(seed), or one per image"
        )
    keys = key if key.ndim else jax.random.split(key, b) if b > 1 else key[None]
    noise = jax.vmap(lambda key: jax.random.normal(key, (h, w, c if color else 1), jnp.float32))(keys).astype(x.dtype)
    if size > 0:
        radius = math.ceil(4 * size)
        taps = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / size))
        taps /= np.sqrt(np.square(taps).sum())  # keeps the variance, away from the border
        noise = _separable.separable(noise, taps)
    gray = jnp.clip(x if color else luma(x), 0, 1)
    return x + per_image(amount, x) * 4 * gray * (1 - gray) * noise


@operator()
def vignette(x: jax.Array, amount: Any, *, start: Any = 0.3) -> jax.Array:
    """Darkens an image towards its corners, in linear light.

    x: [b h w c]. amount: the share of light that is lost in the corners, 0 (nothing changes) to 1, below 0 brighter;
    or [b]. start: where it begins, as a share of the way from the center to the corners, 0 to 1; or [b].
    """
    h, w = x.shape[1:3]
    rows, columns = (np.arange(n) - (n - 1) / 2 for n in (h, w))
    distance = np.sqrt(np.square(rows)[:, None, None] + np.square(columns)[:, None])
    distance = jnp.asarray(distance / max(math.hypot((h - 1) / 2, (w - 1) / 2), 1), x.dtype)
    start = per_image(start, x)
    t = jnp.clip((distance - start) / jnp.maximum(1 - start, 1e-3), 0, 1)
    gain = 1 - per_image(amount, x) * t * t * (3 - 2 * t)
    return from_linear(to_linear(x) * gain)


@_separable.sized
@operator()
def bloom(x: jax.Array, sigma: Sigma, amount: Any, *, threshold: Any = 0.7, radius: Radius | None = None) -> jax.Array:
    """Spreads the light of highlights over their surroundings, as a lens does, in linear light. Stays in [0, 1].

    x: [b h w c]. sigma: of the spread, pixels, a number, or [b]. amount: 0 (nothing changes) to 1; or [b].
    threshold: the luma in linear light from which highlights begin, 0 to below 1; or [b].
    radius: where the spread ends, pixels; None: ceil(4 sigma), if sigma is a number.
    The light is added as by a second exposure that cannot exceed white: a + b (1 - a), "screen".
    """
    require_colors(x, "bloom", allowed=(1, 3))
    light = to_linear(x)
    glow = gaussian(_highlights(light, threshold), sigma, radius=radius)
    return _expose(light, per_image(amount, x) * glow)


@_separable.sized
@operator()
def halation(
    x: jax.Array,
    sigma: Sigma,
    amount: Any,
    *,
    threshold: Any = 0.7,
    tint: Any = (1.0, 0.3, 0.1),
    radius: Radius | None = None,
) -> jax.Array:
    """Adds the red glow of light that the base of a film reflects around highlights, in linear light. Stays in [0, 1].

    x: [b h w 3]. sigma, amount, threshold, radius: as in bloom. tint: the color of the glow, linear red, green, blue,
    each from 0 to 1: red goes deepest into the film.
    """
    require_colors(x, "halation")
    if jnp.shape(jnp.asarray(tint)) != (3,):
        raise InputError(f"halation: tint has shape {list(jnp.shape(jnp.asarray(tint)))}; allowed: three numbers")
    light = to_linear(x)
    glow = gaussian(luma(_highlights(light, threshold)), sigma, radius=radius)
    return _expose(light, per_image(amount, x) * glow * jnp.asarray(tint, x.dtype))


@operator()
def chromatic_aberration(x: jax.Array, amount: Any) -> jax.Array:
    """Magnifies red and shrinks blue a little, as a simple lens does: colored fringes away from the center.

    x: [b h w 3]. amount: by how many pixels red moves outwards and blue inwards in the corners, 0 (nothing changes);
    below 0 the other way; or [b]. Interpolated linearly; what comes from outside is the outermost pixel.
    """
    require_colors(x, "chromatic_aberration")
    h, w = x.shape[1:3]
    share = jnp.broadcast_to(strengths(amount, x), x.shape[:1]) / max(math.hypot((h - 1) / 2, (w - 1) / 2), 1)
    red, green, blue = (x[..., i] for i in range(3))
    return jnp.stack([_magnified(red, share), green, _magnified(blue, -share)], axis=-1)


def _magnified(plane: jax.Array, share: jax.Array) -> jax.Array:
    """[b h w] from the places that are nearer to the center by that share of their distance [b]."""
    for axis in (1, 2):
        n = plane.shape[axis]
        if n == 1:
            continue
        center = (n - 1) / 2
        place = center + jnp.asarray(np.arange(n) - center, plane.dtype) * (1 - share[:, None])
        place = jnp.clip(place, 0, n - 1)
        first = jnp.clip(jnp.floor(place), 0, n - 2)
        fraction = jnp.expand_dims(place - first, 3 - axis)
        pick = jax.vmap(lambda image, index, axis=axis: jnp.take(image, index, axis=axis - 1))
        index = first.astype(jnp.int32)
        lower = pick(plane, index)
        plane = lower + fraction * (pick(plane, index + 1) - lower)
    return plane


def _highlights(light: jax.Array, threshold: Any) -> jax.Array:
    """Light times a smooth step of its luma, 0 at the threshold, 1 at white."""
    threshold = per_image(threshold, light)
    t = jnp.clip((luma(light) - threshold) / jnp.maximum(1 - threshold, 1e-3), 0, 1)
    return light * t * t * (3 - 2 * t)


def _expose(light: jax.Array, glow: jax.Array) -> jax.Array:
    """Both, display-referred; glow alone does not exceed white."""
    return from_linear(light + glow * jnp.maximum(1 - light, 0))
