"""Run folders written by hand: a config, facts, lines of metrics.jsonl, results, previews; no weights."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tiny

from gen.config import to_json
from gen.evaluation import results
from gen.evaluation.results import MetricResult
from gen.report import grid, save_png
from gen.runs.run_folder import signed

FACTS: dict[str, Any] = {"name": "shapes", "image_shape": [16, 16, 3], "num_classes": 8, "digest": "ab" * 32}
LINES = [{"step": s, "images": 8 * s, "seconds": s / 2, "loss": 10.0 / s} for s in (1, 2, 4)]


def result(metric: str = "FD-own", value: float = 5.0, **changes: Any) -> MetricResult:
    """A number with the interval value ± 1, the lower the better."""
    fields: dict[str, Any] = {
        "low": value - 1,
        "high": value + 1,
        "better": "lower",
        "extractor": "own",
        "extractor_digest": "e" * 64,
        "resize": "none",
        "split": "train",
        "num_samples": 1000,
        "num_references": 2000,
        "seed": 0,
        "data_digest": "ab" * 32,
        "subject": {"step": 4},
    }
    return MetricResult(metric=metric, value=value, **(fields | changes))


def write_run(
    path: Path,
    *,
    lines: Sequence[Mapping[str, Any]] = LINES,
    facts: Mapping[str, Any] = FACTS,
    found: Sequence[MetricResult] = (),
    previews: Sequence[int] = (),
    side: int = 16,
    **config: Any,
) -> Path:
    """Writes a run folder. previews: their steps; each is gray, darker the later. config: changes of `tiny.config`."""
    path.mkdir(parents=True)
    (path / "config.json").write_text(to_json(tiny.config(**config)))
    (path / "data.json").write_text(json.dumps(signed(facts)))
    (path / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    if found:
        (path / "evaluation").mkdir()
        results.write(path / "evaluation" / "evaluation.json", found)
    if previews:
        (path / "previews").mkdir()
    for step in previews:
        images = np.full((4, side, side, 3), max(0, 250 - step), np.uint8)
        save_png(path / "previews" / f"{step:09d}.png", grid(images))
    return path
