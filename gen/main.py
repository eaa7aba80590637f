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
sound. 130 Ctrl-C, 143 SIGTERM: the step that ran is saved; before the first step, or at the second signal, the program
ends at once. One line says what happened.
"""

from __future__ import annotations

import copy
import os
import pathlib
import re
import shlex
import sys
import tempfile
from collections.abc import Sequence
from typing import Any

from absl import flags

from gen import cli
from gen.config import Config, experiment, validate
from gen.config.fields import listing
from gen.errors import InputError
from gen.files import cache_home, expand, printable, private_folder
from gen.runs import identity
from gen.runs.run_folder import RunFolder
from gen.training.compile_cache import mend
from gen.training.interrupt import interrupts

FLAGS = flags.FlagValues()
CONFIG = cli.define_path("config", None, "Experiment, FILE.py or FILE.py:VARIANT.", flag_values=FLAGS)
WORKDIR = cli.define_path(
    "workdir", None, "Folder of the run; default runs/NAME, or runs/NAME-VARIANT, of the experiment.", flag_values=FLAGS
)
LIST = flags.DEFINE_bool(
    "list", False, "Print the fields of the experiment, their values and meanings, and stop.", flag_values=FLAGS
)
SWEEP = flags.DEFINE_string(
    "sweep",
    None,
    "'print': show a command line for each run of the experiment's sweep(). K: do run number K, counted from 0. "
    "A run has its own folder, named by its overrides, inside --workdir.",
    flag_values=FLAGS,
)
ACCEPT = flags.DEFINE_bool(
    "accept_changed_data",
    False,
    "Go on with a run although its data changed: images, labels or names of classes. data.json keeps what they were.",
    flag_values=FLAGS,
)
CACHE = cli.define_path(
    "compilation_cache",
    None,
    "Folder for compiled programs, 'none' for no cache; default $GEN_CACHE/xla, else ~/.cache/gen/xla. "
    "The environment variable JAX_COMPILATION_CACHE_DIR wins.",
    flag_values=FLAGS,
)
CHECK = flags.DEFINE_enum(
    "check",
    None,
    ["here", "copied", "mounted"],
    "Only check, and train nothing. here: config, data and run folder on this machine. copied: whether it can run on a "
    "machine that gets a copy of the current folder. mounted: on one that mounts storage, too, for absolute paths.",
    flag_values=FLAGS,
)


def main(argv: Sequence[str]) -> int:
    """Runs a command line, program name first, and returns the exit code. Raises InputError for what is wrong in it."""
    arguments, overrides = experiment.split_overrides(argv)
    cli.refuse_positional(cli.parse(arguments, sys.modules[__name__], FLAGS))
    if CONFIG.value == "help" or (LIST.value and CONFIG.value is None):
        print(listing(None))
        return 0
    if CONFIG.value is None:
        there = ", ".join(experiment.experiments()) or "none here"
        raise InputError(f"--config is missing; name an experiment, --config=FILE.py; there are: {there}")
    workdir = _workdir(WORKDIR.value, CONFIG.value)
    config = experiment.load(CONFIG.value)
    for path, text in overrides:
        experiment.override(config, path, text)
    if LIST.value:
        print(listing(config))
        return 0
    if SWEEP.value is not None:
        runs = _sweep(config, overrides)
        if SWEEP.value == "print":
            print("\n".join(_command(run, workdir, overrides) for run, _ in runs))
            return 0
        run, config = runs[_index(SWEEP.value, len(runs))]
        workdir = workdir / experiment.folder_name(run)
    validate(config)
    if config.refine:
        from gen.imaging.chain import chain

        chain(config.refine)
    _prepare(workdir, config, elsewhere=CHECK.value in ("copied", "mounted"))
    accepted = {"accept_changed_data": True} if ACCEPT.value else {}
    if CHECK.value is not None:
        from gen.training.preflight import check

        for line in check(config, workdir, CHECK.value, **accepted):
            cli.say(line)
        return 0
    try:
        with interrupts():  # there is nothing to save: Ctrl-C and SIGTERM end the program at once
            _enable_cache()
            from gen.training.loop import train

            return train(config, workdir, **accepted)
    except RuntimeError as error:  # what jax raises when a device or the host has too little
        if "RESOURCE_EXHAUSTED" not in str(error):
            raise
        wanted = str(error).splitlines()[0]
        smaller = max(1, config.batch_size // 2)
        raise InputError(f"out of memory ({wanted}); try a smaller --config.batch_size={smaller}") from error


def _workdir(given: str | None, name: str) -> pathlib.Path:
    if given is None:
        path, _, arg = name.partition(":")
        given = os.path.join("runs", "-".join(filter(None, (pathlib.Path(path).stem, re.sub(r"[^\w.=,+-]", "_", arg)))))
    if "://" in given:
        raise InputError(f"--workdir {given} is a URL; it must be a folder: mount the bucket, with gcsfuse for example")
    return pathlib.Path(given)


def _sweep(config: Config, overrides: Sequence[experiment.Override]) -> list[tuple[dict[str, Any], Config]]:
    """Each run's overrides and config.

    Raises InputError for a field that the command line sets too: the folder's name would be untrue.
    """
    runs = []
    for run in experiment.sweep(str(CONFIG.value)):
        swept = copy.deepcopy(config)
        for path, text in experiment.as_overrides(run):
            if path in dict(overrides):
                raise InputError(f"--config.{path} is also set by sweep() of {CONFIG.value}; leave one of them out")
            experiment.override(swept, path, text)
        runs.append((run, swept))
    return runs


def _index(text: str, count: int) -> int:
    if not text.isdecimal() or int(text) >= count:
        raise InputError(
            f"--sweep={text}: {CONFIG.value} has {count} runs; give 'print' or a number from 0 to {count - 1}"
        )
    return int(text)


def _command(run: dict[str, Any], workdir: pathlib.Path, overrides: Sequence[experiment.Override]) -> str:
    """The command line, quoted for a shell, that does one run of a sweep."""
    words = [
        "python",
        "-m",
        "gen.main",
        f"--config={CONFIG.value}",
        f"--workdir={workdir / experiment.folder_name(run)}",
    ]
    if CACHE.value is not None:
        words.append(f"--compilation_cache={CACHE.value}")
    words += [
        f"--config.{path}={'true' if text is None else text}"
        for path, text in (*overrides, *experiment.as_overrides(run))
    ]
    return shlex.join(words)


def _prepare(workdir: pathlib.Path, config: Config, *, elsewhere: bool) -> None:
    """Raises InputError when the run folder cannot be written or made, or holds links, or another experiment's run."""
    if elsewhere:
        return
    folder = RunFolder(workdir)
    folder.refuse_links()
    there = next(path for path in (workdir, *workdir.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"cannot write to --workdir {workdir}: {error.strerror or error}") from error
    identity.check_config(folder, config)


def _enable_cache() -> None:
    """Turns on the compilation cache, in a folder of this user alone: whoever can write there decides what is run."""
    given = os.environ.get("JAX_COMPILATION_CACHE_DIR")
    if CACHE.value == "none" or (given and "://" in given):
        return
    import jax

    try:
        if given or CACHE.value:
            folder = private_folder(expand(given or str(CACHE.value)))
        else:
            folder = private_folder(private_folder(cache_home()) / "xla")
    except OSError as error:
        cli.say(f"no compilation cache: {printable(error.filename)}: {error.strerror or error}")
        if given:  # jax has read the variable itself
            jax.config.update("jax_compilation_cache_dir", None)
        return
    if not given:
        jax.config.update("jax_compilation_cache_dir", str(folder))
    mend(folder)


if __name__ == "__main__":
    cli.guard(lambda: main(sys.argv))
