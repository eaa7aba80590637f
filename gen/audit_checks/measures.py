"""All numbers of one image by which it is judged."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gen.audit_checks import compression, degradations, sharpness, tone

_SIDE = 512  # pixels: larger images are halved to at most this for edges, tone and borders
_BLOCKS, _COMPRESSED = 0.1, 50  # of `blocking` and of quality, from which on periods are those of JPEG
_TILE = 256  # pixels of the central square, as it is in the file, in which noise and blocks are looked for


class Measures(NamedTuple):
    """Numbers of an image; nan where it is too small, or too plain, to tell."""

    edge_width: float  # pixels, of the image reduced to at most 512
    detail: float
    periodicity: float
    repetition: float
    noise: float  # levels of 255
    whiteness: float  # of the noise
    impulses: float
    blocking: float
    quality: float  # of the JPEG that it was once, 1 to 60
    brightest: float
    palest: float
    contrast: float
    chroma: float
    mean: float
    information: float  # standard deviation over areas of a 16th of the side, in levels of 255
    border: float


def measure(image: np.ndarray, *, alpha: np.ndarray | None = None) -> Measures:
    """Measures an image uint8 [h w c], c = 1 or 3; alpha: uint8 [h w], of an image on white.

    Light and color are of pixels that are rather opaque, all else is of what is shown.
    """
    small = reduced(image)
    seen = None if alpha is None else reduced(alpha[..., None])[..., 0] >= 128
    luma, tile = tone.luminance(small), tone.luminance(_center(image))
    found, blocking = tone.tone(small, opaque=seen), degradations.blocking(tile)
    quality = compression.compressed(_center(image))
    if seen is not None:
        found = found._replace(contrast=tone.tone(small).contrast)
    noise, whiteness = degradations.noise(tile)
    return Measures(
        edge_width=sharpness.edge_width(luma),
        detail=sharpness.detail(tile),
        periodicity=0.0 if blocking >= _BLOCKS or quality <= _COMPRESSED else sharpness.periodicity(tile),
        repetition=sharpness.repetition(tile),
        noise=noise,
        whiteness=whiteness,
        impulses=degradations.impulses(tile),
        blocking=blocking,
        quality=quality,
        **found._asdict(),
        information=_information(luma),
        border=0.0 if alpha is not None and not seen.all() else tone.border(luma),  # type: ignore[union-attr]
    )


def reduced(image: np.ndarray) -> np.ndarray:
    """Averages squares of pixels, so that no side has more than 512: float32 [h w c] then, else as it is."""
    times = math.ceil(max(image.shape[:2]) / _SIDE)
    if times == 1:
        return image
    height, width = (max(1, side // times) for side in image.shape[:2])
    if min(image.shape[:2]) < times:  # a line of pixels
        return image[::times, ::times].astype(np.float32)
    cut = image[: height * times, : width * times].reshape(height, times, width, times, -1)
    return cut.mean((1, 3), dtype=np.float32)


def _center(image: np.ndarray) -> np.ndarray:
    """Returns the central square of at most _TILE pixels, beginning at a multiple of 8, where a JPEG has its blocks."""
    top, left = (max(0, (side - _TILE) // 2) // 8 * 8 for side in image.shape[:2])
    return image[top : top + _TILE, left : left + _TILE]


def _information(luma: np.ndarray) -> float:
    height, width = (np.linspace(0, side, min(16, side) + 1).astype(int)[:-1] for side in luma.shape)
    sums = np.add.reduceat(np.add.reduceat(luma.astype(np.float64), height, 0), width, 1)
    counts = np.outer(np.diff([*height, luma.shape[0]]), np.diff([*width, luma.shape[1]]))
    return float((sums / counts).std())
