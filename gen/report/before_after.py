"""One page that shows images before and after refinement, in one file."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Sequence

import numpy as np
from PIL import Image

from gen.report.pictures import enlarged, to_uint8
from gen.report.style import STYLE

_Pair = tuple[np.ndarray, np.ndarray, str]


def before_and_after(pairs: Sequence[_Pair], *, chain: str, total: int | None = None) -> str:
    """The page, ready to be written as UTF-8.

    pairs: (before, after, name), images [h w c] uint8 or float in [0, 1]. chain: the text of what refined them. total:
    how many images there are, when these are the first of them.
    """
    part = f"<p>The first {len(pairs):,} of {total:,} images.</p>" if total and total > len(pairs) else ""
    figures = "".join(
        f'<figure><img src="{_uri(before)}" alt="{html.escape(name)} before"><img src="{_uri(after)}" '
        f'alt="{html.escape(name)} after"><figcaption>{html.escape(name)}</figcaption></figure>'
        for before, after, name in pairs
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>Before and after</title><style>{STYLE}{_LAYOUT}</style></head><body>'
        f"<main><h1>Before and after</h1><p><code>{html.escape(chain)}</code></p>{part}"
        f'<div class="pairs">{figures}</div></main></body></html>'
    )


_LAYOUT = """
.pairs { display: flex; flex-wrap: wrap; gap: 12px; }
.pairs figure { margin: 0; }
.pairs img { image-rendering: pixelated; margin-right: 4px; width: auto; }
"""


def _uri(image: np.ndarray) -> str:
    image = enlarged(to_uint8(image))
    buffer = io.BytesIO()
    Image.fromarray(image[..., 0] if image.shape[-1] == 1 else image).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
