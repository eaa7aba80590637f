"""The page of a verification: a picture and the verdict of each file, to be filtered by verdict and sorted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image

from gen.files import printable
from gen.outputs.encoding import on_white
from gen.report.html import data_uri, render
from gen.report.pictures import webp_thumbnail
from gen.verification.answers import Parsed
from gen.verification.findings import Verdict
from gen.verification.verify_files import KINDS, Pooled

_SIDE = 160  # pixels of a thumbnail
_MOST_SHOWN = 5000  # files with a thumbnail, of a few kB each


class Row(NamedTuple):
    """A file on the page."""

    name: str
    kind: str  # of KINDS
    text: str
    picture: str  # data URI, "" for none


class Page:
    """Collects files for the page."""

    def __init__(self) -> None:
        self._rows: list[Row] = []

    def add(self, verdict: Verdict, parsed: Parsed) -> None:
        """Adds a file."""
        picture = "" if parsed.error or len(self._rows) >= _MOST_SHOWN else data_uri(thumbnail(parsed), kind="webp")
        self._rows.append(Row(verdict.name, verdict.kind, verdict.text, picture))

    def html(self, small: Sequence[Pooled]) -> str:
        """Renders the page, ready to be written as UTF-8."""
        counts = Counter(row.kind for row in self._rows)
        kinds = [(kind, title, counts[kind]) for kind, title in KINDS.items() if counts[kind]]
        order = {kind: index for index, kind in enumerate(KINDS)}
        lines = [printable(pooled.line) for pooled in small]
        return render("verify.html", rows=self._rows, kinds=kinds, titles=KINDS, order=order, small=lines)


def thumbnail(parsed: Parsed) -> bytes:
    """Encodes the first frame in small, on white, as WebP."""
    first = parsed.pixels[0]
    eight = first if first.dtype == np.uint8 else (first >> 8).astype(np.uint8)
    opaque = on_white(eight)
    return webp_thumbnail(Image.fromarray(opaque[..., 0] if opaque.shape[-1] == 1 else opaque), side=_SIDE)
