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
    """Returns what averages over areas, or interpolates where there are fewer pixels than 48: float32 [48 length]."""
    if length < SIDE:
        return sampling(length, 0.0, 1.0)
    edges = np.linspace(0, length, SIDE + 1)
    starts, ends = edges[:-1, None], edges[1:, None]
    pixels = np.arange(length)[None]
    covered = np.clip(np.minimum(ends, pixels + 1) - np.maximum(starts, pixels), 0, None)
    return (covered / covered.sum(1, keepdims=True)).astype(np.float32)


def sampling(length: int, start: float, extent: float) -> np.ndarray:
    """Returns what samples a part of `length` areas at 48 places, each by the two areas beside: float32 [48 length]."""
    places = np.clip((start + extent * (np.arange(SIDE) + 0.5) / SIDE) * length - 0.5, 0, length - 1)
    low = np.minimum(places.astype(int), max(length - 2, 0))
    made = np.zeros((SIDE, length), np.float32)
    made[np.arange(SIDE), low] = 1 - (places - low)
    made[np.arange(SIDE), np.minimum(low + 1, length - 1)] += (places - low).astype(np.float32)
    return made


@functools.lru_cache(maxsize=4096)
def waves(start: float = 0.0, length: float = 1.0) -> np.ndarray:
    """Returns what turns 48 areas into the 16 lowest cosines over [start, start + length] of them: float32 [16 48]."""
    cosines = np.cos(np.pi * np.arange(WAVES)[:, None] * (np.arange(SIDE) + 0.5) / SIDE)
    cosines[0] /= np.sqrt(2)
    return (cosines @ sampling(SIDE, start, length)).astype(np.float32)


_frequency = np.hypot(*np.meshgrid(np.arange(WAVES), np.arange(WAVES), indexing="ij")).astype(np.float32)


def spectra(gray: np.ndarray, *, rows: np.ndarray | None = None, columns: np.ndarray | None = None) -> np.ndarray:
    """Computes the even spectra [n 16 16], of norm 1 and without a mean, of gray images [n 48 48].

    rows, columns: of `waves`, for a part of the images.
    """
    rows, columns = (waves() if given is None else given for given in (rows, columns))
    found = rows @ gray.astype(np.float32) @ columns.T * _frequency[: len(rows), : len(columns)]
    norm = np.sqrt((found**2).sum((1, 2), keepdims=True))
    return (found / np.maximum(norm, 1e-6)).astype(np.float32)


def plain(gray: np.ndarray) -> np.ndarray:
    """Returns which gray images [n 48 48] have nothing to be recognized by: bool [n]."""
    return gray.reshape(len(gray), -1).std(1) < _PLAIN


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
