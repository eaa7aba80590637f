"""The mark in images large or of many sizes, in strips: memory for the canonical frame and for some rows, at any size.

It is the mark of `embedding`: only the strength is measured on some of the rows.
"""

from __future__ import annotations

import numpy as np

from gen.watermark import frame, pattern
from gen.watermark.resampling import Block, blocks, resampled_widths

_MEASURED = 2**20  # pixels on which the strength is measured


def embed_large(
    image: np.ndarray,
    marked: np.ndarray,
    allowed: np.ndarray | None,
    signs: np.ndarray,
    sync: np.ndarray,
    *,
    rms: float,
    gentle: float,
    peak: float,
    step: float,
) -> None:
    """Writes an image [h w c], of 1 or 3 channels, with the mark into its copy `marked`.

    allowed: bool [h w], where it may change; None: everywhere. signs, sync: see `key.Carriers`. rms: gray levels
    of 255. gentle: see `pattern.weaker`. peak: of the image. step: see `pattern.moved`.
    """
    size, (height, width) = len(signs), image.shape[:2]
    scale, rows, columns = frame.samples_of(height, width, size)
    to_levels = np.float32(255 / peak)

    def pixels(part: slice) -> np.ndarray:
        return image[part].astype(np.float32) * to_levels

    lines = [block.weights @ _luma(pixels(block.pixels)) for block in blocks(height, rows, scale)]
    samples = resampled_widths(np.concatenate(lines), columns, scale)
    (shaped,), (rough,) = pattern.shaped(samples[None], signs, sync)
    shaped = resampled_widths(shaped, width, 1 / scale)  # [rows, width]
    rms *= pattern.weaker(rough, gentle)
    colors = pattern.colors(image.shape[-1])

    def strip(block: Block, *, every: int = 1) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Returns of every so many rows the pixels [h w c], their change and where they may change [h w 1]."""
        where = slice(block.samples.start, block.samples.stop, every)
        change = (block.weights[::every] @ shaped[block.pixels])[..., None]
        free = np.ones((1, 1, 1), bool) if allowed is None else allowed[where, :, None]
        return pixels(where), change, np.broadcast_to(free, change.shape)

    strips = blocks(rows, height, 1 / scale)
    every = 1 if allowed is not None and allowed.sum() < _MEASURED else 1 + height * width // _MEASURED
    kept = list[tuple[np.ndarray, np.ndarray]]()
    for block in strips:
        x, change, free = strip(block, every=every)
        kept.append((x[free[..., 0]], change[free][:, None]))
    x, change = (np.concatenate(parts) for parts in zip(*kept, strict=True))
    strength = colors * (_strength(x, change, colors, rms, step) if x.size else 0.0)
    for block in strips:
        x, change, free = strip(block)
        y = pattern.moved(np, x, change * strength, step) * np.float32(peak / 255)
        np.copyto(marked[block.samples], np.rint(y) if step else y, where=free, casting="unsafe")


def _luma(x: np.ndarray) -> np.ndarray:
    return x[..., 0] if x.shape[-1] == 1 else x @ frame.LUMA


def _strength(x: np.ndarray, change: np.ndarray, colors: np.ndarray, rms: float, step: float) -> np.float32:
    """Returns the factor of the change [n 1] times [c] of pixels [n c] at which their root mean square is `rms`."""
    strength = np.float32(rms / max(np.sqrt(np.mean(np.square(change)) * np.mean(np.square(colors))), 1e-6))
    for _ in range(pattern.ROUNDS):
        found = np.sqrt(np.mean(np.square(pattern.moved(np, x, change * (colors * strength), step) - x)))
        strength *= np.float32(np.clip(rms / max(found, 1e-3), 0.25, 4))
    return strength
