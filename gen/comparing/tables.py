"""The tables of a comparison: the fields in which configs differ, the numbers of evaluations with the best marked."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from gen.evaluation import results
from gen.evaluation.metric_suite import METRICS
from gen.evaluation.results import MetricResult
from gen.files import printable

_LONGEST = 200  # characters of a value
Mark = Literal["best", "alike", ""]


def differing_fields(configs: Sequence[Mapping[str, Any]]) -> tuple[dict[str, list[str]], int]:
    """Returns the values, as JSON, of each field in which configs differ, and how many fields are equal in all.

    configs: dotted name -> value, as `gen.config.flattened` makes them. A value that is not set is "–".
    """
    names = sorted({name for config in configs for name in config})
    rows = {name: [_json(config[name]) if name in config else "–" for config in configs] for name in names}
    differing = {name: row for name, row in rows.items() if len(set(row)) > 1}
    shown = {name: [printable(value, longest=_LONGEST) for value in row] for name, row in differing.items()}
    return shown, len(names) - len(differing)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, sort_keys=True)


class Cell(NamedTuple):
    """A number of a run. mark: "best" of all; "alike": its interval overlaps that of the best."""

    number: str
    interval: str
    mark: Mark


class MetricRow(NamedTuple):
    """A metric with its arrow, what it is, and its number in each run."""

    name: str
    description: str
    cells: list[Cell]


def metric_rows(evaluations: Sequence[Mapping[str, MetricResult]]) -> list[MetricRow]:
    """Lists the metrics that any run has. The best is marked only among numbers that compare, see `notes`."""
    rows = list[MetricRow]()
    for metric, found in _by_metric(evaluations):
        first = next(result for result in found if result)
        described = next((m.description for m in METRICS if m.matches(metric, first.extractor)), "")
        cells = [
            Cell(results.number(result.value), results.interval(result), mark) if result else Cell("–", "", "")
            for result, mark in zip(found, marks(found), strict=True)
        ]
        rows.append(MetricRow(metric + results.ARROWS[first.better], described, cells))
    return rows


def marks(found: Sequence[MetricResult | None]) -> list[Mark]:
    """Marks the best of one metric's results, and those that may be as good; none where fewer than two compare."""
    known = [result for result in found if result and math.isfinite(result.value)]
    if len(known) < 2 or known[0].better == "neither" or not _comparable(known):
        return [""] * len(found)
    best = (min if known[0].better == "lower" else max)(known, key=lambda result: result.value)
    return [_mark(result, best) for result in found]


def _mark(result: MetricResult | None, best: MetricResult) -> Mark:
    if result is None or not math.isfinite(result.value):
        return ""
    if result.value == best.value:
        return "best"
    bounds = (result.low, result.high, best.low, best.high)
    return "alike" if None not in bounds and not results.better_of(result, best) else ""


def _comparable(known: Sequence[MetricResult]) -> bool:
    first = known[0]
    return all(r.better == first.better and results.matters(r) == results.matters(first) for r in known)


def notes(names: Sequence[str], evaluations: Sequence[Mapping[str, MetricResult]]) -> list[str]:
    """Says why numbers do not compare, and which: the extractor, how many samples, the data. names: of the runs."""
    metrics_by_reason = dict[str, list[str]]()
    for metric, found in _by_metric(evaluations):
        known = {name: result for name, result in zip(names, found, strict=True) if result}
        reasons = dict(_differences({name: results.matters(result) for name, result in known.items()}))
        if "extractor" in reasons:
            reasons.pop("extractor_digest", None)  # which says the same again
        for reason in reasons.values():
            metrics_by_reason.setdefault(reason, []).append(metric)
    return [f"{reason}: {', '.join(metrics)}" for reason, metrics in metrics_by_reason.items()]


def _differences(matters: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yields each name whose value is not the same in all, and which runs have which. matters: run -> name -> value."""
    for name in next(iter(matters.values())):
        having = dict[str, list[str]]()
        for run, values in matters.items():
            having.setdefault(_json(values[name]), []).append(run)
        if len(having) > 1:
            shown = {text: results.short(json.loads(text)) for text in having}
            words = ", ".join(f"{printable(shown[text])} ({', '.join(runs)})" for text, runs in having.items())
            yield name, f"{name.replace('_', ' ')} is {words}"


def _by_metric(
    evaluations: Sequence[Mapping[str, MetricResult]],
) -> Iterator[tuple[str, list[MetricResult | None]]]:
    for metric in dict.fromkeys(name for each in evaluations for name in each):
        yield metric, [each.get(metric) for each in evaluations]
