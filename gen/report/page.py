"""The report of a run as one self-contained HTML page: a pure function from facts to text, without files or network."""

from __future__ import annotations

import datetime
import html
import json
import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from gen.files import printable
from gen.report.curves import Series, chart, compact
from gen.report.style import SCRIPT, STYLE

REFRESH_SECONDS = 20
_LONGEST = 20_000  # characters of a value
_SHOWN_SKIPPED = 200
_SHOWN_CLASSES = 40
_NOT_CURVES = ("step", "images", "seconds", "steps_per_second", "images_per_second")
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


class Facts(NamedTuple):
    """All that the page shows. `history` holds the lines of metrics.jsonl, `previews` are in order of time."""

    workdir: str
    status: str  # "running", "finished", "interrupted", "stopped because ..."
    config: Mapping[str, Any]
    data: Mapping[str, Any]  # data.json
    history: Sequence[Mapping[str, Any]]
    previews: Sequence[Picture]
    real: Picture | None
    now: datetime.datetime
    refined: Picture | None = None  # the last of `previews` after config["refine"]
    evaluation: str = ""  # what gen.evaluate says of the run, as HTML


def duration(seconds: float) -> str:
    """A time in its two largest units: 45 s, 3 min 20 s, 2 h 5 min, 3 d 4 h."""
    whole = round(min(max(0.0, seconds), 1e12))
    units = (("d", whole // 86400), ("h", whole // 3600 % 24), ("min", whole // 60 % 60), ("s", whole % 60))
    first = next((index for index, (_, value) in enumerate(units) if value), 3)
    shown = [f"{value} {unit}" for unit, value in units[first : first + 2] if value]
    return " ".join(shown) or "0 s"


def render(facts: Facts) -> str:
    """The whole page, ready to be written as UTF-8."""
    running = facts.status.startswith("running")
    refresh = f'<meta http-equiv="refresh" content="{REFRESH_SECONDS}">' if running else ""
    name = html.escape(str(facts.data.get("name", "unnamed data")))
    sections = (_header, _progress, _samples, _evaluation, _curves, _command, _data, _config)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        '<meta http-equiv="Content-Security-Policy" content="default-src \'none\'; img-src data:; '
        "style-src 'unsafe-inline'; script-src 'unsafe-inline'\">"
        f"{refresh}<title>{name} · {html.escape(facts.status)}</title><style>{STYLE}</style></head>"
        f"<body><main>{''.join(section(facts) for section in sections)}</main>"
        f"<script>{SCRIPT}</script></body></html>\n"
    )


def _header(facts: Facts) -> str:
    data = facts.data
    classes = data.get("class_names") or []
    parts = [f"{data.get('num_train', 0):,} images"]
    if shape := data.get("image_shape"):
        height, width, channels = shape
        parts.append(f"{width} × {height} pixels, {'gray' if channels == 1 else 'color'}")
    parts.append(f"{len(classes):,} classes" if classes else "no labels")
    names = ", ".join(printable(name) for name in classes[:_SHOWN_CLASSES]) + (
        ", …" if len(classes) > _SHOWN_CLASSES else ""
    )
    listed = f'<p class="quiet">{html.escape(names)}</p>' if classes else ""
    return (
        f'<header><p class="eyebrow">Learning to make images like</p><h1>{html.escape(str(data.get("name", "?")))}</h1>'
        f"<p>{html.escape(' · '.join(parts))}</p>{listed}</header>"
    )


def _progress(facts: Facts) -> str:
    last = facts.history[-1] if facts.history else {}
    total, shown = facts.config.get("total_images", 0), last.get("images", 0)
    finished = facts.status.startswith("finished")
    share = 1.0 if finished else min(1.0, shown / total) if total else 0.0
    speeds: Mapping[str, Any] = next((line for line in reversed(facts.history) if line.get("images_per_second")), {})
    running = facts.status.startswith("running")
    kind = "running" if running else "finished" if finished else "stopped"
    tiles = [("step", f"{last.get('step', 0):,}")]
    if running and speeds:
        tiles.append(("left", duration(max(0, total - shown) / speeds["images_per_second"])))
    if last.get("seconds") is not None:
        tiles.append(("trained for", duration(last["seconds"])))
    if speeds:
        tiles += [
            (name, compact(speeds[key]))
            for name, key in (("images/s", "images_per_second"), ("steps/s", "steps_per_second"))
            if speeds.get(key) is not None
        ]
    listed = "".join(f"<div><dt>{name}</dt><dd>{value}</dd></div>" for name, value in tiles)
    written = facts.now.astimezone().isoformat(timespec="seconds")
    pause = facts.history[-1].get("seconds", 0) - facts.history[-2].get("seconds", 0) if len(facts.history) > 1 else 0
    stale = f' data-stale="{max(900, round(5 * pause))}"' if running else ""
    return (
        f'<section class="now"><p><span class="status {kind}">{html.escape(facts.status)}</span>'
        f'<span class="quiet">updated <time datetime="{written}"{stale}>{facts.now:%Y-%m-%d %H:%M}</time></span></p>'
        f'<div class="bar"><i class="{kind}" style="width:{100 * share:.2f}%"></i></div>'
        f"<p>{shown:,} of {total:,} real images shown ({100 * share:.0f} %)</p><dl>{listed}</dl></section>"
    )


def _samples(facts: Facts) -> str:
    if not facts.previews and not facts.real:
        return ""
    widest = max(picture.width for picture in [*facts.previews, *([facts.real] if facts.real else [])])
    last = facts.history[-1] if facts.history else {}
    per_step = (
        last["images"] / last["step"] if last.get("step") and "images" in last else facts.config.get("batch_size", 1)
    )
    images, figures = [], []
    for index, picture in enumerate(facts.previews):
        caption = f"step {picture.step:,} · after {round(picture.step * per_step):,} real images"
        hidden = "" if index == len(facts.previews) - 1 else " hidden"
        images.append(f'<img src="{picture.uri}" alt="Samples at {caption}" data-caption="{caption}"{hidden}>')
    if images:
        player = (
            '<div class="player"><button type="button">Play</button>'
            f'<input type="range" min="0" max="{len(images) - 1}" value="{len(images) - 1}" aria-label="Which preview">'
            "</div>"
        )
        figures.append(
            f'<figure id="samples" style="--share:{facts.previews[-1].width / widest:.4f}"><h3>Made by the model</h3>'
            f'{"".join(images)}<figcaption><p class="caption">{caption}</p>{player if len(images) > 1 else ""}'
            "</figcaption></figure>"
        )
    if facts.refined:
        chain = html.escape(facts.config["refine"])
        figures.append(
            f'<figure style="--share:{facts.refined.width / widest:.4f}"><h3>Refined</h3>'
            f'<img src="{facts.refined.uri}" alt="The newest samples, refined"><figcaption><p>the newest samples after '
            f"<code>{chain}</code></p></figcaption></figure>"
        )
    if facts.real:
        figures.append(
            f'<figure style="--share:{facts.real.width / widest:.4f}"><h3>Real</h3><img src="{facts.real.uri}" '
            'alt="Real images"><figcaption><p>from the training data, at the same scale</p></figcaption></figure>'
        )
    note = "Every preview uses the same seeds, so each place in the grid shows one image as it develops."
    return f'<section><h2>Samples</h2><p class="quiet">{note}</p><div class="pair">{"".join(figures)}</div></section>'


def _evaluation(facts: Facts) -> str:
    return f"<section><h2>Quality and variety</h2>{facts.evaluation}</section>" if facts.evaluation else ""


def _curves(facts: Facts) -> str:
    names = list(dict.fromkeys(name for line in facts.history for name in line if name not in _NOT_CURVES))
    charts = []
    for title, y_label, pattern in _GROUPS:
        members = [name for name in names if re.search(pattern, name)]
        names = [name for name in names if name not in members]
        charts.append(_chart(facts, title, y_label, members))
    for name in names:
        charts.append(_chart(facts, name, name, [name]))
    charts.append(_chart(facts, "Speed", "real images per second", ["images_per_second"]))
    drawn = "".join(charts)
    return f'<section><h2>Curves</h2><div class="charts">{drawn}</div></section>' if drawn else ""


def _chart(facts: Facts, title: str, y_label: str, names: Iterable[str]) -> str:
    series = []
    for name in names:
        points = [(line["images"], line[name]) for line in facts.history if name in line and "images" in line]
        if points:
            series.append(Series(name, [x for x, _ in points], [y for _, y in points]))
    return chart(title, series, x_label="real images shown", y_label=y_label) if series else ""


def _command(facts: Facts) -> str:
    labels = " --label all" if facts.data.get("class_names") else ""
    count = "0-7" if labels else "0-63"
    command = (
        f"python -m gen.sample --workdir {shlex.quote(facts.workdir)} --seeds {count}{labels} --grid --out samples"
    )
    command = printable(command, longest=_LONGEST)
    return (
        f'<section><h2>Make images with this run</h2><pre class="command"><code>{html.escape(command)}</code></pre>'
        '<p class="quiet">It uses the newest checkpoint; <code>--step</code> picks another, and one seed is always one '
        "image.</p></section>"
    )


def _data(facts: Facts) -> str:
    shown = {name: value for name, value in facts.data.items() if name not in ("skipped", "class_names")}
    skipped = list(_skipped(facts.data.get("skipped") or []))
    table = ""
    if skipped:
        rows = "".join(
            f"<tr><td>{html.escape(a)}</td><td>{html.escape(b)}</td></tr>" for a, b in skipped[:_SHOWN_SKIPPED]
        )
        more = f"<p>and {len(skipped) - _SHOWN_SKIPPED:,} more</p>" if len(skipped) > _SHOWN_SKIPPED else ""
        table = (
            f"<details><summary>{len(skipped):,} files were skipped</summary>"
            f'<div class="wide"><table><tr><th>file</th><th>why</th></tr>{rows}</table></div>{more}</details>'
        )
    return f"<section><h2>Data</h2>{_table({'': shown})}{table}</section>"


def _skipped(entries: Any) -> Iterable[tuple[str, str]]:
    """(file, reason) of each entry of a mapping, of a list of mappings, of pairs, or of names."""
    for entry in entries.items() if isinstance(entries, Mapping) else entries:
        if isinstance(entry, Mapping):
            entry = tuple(entry.values())
        values = (entry,) if isinstance(entry, str) else tuple(entry) or ("",)
        yield printable(values[0]), printable(" ".join(str(value) for value in values[1:]))


def _config(facts: Facts) -> str:
    scalars = {name: value for name, value in facts.config.items() if not isinstance(value, Mapping)}
    groups = {name: value for name, value in facts.config.items() if isinstance(value, Mapping)}
    text = html.escape(json.dumps(facts.config, indent=2, ensure_ascii=False))
    return (
        f"<section><h2>Config</h2>{_table({'': scalars, **groups})}"
        f"<details><summary>As JSON</summary><pre><code>{text}</code></pre></details></section>"
    )


def _table(groups: Mapping[str, Mapping[str, Any]]) -> str:
    """One table of (name, value), with a heading row before each named group."""
    rows = []
    for title, group in groups.items():
        if title:
            rows.append(f'<tr class="group"><th colspan="2">{html.escape(title)}</th></tr>')
        for name, value in _flatten(group):
            breakable = re.sub(r"([._:])", r"\1<wbr>", html.escape(name))
            rows.append(f"<tr><td>{breakable}</td><td>{html.escape(value)}</td></tr>")
    return f'<div class="wide"><table class="facts">{"".join(rows)}</table></div>'


def _flatten(tree: Mapping[str, Any], prefix: str = "") -> Iterable[tuple[str, str]]:
    """(dotted name, readable value) of every leaf."""
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
    return printable(value, longest=_LONGEST)
