"""Histogram equalization, CLAHE and matching, by piecewise linear curves, so without banding.

Gradients treat the curves, which are made of counts, as constants.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import luma, operator, per_image, reflect, strengths
from gen.imaging._segment_sum import histogram, stored
from gen.imaging.bounds import Bins, whole
from gen.imaging.color.spaces import lab_to_rgb, rgb_to_lab

Space = Literal["luma", "lab", "channels"]


@operator()
def equalize(x: jax.Array, *, amount: Any = 1.0, space: Space = "luma", bins: Bins = 256) -> jax.Array:
    """Spreads the values so that all of [0, 1] is used equally often; the darkest becomes 0, the brightest 1.

    x [b h w c]. `amount` blends with x: 0 leaves it, [b] for each image. `space` is what is spread in a color image:
    "luma" (Rec. 709, its change is added to all channels), "lab" (lightness), "channels" (each alone, shifts colors).
    Clipped to [0, 1]; a constant image stays. Between its `bins` levels the curve is linear, and a pixel between two
    levels counts for both, so different values stay different.
    Equals cv2.equalizeHist before its rounding, on gray images of 8-bit values with 256 bins.
    """
    # Counted in parts of a level, so that one sum over the pixels is enough for both levels that a pixel lies between.
    parts = max(2**14 // bins, 1)

    def curve(y: jax.Array) -> jax.Array:
        b, h, w = y.shape
        v = jnp.clip(y, 0, 1) * (bins - 1)
        fixed = lax.stop_gradient(v)
        fine = histogram(jnp.floor(fixed * parts + 0.5).astype(jnp.int32).reshape(b, -1), bins * parts)
        fine = fine.reshape(b, bins, parts).astype(y.dtype)
        over = jnp.sum(fine * (np.arange(parts) / parts).astype(y.dtype), axis=-1)
        counts = jnp.sum(fine, axis=-1) - over + jnp.pad(over[:, :-1], ((0, 0), (1, 0)))
        table = jnp.cumsum(counts, axis=1) / (h * w)
        lines = stored(lax.complex(table[:, :-1], jnp.diff(table, axis=1)))  # one look for the start and the slope

        def spread(v: jax.Array) -> jax.Array:
            level = jnp.clip(jnp.floor(lax.stop_gradient(v)), 0, bins - 2).astype(jnp.int32)
            row = (bins - 1) * jnp.arange(b, dtype=jnp.int32)[:, None, None]
            line = lax.optimization_barrier(_look(lines, row + level))
            return line.real + (v - level) * line.imag

        ends = spread(_ends(fixed))
        least, most = ends[..., :1], ends[..., 1:]
        return jnp.where(most > least, (spread(v) - least) / jnp.where(most > least, most - least, 1), y)

    return _through(x, space, curve, amount)


@operator()
def clahe(
    x: jax.Array, clip: Any, *, tiles: Annotated[tuple[int, int], whole(1, 64)] = (8, 8), space: Space = "luma"
) -> jax.Array:
    """Equalizes histograms by tiles with limited contrast (CLAHE): a pixel blends the curves of the nearest four tiles.

    x [b h w c]. `clip` is the steepest slope of a curve, as a multiple of the even histogram: 1 changes little, 2 to 4
    is usual, 0 or less means no limit; [b] for each image. `tiles` (rows, columns). `space` as in `equalize`: color
    images through "luma" by default. Clipped to [0, 1]. Curves have 256 levels and are linear between them.
    Source: Zuiderveld, Graphics Gems IV (1994), with the choices of OpenCV: tiles blend from half a pixel off
    their centers (so flipping the image is not exactly flipping the result) and curves are rounded to 8 bits.
    Equals cv2.createCLAHE(clip, tiles[::-1]).apply before its last rounding, on gray images of 8-bit values.
    """
    if not isinstance(tiles, tuple) or len(tiles) != 2:
        raise InputError(f"clahe: tiles={tiles!r}; allowed: two whole numbers of at least 1, such as (8, 8)")
    repeat = 1 if x.shape[-1] == 3 and space != "channels" else x.shape[-1]
    limit = strengths(clip, x)
    limit = jnp.repeat(limit, repeat) if limit.ndim else limit
    return _through(x, space, lambda y: _adaptive(y, limit, tiles))


def _adaptive(y: jax.Array, clip: jax.Array, tiles: tuple[int, int]) -> jax.Array:
    """CLAHE of gray images [b h w]."""
    b, h, w = y.shape
    rows, columns = tiles
    value = jnp.clip(y, 0, 1) * 255
    fixed = lax.stop_gradient(value)
    # As OpenCV: if one size is not a multiple of its tiles, both are padded to the next multiple that is larger.
    high, wide = (rows - h % rows, columns - w % columns) if h % rows or w % columns else (0, 0)
    whole = jnp.floor(fixed + 0.5).astype(jnp.int32)
    if high or wide:
        whole = jnp.take(jnp.take(whole, reflect(h, 0, high), 1), reflect(w, 0, wide), 2)
    tall, broad = (h + high) // rows, (w + wide) // columns
    area = tall * broad
    counts = histogram(
        whole.reshape(b, rows, tall, columns, broad).transpose(0, 1, 3, 2, 4).reshape(b, rows * columns, area), 256
    )

    limit = jnp.maximum(jnp.floor(clip * area / 256), 1)
    limit = jnp.where(clip > 0, limit, area).astype(jnp.int32).reshape(-1, 1, 1)
    excess = jnp.sum(jnp.maximum(counts - limit, 0), axis=-1, keepdims=True)
    rest = excess % 256
    step = jnp.maximum(256 // jnp.maximum(rest, 1), 1)
    level = jnp.arange(256, dtype=jnp.int32)
    counts = jnp.minimum(counts, limit) + excess // 256 + ((level % step == 0) & (level < rest * step))
    tables = jnp.round(jnp.cumsum(counts, axis=-1).astype(jnp.float32) * (np.float32(255) / np.float32(area)))
    tables = stored(jnp.minimum(tables, 255)).astype(jnp.uint32).reshape(b, rows, columns, 256)

    # The curves of the four tiles around a pixel are the four bytes of a word: one look for all.
    tables = jnp.pad(tables, ((0, 0), (1, 1), (1, 1), (0, 0)), mode="edge")
    upper, lower = (side[:, :, :-1] | side[:, :, 1:] << 8 for side in (tables[:, :-1], tables[:, 1:]))
    words = stored(upper | lower << 16)
    (cell, down), (beside, across) = _between(h, tall), _between(w, broad)
    i = jnp.clip(jnp.floor(fixed), 0, 254).astype(jnp.int32)
    image = (rows + 1) * (columns + 1) * jnp.arange(b, dtype=jnp.int32)[:, None, None]
    at = i + 256 * (image + (columns + 1) * cell[:, None] + beside)
    low, high = lax.optimization_barrier((_look(words, at), _look(words, at + 1)))
    part, u, v = value - i, jnp.asarray(across, y.dtype), jnp.asarray(down[:, None], y.dtype)

    def curve(tile: int) -> jax.Array:
        start, end = ((word >> 8 * tile & 255).astype(jnp.int32).astype(y.dtype) for word in (low, high))
        return start + part * (end - start)

    above, below = curve(0) * (1 - u) + curve(1) * u, curve(2) * (1 - u) + curve(3) * u
    return (above * (1 - v) + below * v) / 255


def _between(n: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """For each of n pixels: the tile after it, and its weight; the one before has the number before."""
    at = np.arange(n, dtype=np.float32) * np.float32(1 / size) - np.float32(0.5)
    before = np.floor(at).astype(np.int32)
    return before + 1, at - before


@operator()
def match_histogram(x: jax.Array, reference: jax.Array, *, amount: Any = 1.0, bins: Bins = 256) -> jax.Array:
    """Gives each channel of x the distribution of the same channel of the reference.

    x [b h w c], reference [b or 1, any h, any w, c]. `amount` blends with x: 0 leaves it, [b] for each image. `bins`
    levels in [0, 1], 2 to 1024. Both distribution functions are linear inside a bin, and a bin of x that has pixels
    becomes a range of values, never one value: different values stay different, so a gradient gets no bands. An
    image matched to itself stays. Values outside [0, 1] continue the line of the first or last bin.
    Like skimage.exposure.match_histograms, which maps all pixels of a level to one value.
    """
    check_reference(x, reference, "match_histogram")
    b, h, w, c = x.shape
    rows = jnp.moveaxis(x, -1, 1).reshape(b, c, h * w)
    wanted = jnp.moveaxis(reference, -1, 1).reshape(reference.shape[0], c, -1)
    matched = transport(rows, wanted, jnp.zeros((), x.dtype), jnp.ones((), x.dtype), bins)
    matched = jnp.moveaxis(matched.reshape(b, c, h, w), 1, -1)
    return x + per_image(amount, x) * (matched - x)


def transport(x: jax.Array, wanted: jax.Array, low: jax.Array, high: jax.Array, bins: int) -> jax.Array:
    """x [b c n] moved, increasingly, to the distribution of wanted [b or 1, c, m]; bins lie between low and high.

    low and high are [] or [b c 1]. The first and the last bin have half the width of the others, which are centered on
    low + i (high - low) / (bins - 1): 8-bit levels lie in the middle of 256 bins.
    """
    low, scale = lax.stop_gradient(low), (bins - 1) / lax.stop_gradient(jnp.maximum(high - low, 1e-12))

    def level(values: jax.Array) -> jax.Array:
        return jnp.clip(jnp.round((values - low) * scale), 0, bins - 1).astype(jnp.int32)

    # Distribution functions at the bins + 1 edges.
    edges = jnp.clip(jnp.arange(bins + 1, dtype=x.dtype) - 0.5, 0, bins - 1)
    inside = level(lax.stop_gradient(x))
    f = jnp.pad(jnp.cumsum(histogram(inside, bins), -1), ((0, 0), (0, 0), (1, 0))).astype(x.dtype) / x.shape[-1]
    g = jnp.pad(jnp.cumsum(histogram(level(wanted), bins), -1), ((0, 0), (0, 0), (1, 0))).astype(x.dtype)
    g = jnp.broadcast_to(g / wanted.shape[-1], f.shape)

    def inverse(p: jax.Array, after: bool) -> jax.Array:
        """Where g reaches p, in bins: the last place of an empty stretch if `after`, else the first."""
        reached = (g[..., None, 1:-1] <= p[..., None]) if after else (g[..., None, 1:-1] < p[..., None])
        i = jnp.sum(reached, axis=-1, dtype=jnp.int32)
        start, end = (jnp.take_along_axis(g, i + k, -1) for k in (0, 1))
        t = jnp.where(end > start, (p - start) / jnp.where(end > start, end - start, 1), 0)
        return edges[i] + jnp.clip(t, 0, 1) * (edges[i + 1] - edges[i])

    # An empty stretch of `wanted` is left out: a bin of x begins behind it and the one before ends in front of it.
    begin, end = inverse(f[..., :-1], True), inverse(f[..., 1:], False)
    slope = (end - begin) / (edges[1:] - edges[:-1])
    at = inside + bins * jnp.arange(f.shape[0] * f.shape[1], dtype=jnp.int32).reshape(*f.shape[:2], 1)
    moved = _look(stored(begin), at) + _look(stored(slope), at) * ((x - low) * scale - jnp.maximum(inside - 0.5, 0))
    return low + moved / scale


def check_reference(x: jax.Array, reference: jax.Array, place: str) -> None:
    """Raises InputError unless the reference has the channels of x, and its batch or one image."""
    if reference.shape[-1] != x.shape[-1]:
        raise InputError(f"{place}: reference has {reference.shape[-1]} channels; allowed: {x.shape[-1]}, as x has")
    if reference.shape[0] not in (1, x.shape[0]):
        raise InputError(f"{place}: reference has {reference.shape[0]} images; allowed: 1 or {x.shape[0]}, as x has")


def _ends(v: jax.Array) -> jax.Array:
    """The least and the largest value of each image [b h w]: [b 1 2]. By columns first, which is faster on XLA:CPU."""
    least, most = lax.optimization_barrier((jnp.min(v, axis=1), jnp.max(v, axis=1)))
    return jnp.stack([jnp.min(least, axis=1), jnp.max(most, axis=1)], axis=-1)[:, None]


def _look(tables: jax.Array, at: jax.Array) -> jax.Array:
    """Values at places of the flattened tables, all known to be inside."""
    return tables.reshape(-1).at[at].get(mode="promise_in_bounds")


def _through(x: jax.Array, space: str, change: Any, amount: Any = 1.0) -> jax.Array:
    """change(y [n h w]) applied to the `space` of x [b h w c], blended with x by amount, clipped to [0, 1]."""
    b, h, w, c = x.shape
    if c == 3 and space == "lab":
        lab = rgb_to_lab(x)
        y = lab[..., 0] / 100
        changed = lab_to_rgb(jnp.concatenate([100 * change(y)[..., None], lab[..., 1:]], axis=-1))
    elif c == 3 and space == "luma":
        y = stored(luma(x)[..., 0])
        changed = x + stored(change(y) - y)[..., None]
    else:
        changed = change(jnp.moveaxis(x, -1, 1).reshape(b * c, h, w))
        changed = jnp.moveaxis(changed.reshape(b, c, h, w), 1, -1)
    return jnp.clip(x + per_image(amount, x) * (changed - x), 0, 1)
