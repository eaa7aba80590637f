"""The best checkpoint of a run, by what its training measured: best.json in the run folder. Imports no jax.

What opens a run for its averaged weights uses this checkpoint unless told otherwise; training goes on from the newest.
"""

from __future__ import annotations

import json
import logging
import os
from pathlib import Path
from typing import Literal, NamedTuple

from gen.config.values import require, strict_json
from gen.errors import InputError
from gen.files import atomic_write, printable, read_regular, set_aside
from gen.runs import digests
from gen.runs.run_folder import RunFolder

Step = int | Literal["best", "newest"]  # which checkpoint; "best" is the newest where nothing was measured

# Times that a measurement in training is worse than another of the same model by chance: Fréchet distances of 500
# samples of a prior whose bits fell all the while lay between 0.57 and 0.76. A collapsing GAN's grow to the double.
_CHANCE = 4 / 3

_log = logging.getLogger(__name__)


class Best(NamedTuple):
    """A checkpoint that a metric prefers: the newest that is about as good as any."""

    step: int
    metric: str
    value: float  # the best that was measured at any step
    by: str = ""  # what measured: extractor (of "own" its digest), samples and steps; "": unknown
    since: int = 0  # the step after which it measured


def after(best: Best | None, measured: Best, *, higher: bool = False, chance: bool = True) -> Best:
    """Returns the best once another has been measured. higher: that is better.

    A later checkpoint that is worse by no more than chance counts as good, as it has learned longer; not without
    `chance`.
    """
    value = measured.value
    if best is None or (value > best.value if higher else value < best.value):
        return measured
    alike = value * _CHANCE >= best.value > 0 if higher else value <= best.value * _CHANCE
    return best._replace(step=measured.step) if chance and alike else best


def write(folder: RunFolder, best: Best | None) -> None:
    """Writes best.json; None removes it. Raises OSError."""
    if best is not None:
        atomic_write(folder.best, json.dumps(best._asdict()) + "\n")
    elif folder.best.is_file():
        folder.best.unlink()


def resume(folder: RunFolder, metric: str, start: int) -> Best | None:
    """Reads the best so far by this metric, unless it is of a step after `start`, which will be trained again.

    Puts a damaged file aside, with one warning.
    """
    try:
        best = read(folder.best)
    except InputError as error:
        try:
            kept = set_aside(folder.best).name
        except FileNotFoundError:  # another process of this run was first
            return None
        _log.warning("%s is damaged (%s): kept as %s; the best is looked for anew", folder.best, error, kept)
        return None
    return best if best is not None and best.metric == metric and best.step <= start else None


def find(folder: RunFolder) -> Best | None:
    """Reads which checkpoint is the best; None where none was measured, or it is not there.

    Changes nothing, so that it may be used beside a training. Warns of a damaged file.
    """
    try:
        best = read(folder.best)
    except InputError as error:
        _log.warning("%s is damaged (%s): the newest checkpoint counts as the best", printable(folder.best), error)
        return None
    return best if best is not None and best.step in digests.steps(folder.checkpoints) else None


def read(path: Path) -> Best | None:
    """Reads a best.json; None where there is none. Raises InputError, without the path."""
    if not os.path.lexists(path):
        return None
    try:
        best = Best(**strict_json(read_regular(path, most=10_000).decode(), "it"))
        for name, kind in (("step", int), ("metric", str), ("value", float), ("by", str), ("since", int)):
            require(getattr(best, name), kind, name)
    except (OSError, ValueError, TypeError) as error:
        raise InputError(printable(error)) from None
    return best
