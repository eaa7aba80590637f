"""The quality of JPEG that an image went through before, told from its pixels, however it is stored now."""

from __future__ import annotations

import functools
import math
from typing import NamedTuple

import numpy as np

from gen.audit_checks.tone import luminance
from gen.jpeg_tables import CHROMA, LUMA

QUALITIES = range(1, 61)  # that are told: above, the steps are too small to matter
_LOW = 4  # sum of the two frequencies of a wave, up to which waves count
_MEAN, _SURE, _FEWEST = 0.6, 4.5, 8  # cosine of the phase, its standard deviations from 0, and waves
_CERTAIN = 9.0  # standard deviations, below which it is asked whether saving again changes little
_HIGHER = 1.1  # times the next, for the border of blocks
_TRIED = range(4, 33)  # qualities at which images with too few waves are saved again
_DIP = 0.6  # difference that saving again makes, as a share of that at the qualities beside
_FEW = 30  # waves, below which that is tried
_LEAST = 48  # pixels: smaller images have too few blocks
_SIDE = 96  # pixels of the middle that are saved, as it takes time
_BESIDE = (-2, -1, 1, 2)
_VISIBLE = 0.3  # levels, below which a change by saving says nothing
_PLAIN = 1.0  # levels within a block, as a standard deviation, up to which it shows nothing
_MOST_BLOCKS = 400


def jpeg_quality(table: list[int]) -> float:
    """Returns the quality, 1 to 100, at which the standard's table of luminance has the lower quartile of this one.

    The scale is that of the Independent JPEG Group: below 50 steps are those of the standard by 50 / quality, above by
    2 - quality / 50.
    """
    scale = float(np.quantile(table, 0.25)) / float(np.quantile(LUMA, 0.25))  # the largest steps are cut at 255
    return float(np.clip(50 / scale if scale > 1 else 50 * (2 - scale), 1, 100))


def compressed(image: np.ndarray) -> float:
    """Returns the quality, 1 to 60, of the JPEG that an image uint8 [h w c], c = 1 or 3, once was.

    nan where none is told, and for images below 48 pixels a side.

    Cosines of 8 x 8 blocks then lie at multiples of the steps of a table of the standard (Fan and de Queiroz,
    "Identification of bitmap compression history", IEEE Transactions on Image Processing 12, 2003). Blocks at the
    corner, and where their borders show; those with black or white, where levels were cut, do not count. An image that
    has few others is saved at each quality: that at which it was saved before changes it least (Farid, "Exposing
    digital forgeries from JPEG ghosts", IEEE Transactions on Information Forensics and Security 4, 2009).
    """
    if min(image.shape[:2]) < _LEAST:
        return math.nan
    luma, cut = luminance(image), (image.min(-1) <= 0) | (image.max(-1) >= 255)
    corners = dict.fromkeys(((0, 0), (_border(luma.T), _border(luma))))
    found = {corner: _at_multiples(_waves(luma, cut, corner)) for corner in corners}
    top, left = max(found, key=lambda corner: found[corner].sure)
    best = found[top, left]
    if best.sure >= _CERTAIN:
        return best.quality
    unsure = best.sure > 0 or max(each.waves for each in found.values()) < _FEW
    return _ghost(image[top:, left:]) if unsure else math.nan


def _border(luma: np.ndarray) -> int:
    """Returns the column, of 8, at which neighbors differ by more than at the others; 0 where there is none."""
    steps = np.abs(np.diff(luma, axis=1)).mean(0)
    columns = np.median(steps[: len(steps) // 8 * 8].reshape(-1, 8), axis=0)
    *_, second, first = np.sort(columns)
    return (int(np.argmax(columns)) + 1) % 8 if first >= _HIGHER * second else 0


def _waves(luma: np.ndarray, cut: np.ndarray, corner: tuple[int, int]) -> np.ndarray:
    """Computes the low cosines, but for the mean, of blocks from a corner on without cut pixels: float32 [n k]."""
    top, left = corner
    blocks = _blocks(luma[top:, left:])[~_blocks(cut[top:, left:]).any(1)]
    return blocks[:: math.ceil(len(blocks) / _MOST_BLOCKS) or 1] @ _cosines()[:, _low()]


def _blocks(values: np.ndarray) -> np.ndarray:
    """Cuts [h w] into [n 64]."""
    height, width = (side // 8 for side in values.shape)
    return values[: height * 8, : width * 8].reshape(height, 8, width, 8).swapaxes(1, 2).reshape(-1, 64)


@functools.cache
def _cosines() -> np.ndarray:
    """Returns the orthonormal cosine transform of an 8 x 8 block: float32 [64 pixels 64 waves]."""
    one = np.cos(np.pi * (np.arange(8) + 0.5) * np.arange(8)[:, None] / 8) / 2
    one[0] /= math.sqrt(2)
    return np.kron(one, one).T.astype(np.float32)


@functools.cache
def _low() -> np.ndarray:
    waves = np.add.outer(np.arange(8), np.arange(8)).ravel()
    return np.flatnonzero((waves > 0) & (waves <= _LOW))


@functools.cache
def _tables() -> np.ndarray:
    """Returns the steps of the low waves at each of QUALITIES: float32 [q k]."""
    return np.stack([_steps(quality, LUMA)[_low()] for quality in QUALITIES])


def _steps(quality: int, standard: np.ndarray) -> np.ndarray:
    """Returns the steps of all waves: float32 [64]."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((standard * scale + 50) // 100, 1, 255).ravel().astype(np.float32)


class _Multiples(NamedTuple):
    """The quality at whose multiples waves lie most surely, by how many standard deviations, 0: at those of none."""

    quality: float
    sure: float
    waves: int  # that say something, of the quality with the most


def _at_multiples(waves: np.ndarray) -> _Multiples:
    sizes = np.abs(waves)
    found, sure, most = math.nan, 0.0, 0
    for quality, steps in zip(QUALITIES, _tables(), strict=True):
        shares = (sizes / steps)[sizes > steps / 2]  # what is rounded to 0 says nothing
        if len(shares) < _FEWEST:
            continue
        if quality >= _TRIED.start:
            most = max(most, len(shares))
        mean = float(np.cos(2 * np.pi * shares).mean())
        deviations = mean * math.sqrt(2 * len(shares))
        if mean >= _MEAN and deviations >= max(_SURE, sure):
            found, sure = float(quality), deviations
    return _Multiples(found, sure, most)


def _ghost(image: np.ndarray) -> float:
    """Returns the quality at which saving an image again changes it far less than at those beside; nan for none."""
    height, width = (min(side // 16 * 16, _SIDE) for side in image.shape[:2])
    top, left = ((side - kept) // 32 * 16 for side, kept in zip(image.shape[:2], (height, width), strict=True))
    image = image[top : top + height, left : left + width].astype(np.float32)
    shown = _blocks(luminance(image)).std(1) > _PLAIN  # the others change by their level alone
    if not shown.any():
        return math.nan
    changes, planes = np.empty(len(_TRIED)), _planes(image)
    for i, quality in enumerate(_TRIED):
        changes[i] = _blocks(np.abs(_saved(planes, quality) - image).mean(-1))[shown].mean()
    beside = np.stack([changes[np.clip(np.arange(len(changes)) + by, 0, len(changes) - 1)] for by in _BESIDE])
    usual = np.median(beside, axis=0)
    dips = np.where(usual >= _VISIBLE, changes / np.maximum(usual, _VISIBLE), 1.0)
    least = int(np.argmin(dips))
    return float(_TRIED[least]) if dips[least] <= _DIP else math.nan


def _planes(image: np.ndarray) -> list[tuple[np.ndarray, tuple[int, int]]]:
    """Computes the cosines of luminance, and of blue and red differences of half the size, with the planes' sizes."""
    luma, planes = luminance(image), list[np.ndarray]()
    planes.append(luma - 128)
    if image.shape[-1] == 3:
        for channel, share in ((2, 1.772), (0, 1.402)):
            height, width = luma.shape
            difference = (image[..., channel] - luma) / share
            planes.append(difference.reshape(height // 2, 2, width // 2, 2).mean((1, 3)))
    return [(_blocks(plane) @ _cosines(), (plane.shape[0], plane.shape[1])) for plane in planes]


def _saved(planes: list[tuple[np.ndarray, tuple[int, int]]], quality: int) -> np.ndarray:
    """Decodes a JPEG of a quality, colors at half the resolution and interpolated: float32 [h w c] in 0..255."""
    decoded = list[np.ndarray]()
    for number, (waves, (height, width)) in enumerate(planes):
        steps = _steps(quality, LUMA if number == 0 else CHROMA)
        blocks = (np.rint(waves / steps) * steps) @ _cosines().T
        plane = blocks.reshape(height // 8, width // 8, 8, 8).swapaxes(1, 2).reshape(height, width)
        decoded.append(np.rint(np.clip(plane, -128, 127)))
    luma = decoded[0][..., None] + 128
    if len(decoded) == 1:
        return luma
    blue, red = (_doubled(_doubled(plane).T).T for plane in decoded[1:])
    rest = -(0.299 * 1.402 * red + 0.114 * 1.772 * blue) / 0.587
    return np.rint(np.clip(luma + np.stack([1.402 * red, rest, 1.772 * blue], -1), 0, 255))


def _doubled(plane: np.ndarray) -> np.ndarray:
    """Doubles the rows: each of the two is three quarters its own, and a quarter the one beside."""
    padded = np.pad(plane, ((1, 1), (0, 0)), mode="edge")
    return np.stack([3 * plane + padded[:-2], 3 * plane + padded[2:]], 1).reshape(-1, plane.shape[1]) / 4
