"""What cameras, wires and compression add: noise, single wrong pixels, the blocks of JPEG.

Images are luminance, float32 [h w] in 0..255.
"""

from __future__ import annotations

import math

import numpy as np

_PATCH = 7  # pixels of a side
_MOST_PATCHES = 16_000
_PLAIN = 0.2  # share of the patches, the plainest, that noise is measured in
_IMPULSE = 50.0  # levels by which a pixel must lie above, or below, all four beside it


def noise(image: np.ndarray) -> tuple[float, float]:
    """Estimates the standard deviation of white noise, in levels of 255, and how white it is, 0 to 1.

    nan for images below 16 pixels a side.

    Chen, Zhu and Heng, "An efficient statistical method for image noise level estimation", ICCV 2015: what an image
    shows lies in few directions of the space of its patches; the eigenvalues of all others are the noise's variance.
    The largest are left out until the mean of the rest is their median. Here of the plainest patches alone, for texture
    is not noise where it has an end; black and white, where nothing can be seen of noise, do not count.

    How white: the least eigenvalue as a share of the median one, about 0.7 for noise in so few patches. Gravel and
    grass, which have no plain patches, fall off: 0.4 and less.
    """
    if min(image.shape) < 16:
        return math.nan, math.nan
    height, width = (side - _PATCH + 1 for side in image.shape)
    places = np.arange(0, height * width, max(1, math.ceil(height * width / _MOST_PATCHES)))
    levels = image.astype(np.float64)
    means, squares = (_box_means(values).ravel()[places] for values in (levels, levels**2))
    if (inside := (means > 4) & (means < 251)).sum() >= 2 * _PATCH**2:
        places, means, squares = places[inside], means[inside], squares[inside]
    spread = squares - means**2
    top, left = np.divmod(places[spread <= np.quantile(spread, _PLAIN)], width)
    rows = np.lib.stride_tricks.sliding_window_view(image, (_PATCH, _PATCH))[top, left].reshape(-1, _PATCH**2)
    rows = rows - rows.mean(0)
    values = np.maximum(np.linalg.eigvalsh((rows.T @ rows / len(rows)).astype(np.float64)), 0)  # ascending
    mean = 0.0
    for kept in range(len(values), 0, -1):
        mean = float(values[:kept].mean())
        if mean <= (values[(kept - 1) // 2] + values[kept // 2]) / 2:  # the median of what is left
            break
    return math.sqrt(mean), float(values[0] / max(values[len(values) // 2], 1e-6))


def _box_means(values: np.ndarray) -> np.ndarray:
    """Returns the mean of each patch of _PATCH x _PATCH of values [h w]."""
    for axis in (0, 1):
        sums = np.insert(np.cumsum(values, axis), 0, 0, axis)
        values = (
            np.take(sums, range(_PATCH, sums.shape[axis]), axis) - np.take(sums, range(sums.shape[axis] - _PATCH), axis)
        ) / _PATCH
    return values


def impulses(image: np.ndarray) -> float:
    """Returns the share of pixels that stand out from all four beside them ("salt and pepper")."""
    if min(image.shape) < 3:
        return 0.0
    middle = image[1:-1, 1:-1]
    beside = np.stack([image[:-2, 1:-1], image[2:, 1:-1], image[1:-1, :-2], image[1:-1, 2:]])
    above, below = middle - beside.max(0), beside.min(0) - middle
    return float((np.maximum(above, below) >= _IMPULSE).mean())


def blocking(image: np.ndarray) -> float:
    """Returns by how much pixels differ more across the borders of 8 x 8 blocks than beside them, as a share.

    After Wang, Sheikh and Bovik, "No-reference perceptual quality assessment of JPEG compressed images", ICIP 2002; at
    the place of the grid where it is most, less the next place, and of rows and columns the lesser. nan for images
    below 48 pixels a side.
    """
    if min(image.shape) < 48:
        return math.nan
    return min(_blocking(image), _blocking(image.T))


def _blocking(lines: np.ndarray) -> float:
    steps = np.abs(np.diff(lines, axis=1)).mean(0)
    excess = steps[1:-1] - (steps[:-2] + steps[2:]) / 2
    of_phases = excess[: len(excess) // 8 * 8].reshape(-1, 8)
    *_, second, first = sorted(np.median(of_phases, axis=0).tolist())
    return (first - max(second, 0.0)) / float(np.median(steps) + 0.5)
