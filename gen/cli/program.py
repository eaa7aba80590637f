"""What every program of gen shares: its flags in, one clear line for bad input, an exit code out. Imports no jax.

A program writes `FLAGS = flags.FlagValues()`, passes `flag_values=FLAGS` to each DEFINE_*, and ends in
`run(main, FLAGS)`: with flags of its own, two programs can be imported by one process although both have a --workdir.
A flag that takes a path is `define_path`: a leading ~ is that home. Its docstring is its --help.
"""

from __future__ import annotations

import errno
import logging
import math
import os
import re
import signal
import sys
import time
from collections.abc import Callable, Sequence
from types import ModuleType
from typing import Any, NoReturn

from absl import flags

from gen.errors import InputError, nearest
from gen.files import expand, printable, storage_fault

HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")
_LONGEST = 800  # characters of a message; of a longer one the middle is left out
flags.disclaim_key_flags()  # what define_path defines is a flag of the program that calls it


def define_path(name: str, default: Any, help: str, *, flag_values: flags.FlagValues, many: bool = False) -> Any:
    """A flag for a path, text whose leading ~ is replaced by that home; many: it may be given several times."""
    if many:
        return flags.DEFINE_multi(_Path(), flags.ArgumentSerializer(), name, default, help, flag_values=flag_values)
    return flags.DEFINE(_Path(), name, default, help, flag_values=flag_values)


def define_sampling(name: str, default: float | None, help: str, *, flag_values: flags.FlagValues) -> Any:
    """A flag of SAMPLING, which several programs have."""
    from gen.cli.flags import SAMPLING

    low, high = SAMPLING[name].values()
    return flags.DEFINE_float(name, default, help, low, high, flag_values=flag_values)


class _Path(flags.ArgumentParser[str]):
    """Paths, NAME=PATH and KIND:PATH, each with its home in the place of ~."""

    def parse(self, argument: str) -> str:
        before, path = re.fullmatch(r"(?s)([\w.]+[=:](?=~))?(.*)", argument).groups(default="")  # type: ignore[union-attr]
        return before + (str(expand(path)) if path.startswith("~") else path)

    def flag_type(self) -> str:
        return "path"


def run(main: Callable[[], int | None], flag_values: flags.FlagValues = flags.FLAGS) -> NoReturn:
    """Parses sys.argv, which may hold flags only, calls `main` and exits with what it returns (None: 0)."""

    def parse_and_call() -> int | None:
        refuse_positional(parse(sys.argv, sys.modules[main.__module__], flag_values))
        return main()

    guard(parse_and_call)


def guard(call: Callable[[], int | None]) -> NoReturn:
    """Calls and exits: with the returned code, with 2 and one line on stderr after InputError, with 130 after Ctrl-C.

    Whoever reads the output may stop early (`| head`): that is no error, and ends the program with 141 as it would C's.
    What the system refuses (a disk that is full, memory) is one line too, and code 2.

    Any other exception is a bug in gen and keeps its traceback.
    """
    _mend_streams()
    if getattr(signal.getsignal(signal.SIGINT), "__module__", "") == "gen":  # which is for imports alone
        signal.signal(signal.SIGINT, signal.default_int_handler)
    logging.basicConfig(handlers=[Warnings()])
    try:
        code = call()
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left to flush at exit goes nowhere
        code = 141
    except InputError as error:
        say(str(error))
        code = 2
    except KeyboardInterrupt:
        say("stopped by Ctrl-C")
        code = 130
    except (OSError, MemoryError, RuntimeError) as error:
        if not (refused := _of_system(error)):
            raise
        say(refused)
        code = 2
    sys.exit(code or 0)


def _of_system(error: Exception) -> str:
    """What the system refused, in words; nothing when this is a bug."""
    if isinstance(error, MemoryError):
        return "out of memory; give less at once, by a smaller --batch_size for one"
    if isinstance(error, OSError) and error.errno is not None and error.errno not in (errno.EBADF, errno.EINVAL):
        if not error.filename:  # what stdout cannot take any more must not fail again at exit
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            return f"standard output or a file: {error.strerror}"
        return storage_fault(error)
    if "RESOURCE_EXHAUSTED" in str(error):  # what jax raises
        return f"out of memory ({str(error).splitlines()[0]}); try a smaller --batch_size"
    return ""


def _mend_streams() -> None:
    """Output that is closed goes nowhere; what the encoding of a stream lacks is written as an escape."""
    for descriptor in (0, 1, 2):
        try:
            os.fstat(descriptor)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # it gets this number: no file of ours may become what libraries print to
    for name in ("stdout", "stderr"):
        stream = getattr(sys, name)
        if stream is None:
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8", errors="backslashreplace"))  # noqa: SIM115
        elif hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")


class Warnings(logging.Handler):
    """Shows what is logged as `say` does. Orbax logs through absl what is of no use to a person."""

    def emit(self, record: logging.LogRecord) -> None:
        if record.name != "absl" or record.levelno >= logging.ERROR:
            say(record.getMessage())


def say(text: str) -> None:
    """One line for a person, on stderr, that any terminal can show."""
    print("gen: " + printable(" ".join(text.splitlines()), longest=_LONGEST), file=sys.stderr, flush=True)


def parse(argv: Sequence[str], program: ModuleType, flag_values: flags.FlagValues = flags.FLAGS) -> list[str]:
    """Gives flags their values from `argv` (program name first) and returns the other arguments.

    With --help prints the docstring of `program` and its flags, and exits with 0. Raises InputError for an unknown
    flag or a bad value: text that is empty, numbers that are not finite, and what the flag itself refuses.
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
        raise InputError(_explained(error, flag_values)) from error
    except (OSError, UnicodeDecodeError) as error:  # of --flagfile
        raise InputError(f"--flagfile cannot be read ({error})") from error
    _check_values(flag_values)
    flags.FLAGS.mark_as_parsed()  # libraries read their own flags, at their defaults
    return [str(expand(argument)) if argument.startswith("~") else argument for argument in positional]


def _check_values(flag_values: flags.FlagValues) -> None:
    for name in flag_values:
        flag = flag_values[name]
        for value in flag.value if isinstance(flag.value, list) else [flag.value]:
            if isinstance(value, float) and not math.isfinite(value):
                raise InputError(f"--{name}={value}; it must be a finite number")
            if isinstance(value, int) and abs(value) >= 2**63:
                raise InputError(f"--{name}={value}; it must be less than 2**63")
            if flag.present and isinstance(value, str):
                if not value.strip():
                    raise InputError(f"--{name} is empty; leave it out, or give it a value")
                if "\0" in value:
                    raise InputError(f"--{name}={value}: a value cannot hold a NUL character")
                if value.startswith("--") and value.lstrip("-").partition("=")[0] in flag_values:
                    raise InputError(f"--{name} has no value: the flag {value} follows it")


def _explained(error: flags.Error, flag_values: flags.FlagValues) -> str:
    """What absl refused, in words: the flag, the text, and what is allowed."""
    if isinstance(error, flags.CantOpenFlagFileError):
        return f"--flagfile cannot be read ({str(error).removeprefix('ERROR:: Unable to open flagfile: ')})"
    if found := re.match(r"Missing value for flag --(\w+)", str(error)):
        return f"--{found[1]} needs a value, --{found[1]}=VALUE: {flag_values[found[1]].help}"
    told = str(error).removesuffix(f": {error.__context__}")
    found = re.match(r"(?s)flag --(\w+)=(.*)", told)
    if not found or found[1] not in flag_values:
        return str(error)
    if isinstance(error.__context__, InputError):  # a path
        return f"--{found[1]}: {error.__context__}"
    flag = flag_values[found[1]]
    meant = nearest(found[2], flag.parser.enum_values) if isinstance(flag.parser, flags.EnumParser) else ""
    return f"--{found[1]}={found[2]}; it must be {_allowed(flag)}{meant}"


def _allowed(flag: flags.Flag[Any]) -> str:
    kind = flag.parser
    if isinstance(kind, flags.EnumParser):
        return f"one of {', '.join(kind.enum_values)}"
    if isinstance(kind, flags.BooleanParser):
        return "true or false"
    words = {"int": "a whole number", "float": "a number"}.get(flag.flag_type(), flag.flag_type())
    least, most = (getattr(kind, name, None) for name in ("lower_bound", "upper_bound"))
    if least is not None and most is not None:
        return f"{words} from {least} to {most}"
    return words + (f" of at least {least}" if least is not None else f" of at most {most}" if most is not None else "")


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
