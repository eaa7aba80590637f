"""Sharp lines at one place of many images: a logo, a watermark of somebody else's, a date, a caption.

A classical detector goes as far as this: what is at one place, in most images, and sharper than what they have in
common by being of one kind. Text that is elsewhere in each image is not found.
"""

from __future__ import annotations

import numpy as np

from gen.audit_checks.sharpness import blurred

_SAME = 0.4  # mean over images of what each shows of a line, between -1 and 1
_SURE = 8.0  # standard deviations that the mean is away from 0
_LEAST, _MOST = 0.0005, 0.2  # share of the pixels: less is chance, more are images that are all alike


def shared_pattern(images: np.ndarray) -> tuple[np.ndarray, float]:
    """Looks for a pattern in luminances float32 [n h w], n of 30 or more: where it is, bool [h w], and its share.

    The share is 0 where there is none. Each image counts by the sign and size of its fine detail (what a blur by 1
    pixel takes away) relative to what is usual in it, limited to 1, so that no image counts more than another.
    """
    total, squares = np.zeros(images.shape[1:]), np.zeros(images.shape[1:])
    for image in images:
        fine = image - blurred(image, 1.0)
        usual = max(float(np.abs(fine).mean()), 0.5)
        seen = np.clip(fine / (2 * usual), -1, 1)
        total += seen
        squares += seen**2
    mean = total / len(images)
    error = np.sqrt(np.maximum(squares / len(images) - mean**2, 1e-6) / len(images))
    there = (np.abs(mean) >= _SAME) & (np.abs(mean) / error >= _SURE)
    share = float(there.mean())
    return there, share if _LEAST <= share <= _MOST else 0.0
