"""The report of a run as one self-contained HTML page: a pure function of a summary, without files or network."""

from __future__ import annotations

import datetime
import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import markupsafe

from gen.files import printable
from gen.report import html
from gen.report.curves import Chart, Series, chart, compact

REFRESH_SECONDS = 20
_SHOWN_SKIPPED = 200
_SHOWN_CLASSES = 40
_NOT_CURVES = ("step", "images", "seconds", "steps_per_second", "images_per_second")
_UNSHOWN = re.compile(r"(skipped|class_names|uncaptioned|unmatched|captions\.bytes)\b")  # of the data
_GROUPS = (  # title, label of the y axis, names that belong there
    ("Losses", "loss", r"loss"),
    ("Logits", "logit", r"logit|score"),
    ("Gradient penalties", "squared norm", r"penalty|^r[12]$|^(real|fake)_gradient"),
    ("Quality", "share of 1", r"^(precision|recall|density|coverage)$"),
    ("Learning rate", "step size", r"learning_rate|(^|_)lr$"),
)


class Picture(NamedTuple):
    """An image to show: `uri` is a data URI, `width` its pixels, `step` the training step that it belongs to."""

    uri: str
    width: int
    step: int = 0


class RunSummary(NamedTuple):
    """The content of the page. `history` holds the lines of metrics.jsonl, `previews` are in order of time."""

    workdir: str
    status: str  # "running", "finished", "interrupted", "stopped because ..."
    config: Mapping[str, Any]
    data: Mapping[str, Any]  # data.json
    history: Sequence[Mapping[str, Any]]
    previews: Sequence[Picture]
    real: Picture | None
    now: datetime.datetime
    refined: Picture | None = None  # the last of `previews` after config["refine"]
    evaluation: str = ""  # the section that gen.evaluate wrote, as HTML
    captions: Sequence[str] = ()  # of the images of the previews, and of the real ones


def duration(seconds: float) -> str:
    """Formats a time in its two largest units: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = round(min(max(0.0, seconds), 1e12))
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next((index for index, (_, value) in enumerate(units) if value), 3)
    shown = [f"{value} {unit}" for unit, value in units[first : first + 2] if value]
    return " ".join(shown) or "0 s"


def render(summary: RunSummary) -> str:
    """Renders the page, ready to be written as UTF-8."""
    config, data = summary.config, summary.data
    groups = {name: value for name, value in config.items() if isinstance(value, Mapping)}
    scalars = {name: value for name, value in config.items() if name not in groups}
    classes = list(map(printable, data.get("class_names") or []))
    return html.render(
        "report.html",
        **_progress(summary),
        **_samples(summary),
        name=str(data.get("name", "unnamed data")),
        status=summary.status,
        refresh_seconds=REFRESH_SECONDS,
        summary=" · ".join(_summary(data)),
        classes=", ".join(classes[:_SHOWN_CLASSES]) + (", …" if len(classes) > _SHOWN_CLASSES else ""),
        evaluation=summary.evaluation,
        charts=_charts(summary.history),
        command=_command(summary),
        data_rows=[row for row in _rows(data) if not _UNSHOWN.match("".join(row[0]))],
        texts=summary.captions,
        skipped=list(_skipped(data.get("skipped") or [])),
        shown_skipped=_SHOWN_SKIPPED,
        config_groups={name: list(_rows(group)) for name, group in {"": scalars, **groups}.items()},
        config_json=markupsafe.escape(json.dumps(config, indent=2, ensure_ascii=False)),
    )


def _summary(data: Mapping[str, Any]) -> Iterable[str]:
    classes = data.get("class_names") or []
    yield f"{data.get('num_train', 0):,} images"
    if shape := data.get("image_shape"):
        height, width, channels = shape
        yield f"{width} × {height} pixels, {'gray' if channels == 1 else 'color'}"
    yield f"{len(classes):,} classes" if classes else "no labels"
    if captions := data.get("captions"):
        yield f"{captions['captions']:,} captions"


def _progress(summary: RunSummary) -> dict[str, Any]:
    """Computes progress, speed, and after how long without news the run counts as interrupted."""
    last = summary.history[-1] if summary.history else {}
    total, shown = summary.config.get("total_images", 0), last.get("images", 0)
    running, finished = summary.status.startswith("running"), summary.status.startswith("finished")
    speeds: Mapping[str, Any] = next((line for line in reversed(summary.history) if line.get("images_per_second")), {})
    tiles = [("step", f"{last.get('step', 0):,}")]
    if running and speeds:
        tiles.append(("left", duration(max(0, total - shown) / speeds["images_per_second"])))
    if last.get("seconds") is not None:
        tiles.append(("trained for", duration(last["seconds"])))
    for name, key in (("images/s", "images_per_second"), ("steps/s", "steps_per_second")):
        if speeds.get(key) is not None:
            tiles.append((name, compact(speeds[key])))
    pause = last.get("seconds", 0) - summary.history[-2].get("seconds", 0) if len(summary.history) > 1 else 0
    return {
        "running": running,
        "kind": "running" if running else "finished" if finished else "stopped",
        "now": summary.now.astimezone().isoformat(timespec="seconds"),
        "stale_seconds": max(900, round(5 * pause)),
        "percent": 100.0 if finished else min(100.0, 100 * shown / total) if total else 0.0,
        "shown": shown,
        "total": total,
        "tiles": tiles,
    }


def _samples(summary: RunSummary) -> dict[str, Any]:
    """Returns the pictures, their captions, and the width of the widest, which sets the scale of all."""
    widest = max((picture.width for picture in (*summary.previews, summary.real) if picture), default=1)
    last = summary.history[-1] if summary.history else {}
    known = last.get("step") and "images" in last
    per_step = last["images"] / last["step"] if known else summary.config.get("batch_size", 1)
    return {
        "previews": summary.previews,
        "captions": [f"step {p.step:,} · after {round(p.step * per_step):,} real images" for p in summary.previews],
        "refined": summary.refined,
        "chain": summary.config.get("refine"),
        "real": summary.real,
        "widest": widest,
    }


def _charts(history: Sequence[Mapping[str, Any]]) -> list[Chart]:
    names = list(dict.fromkeys(name for line in history for name in line if name not in _NOT_CURVES))
    groups = list[tuple[str, str, list[str]]]()
    for title, y_label, pattern in _GROUPS:
        members = [name for name in names if re.search(pattern, name)]
        names = [name for name in names if name not in members]
        groups.append((title, y_label, members))
    groups += [(name, name, [name]) for name in names]
    groups.append(("Speed", "real images per second", ["images_per_second"]))
    charts = []
    for title, y_label, members in groups:
        of = {name: [line for line in history if name in line and "images" in line] for name in members}
        series = [Series(name, [x["images"] for x in lines], [x[name] for x in lines]) for name, lines in of.items()]
        charts.append(chart(title, series, x_label="real images shown", y_label=y_label))
    return [drawn for drawn in charts if drawn]


def _command(summary: RunSummary) -> str:
    seeds = "0-7 --label all" if summary.data.get("class_names") else "0-63"
    return f"python -m gen.sample --workdir {shlex.quote(summary.workdir)} --seeds {seeds} --grid --out samples"


def _skipped(entries: Any) -> Iterable[tuple[str, str]]:
    """Yields (file, reason) for each entry of a mapping, of a list of mappings, of pairs, or of names."""
    for entry in entries.items() if isinstance(entries, Mapping) else entries:
        if isinstance(entry, Mapping):
            entry = tuple(entry.values())
        values = (entry,) if isinstance(entry, str) else tuple(entry) or ("",)
        yield printable(values[0]), printable(" ".join(str(value) for value in values[1:]))


def _rows(tree: Mapping[str, Any]) -> Iterable[tuple[list[str], str]]:
    """Yields (parts of the dotted name, between which a line may break, and a readable value) for every leaf."""
    for name, value in _flatten(tree):
        yield re.split(r"(?<=[._:])", name), value


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """Yields (dotted name, readable value) for every leaf."""
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _flatten(value, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}", _readable(value)


def _readable(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value in ({}, [], ""):
        return "–"
    if isinstance(value, int):
        return f"{value:,}" if abs(value) >= 10_000 else str(value)
    if isinstance(value, float):
        return f"{value:g}" if math.isfinite(value) else str(value)
    if isinstance(value, list | tuple):
        return ", ".join(_readable(item) for item in value)
    return str(value)
