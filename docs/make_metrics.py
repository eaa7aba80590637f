"""Writes the table of docs/metrics.md from the records in gen.evaluation.metric_suite: python docs/make_metrics.py"""

from __future__ import annotations

import pathlib
import re
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gen.evaluation import METRICS  # noqa: E402

PAGE = ROOT / "docs" / "metrics.md"
_MARKERS = re.compile(r"(<!-- metrics:begin -->\n\n).*?(\n<!-- metrics:end -->)", re.DOTALL)
_ARROWS = {"lower": " ↓", "higher": " ↑", "neither": ""}


def with_table(page: str) -> str:
    """Returns the page with the table of all metrics between its markers."""
    lines = ["| number | group | what it is | what it misses |", "| --- | --- | --- | --- |"]
    for metric in METRICS:
        name = metric.name.format(extractor="EXTRACTOR", part=_part(metric.name))
        lines.append(f"| {name}{_ARROWS[metric.better]} | {metric.group} | {metric.description} | {metric.misses} |")
    table = "\n".join(lines)
    return _MARKERS.sub(lambda found: f"{found[1]}{table}\n{found[2]}", page)


def _part(name: str) -> str:
    return next((part for word, part in (("class", "NAME"), ("word", "WORD")) if word in name), "SIZE")


if __name__ == "__main__":
    PAGE.write_text(with_table(PAGE.read_text(encoding="utf-8")), encoding="utf-8")
