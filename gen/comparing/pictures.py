"""The pictures of a comparison: previews of the same step, and samples by the same seeds. All have bounded bytes."""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from gen.comparing.runs import ComparedRun
from gen.files import printable
from gen.image_io.pixels import to_uint8
from gen.provenance import Record, save_options
from gen.report.html import data_uri
from gen.report.pictures import embedded

_MOST_BYTES = 2_000_000  # of all previews of a page
_LEAST_BYTES = 12_000  # of one
_MOST_PIXELS = 2_500_000  # of all samples of a page
_LARGEST_TILE, _SMALLEST_TILE, _GAP = 128, 24, 4  # pixels


class Shown(NamedTuple):
    """A preview. run: which of them; uri: "" where there is none that can be read, and `words` say so."""

    run: int
    uri: str
    words: str


class Samples(NamedTuple):
    """Images of one run, one for each seed [n h w c] in [0, 1]; none where it makes none, and `words` say why."""

    images: np.ndarray
    words: str
    record: Record


def previews(runs: Sequence[ComparedRun]) -> list[tuple[str, list[Shown]]]:
    """Returns titled rows of previews: the newest of each run, and those of the last step that all have got to."""
    newest = [max(run.previews, default=None) for run in runs]
    if not any(run.previews for run in runs):
        return []
    common = max(set.intersection(*(set(run.previews) for run in runs)), default=0)
    rows = [("The newest of each", newest)]
    if common and newest != [common] * len(runs):  # at step 0 there is nothing to see
        rows.append((f"All at step {common:,}", [common] * len(runs)))
    most = max(_LEAST_BYTES, _MOST_BYTES // (len(rows) * len(runs)))
    return [(title, [_shown(i, runs[i], step, most) for i, step in enumerate(steps)]) for title, steps in rows]


def _shown(index: int, run: ComparedRun, step: int | None, most: int) -> Shown:
    if step is None:
        return Shown(index, "", "no preview yet")
    try:
        uri, _ = embedded(run.previews[step], most=most)
    except Exception as error:  # whatever a decoder raises
        return Shown(index, "", f"the preview of step {step:,} cannot be read ({printable(error)})")
    return Shown(index, uri, f"step {step:,}")


def strips(samples: Sequence[Samples]) -> list[str]:
    """Draws the samples of each run as one row of tiles, alike in all runs; data URIs, "" for a run without samples."""
    count = sum(len(each.images) for each in samples)
    side = min(_LARGEST_TILE, max(_SMALLEST_TILE, math.isqrt(_MOST_PIXELS // max(count, 1))))
    return [data_uri(_strip(each, side), kind="webp") if len(each.images) else "" for each in samples]


def _strip(samples: Samples, side: int) -> bytes:
    tiles = [_tile(image, side) for image in to_uint8(samples.images)]
    row = Image.new("RGB", (len(tiles) * (side + _GAP), side), (128, 128, 128))
    for index, tile in enumerate(tiles):
        left, top = (side - tile.width) // 2, (side - tile.height) // 2
        row.paste(tile, (index * (side + _GAP) + _GAP // 2 + left, top))
    buffer = io.BytesIO()
    row.save(buffer, format="WEBP", quality=88, **save_options(samples.record, "WEBP"))
    return buffer.getvalue()


def _tile(image: np.ndarray, side: int) -> Image.Image:
    """Fits an image [h w c] into a square: small ones enlarged by whole pixels, so that they are seen as they are."""
    tile = Image.fromarray(np.broadcast_to(image, (*image.shape[:2], 3)))
    if times := side // max(tile.size):
        return tile.resize((tile.width * times, tile.height * times), Image.Resampling.NEAREST)
    tile.thumbnail((side, side))
    return tile
