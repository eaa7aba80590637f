"""The files of an evaluation: evaluation.json, the pictures, and one page that shows both."""

from __future__ import annotations

import base64
import html
import io
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import cli
from gen.config.values import strict_json
from gen.evaluation import results
from gen.evaluation.evaluate_run import Evaluation
from gen.evaluation.figures import PICTURES, pictures
from gen.evaluation.metric_suite import METRICS
from gen.evaluation.results import MetricResult
from gen.files import atomic_write, printable
from gen.outputs import image_writer as files
from gen.report import Report, save_png
from gen.report.report import EVALUATION
from gen.report.style import STYLE
from gen.runs.run_folder import RunFolder, read_text

_ARROWS = {"lower": " ↓", "higher": " ↑", "neither": ""}
_BOARDS = {
    "refined": "the same samples after the chain",
    "real, held out": "held-out real images in the samples' place, which no model can be asked to beat",
}


def write(folder: Path, measured: Evaluation) -> None:
    """Writes everything into a folder, making it."""
    first, *others = measured.boards
    shown = pictures(measured.questions[first]) if first in measured.questions else {}
    body = f"{_verdicts(measured)}{_body(measured.boards, shown)}"
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "evaluation.html").is_file():  # of an earlier evaluation
        for path in (folder / f"{title}.png" for title in PICTURES):
            if files.is_own(path):
                path.unlink()
        for name in map(_file, _BOARDS):
            (folder / name).unlink(missing_ok=True)
    results.write(folder / "evaluation.json", measured.boards[first])
    for title in others:
        results.write(folder / _file(title), measured.boards[title])
    for name, (_, picture) in shown.items():
        path = folder / f"{name}.png"
        if os.path.lexists(path) and not files.is_own(path):
            cli.say(f"{printable(path)} is not of gen and stays; the picture is in evaluation.html")
        else:
            save_png(path, picture)
    atomic_write(folder / Path(EVALUATION).name, f"<style>{_LAYOUT}</style>{body}")
    atomic_write(folder / "evaluation.html", _page(body))


def _file(title: str) -> str:
    """Where the cards of a board are that is not the first."""
    return f"evaluation-{title.replace(', ', '-').replace(' ', '-')}.json"


def refresh(workdir: Path) -> None:
    """Makes report.html of a run show its evaluation. One that is in training shows it with its next preview.

    The run was opened before: its config and facts are known to be sound.
    """
    folder, path = RunFolder(workdir), workdir / "report.html"
    if path.is_file() and 'class="status running"' not in path.read_text(encoding="utf-8", errors="replace"):
        facts = strict_json(read_text(folder.data), printable(folder.data))
        report = Report(workdir, config_json=read_text(folder.config), data_metadata=facts)
        report.write_html(report.status)


def _body(boards: Mapping[str, Sequence[MetricResult]], shown: Mapping[str, tuple[str, np.ndarray]]) -> str:
    figures = "".join(
        f'<h3>{html.escape(title)}</h3><p class="quiet">{html.escape(words)}</p><figure>'
        f'<img class="measured {name}" src="{_uri(picture)}" alt="{html.escape(title)}"></figure>'
        for name, title, words, picture in ((name, *_split(words), picture) for name, (words, picture) in shown.items())
    )
    return f"{_about(boards)}{_table(boards)}{figures}"


def _verdicts(measured: Evaluation) -> str:
    """The verdict on each set, a sentence for each aspect."""
    names = {title: f"{title}: " if len(measured.verdicts) > 1 else "" for title in measured.verdicts}
    return "".join(
        f"<p><b>{html.escape(names[title])}{found.level}.</b> {html.escape(' '.join(found.words))}</p>"
        for title, found in measured.verdicts.items()
    )


def _page(body: str) -> str:
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" '
        f'content="width=device-width, initial-scale=1"><title>Evaluation</title><style>{STYLE}{_LAYOUT}</style></head>'
        f"<body><main><h1>Evaluation</h1>{body}</main></body></html>\n"
    )


def _split(words: str) -> tuple[str, str]:
    """A title and what follows its colon."""
    title, _, rest = words.partition(": ")
    return title, rest[:1].upper() + rest[1:]


_LAYOUT = """
.board td, .board th { text-align: right; white-space: nowrap; }
.board td:first-child, .board th:first-child { text-align: left; }
.wide + h3 { margin-top: 2rem; }
.board td:first-child { white-space: normal; min-width: 15rem; color: var(--ink); }
img.measured { max-width: 100%; width: auto; border-radius: 3px; }
@media (prefers-color-scheme: dark) { img.map { filter: invert(.9) hue-rotate(180deg); } }
@media (max-width: 36rem) { .board td, .board th { padding-right: .5rem; }
  .board td:first-child { min-width: 7rem; width: auto; } .board .quiet { font-size: .8rem; } }
"""


def _about(boards: Mapping[str, Sequence[MetricResult]]) -> str:
    """What was measured, by what."""
    every = [card for board in boards.values() for card in board]
    card = max(every, key=lambda card: (len(card.extractor_digest), card.samples, card.references))
    of = ", ".join(f"{name.replace('_', ' ')} {_brief(value)}" for name, value in card.of.items())
    lines = [
        f"{card.samples:,} images: {of}; seed {card.seed}."
        + (
            f" Compared with {card.references:,} real ones ({card.split.replace('_', ' ')})." if card.references else ""
        ),
        f"Features by the extractor {card.extractor} ({card.extractor_digest[:12]}); images resized: {card.resize}.",
        f"Data {card.data_digest[:12]}; gen {card.version}; {card.time}. Below a number: its 95 % interval.",
    ]
    for title, words in _BOARDS.items():
        if title in boards:
            chain = next((f" {c.of['refine']}" for c in boards[title] if "refine" in c.of), "")
            lines.append(f"{title}: {words}{chain}.")
    return "".join(f'<p class="quiet">{html.escape(line)}</p>' for line in lines)


def _brief(value: Any) -> str:
    """A digest by its first digits, all else as it is."""
    text = str(value)
    return text[:12] if len(text) == 64 and " " not in text else text


def _table(boards: Mapping[str, Sequence[MetricResult]]) -> str:
    """A row for each metric, a column for each board."""
    names = list(dict.fromkeys(card.metric for board in boards.values() for card in board))
    found = {title: {card.metric: card for card in board} for title, board in boards.items()}
    heads = "".join(f"<th>{html.escape(title)}</th>" for title in boards)
    rows = []
    for name in names:
        held = [found[title].get(name) for title in boards]
        cells = "".join(f"<td>{_cell(card)}</td>" for card in held)
        card = next(card for card in held if card)
        described = next((m.description for m in METRICS if m.matches(name, card.extractor)), "")
        words = f'{html.escape(name)}{_ARROWS[card.better]}<br><span class="quiet">{html.escape(described)}</span>'
        rows.append(f"<tr><td>{words}</td>{cells}</tr>")
    head = f"<tr><th>↓ lower is better, ↑ higher</th>{heads}</tr>"
    return f'<div class="wide"><table class="facts board">{head}{"".join(rows)}</table></div>'


def _cell(card: MetricResult | None) -> str:
    if card is None:
        return "–"
    between = results.interval(card)
    return f"{results.number(card.value)}" + (f'<br><span class="quiet">{between}</span>' if between else "")


def _uri(picture: np.ndarray) -> str:
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return f"data:image/png;base64,{base64.b64encode(buffer.getvalue()).decode()}"
