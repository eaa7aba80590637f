"""Arrays of images: [n h w c] with 1 or 3 channels, uint8 or float in [0, 1]."""

from __future__ import annotations

import numpy as np

from gen.errors import InputError


def image_array(images: np.ndarray) -> np.ndarray:
    """Returns images [n h w c], of these or of one [h w c]. Raises InputError for any other array."""
    found = np.asarray(images)
    found = found[None] if found.ndim == 3 else found
    if found.ndim != 4 or found.shape[-1] not in (1, 3) or not len(found):
        raise InputError(f"images have shape {list(np.shape(images))}; allowed: [n h w c] with 1 or 3 channels")
    if found.dtype != np.uint8 and not np.issubdtype(found.dtype, np.floating):
        raise InputError(f"images are {found.dtype}; allowed: float in [0, 1], and uint8")
    return found


def to_float(images: np.ndarray, *, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """Converts images, see `image_array`, to float32 in [0, 1]. shape: their height, width and channels."""
    found = image_array(images)
    if shape and found.shape[1:] != tuple(shape):
        raise InputError(f"images have shape {list(found.shape)}; allowed: [n {' '.join(map(str, shape))}]")
    return found / np.float32(255) if found.dtype == np.uint8 else found.astype(np.float32)


def to_uint8(images: np.ndarray) -> np.ndarray:
    """Converts images of any shape to uint8; floats are clipped to [0, 1] and rounded, NaN becomes 0."""
    images = np.asarray(images)
    if images.dtype == np.uint8:
        return images
    if not np.issubdtype(images.dtype, np.floating):
        raise ValueError(f"images are {images.dtype}; allowed are float in [0, 1] and uint8")
    return np.rint(np.clip(np.nan_to_num(images.astype(np.float32)), 0, 1) * 255).astype(np.uint8)
