"""What is left of an image to recognize it by: 48 x 48 levels of gray, and their spectrum with its slope taken out.

The amplitudes of images fall about as the inverse of the frequency (Field 1987). Multiplied by the frequency all waves
count alike, so that two different images are hardly correlated, be they of one kind, and the same image, stored or
scaled anew, is by almost 1.
"""

from __future__ import annotations

import functools

import numpy as np

from gen.audit_checks.tone import luminance

SIDE = 48  # of the gray image
WAVES = 16  # along each side that are compared, the lowest
COARSE = 8  # along each side, for the search
_PLAIN = 1.0  # levels, as a standard deviation, below which an image has nothing to be recognized by


def fingerprint(image: np.ndarray) -> np.ndarray:
    """Reduces an image [h w c] in 0..255 to its areas: uint8 [48 48]."""
    rows, columns = (_averaging(side) for side in image.shape[:2])
    return np.clip(np.rint(rows @ luminance(image) @ columns.T), 0, 255).astype(np.uint8)


def fingerprints(images: np.ndarray) -> np.ndarray:
    """Reduces images uint8 [n h w c]: uint8 [n 48 48]."""
    rows, columns = (_averaging(side) for side in images.shape[1:3])
    gray = luminance(images.reshape(-1, images.shape[2], images.shape[3])).reshape(images.shape[:3])
    return np.clip(np.rint(rows @ gray @ columns.T), 0, 255).astype(np.uint8)


@functools.lru_cache(maxsize=64)
def _averaging(length: int) -> np.ndarray:
    """Returns what averages over areas, or repeats pixels where there are fewer than 48: float32 [48 length]."""
    edges = np.linspace(0, length, SIDE + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(length)[None]
    covered = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    return (covered / covered.sum(1, keepdims=True)).astype(np.float32)


@functools.lru_cache(maxsize=4096)
def waves(start: float = 0.0, length: float = 1.0) -> np.ndarray:
    """Returns what turns 48 areas into the 16 lowest cosines over [start, start + length] of them: float32 [16 48].

    The part is sampled at 48 places, each by the two areas beside it.
    """
    places = np.clip((start + length * (np.arange(SIDE) + 0.5) / SIDE) * SIDE - 0.5, 0, SIDE - 1)
    low = np.minimum(places.astype(int), SIDE - 2)
    sampled = np.zeros((SIDE, SIDE), np.float64)
    sampled[np.arange(SIDE), low] = 1 - (places - low)
    sampled[np.arange(SIDE), low + 1] += places - low
    cosines = np.cos(np.pi * np.arange(WAVES)[:, None] * (np.arange(SIDE) + 0.5) / SIDE)
    cosines[0] /= np.sqrt(2)
    return (cosines @ sampled).astype(np.float32)


_frequency = np.hypot(*np.meshgrid(np.arange(WAVES), np.arange(WAVES), indexing="ij")).astype(np.float32)


def spectra(gray: np.ndarray, *, rows: np.ndarray | None = None, columns: np.ndarray | None = None) -> np.ndarray:
    """Computes the even spectra [n 16 16], of norm 1 and without a mean, of gray images [n 48 48]; 0 for plain ones.

    rows, columns: of `waves`, for a part of the images.
    """
    rows, columns = (waves() if given is None else given for given in (rows, columns))
    found = rows @ gray.astype(np.float32) @ columns.T * _frequency
    norm = np.sqrt((found**2).sum((1, 2), keepdims=True))
    plain = gray.reshape(len(gray), -1).std(1) < _PLAIN
    return np.where(plain[:, None, None], 0, found / np.maximum(norm, 1e-6)).astype(np.float32)


# The eight ways to turn and mirror a square: swap the axes, then mirror up and down, then left and right.
WAYS = tuple((swap, up, left) for swap in (False, True) for up in (False, True) for left in (False, True))
NAMES = {
    (False, False, False): "the same picture",
    (False, False, True): "mirrored",
    (False, True, False): "upside down and mirrored",
    (False, True, True): "turned by 180°",
    (True, False, False): "mirrored at its diagonal",
    (True, False, True): "turned by 90°",
    (True, True, False): "turned by 270°",
    (True, True, True): "mirrored at its other diagonal",
}


def turned(found: np.ndarray, way: tuple[bool, bool, bool]) -> np.ndarray:
    """Turns spectra [... k k] as images turn: a mirrored cosine is itself, or its negative if it is odd."""
    swap, up, left = way
    found = np.swapaxes(found, -1, -2) if swap else found
    odd = np.where(np.arange(found.shape[-1]) % 2, -1, 1).astype(found.dtype)
    found = found * odd[:, None] if up else found
    return found * odd if left else found


def turned_images(gray: np.ndarray, way: tuple[bool, bool, bool]) -> np.ndarray:
    """Turns images [... h w]."""
    swap, up, left = way
    gray = np.swapaxes(gray, -1, -2) if swap else gray
    gray = gray[..., ::-1, :] if up else gray
    return gray[..., ::-1] if left else gray
