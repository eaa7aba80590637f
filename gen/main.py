"""Train a model of images, or go on with a run that was stopped.

  python -m gen.main --config=experiments/shapes.py --workdir=runs/shapes
  python -m gen.main --config=experiments/cifar10.py:smoke            a variant of the experiment
  python -m gen.main --config=experiments/folder.py --config.data.path=DIR --config.batch_size=32
  python -m gen.main --config=experiments/shapes.py --check=here      are the data and all else there? trains nothing
  python -m gen.main --config=experiments/shapes.py --list            its fields, their values and what they mean
  python -m gen.main --config=experiments/shapes.py --sweep=print     one command line for each run of a sweep

--config.a.b=VALUE sets field a.b of the experiment's Config, also an argument of a component that the experiment leaves
at its default. The same command again resumes the run.

Exit codes: 0 finished. 1 a quantity became not finite. 2 wrong input, also a run folder in which another process
trains; nothing was begun. 74 the disk is full or the run folder was removed while training; what was saved before is
valid. 75 another process of several was lost, or a step hangs: the same command goes on. 130 Ctrl-C, 143 SIGTERM: the
step that ran is saved; before the first step, or at the second signal, the program ends at once. One line says what
happened.
"""

from __future__ import annotations

import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from gen import cli
from gen.cli import MemberOptions, option
from gen.cli.flags import parse
from gen.config import Config, experiment, validate
from gen.config.fields import listing
from gen.config.sweep import sweep_run, sweep_runs
from gen.errors import InputError
from gen.files import printable
from gen.runs.identity import check_folder
from gen.runs.run_folder import RunFolder
from gen.training import compile_cache
from gen.training.interrupt import interrupts


@dataclass(frozen=True, kw_only=True)
class TrainOptions(MemberOptions):
    """Which experiment to train, and where."""

    config: str | Path | None = option(None, "Experiment, FILE.py or FILE.py:VARIANT", group="Training")
    workdir: str | Path | None = option(
        None, "Folder of the run; default runs/NAME, or runs/NAME-VARIANT, of the experiment"
    )
    overrides: Sequence[experiment.Override] = ()  # fields of the Config that the command line sets: (path, text)
    sweep: str | None = option(
        None, "Number of a run of the experiment's sweep(), from 0, or 'print': show their command lines"
    )
    accept_changed_data: bool = option(False, "Go on although the data changed; data.json keeps what they were")
    compilation_cache: str | Path | None = option(
        None, "Folder for compiled programs; none: no cache; default xla in $GEN_CACHE or ~/.cache/gen"
    )
    log_to: str | None = option(
        None, "package.module:function that is told what is logged, see docs/runs.md", group="Observing"
    )
    profile: str | None = option(None, "START:STOP, steps to trace into the folder profile of the run")
    list: bool = option(
        False, "Print the fields of the experiment, their values and meanings, and stop", group="Without training"
    )
    check: Literal["here", "copied", "mounted"] | None = option(
        None, "Only check: this machine, one with a copy of this folder, or one with mounted storage"
    )


def train(options: TrainOptions) -> int:
    """Trains an experiment, from its newest checkpoint if there is one; returns the exit code. Raises InputError."""
    config, workdir = _run(options)
    check_folder(RunFolder(workdir), config)
    try:
        with interrupts():  # there is nothing to save: Ctrl-C and SIGTERM end the program at once
            compile_cache.enable(options.compilation_cache)
            from gen.membership import membership_of
            from gen.training import loop

            changed, command = options.accept_changed_data, _command(options)
            member = membership_of(options)
            return loop.train(
                config,
                workdir,
                accept_changed_data=changed,
                command=command,
                member=member,
                log_to=options.log_to or "",
                profile=_steps(options.profile),
            )
    except RuntimeError as error:  # what jax raises when a device or the host has too little
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        wanted, smaller = str(error).splitlines()[0], max(1, config.batch_size // 2)
        raise InputError(f"out of memory ({wanted}); try a smaller --config.batch_size={smaller}") from error


def main(options: TrainOptions) -> int:
    """Lists, checks or trains; returns the exit code."""
    if options.list or options.config == "help":
        listed = options.config not in (None, "help")
        print(listing(experiment.load(_name(options), options.overrides) if listed else None))
    elif options.sweep == "print":
        flags = [f"--compilation_cache={options.compilation_cache}"] if options.compilation_cache else []
        runs = sweep_runs(_name(options), _workdir(options), options.overrides)
        print("\n".join(run.command(_name(options), *flags) for run in runs))
    elif options.check:
        config, workdir = _run(options)
        if options.check == "here":
            check_folder(RunFolder(workdir), config)
        from gen.training.preflight import check

        for line in check(config, workdir, options.check, accept_changed_data=options.accept_changed_data):
            cli.say(line)
    else:
        return train(options)
    return 0


def _run(options: TrainOptions) -> tuple[Config, Path]:
    """The config and the folder of the run that the options name. Raises InputError."""
    name, workdir = _name(options), _workdir(options)
    if options.sweep is None:
        config = experiment.load(name, options.overrides)
    else:
        config, workdir, _ = sweep_run(name, workdir, options.overrides, options.sweep)
    validate(config)
    if config.refine:
        from gen.imaging.chain import chain

        chain(config.refine)
    return config, workdir


def _steps(text: str | None) -> tuple[int, int] | None:
    """Reads START:STOP. Raises InputError."""
    if text is None:
        return None
    first, _, last = text.partition(":")
    if not (first.isdecimal() and last.isdecimal() and 1 <= int(first) <= int(last)):
        raise InputError(f"--profile={printable(text)}; allowed: START:STOP, two steps, such as 100:110")
    return int(first), int(last)


def _command(options: TrainOptions) -> str:
    """Returns the command line, for others: without the run folder, and of absolute paths only the last part."""
    overrides = [f"--config.{path}" + ("" if text is None else f"={_public(text)}") for path, text in options.overrides]
    sweep = [] if options.sweep is None else [f"--sweep={options.sweep}"]
    return shlex.join(["python", "-m", "gen.main", f"--config={_public(_name(options))}", *sweep, *overrides])


def _public(text: str) -> str:
    return f".../{Path(text).name}" if text.startswith(("/", "~")) else text


def _name(options: TrainOptions) -> str:
    if options.config is None:
        there = ", ".join(experiment.experiments()) or "none here"
        raise InputError(f"--config is missing; name an experiment, --config=FILE.py; there are: {there}")
    return str(options.config)


def _workdir(options: TrainOptions) -> Path:
    if "://" in str(options.workdir):
        reason = "it must be a folder: mount the bucket, with gcsfuse for example"
        raise InputError(f"--workdir {options.workdir} is a URL; {reason}")
    return Path(options.workdir or experiment.default_workdir(_name(options)))


def parse_command(argv: Sequence[str]) -> TrainOptions:
    """The options of a command line, program name first, with its overrides. Raises InputError."""
    arguments, overrides = experiment.split_overrides(argv)
    return replace(parse(arguments, TrainOptions), overrides=overrides)


if __name__ == "__main__":
    cli.guard(lambda: main(parse_command(sys.argv)))
