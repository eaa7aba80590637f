"""Writes the files of an evaluation: evaluation.json, the figures, and one page that shows both."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from gen import cli
from gen.config.values import strict_json
from gen.evaluation import results
from gen.evaluation.evaluate_run import Evaluation
from gen.evaluation.figures import FIGURES, draw_figures, spectra
from gen.evaluation.metric_suite import METRICS
from gen.evaluation.results import MetricResult
from gen.files import atomic_write, printable
from gen.outputs import image_writer as files
from gen.provenance import COMPOSITE, DATA, PREFIX, Record
from gen.report import Report, save_png
from gen.report.html import data_uri, render
from gen.report.pictures import encode_png
from gen.report.report import EVALUATION
from gen.runs.run_folder import RunFolder, read_text

_SOURCE_TYPE = PREFIX + "digital_source_type"
_SOURCE_TYPES = {"nearest": COMPOSITE, "map": DATA}  # of figures that do not show the images of the model alone
_SETS = {
    "refined": "the same samples after the chain",
    "real, held out": "held-out real images in the samples' place, which no model can be asked to beat",
}


def write(folder: Path, evaluation: Evaluation) -> None:
    """Writes everything into a folder, making it."""
    first, *others = evaluation.results
    shown = draw_figures(evaluation.comparisons[first]) if first in evaluation.comparisons else {}
    values = {
        "charts": spectra(evaluation.comparisons[first]) if first in evaluation.comparisons else [],
        "verdicts": evaluation.verdicts,
        "about": _about(evaluation.results),
        "titles": list(evaluation.results),
        "rows": _rows(evaluation.results),
        "figures": [
            _figure(name, words, picture, _record(evaluation, name)) for name, (words, picture) in shown.items()
        ],
    }
    folder.mkdir(parents=True, exist_ok=True)
    if (folder / "evaluation.html").is_file():  # of an earlier evaluation
        for path in (folder / f"{title}.png" for title in FIGURES):
            if files.is_own(path):
                path.unlink()
        for name in map(_file, _SETS):
            (folder / name).unlink(missing_ok=True)
    results.write(folder / "evaluation.json", evaluation.results[first])
    for title in others:
        results.write(folder / _file(title), evaluation.results[title])
    for name, (_, picture) in shown.items():
        path = folder / f"{name}.png"
        if os.path.lexists(path) and not files.is_own(path):
            cli.say(f"{printable(path)} is not of gen and stays; the picture is in evaluation.html")
        else:
            save_png(path, picture, record=_record(evaluation, name))
    atomic_write(folder / Path(EVALUATION).name, render("evaluation_section.html", **values))
    atomic_write(folder / "evaluation.html", render("evaluation.html", **values))


def _record(evaluation: Evaluation, name: str) -> Record | None:
    """Returns the record of a figure: one that shows real images, or none at all, says so."""
    kind = _SOURCE_TYPES.get(name)
    return evaluation.record if None in (evaluation.record, kind) else {**(evaluation.record or {}), _SOURCE_TYPE: kind}


def _file(title: str) -> str:
    """Names the file of the results of a set that is not the first."""
    return f"evaluation-{title.replace(', ', '-').replace(' ', '-')}.json"


def refresh(workdir: Path) -> None:
    """Adds the evaluation to report.html of a run. One in training adds it with its next preview.

    The run was opened before: its config and data.json are known to be valid.
    """
    folder, path = RunFolder(workdir), workdir / "report.html"
    if path.is_file() and 'class="status running"' not in path.read_text(encoding="utf-8", errors="replace"):
        facts = strict_json(read_text(folder.data), printable(folder.data))
        report = Report(workdir, config_json=read_text(folder.config), data_metadata=facts)
        report.write_html(report.status)


def _figure(name: str, words: str, picture: np.ndarray, record: Record | None) -> dict[str, str]:
    """Splits the words of a figure at the colon, and embeds it."""
    title, _, rest = words.partition(": ")
    uri = data_uri(encode_png(picture, record=record))
    return {"name": name, "title": title, "words": rest[:1].upper() + rest[1:], "uri": uri}


def _about(sets: Mapping[str, Sequence[MetricResult]]) -> list[str]:
    """Describes what was measured, by what."""
    every = [result for each in sets.values() for result in each]
    result = max(every, key=lambda result: (len(result.extractor_digest), result.num_samples, result.num_references))
    of = ", ".join(f"{name.replace('_', ' ')} {results.short(value)}" for name, value in result.subject.items())
    with_real = f" Compared with {result.num_references:,} real ones ({result.split.replace('_', ' ')})."
    lines = [
        f"{result.num_samples:,} images: {of}; seed {result.seed}.{with_real if result.num_references else ''}",
        f"Features by the extractor {result.extractor} ({result.extractor_digest[:12]}); resize: {result.resize}.",
        f"Data {result.data_digest[:12]}; gen {result.version}; {result.time}. Below a number: its 95 % interval.",
    ]
    for title, words in _SETS.items():
        if title in sets:
            chain = next((f" {c.subject['refine']}" for c in sets[title] if "refine" in c.subject), "")
            lines.append(f"{title}: {words}{chain}.")
    return lines


def _rows(sets: Mapping[str, Sequence[MetricResult]]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Lists for each metric its name, its description, and for each set the number and its interval."""
    found = {title: {result.metric: result for result in each} for title, each in sets.items()}
    first = {result.metric: result for each in reversed(list(sets.values())) for result in reversed(each)}
    rows = []
    for name in dict.fromkeys(result.metric for each in sets.values() for result in each):
        described = next((m.description for m in METRICS if m.matches(name, first[name].extractor)), "")
        cells = [_cell(found[title].get(name)) for title in sets]
        rows.append((name + results.ARROWS[first[name].better], described, cells))
    return rows


def _cell(result: MetricResult | None) -> tuple[str, str]:
    return ("–", "") if result is None else (results.number(result.value), results.interval(result))
