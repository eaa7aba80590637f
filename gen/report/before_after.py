"""One page that shows images before and after refinement, in one file."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gen.image_io.pixels import to_uint8
from gen.report.html import data_uri, render
from gen.report.pictures import encode_png, enlarged


def before_and_after(
    pairs: Sequence[tuple[np.ndarray, np.ndarray, str]], *, chain: str, total: int | None = None
) -> str:
    """Renders the page, ready to be written as UTF-8.

    pairs: (before, after, name), images [h w c] uint8 or float in [0, 1]. chain: the text of what refined them. total:
    how many images there are, when these are the first of them.
    """
    shown = [(_uri(before), _uri(after), name) for before, after, name in pairs]
    return render("before_after.html", pairs=shown, chain=chain, total=total or len(pairs))


def _uri(image: np.ndarray) -> str:
    return data_uri(encode_png(enlarged(to_uint8(image))))
