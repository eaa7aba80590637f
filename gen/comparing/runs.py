"""What a run folder holds that can be compared: config, facts, curves, evaluation, previews. Imports no jax itself."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from gen.config import flattened
from gen.errors import InputError
from gen.evaluation import results
from gen.evaluation.results import MetricResult
from gen.files import printable
from gen.report import history
from gen.report.curves import Series, thin
from gen.runs.run_folder import RunFolder

By = Literal["step", "images", "seconds"]
COUNTERS = ("step", "images", "seconds")  # of metrics.jsonl: what the others are drawn over
_STEP = re.compile(r"[0-9]{1,18}")  # the name of a preview


@dataclass(frozen=True)
class ComparedRun:
    """A run as the page shows it."""

    path: Path
    name: str  # unlike that of the others
    config: Mapping[str, Any]  # dotted name -> JSON value
    data: Mapping[str, Any]  # data.json
    curves: Mapping[str, Series]  # of each scalar that has a finite value, thinned
    last: Mapping[str, Any]  # line of metrics.jsonl; empty where there is none
    results: Mapping[str, MetricResult]  # of evaluation.json; empty where there is none
    previews: Mapping[int, Path]  # step -> file, in order
    fault: str  # of metrics.jsonl, in words; "" for none


def read(path: Path, name: str, *, by: By) -> ComparedRun:
    """Reads a run folder, its curves over `by`. A damaged metrics.jsonl is read as far as it goes.

    Raises InputError, one line, for a config, facts or an evaluation that cannot be read, and for links.
    """
    folder = RunFolder(path)
    folder.refuse_links()
    try:
        config = flattened(folder.read_config())
    except InputError as error:
        told = str(error)
        raise error if printable(path) in told else InputError(f"{printable(folder.config)}: {told}") from None
    evaluation = path / "evaluation" / "evaluation.json"
    lines, fault = history.read(path / "metrics.jsonl")
    return ComparedRun(
        path=path,
        name=name,
        config=config,
        data=folder.read_metadata() if os.path.lexists(folder.data) else {},
        curves=curves_of(lines, name, by=by),
        last=lines[-1] if lines else {},
        results={result.metric: result for result in results.read(evaluation)} if evaluation.is_file() else {},
        previews=_previews(path / "previews"),
        fault=fault,
    )


def curves_of(lines: Sequence[history.Line], name: str, *, by: By) -> dict[str, Series]:
    """Returns the curve, called `name`, of each scalar that has a finite value in a line that says `by`.

    Thinned: of long runs the lines need a hundred times the memory.
    """
    known = [line for line in lines if line.get(by) is not None]
    scalars = dict.fromkeys(scalar for line in known for scalar, value in line.items() if value is not None)
    curves = dict[str, Series]()
    for scalar in scalars:
        if scalar not in COUNTERS:
            drawn = [line for line in known if scalar in line]
            curves[scalar] = thin(Series(name, [line[by] for line in drawn], [line[scalar] for line in drawn]))
    return curves


def _previews(folder: Path) -> dict[int, Path]:
    files = [path for path in folder.glob("*.png") if _STEP.fullmatch(path.stem) and path.is_file()]
    return {int(path.stem): path for path in sorted(files, key=lambda path: int(path.stem))}
