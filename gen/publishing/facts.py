"""What a run folder tells of its model, its training and its data, for the cards. No weights are read."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen import config as configs
from gen.config import Config
from gen.errors import InputError
from gen.evaluation import results
from gen.evaluation.results import MetricResult
from gen.files import printable
from gen.report import history
from gen.runs import best, digests, leaves, sessions, trained_run
from gen.runs.best import Step
from gen.runs.digests import CorruptError
from gen.runs.run_folder import RunFolder
from gen.runs.sessions import Session
from gen.tasks import Task


@dataclass(frozen=True)
class Facts:
    """A checkpoint of a run."""

    name: str  # of the run folder
    step: int
    config: Config
    data: Mapping[str, Any]  # data.json
    task: Task
    parameters: dict[str, int]  # role -> how many numbers its network has
    weights_digest: str | None  # of the averaged weights; None: unknown
    seconds: float | None  # of training
    sessions: list[Session]  # up to this step
    results: list[MetricResult]  # of this run, at whatever step
    evaluated: int | None  # the step that `results` are of
    preview: Path | None  # a grid of samples, of this step or the newest before

    @property
    def config_digest(self) -> str:
        return configs.digest(self.config)


def read(folder: RunFolder, *, step: Step = "best") -> Facts:
    """Reads the facts about a checkpoint; step: as in `trained_run.load`.

    Raises InputError where the folder is no run, or has no such checkpoint. Of the other files, damaged ones count as
    absent.
    """
    config, data, task = trained_run.described(folder)
    steps = digests.steps(folder.checkpoints)
    if not steps or (isinstance(step, int) and step not in steps):
        raise InputError(f"{printable(folder.path)} has no checkpoint {step if isinstance(step, int) else 'yet'}")
    if not isinstance(step, int):
        chosen = best.find(folder) if step == "best" else None
        step = chosen.step if chosen else steps[-1]
    table = _leaves(folder, step)
    lines = [line for line in history.read(folder.path / "metrics.jsonl").lines if line["step"] <= step]
    found, evaluated = _results(folder, configs.digest(config))
    known: list[Session] = []
    with contextlib.suppress(InputError):
        known = [session for session in sessions.read(folder) if session.first_step < step]
    previews = [path for path in (folder.path / "previews").glob("*.png") if path.stem.isdecimal()]
    earlier = [path for path in previews if int(path.stem) <= step]
    return Facts(
        name=folder.path.resolve().name,
        step=step,
        config=config,
        data=data,
        task=task,
        parameters=_parameters(table),
        weights_digest=_weights_digest(table),
        seconds=lines[-1].get("seconds") if lines else None,
        sessions=known,
        results=found,
        evaluated=evaluated,
        preview=max(earlier, key=lambda path: int(path.stem), default=None),
    )


def _leaves(folder: RunFolder, step: int) -> dict[str, list[Any]]:
    """Returns [dtype, shape, digest] of each leaf of a checkpoint by name; {} for a damaged one."""
    try:
        return digests.read(folder.checkpoints / str(step), step).leaves
    except CorruptError:
        return {}


def _parameters(table: Mapping[str, list[Any]]) -> dict[str, int]:
    counts: dict[str, int] = {}
    kinds = {name.split("/")[1]: name.split("/")[0] for name in table if name.startswith("params/")}
    for name, (_, shape, _) in table.items():
        kind, role = (*name.split("/"), "")[:2]
        if kind == kinds.get(role, "ema_params"):  # a frozen role has averages alone
            counts[role] = counts.get(role, 0) + math.prod(shape)
    return counts


def _weights_digest(table: Mapping[str, list[Any]]) -> str | None:
    averaged = {
        name.removeprefix("ema_params/"): leaf for name, leaf in table.items() if name.startswith("ema_params/")
    }
    if not averaged or any(digest is None for *_, digest in averaged.values()):
        return None
    return leaves.digest_of(averaged)


def _results(folder: RunFolder, config_digest: str) -> tuple[list[MetricResult], int | None]:
    """Reads evaluation.json, where it is of this run; returns the results and the step that they are of."""
    try:
        found = results.read(folder.path)
    except InputError:
        return [], None
    of = found[0].subject if found else {}
    step = of.get("step")
    return (found, step) if of.get("config_digest") == config_digest and type(step) is int else ([], None)
