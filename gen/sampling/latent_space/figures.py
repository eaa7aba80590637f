"""Figures of a latent space. Images are [n h w c] in [0, 1], pictures uint8 [H W 3]."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gen.report import grid
from gen.report.contact_sheet import named_rows

_COLUMNS = 16


def psnr(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Computes the peak signal-to-noise ratio in dB of each image, [n]; at most 100."""
    error = np.square(np.asarray(images, np.float64) - others).mean((1, 2, 3))
    return -10 * np.log10(np.maximum(error, 1e-10))


def difference(images: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Shows differences about a gray: lighter where `images` are brighter than `others`, else darker."""
    return np.clip(0.5 + (images - others) / 2, 0, 1)


def comparison(*rows: np.ndarray, names: Sequence[str] = ()) -> np.ndarray:
    """Puts several versions of the same images below each other, in blocks of a few columns; names: what each shows."""
    height, width = rows[0].shape[1:3]
    columns = min(_COLUMNS, len(rows[0]))
    blocks = []
    for start in range(0, len(rows[0]), columns):
        block = np.full((len(rows), columns, height, width, rows[0].shape[-1]), 0.5, np.float32)
        for row, images in zip(block, rows, strict=True):
            part = images[start : start + columns]
            row[: len(part)] = part
        blocks.append(grid(block.reshape(-1, *block.shape[2:]), columns=columns))
    return np.concatenate([named_rows(block, names) for block in blocks] if names else blocks)


def strips(images: np.ndarray) -> np.ndarray:
    """Arranges images [rows blocks steps h w c]: a numbered row for each direction, the starts side by side."""
    rows = [np.concatenate([grid(block, columns=len(block)) for block in blocks], axis=1) for blocks in images]
    return named_rows(np.concatenate(rows), [str(number) for number in range(len(images))])
