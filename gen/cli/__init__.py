"""How programs talk to a person: flags, progress, one line for bad input, exit codes. Imports no jax."""

from gen.cli.program import (
    HELP,
    SAMPLING,
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
    "Warnings",
    "define_path",
    "define_sampling",
    "guard",
    "parse",
    "refuse_positional",
    "run",
    "say",
    "tell",
]
