"""What every program of gen shares: its flags in, one clear line for bad input, an exit code out. Imports no jax.

A program writes `FLAGS = flags.FlagValues()`, passes `flag_values=FLAGS` to each DEFINE_*, and ends in
`run(main, FLAGS)`: with flags of its own, two programs can be imported by one process although both have a --workdir.
Its docstring is its --help.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import NoReturn

from absl import flags

from gen.errors import InputError, nearest

HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")


def run(main: Callable[[], int | None], flag_values: flags.FlagValues = flags.FLAGS) -> NoReturn:
    """Parses sys.argv, which may hold flags only, calls `main` and exits with what it returns (None: 0)."""

    def parse_and_call() -> int | None:
        refuse_positional(parse(sys.argv, sys.modules[main.__module__], flag_values))
        return main()

    guard(parse_and_call)


def guard(call: Callable[[], int | None]) -> NoReturn:
    """Calls and exits: with the returned code, with 2 and one line on stderr after InputError, with 130 after Ctrl-C.

    Whoever reads the output may stop early (`| head`): that is no error, and ends the program with 141 as it would C's.

    Any other exception is a bug in gen and keeps its traceback.
    """
    try:
        code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush at exit goes nowhere
        code = 141
    except InputError as error:
        print("gen: " + " ".join(str(error).splitlines()), file=sys.stderr)
        code = 2
    except KeyboardInterrupt:
        print("gen: stopped by Ctrl-C", file=sys.stderr)
        code = 130
    sys.exit(code or 0)


def parse(argv: Sequence[str], program: ModuleType, flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Gives flags their values from `argv` (program name first) and returns the other arguments.

    With --help prints the docstring of `program` and its flags, and exits with 0. Raises InputError for an unknown
    flag or a bad value.
    """
    if any(argument in HELP for argument in argv[1 : argv.index("--") if "--" in argv else None]):
        print(
            f"{(program.__doc__ or '').strip()}\n\nFlags:{flag_values.module_help(program).partition(':')[2].rstrip()}"
        )
        sys.stdout.flush()
        sys.exit(0)
    flag_values.unparse_flags()
    flag_values.set_gnu_getopt(True)
    try:
        positional = flag_values(list(argv))[1:]
    except flags.UnrecognizedFlagError as error:
        meant = nearest(f"--{error.flagname}", [f"--{name}" for name in flag_values])
        raise InputError(f"unknown flag --{error.flagname}{meant or '; --help lists the flags'}") from None
    except flags.Error as error:
        raise InputError(str(error)) from error
    flags.FLAGS.mark_as_parsed()  # libraries read their own flags, at their defaults
    return positional


def refuse_positional(arguments: Sequence[str]) -> None:
    """Raises InputError when a program that takes only flags is given something else."""
    if arguments:
        raise InputError(f"unexpected argument '{arguments[0]}'; every argument is a flag, --name=value")


def tell(done: int, total: int, began: float) -> None:
    """How far a program is with its images and how long it will take, on one line of a terminal. began: monotonic."""
    if sys.stderr.isatty() and total > 1:
        speed = done / max(1e-9, time.monotonic() - began)
        end = "\n" if done == total else ""
        left = f" · ETA {(total - done) / speed:.0f} s"
        print(f"\r\x1b[K{done:,}/{total:,} images · {speed:.3g} images/s{left}", end=end, file=sys.stderr, flush=True)
