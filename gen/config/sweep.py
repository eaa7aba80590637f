"""The runs of an experiment's sweep(): configs, folders and command lines. Imports no jax."""

from __future__ import annotations

import copy
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from gen.config import Config
from gen.config.experiment import Override, as_overrides, folder_name, load, override, sweep
from gen.errors import InputError


class SweepRun(NamedTuple):
    """One run of a sweep."""

    config: Config
    workdir: Path
    overrides: list[Override]  # those of the command line, then those of sweep()

    def command(self, name: str, *flags: str) -> str:
        """The command line, quoted for a shell, that does this run of the experiment `name`."""
        fields = [f"--config.{path}={'true' if text is None else text}" for path, text in self.overrides]
        return shlex.join(
            ["python", "-m", "gen.main", f"--config={name}", f"--workdir={self.workdir}", *flags, *fields]
        )


def sweep_runs(name: str, workdir: Path, overrides: Sequence[Override]) -> list[SweepRun]:
    """Every run of the sweep of an experiment, each in a folder of `workdir` that is named by what sweep() sets.

    Raises InputError for a field that `overrides` set too: the folder's name would be untrue.
    """
    config, runs = load(name, overrides), []
    for run in sweep(name):
        own, swept = as_overrides(run), copy.deepcopy(config)
        for path, text in own:
            if path in dict(overrides):
                raise InputError(f"--config.{path} is also set by sweep() of {name}; leave one of them out")
            override(swept, path, text)
        runs.append(SweepRun(swept, workdir / folder_name(run), [*overrides, *own]))
    return runs


def sweep_run(name: str, workdir: Path, overrides: Sequence[Override], number: str) -> SweepRun:
    """The run of this number, counted from 0. Raises InputError where there is none."""
    runs = sweep_runs(name, workdir, overrides)
    if not number.isdecimal() or int(number) >= len(runs):
        allowed = f"give 'print' or a number from 0 to {len(runs) - 1}"
        raise InputError(f"--sweep={number}: {name} has {len(runs)} runs; {allowed}")
    return runs[int(number)]
