"""How programs talk to a person: flags, progress, one line for bad input, exit codes. Imports no jax."""

from gen.cli.flags import SAMPLING, Options, option, parse, run_main
from gen.cli.members import MemberOptions
from gen.cli.program import Warnings, guard, say
from gen.cli.progress import progress, progress_bar

__all__ = [
    "SAMPLING",
    "MemberOptions",
    "Options",
    "Warnings",
    "guard",
    "option",
    "parse",
    "progress",
    "progress_bar",
    "run_main",
    "say",
]
