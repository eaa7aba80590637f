"""Results: numbers with everything that must be equal before two may be compared."""

from __future__ import annotations

import datetime
import json
import math
import typing
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from gen import __version__
from gen.config.values import canonical, require, strict_json
from gen.errors import InputError
from gen.files import atomic_write, printable, read_regular, shown

_LARGEST = 64 * 2**20  # bytes of a file of results
Better = Literal["lower", "higher", "neither"]

ARROWS: dict[Better, str] = {"lower": " ↓", "higher": " ↑", "neither": ""}

# What two numbers must share to be comparable, in the order in which a difference is looked for.
_MATTERS = (
    "extractor",
    "extractor_digest",
    "resize",
    "split",
    "num_samples",
    "num_references",
    "data_digest",
    "settings",
)


@dataclass(frozen=True)
class MetricResult:
    """One number and where it came from. `low` and `high`: its 95 % interval, None where it has none."""

    metric: str  # "FID", "FD-own", "precision", ...
    value: float
    low: float | None
    high: float | None
    better: Better
    extractor: str  # "pixels alone" where none takes part
    extractor_digest: str
    resize: str
    split: str  # of the real images: "train", "held_out", "all" of a folder, "statistics"; "none": none take part
    num_samples: int
    num_references: int  # real images
    seed: int
    data_digest: str
    settings: dict[str, Any] = field(default_factory=dict)  # of the metric
    subject: dict[str, Any] = field(default_factory=dict)  # a run and its step, or a folder
    version: str = __version__
    time: str = field(default_factory=lambda: datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"))


def write(path: Path, results: Sequence[MetricResult]) -> None:
    """Writes results as a JSON list, replacing the file at once; what is not finite becomes null."""
    atomic_write(path, json.dumps([_plain(asdict(result)) for result in results], indent=1, ensure_ascii=False) + "\n")


def read(path: Path) -> list[MetricResult]:
    """Reads what `write` wrote; `path` may be a folder that holds evaluation.json. Raises InputError."""
    for inner in ("evaluation.json", "evaluation/evaluation.json"):
        path = path / inner if path.is_dir() and (path / inner).is_file() else path
    if not path.is_file():
        raise InputError(f"{path}: no evaluation there; python -m gen.evaluate makes one")
    try:
        found = strict_json(read_regular(path, most=_LARGEST).decode(), "it")
        if not isinstance(found, list):
            raise InputError(f"it is {shown(found)}; it must be a list of results")
        return [_result(entry, f"result {number}") for number, entry in enumerate(found, 1)]
    except (InputError, UnicodeDecodeError, OSError) as error:
        raise InputError(f"{printable(path)} is not an evaluation of gen ({printable(error)})") from None


def _result(entry: Any, place: str) -> MetricResult:
    """Reads one entry, without fields of other versions. Raises InputError for values of other types.

    A `value` of null is nan: it was not finite when it was written.
    """
    if not isinstance(entry, dict):
        raise InputError(f"{place} is {shown(entry)}; it must be a JSON object")
    values: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(MetricResult).items():
        if name == "value" and name in entry and entry[name] is None:
            values[name] = math.nan
        elif name in entry:
            value = require(canonical(entry[name], f"{place}.{name}"), kind, f"{place}.{name}")
            values[name] = printable(value) if kind is str else value
    missing = [f.name for f in fields(MetricResult) if f.name not in values and f.default is f.default_factory]
    if missing:
        raise InputError(f"{place} lacks '{missing[0]}'")
    return MetricResult(**values)


def matters(result: MetricResult) -> dict[str, Any]:
    """Returns what a number must share with another one to be comparable, name -> JSON value."""
    return {name: _plain(getattr(result, name)) for name in _MATTERS}


def compare(a: Sequence[MetricResult], b: Sequence[MetricResult]) -> list[tuple[MetricResult, MetricResult]]:
    """Pairs the results of the metrics that both have.

    Raises InputError when two of them differ in what matters, naming the metric, the field and both values, or when
    they have no metric in common.
    """
    theirs = {result.metric: result for result in b}
    pairs = [(result, theirs[result.metric]) for result in a if result.metric in theirs]
    if not pairs:
        raise InputError(f"nothing to compare: one has {_names(a)}, the other {_names(b)}")
    for mine, other in pairs:
        wanted = matters(other)
        for name, x in matters(mine).items():
            if x != (y := wanted[name]):
                raise InputError(
                    f"{mine.metric}: these numbers do not compare: {name} is {short(x)} in one, {short(y)} in the "
                    "other; measure both alike"
                )
    return pairs


def better_of(a: MetricResult, b: MetricResult) -> str:
    """Returns which of two comparable results is better, "first" or "second"; "" where intervals overlap."""
    if a.better == "neither" or a.low is None or a.high is None or b.low is None or b.high is None:
        return ""
    if a.low <= b.high and b.low <= a.high:
        return ""
    return "first" if (a.value < b.value) == (a.better == "lower") else "second"


def comparison_table(a: Sequence[MetricResult], b: Sequence[MetricResult]) -> str:
    """Prints two evaluations side by side. Raises InputError as `compare` does."""
    pairs = compare(a, b)
    lines = [f"{'metric':<28} {'first':>11} {'second':>11}  better where the intervals do not overlap"]
    for one, other in pairs:
        values = f"{number(one.value):>11} {number(other.value):>11}"
        lines.append(f"{one.metric:<28} {values}  {better_of(one, other)}")
    shared = {result.metric for result, _ in pairs}
    for which, found in (("first", a), ("second", b)):
        if alone := [result.metric for result in found if result.metric not in shared]:
            lines.append(f"only in the {which}: {', '.join(alone)}")
    return "\n".join(lines)


def table(results: Iterable[MetricResult]) -> str:
    """Formats a line for each result: metric, value, interval, which way is better, on how many samples."""
    lines = [f"{'metric':<28} {'value':>11}  {'95 % interval':<24} {'better':<8} samples vs real"]
    for result in results:
        arrow = "" if result.better == "neither" else result.better
        against = f"{result.num_samples:,}" + (
            f" vs {result.num_references:,} {result.split}" if result.num_references else ""
        )
        lines.append(f"{result.metric:<28} {number(result.value):>11}  {interval(result):<24} {arrow:<8} {against}")
    return "\n".join(lines)


def number(value: float) -> str:
    """Formats four significant digits."""
    return f"{value:.4g}" if abs(value) < 1e5 else f"{value:.3e}"


def interval(result: MetricResult) -> str:
    """Formats the interval, empty where there is none."""
    return "" if result.low is None or result.high is None else f"{number(result.low)} .. {number(result.high)}"


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {name: _plain(inner) for name, inner in value.items()}
    return [_plain(inner) for inner in value] if isinstance(value, list | tuple) else value


def short(value: Any) -> str:
    """Formats a value; of a digest the first digits."""
    text = str(value)
    return f"{text[:12]}..." if len(text) == 64 and " " not in text else text


def _names(results: Sequence[MetricResult]) -> str:
    return ", ".join(result.metric for result in results) or "no metrics"
