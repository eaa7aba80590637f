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
STANDARD_QUARTILE = 23.5  # the lower one, of the table of luminance in annex K of ITU-T T.81


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
    patches = np.lib.stride_tricks.sliding_window_view(image, (_PATCH, _PATCH)).reshape(-1, _PATCH, _PATCH)
    rows = patches[:: max(1, math.ceil(len(patches) / _MOST_PATCHES))].reshape(-1, _PATCH**2)
    means = rows.mean(1)
    if (inside := (means > 4) & (means < 251)).sum() >= 2 * _PATCH**2:
        rows = rows[inside]
    spread = rows.var(1)
    rows = rows[spread <= np.quantile(spread, _PLAIN)]
    rows = rows - rows.mean(0)
    values = np.maximum(np.linalg.eigvalsh((rows.T @ rows / len(rows)).astype(np.float64)), 0)  # ascending
    mean = 0.0
    for kept in range(len(values), 0, -1):
        mean = float(values[:kept].mean())
        if mean <= (values[(kept - 1) // 2] + values[kept // 2]) / 2:  # the median of what is left
            break
    return math.sqrt(mean), float(values[0] / max(values[len(values) // 2], 1e-6))


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


def jpeg_quality(table: list[int]) -> float:
    """Returns the quality, 1 to 100, at which the standard's table of luminance has the lower quartile of this one.

    The scale is that of the Independent JPEG Group: below 50 steps are those of the standard by 50 / quality, above by
    2 - quality / 50.
    """
    scale = float(np.quantile(table, 0.25)) / STANDARD_QUARTILE  # the largest steps are cut at 255
    return float(np.clip(50 / scale if scale > 1 else 50 * (2 - scale), 1, 100))
