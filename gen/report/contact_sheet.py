"""One picture of many: rows of tiles with captions, and scales beneath. Pictures are uint8 [h w c], c = 1 or 3."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gen.report.colormap import text

Tile = tuple[str, np.ndarray]  # caption and picture
_PAD = 4
_LONGEST_NAME = 160  # pixels


def sheet(
    rows: Sequence[tuple[str, Sequence[Tile]]],
    *,
    enlarged: int = 1,
    scales: Sequence[np.ndarray] = (),
    every_caption: bool = False,
    paper: int = 255,
) -> np.ndarray:
    """All rows as one picture, uint8 [H W 3]. Captions that are those of the row above are left out by default.

    rows: each with its title and tiles. enlarged: every pixel of a tile becomes a square of so many. scales: pictures
    for the last row, as they are. paper: the gray around everything, light enough for dark text.
    """
    bands, before = list[np.ndarray](), list[str]()
    for title, tiles in rows:
        captions = [caption for caption, _ in tiles]
        shown = [_captioned(tile, enlarged, every_caption or captions != before, paper) for tile in tiles]
        bands += [*([np.minimum(text(title), np.uint8(paper))] if title else []), _beside(shown, paper)]
        before = captions
    if scales:
        bands.append(_beside(scales, paper, gap=6 * _PAD))
    width = max(band.shape[1] for band in bands)
    pad = np.full((_PAD, width, 3), paper, np.uint8)
    picture = np.concatenate([part for band in bands for part in (_widened(band, width, paper), pad)])
    return np.pad(picture, ((_PAD, 0), (_PAD, _PAD), (0, 0)), constant_values=paper)


def _captioned(tile: Tile, enlarged: int, with_caption: bool, paper: int) -> np.ndarray:
    caption, image = tile
    picture = np.broadcast_to(image, (*image.shape[:2], 3)).repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    if not with_caption:
        return picture
    line = np.minimum(text(caption)[:, : picture.shape[1]], np.uint8(paper))
    return np.concatenate([_widened(line, picture.shape[1], paper), picture])


def _beside(pictures: Sequence[np.ndarray], paper: int, *, gap: int = _PAD) -> np.ndarray:
    """From left to right, aligned at the top."""
    height = max(picture.shape[0] for picture in pictures)
    parts = [np.pad(p, ((0, height - p.shape[0]), (0, gap), (0, 0)), constant_values=paper) for p in pictures]
    return np.concatenate(parts, axis=1)[:, :-gap]


def _widened(picture: np.ndarray, width: int, paper: int) -> np.ndarray:
    return np.pad(picture, ((0, 0), (0, width - picture.shape[1]), (0, 0)), constant_values=paper)


def named_rows(picture: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """A picture of rows of one height, uint8 [h w 3], with the name of each on its left. Long names are cut short."""
    lines = [text(name)[:, :_LONGEST_NAME] for name in names]
    margin = np.full((picture.shape[0], max(line.shape[1] for line in lines) + 2 * _PAD, 3), 255, np.uint8)
    for i, line in enumerate(lines):
        top = max(0, round((i + 0.5) * picture.shape[0] / len(lines) - line.shape[0] / 2))
        line = line[: picture.shape[0] - top]
        margin[top : top + line.shape[0], _PAD : _PAD + line.shape[1]] = line
    return np.concatenate([margin, picture], axis=1)
