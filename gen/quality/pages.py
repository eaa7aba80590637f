"""The files of an evaluation: evaluation.json, the pictures, and one page that shows both."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from gen.quality import cards
from gen.quality.cards import Card
from gen.quality.pictures import pictures
from gen.quality.runs import Measured
from gen.report import replace, save_png
from gen.report.style import STYLE

_ARROWS = {"lower": "↓ lower is better", "higher": "↑ higher is better", "neither": ""}
_WORDS = {
    "real, held out": "held-out real images in the samples' place: what no model can be asked to beat",
    "refined": "the same samples after the chain",
}


def write(folder: Path, measured: Measured) -> None:
    """Writes everything into a folder, making it."""
    folder.mkdir(parents=True, exist_ok=True)
    first, *others = measured.boards
    cards.write(folder / "evaluation.json", measured.boards[first])
    for title in others:
        cards.write(folder / f"evaluation-{title.replace(', ', '-').replace(' ', '-')}.json", measured.boards[title])
    shown = {}
    if first in measured.questions and len(measured.questions[first].generated) > 3:
        shown = pictures(measured.questions[first])
    for name, (_, picture) in shown.items():
        save_png(folder / f"{name}.png", picture)
    replace(folder / "evaluation.html", _page(measured.boards, shown))


def section(folder: Path) -> str:
    """What report.html shows of an evaluation in `folder`: its table and pictures; empty when there is none."""
    try:
        found = cards.read(folder / "evaluation.json")
    except Exception:
        return ""
    return _table({"samples": found}) + '<p><a href="evaluation/evaluation.html">pictures and intervals</a></p>'


def _page(boards: Mapping[str, Sequence[Card]], shown: Mapping[str, tuple[str, np.ndarray]]) -> str:
    first = next(iter(boards.values()))
    about = ""
    if first:
        card = max(first, key=lambda c: len(c.extractor_digest))
        of = ", ".join(f"{name} {str(value)[:12]}" for name, value in card.of.items())
        about = (
            f"{card.samples:,} images ({of}); features by {card.extractor} ({card.extractor_digest[:12]}, resized: "
            f"{card.resize}); data {card.data_digest[:12]}; gen {card.version}, {card.time}"
        )
    figures = "".join(
        f'<figure><h3>{html.escape(words)}</h3><img src="{_uri(picture)}" alt="{html.escape(words)}"></figure>'
        for words, picture in shown.values()
    )
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width"><title>Evaluation</title><style>{STYLE}{_LAYOUT}</style></head><body><main>'
        f'<h1>Evaluation</h1><p class="quiet">{html.escape(about)}</p>{_table(boards)}{figures}</main></body></html>\n'
    )


_LAYOUT = """
.board td, .board th { text-align: right; white-space: nowrap; }
.board td:first-child, .board th:first-child, .board td:last-child { text-align: left; }
figure img { image-rendering: pixelated; max-width: 100%; width: auto; }
"""


def _table(boards: Mapping[str, Sequence[Card]]) -> str:
    """A row for each metric, a column for each board."""
    names = list(dict.fromkeys(card.metric for board in boards.values() for card in board))
    found = {title: {card.metric: card for card in board} for title, board in boards.items()}
    heads = "".join(f'<th title="{html.escape(_WORDS.get(title, ""))}">{html.escape(title)}</th>' for title in boards)
    rows = []
    for name in names:
        held = [found[title].get(name) for title in boards]
        cells = "".join(f"<td>{_cell(card)}</td>" for card in held)
        arrow = next(_ARROWS[card.better] for card in held if card)
        rows.append(f"<tr><td>{html.escape(name)}</td>{cells}<td>{arrow}</td></tr>")
    head = f"<tr><th>metric</th>{heads}<th></th></tr>"
    return f'<div class="wide"><table class="facts board">{head}{"".join(rows)}</table></div>'


def _cell(card: Card | None) -> str:
    if card is None:
        return "–"
    between = cards.interval(card)
    return f"{cards.number(card.value)}" + (f' <span class="quiet">({between})</span>' if between else "")


def _uri(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
