"""Sharp lines at one place of many images: a logo, a watermark of somebody else's, a date, a caption.

A classical detector goes as far as this: what is at one place, in most images, and sharper than what they have in
common by being of one kind. Text that is elsewhere in each image is not found.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gen.audit_checks.sharpness import blurred

_SAME = 0.4  # mean over images of what each shows of a line, between -1 and 1
_FEWEST = 30  # images
_SURE = 8.0  # standard deviations that the mean is away from 0
_LEAST, _MOST = 0.0005, 0.2  # share of the pixels: less is chance, more are images that are all alike


def shared_pattern(images: Iterable[np.ndarray]) -> tuple[np.ndarray, float]:
    """Looks for a pattern in luminances float32 [h w] of one size: where it is, bool [h w], and its share.

    The share is 0 where there is none, and for fewer than 30 images. Each image counts by the sign and size of its fine
    detail (what a blur by 1 pixel takes away) relative to what is usual in it, limited to 1, so that none counts more.
    """
    total, squares, count = np.zeros(()), np.zeros(()), 0
    for image in images:
        fine = image - blurred(image, 1.0)
        usual = max(float(np.abs(fine).mean()), 0.5)
        seen = np.clip(fine / (2 * usual), -1, 1)
        total, squares, count = total + seen, squares + seen**2, count + 1
    if count < _FEWEST:
        return np.zeros(total.shape, bool), 0.0
    mean = total / count
    error = np.sqrt(np.maximum(squares / count - mean**2, 1e-6) / count)
    there = (np.abs(mean) >= _SAME) & (np.abs(mean) / error >= _SURE)
    share = float(there.mean())
    return there, share if _LEAST <= share <= _MOST else 0.0
