"""Light, contrast and color of an image [h w c] in 0..255, c = 1 or 3, and bands of one color around it."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

_FLAT = 4.0  # levels by which pixels of a band of one color may differ, as a standard deviation
_EDGE = 8.0  # levels of the step between band and picture
_ALONG, _FRAMED = (0.5, 0.25), (0.92, 0.8)  # share of the border, and of its ends, with that step; in a frame
_ENDS = 0.08  # share of the border at each end
_LEAST, _MOST = 0.02, 0.45  # of the side, for one band


def luminance(image: np.ndarray) -> np.ndarray:
    """Returns the luma of Rec. 601, float32 [h w], of an image [h w c] in 0..255."""
    if image.shape[-1] == 1:
        return image[..., 0].astype(np.float32)
    return image.astype(np.float32) @ np.array([0.299, 0.587, 0.114], np.float32)


class Tone(NamedTuple):
    """Shares of the range from black, 0, to white, 1."""

    brightest: float  # of the brightest channel, the 98th percentile: low for dark images, of one color or not
    palest: float  # of the darkest channel, the 1st percentile: high for images that are pale everywhere
    contrast: float  # of the luminance, the 98th percentile less the 2nd
    chroma: float  # the brightest channel less the darkest, the 99th percentile: 0 for gray
    mean: float  # of the luminance


def tone(image: np.ndarray, *, opaque: np.ndarray | None = None) -> Tone:
    """Measures an image [h w c]. opaque: bool [h w], the pixels that count; None: all."""
    pixels = image.reshape(-1, image.shape[-1]) if opaque is None or not opaque.any() else image[opaque]
    highest, lowest = pixels.max(-1), pixels.min(-1)
    luma = luminance(pixels[None])[0]
    low, high = np.percentile(luma, (2, 98))
    levels = (
        np.percentile(highest, 98),
        np.percentile(lowest, 1),
        high - low,
        np.percentile(highest.astype(np.float32) - lowest, 99),
        luma.mean(),
    )
    return Tone(*(float(level) / 255 for level in levels))


def border(luma: np.ndarray) -> float:
    """Returns the share of an image, luminance [h w], that bands of one color at two opposite sides take; 0: none.

    A band counts that ends at a straight step along most of its length and near both ends of it. Where there are bands
    at the other sides, too, it must do so nearly everywhere: an object on a plain background has none, unless it is a
    rectangle.
    """
    top, bottom, left, right = (_band(lines) for lines in (luma, luma[::-1], luma.T, luma.T[::-1]))
    height, width = luma.shape
    shares = [0.0]
    if min(top, bottom) >= max(1, round(_LEAST * height)):
        inside, along = luma[:, left : width - right], _FRAMED if left or right else _ALONG
        if _steps(inside, top, along) and _steps(inside[::-1], bottom, along):
            shares.append((top + bottom) / height)
    if min(left, right) >= max(1, round(_LEAST * width)):
        inside, along = luma[top : height - bottom].T, _FRAMED if top or bottom else _ALONG
        if _steps(inside, left, along) and _steps(inside[::-1], right, along):
            shares.append((left + right) / width)
    return max(shares)


def _band(luma: np.ndarray) -> int:
    """Returns the rows of one color at the top; 0 where there is no end of them."""
    most = max(1, int(_MOST * len(luma)))
    flat = np.sqrt(((luma[: most + 1] - np.median(luma[0])) ** 2).mean(1)) <= _FLAT
    rows = int(np.argmin(flat)) if not flat.all() else 0
    return rows if rows <= most else 0


def _steps(luma: np.ndarray, rows: int, along: tuple[float, float]) -> bool:
    """Returns whether the band of so many rows at the top ends at a step, along it and near its ends."""
    last = min(rows + 2, len(luma) - 1)  # the step may be spread over pixels by scaling
    step = np.abs(luma[last] - np.median(luma[0])) >= _EDGE
    ends = max(1, round(_ENDS * len(step)))
    return bool(step.mean() >= along[0] and np.concatenate([step[:ends], step[-ends:]]).mean() >= along[1])
