"""How programs talk to a person: flags, progress, one line for bad input, exit codes. Imports no jax."""

from gen.cli.flags import SAMPLING, Options, option, run_main
from gen.cli.program import (
    HELP,
    Warnings,
    define_path,
    define_sampling,
    guard,
    parse,
    refuse_positional,
    run,
    say,
    tell,
)

__all__ = [
    "HELP",
    "SAMPLING",
    "Options",
    "Warnings",
    "define_path",
    "define_sampling",
    "guard",
    "option",
    "parse",
    "refuse_positional",
    "run",
    "run_main",
    "say",
    "tell",
]
