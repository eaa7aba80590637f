"""Applies chains to images with transparency: hidden colors never show, and transparency keeps its place.

Operators look at neighborhoods and at statistics of the whole image, so hidden pixels must hold something. They get
what leaves both as they are without them: near what can be seen its reflection, which is what operators see beyond the
border of any image, and farther away pixels of the image, such that in all each of its pixels occurs equally often, as
nearly as can be. Nothing that was hidden takes part.

Partly transparent pixels keep their own colors, and solid pixels see them by their weight: alpha times their color, the
rest what would be there if they were hidden. A resize averages colors weighted by alpha, and alpha with them.

Images are float32 [h w c] in [0, 1], alpha float32 [h w] in [0, 1], 0 = hidden.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from gen.errors import InputError

if TYPE_CHECKING:
    import jax

    from gen.imaging.chain import Chain

_REACH = 32.0  # pixels: how far from what can be seen its reflection goes
_GOLDEN = 0.6180339887498949
_RESIZING = "resize"  # the operator that moves pixels


def refine(
    post: Chain, image: np.ndarray, alpha: np.ndarray, *, key: jax.Array | None = None, **given: Any
) -> tuple[np.ndarray, np.ndarray]:
    """Applies a chain to an image and its alpha. key, given: as the chain takes them. Raises InputError.

    Between the steps before and after a resize values are clipped to [0, 1].
    """
    import jax

    if alpha.min() == 1:  # opaque: nothing to keep apart
        image = np.asarray(post(image, key=key, **given))
        return image, np.ones(image.shape[:2], np.float32)
    for i, part in enumerate(_parts(post)):
        if part.steps[0].name == _RESIZING:
            image, alpha = _resized(part, image, alpha)
        else:
            image = _seen_apart(
                part, image, alpha, key=key if not i or key is None else jax.random.fold_in(key, i), **given
            )
    return _nearest(image, alpha > 0), alpha


def extended(image: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Replaces all that is not `visible`, bool [h w], by visible pixels, as the module describes."""
    height, width, channels = image.shape
    if visible.all() or not visible.any():
        return image if visible.any() else np.zeros_like(image)
    distance, row, column = (plane.ravel() for plane in _to_visible(visible))
    near = np.flatnonzero((distance > 0) & (distance <= _REACH))
    near = near[np.argsort(np.rint(distance[near] ** 2).astype(np.uint16), kind="stable")]  # of 16 bits: fast
    mirrored_row = 2 * row[near] - near // width
    mirrored_column = 2 * column[near] - near % width
    inside = (mirrored_row >= 0) & (mirrored_row < height) & (mirrored_column >= 0) & (mirrored_column < width)
    source = np.where(inside, mirrored_row * width + mirrored_column, 0)
    source = np.where(inside & visible.ravel()[source], source, row[near] * width + column[near])
    # A pixel may occur as often as all do on average; what is beyond that, or far away, is filled to make up for it.
    places, hidden = np.flatnonzero(visible), int(visible.size - visible.sum())
    few = _occurrence(source) < max(1, hidden // len(places))
    near, source = near[few], source[few]
    rest = ~visible.ravel()
    rest[near] = False
    pixels = image.reshape(-1, channels)
    out = pixels.copy()
    out[near] = pixels[source]
    out[rest] = pixels[_missing(pixels, places, np.bincount(source, minlength=height * width), hidden)]
    return out.reshape(image.shape)


def _parts(post: Chain) -> list[Chain]:
    """Cuts a chain before and after each resize."""
    from gen.imaging.chain import Chain

    parts: list[list[Any]] = []
    for step in post.steps:
        if not parts or _RESIZING in (step.name, parts[-1][-1].name):
            parts.append([])
        parts[-1].append(step)
    return [Chain(tuple(steps)) for steps in parts]


def _resized(part: Chain, image: np.ndarray, alpha: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    plane = alpha[..., None]
    smaller = np.asarray(part(plane))
    weighted = np.asarray(part(image * plane))
    filled = np.asarray(part(extended(image, alpha > 0)))
    certain = smaller > 1 / 512  # below, the quotient of two small numbers may be anything
    return np.where(certain, np.clip(weighted / np.where(certain, smaller, 1), 0, 1), filled), smaller[..., 0]


def _seen_apart(post: Chain, image: np.ndarray, alpha: np.ndarray, **given: Any) -> np.ndarray:
    """Applies a chain that moves no pixels."""
    weight = (alpha / max(alpha.max(), np.float32(1e-6)))[..., None]
    own = extended(image, alpha > 0)
    out = np.asarray(post(own, **given))
    solid = weight > 0.999
    if not (solid | (weight == 0)).all():
        mixed = weight * own + (1 - weight) * extended(image, solid[..., 0])
        out = np.where(solid, np.asarray(post(mixed, **given)), out)
    if out.shape[:2] != alpha.shape:
        raise InputError(f"the chain makes {out.shape[1]}x{out.shape[0]} of {alpha.shape[1]}x{alpha.shape[0]} pixels; "
                         "with transparency only resize may")  # fmt: skip
    return out


def _nearest(image: np.ndarray, visible: np.ndarray) -> np.ndarray:
    """Fills hidden pixels with the nearest visible color, which programs that ignore alpha show."""
    if visible.all() or not visible.any():
        return image
    _, row, column = _to_visible(visible)
    return image[row, column]


def _to_visible(visible: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Returns for each pixel the distance to the nearest visible one, its row and its column."""
    from scipy import ndimage

    distance, (row, column) = ndimage.distance_transform_edt(~visible, return_indices=True)
    return distance, row.astype(np.int64), column.astype(np.int64)


def _occurrence(values: np.ndarray) -> np.ndarray:
    """Counts for each value the equal ones before it."""
    order = np.argsort(values, kind="stable")
    ranked = values[order]
    start = np.r_[True, ranked[1:] != ranked[:-1]]
    count = np.arange(len(values))
    out = np.empty(len(values), np.int64)
    out[order] = count - np.maximum.accumulate(np.where(start, count, 0))
    return out


def _missing(pixels: np.ndarray, places: np.ndarray, used: np.ndarray, total: int) -> np.ndarray:
    """Chooses visible pixels to repeat: `total` with those `used` already, spread evenly by brightness.

    pixels: [n c]. places: which are visible. used: how often each was repeated already. Mixed in space.
    """
    brightness = pixels[places].mean(-1)
    ranked = places[np.argsort(np.rint(np.clip(brightness, 0, 1) * 65535).astype(np.uint16), kind="stable")]
    wanted = total * np.arange(1, len(ranked) + 1) // len(ranked) - np.cumsum(used[ranked])
    # Never fewer than before, and not more than there is room for.
    drawn = np.clip(np.maximum.accumulate(wanted), 0, total - int(used.sum()))
    found = np.repeat(ranked, np.diff(drawn, prepend=0))
    stride = max(1, round(len(found) * _GOLDEN))
    while math.gcd(stride, len(found)) > 1:
        stride += 1
    return found[np.arange(len(found)) * stride % max(1, len(found))]
