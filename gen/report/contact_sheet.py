"""Many images in one picture: grids, rows of tiles with captions, lines of text.

Images are [n h w c] with c = 1 or 3, float in [0, 1] or uint8. Pictures are uint8 [H W 3].
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gen.files import printable
from gen.image_io.pixels import to_uint8
from gen.report.pictures import enlarged, enlargement

Tile = tuple[str, np.ndarray]  # caption and picture, uint8 [h w c], c = 1 or 3
_BACKGROUND = 128  # gray between the images of a grid
_PAD = 4
_FONT = 11
_LONGEST_NAME = 160  # pixels


def grid(images: np.ndarray, *, columns: int | None = None, pad: int = 2, scale: int | None = None) -> np.ndarray:
    """Arranges images in one picture, row by row: uint8 [H W 3].

    images: [n h w c]. columns: images in a row; None makes it about square. pad: gray pixels around each image.
    scale: every pixel becomes a square of so many pixels, nothing is smoothed; None enlarges only small images.
    """
    images = to_uint8(images)
    if images.ndim != 4 or images.shape[-1] not in (1, 3) or len(images) == 0:
        raise ValueError(f"images have shape {images.shape}; allowed is [n h w c] with n > 0 and 1 or 3 channels")
    columns = min(columns or math.ceil(math.sqrt(len(images))), len(images))
    rows = math.ceil(len(images) / columns)
    scale = scale or enlargement(*images.shape[1:3])
    height, width = (side * scale + pad for side in images.shape[1:3])
    picture = np.full((rows * height + pad, columns * width + pad, 3), _BACKGROUND, np.uint8)
    for index, image in enumerate(images):
        top, left = pad + index // columns * height, pad + index % columns * width
        picture[top : top + height - pad, left : left + width - pad] = enlarged(image, times=scale)
    return picture


def sheet(
    rows: Sequence[tuple[str, Sequence[Tile]]],
    *,
    scale: int = 1,
    footer: Sequence[np.ndarray] = (),
    every_caption: bool = False,
    paper: int = 255,
) -> np.ndarray:
    """Arranges rows of tiles in one picture, uint8 [H W 3]. Captions equal to those of the row above are left out.

    rows: each with its title and tiles. scale: every pixel of a tile becomes a square of so many. footer: pictures for
    the last row, as they are. paper: the gray around everything, light enough for dark text.
    """
    bands, before = list[np.ndarray](), list[str]()
    for title, tiles in rows:
        captions = [caption for caption, _ in tiles]
        shown = [_captioned(tile, scale, every_caption or captions != before, paper) for tile in tiles]
        bands += [*([text(title, paper=paper)] if title else []), beside(shown, gap=_PAD, paper=paper)]
        before = captions
    if footer:
        bands.append(beside(footer, gap=6 * _PAD, paper=paper))
    return np.pad(stacked(bands, gap=_PAD, paper=paper), ((_PAD,) * 2, (_PAD,) * 2, (0, 0)), constant_values=paper)


def _captioned(tile: Tile, scale: int, with_caption: bool, paper: int) -> np.ndarray:
    caption, image = tile
    picture = enlarged(np.broadcast_to(image, (*image.shape[:2], 3)), times=scale)
    if not with_caption:
        return picture
    return stacked([text(caption, paper=paper)[:, : picture.shape[1]], picture], paper=paper)


def named_rows(picture: np.ndarray, names: Sequence[str]) -> np.ndarray:
    """Writes names left of a picture of rows of one height, uint8 [h w 3]. Long names are cut short."""
    lines = [text(name)[:, :_LONGEST_NAME] for name in names]
    margin = np.full((picture.shape[0], max(line.shape[1] for line in lines) + 2 * _PAD, 3), 255, np.uint8)
    for i, line in enumerate(lines):
        top = max(0, round((i + 0.5) * picture.shape[0] / len(lines) - line.shape[0] / 2))
        line = line[: picture.shape[0] - top]
        margin[top : top + line.shape[0], _PAD : _PAD + line.shape[1]] = line
    return np.concatenate([margin, picture], axis=1)


def beside(pictures: Sequence[np.ndarray], *, gap: int = 0, paper: int = 255) -> np.ndarray:
    """Joins pictures from left to right, aligned at the top, `gap` pixels apart."""
    return _joined(pictures, 1, gap, paper)


def stacked(pictures: Sequence[np.ndarray], *, gap: int = 0, paper: int = 255) -> np.ndarray:
    """Joins pictures from top to bottom, aligned on the left, `gap` pixels apart."""
    return _joined(pictures, 0, gap, paper)


def _joined(pictures: Sequence[np.ndarray], axis: int, gap: int, paper: int) -> np.ndarray:
    across = max(picture.shape[1 - axis] for picture in pictures)
    parts = []
    for picture in pictures:
        width = [(0, gap), (0, across - picture.shape[1 - axis])]
        parts.append(np.pad(picture, (*(width if axis == 0 else width[::-1]), (0, 0)), constant_values=paper))
    parts[-1] = parts[-1][: pictures[-1].shape[0]] if axis == 0 else parts[-1][:, : pictures[-1].shape[1]]
    return np.concatenate(parts, axis=axis)


def text(line: str, *, paper: int = 255) -> np.ndarray:
    """Draws one line of small dark text on paper of this gray."""
    line, font = printable(line), ImageFont.load_default(_FONT)
    canvas = Image.new("RGB", (max(1, round(font.getlength(line)) + 2), _FONT + 5), "white")
    ImageDraw.Draw(canvas).text((1, 1), line, fill=(40, 40, 40), font=font)
    return np.minimum(np.asarray(canvas), np.uint8(paper))
