"""A table of runs: how good and how varied their samples are, and whether they are copies, with what they cost.

    python benchmarks/quality.py --runs runs/fashion_mnist runs/fashion_mnist_prior runs/shapes \
        --hardware "2 cores of an Intel Xeon"
    python benchmarks/quality.py --smoke                # a tiny run, pixels for features, no claim

A row for each run: images seen and minutes of training (metrics.jsonl), and of so many samples (seeds 0 and up, the
averaged weights of the best checkpoint) the metrics of `gen.evaluate --metrics fast`, by the own extractor of the data:
one for all runs on the same data, trained first if need be. A run that only reconstructs is measured by the held-out
images as it gives them back, which is no sampling: do not rank it among the others. For each data set a floor: as many
held-out real images in the samples' place. A run folder does not know its hardware: the table says what --hardware
says. --json writes the rows and every result.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import math
import pathlib
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from gen import devices
from gen.config import FAST, build, experiment
from gen.data import DatasetSplits, Examples
from gen.evaluation import (
    Comparison,
    MetricResult,
    Reference,
    extract_features,
    measure,
    model_images,
    random_subset,
    reference,
    subject,
)
from gen.features import Extractor, parse_extractor
from gen.runs import trained_run
from gen.training import loop

SHOWN = ("FD", "KD", "precision", "recall", "density", "coverage", "memorized", "memorized-p")
REAL_BASELINE = "real, held out"


class Yardstick(NamedTuple):
    """What all runs on one data set are measured by."""

    source: DatasetSplits
    extractor: Extractor
    reference: Reference

    def measured(self, examples: Examples, about: dict[str, Any]) -> list[MetricResult]:
        generated = extract_features(examples, self.extractor, labeled=bool(self.source.num_classes))
        return measure(Comparison(generated, self.reference, self.extractor, about), groups=FAST)


class Row(NamedTuple):
    """A line of the table."""

    name: str
    data: str
    what: str  # was measured
    images_seen: int | None
    minutes: float | None
    results: list[MetricResult]


class Measured:
    """The rows so far, and a yardstick for each data set, by the digest of its images."""

    def __init__(self, *, extractor: str | None, samples: int, references: int) -> None:
        self.rows: list[Row] = []
        self._yardsticks: dict[str, Yardstick] = {}
        self._extractor, self._samples, self._references = extractor, samples, references

    def add(self, workdir: pathlib.Path) -> None:
        """Measures a run; the real baseline of its data too, if it is the first on them."""
        mesh = devices.mesh(-1, 1)
        loaded = trained_run.load(workdir, mesh=mesh)
        source = build(loaded.config.data, "data")
        digest = source.metadata["digest"]
        if digest != loaded.data_metadata["digest"]:
            sys.exit(f"{workdir}: its data has changed since it was trained")
        name = pathlib.Path(source.metadata["options"].get("file", source.name)).stem
        if digest not in self._yardsticks:
            self._yardsticks[digest] = self._yardstick(source)
            held_out = random_subset(source.held_out, self._samples)
            results = self._yardsticks[digest].measured(held_out, {"real": True})
            # These images are those that say how near new ones are: that they are so is no finding.
            results = [result for result in results if not result.metric.startswith("memorized")]
            self.rows.append(Row(REAL_BASELINE, name, f"{len(held_out.images):,} images", None, None, results))
        began = time.monotonic()
        made = model_images(loaded.task, loaded.ema_params, source, self._samples, mesh=mesh)
        print(f"{workdir}: {len(made.images):,} images in {time.monotonic() - began:.0f} s", file=sys.stderr)
        what = f"{len(made.images):,} {'samples' if loaded.task.can_sample else 'reconstructions'}"
        results = self._yardsticks[digest].measured(
            made, {"run": workdir.name, "step": loaded.step} | subject(loaded.task)
        )
        self.rows.append(Row(workdir.name, name, what, *_cost(workdir, loaded.step), results))

    def _yardstick(self, source: DatasetSplits) -> Yardstick:
        began = time.monotonic()
        extractor = parse_extractor(self._extractor, source)
        made = Yardstick(source, extractor, reference(source, extractor, references=self._references))
        print(f"{source.name}: what measures it in {time.monotonic() - began:.0f} s", file=sys.stderr)
        return made


def _cost(workdir: pathlib.Path, step: int) -> tuple[int | None, float | None]:
    """Images seen and minutes up to a step, as its run logged them."""
    lines = [json.loads(line) for line in (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines()]
    before = [line for line in lines if line["step"] <= step and "seconds" in line]
    return (before[-1]["images"], before[-1]["seconds"] / 60) if before else (None, None)


def table(rows: Sequence[Row], hardware: str) -> str:
    """Markdown; the real baselines first, then runs in the order given, by data set."""
    name = next((result.extractor for row in rows for result in row.results), "own")
    columns = [f"{metric}-{name}" if metric in ("FD", "KD") else metric for metric in SHOWN]
    heads = ["data", "run", "measured", "images seen", "minutes", "hardware", *columns]
    lines = ["| " + " | ".join(heads) + " |", "|" + " --- |" * len(heads)]
    for row in sorted(rows, key=lambda row: row.data):
        found = {result.metric: result for result in row.results}
        cost = ["" if row.images_seen is None else f"{row.images_seen:,}"]
        cost += ["" if row.minutes is None else f"{row.minutes:.1f}", "" if row.name == REAL_BASELINE else hardware]
        cells = [_cell(found.get(column)) for column in columns]
        lines.append("| " + " | ".join([row.data, row.name, row.what, *cost, *cells]) + " |")
    return "\n".join(lines)


def _cell(result: MetricResult | None) -> str:
    if result is None or math.isnan(result.value):
        return ""
    if result.metric == "memorized":
        return f"{result.value:.2%} (expected {result.settings['expected']:.2%})"
    half = "" if result.low is None or result.high is None else f" ± {(result.high - result.low) / 2:.2g}"
    return f"{result.value:.3g}{half}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=pathlib.Path, nargs="+", default=[])
    parser.add_argument("--num_samples", type=int, default=10_000)
    parser.add_argument("--num_references", type=int, default=10_000)
    parser.add_argument("--extractor", help="as for gen.evaluate; default: own")
    parser.add_argument("--hardware", default="not stated", help="that the runs were trained on")
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.runs, given.extractor, given.num_samples = [pathlib.Path(tempfile.mkdtemp())], "pixels", 20
        assert loop.train(experiment.load("experiments/shapes.py:smoke"), given.runs[0]) == 0
    if not given.runs:
        parser.error("--runs is missing")
    measured = Measured(extractor=given.extractor, samples=given.num_samples, references=given.num_references)
    for workdir in given.runs:
        measured.add(workdir)
    print(table(measured.rows, given.hardware))
    if given.json:
        rows = [
            row._asdict() | {"results": [dataclasses.asdict(result) for result in row.results]} for row in measured.rows
        ]
        given.json.write_text(json.dumps({"hardware": given.hardware, "rows": rows}, indent=1) + "\n")


if __name__ == "__main__":
    main()
