"""The page of a comparison: what differs, curves over one another, final numbers, pictures. One HTML text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gen.comparing import pictures, tables
from gen.comparing.pictures import Samples
from gen.comparing.runs import By, ComparedRun
from gen.files import printable
from gen.report import html
from gen.report.curves import NUM_COLORS, Chart, chart
from gen.report.page import duration

MARK = '<meta name="generator" content="gen.compare">'  # in every page: which program may write over it
_MOST_CHARTS = 120
_MOST_FIELDS = 200
_MOST_POINTS = 120_000  # of all lines of a page, 12 bytes each
_MOST_ON_A_LINE, _LEAST_ON_A_LINE = 400, 20
_NUM_DASHES = 4
_X_LABELS = {"step": "step", "images": "real images shown", "seconds": "seconds of training"}


def render(runs: Sequence[ComparedRun], *, by: By, samples: Sequence[Samples] = ()) -> str:
    """Renders the page, ready to be written as UTF-8. samples: none, or those of each run."""
    differing, equal = tables.differing_fields([run.config for run in runs])
    evaluations, names = [run.results for run in runs], [run.name for run in runs]
    shared, alone = _scalars(runs)
    return html.render(
        "compare.html",
        mark=MARK,
        runs=[_about(run) for run in runs],
        styles=[style(index) for index in range(len(runs))],
        differing=dict(list(differing.items())[:_MOST_FIELDS]),
        more_fields=max(0, len(differing) - _MOST_FIELDS),
        equal=equal,
        data_notes=_data_notes(runs),
        metrics=tables.metric_rows(evaluations),
        notes=tables.notes(names, evaluations),
        charts=charts(runs, shared[:_MOST_CHARTS], by=by),
        more_charts=max(0, len(shared) - _MOST_CHARTS),
        alone=[printable(scalar, longest=80) for scalar in alone[:_MOST_CHARTS]],
        faults=[f"{run.name}: metrics.jsonl is damaged ({run.fault}); the rest is drawn" for run in runs if run.fault],
        previews=pictures.previews(runs),
        count=max((len(each.images) for each in samples), default=0),
        strips=list(zip(pictures.strips(samples), [each.words for each in samples], strict=True)),
    )


def style(index: int) -> str:
    """The CSS classes of a run's lines: 24 runs look unlike each other."""
    dashes = index // NUM_COLORS % _NUM_DASHES
    return f"line{index % NUM_COLORS}" + (f" dash{dashes}" if dashes else "")


def charts(runs: Sequence[ComparedRun], scalars: Sequence[str], *, by: By) -> list[Chart]:
    """Draws a chart for each of these scalars, a line for each run that has it, in the style of the run."""
    count = sum(scalar in run.curves for scalar in scalars for run in runs)
    limit = min(_MOST_ON_A_LINE, max(_LEAST_ON_A_LINE, _MOST_POINTS // max(count, 1)))
    drawn = list[Chart | None]()
    for scalar in scalars:
        lines = [
            run.curves[scalar]._replace(css=f"{style(index)} run{index}")
            for index, run in enumerate(runs)
            if scalar in run.curves
        ]
        drawn.append(chart(printable(scalar, longest=80), lines, x_label=_X_LABELS[by], y_label="", limit=limit))
    return [each for each in drawn if each]


def _scalars(runs: Sequence[ComparedRun]) -> tuple[list[str], list[str]]:
    """Returns the scalars that at least two runs have, or the one, and those that only one of several has."""
    names = list(dict.fromkeys(scalar for run in runs for scalar in run.curves))
    needed = min(2, len(runs))
    having = {name: sum(name in run.curves for run in runs) for name in names}
    return [name for name in names if having[name] >= needed], [name for name in names if having[name] < needed]


def _about(run: ComparedRun) -> dict[str, Any]:
    """Describes a run in one row."""
    seconds = run.last.get("seconds")
    measured = next((result.subject.get("step") for result in run.results.values()), None)
    return {
        "name": run.name,
        "path": printable(run.path),
        "task": str(run.config.get("task.call", "–")).rpartition(":")[2].rpartition(".")[2],
        "data": printable(run.data.get("name", "–")),
        "step": _counted(run.last.get("step")),
        "images": _counted(run.last.get("images")),
        "time": "–" if seconds is None else duration(seconds),
        "measured": _counted(measured),
    }


def _counted(value: Any) -> str:
    return f"{value:,}" if isinstance(value, int) else "–"


def _data_notes(runs: Sequence[ComparedRun]) -> list[str]:
    digests = dict[str, list[str]]()
    for run in runs:
        if digest := run.data.get("digest"):
            digests.setdefault(digest, []).append(run.name)
    if len(digests) < 2:
        return []
    return [
        "These runs learn from unlike data: "
        + "; ".join(f"{printable(d)[:12]}: {', '.join(n)}" for d, n in digests.items())
    ]
