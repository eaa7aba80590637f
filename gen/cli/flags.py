"""Flags, --help and checks of a program, made from the dataclass of its options. Imports no jax.

    @dataclass(frozen=True, kw_only=True)
    class DrawOptions(Options):
        inputs: Sequence[str | Path] = option((), "Image files and folders.", positional="IN...")
        out: str | Path | None = option(None, "Folder for the results.", group="Files")
        format: Literal["png", "jpeg"] = option("png", "Format of the results.")
        truncation: float = option(1.0, "Below 1: more typical.", group="Images", at_least=0.0, at_most=2.0)
        grid: bool = option(False, "Also write a grid.")

    if __name__ == "__main__":
        run_main(lambda options: print(draw(options)), DrawOptions)

`draw(DrawOptions(out="x", truncation=0.5))` is then what `--out=x --truncation=0.5` does, with the same checks. The
docstring of the module that defines the options, and the options by group, are its --help. An option is text, a number,
true or false, one of the texts of a Literal, or a sequence of those (the flag may be repeated), and may be None; where
the annotation names Path, a leading ~ on the command line is that home.
"""

from __future__ import annotations

import dataclasses
import math
import numbers
import os
import re
import sys
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from absl import flags

from gen.cli.program import guard
from gen.errors import InputError, nearest
from gen.files import expand

HELP = ("--help", "-help", "-h", "--helpshort", "--helpfull")
T = TypeVar("T", bound="Options")
SAMPLING: dict[str, dict[str, Any]] = {  # beyond these bounds nothing is to be seen but noise, or one image
    "truncation": {"at_least": 0.0, "at_most": 2.0},
    "temperature": {"at_least": 0.0, "at_most": 100.0},
    "top_p": {"at_least": 1e-6, "at_most": 1.0},
    "guidance": {"at_least": 0.0, "at_most": 100.0},
}
_PLACEHOLDERS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_WORDS = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "true or false"}


def option(
    default: Any,  # ... for none: the option must be given
    help: str,
    *,
    group: str = "",  # begins a group of --help, which the options below it belong to
    at_least: float | None = None,
    at_most: float | None = None,
    flag: str = "",  # its name on the command line, where that is not the field's
    positional: str = "",  # the word in --help for an argument without a name; a sequence takes all that are left
) -> Any:
    """Makes a field of options, with what its flag needs beyond the annotation. Bounds are included."""
    rules = {"at_least": at_least, "at_most": at_most, "group": group, "flag": flag, "positional": positional}
    given = {name: rule for name, rule in rules.items() if rule not in (None, "")}
    default = dataclasses.MISSING if default is ... else default
    return dataclasses.field(default=default, metadata={"help": help, **given})


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a program. Values are checked, and conformed to their annotation, where the dataclass is made."""

    def __post_init__(self) -> None:
        for field in options_of(type(self)):
            object.__setattr__(self, field.name, field.conform(getattr(self, field.name)))


class Option(typing.NamedTuple):
    """One option: a field with its annotation taken apart."""

    name: str  # of the field
    flag: str
    kind: Any  # of one value: bool, int, float, str, Path
    many: bool
    texts: tuple[str, ...]  # those of a Literal
    default: Any
    rules: typing.Mapping[str, Any]  # what `option` was given

    @property
    def shown(self) -> str:
        """The name in errors."""
        return str(self.rules.get("positional", f"--{self.flag}"))

    @property
    def allowed(self) -> str:
        """What a value must be, in words."""
        if self.texts:
            return f"one of {', '.join(self.texts)}"
        low, high = self.rules.get("at_least"), self.rules.get("at_most")
        if low is not None and high is not None:
            return f"{_WORDS[self.kind]} from {low} to {high}"
        bound = f" of at least {low}" if low is not None else f" of at most {high}" if high is not None else ""
        return _WORDS[self.kind] + bound

    def conform(self, value: Any) -> Any:
        """Checks a value from Python and brings it to the annotation. Raises InputError."""
        if value is None and self.default is None:
            return None
        if not self.many:
            return self._one(value)
        return tuple(map(self._one, (value,) if isinstance(value, str | os.PathLike) else value))

    def read(self, text: str) -> Any:
        """Reads one value of a text on the command line. Raises InputError."""
        try:
            if self.kind is bool:
                return flags.BooleanParser().parse(text)
            return self._one(self._at_home(text) if self.kind is Path else self.kind(text), text)
        except InputError:
            raise
        except ValueError:
            raise self._refused(text) from None

    def _at_home(self, text: str) -> str:
        """Puts the home in the place of a leading ~ of PATH, NAME=PATH or KIND:PATH."""
        before, path = re.fullmatch(r"(?s)([\w.]+[=:](?=~))?(.*)", text).groups(default="")  # type: ignore[union-attr]
        try:
            return before + (str(expand(path)) if path.startswith("~") else path)
        except InputError as error:
            raise InputError(f"{self.shown}: {error}") from None

    def _one(self, value: Any, text: Any = None) -> Any:
        """Checks one value, which errors show as `text`, if it was read from that."""
        text = value if text is None else text
        if self.kind in (int, float):
            accepted: Any = numbers.Integral if self.kind is int else numbers.Real
            if not isinstance(value, accepted) or isinstance(value, bool):
                raise self._refused(text)
            low, high = self.rules.get("at_least", -math.inf), self.rules.get("at_most", math.inf)
            if value < low or value > high:
                raise self._refused(text)
            if not math.isfinite(value):
                raise InputError(f"{self.shown}={text}; it must be a finite number")
            if abs(value) >= 2**63:
                raise InputError(f"{self.shown}={text}; it must be less than 2**63")
            return self.kind(value)
        if self.kind is bool:
            if not isinstance(value, bool):
                raise self._refused(text)
            return value
        if not isinstance(value, str | os.PathLike) or (self.texts and value not in self.texts):
            raise self._refused(text)
        if not str(value).strip():
            raise InputError(f"{self.shown} is empty; leave it out, or give it a value")
        if "\0" in str(value):
            raise InputError(f"{self.shown}={value}: a value cannot hold a NUL character")
        return str(value)

    def _refused(self, value: Any) -> InputError:
        meant = nearest(str(value), self.texts) if self.texts else ""
        return InputError(f"{self.shown}={value}; it must be {self.allowed}{meant}")


def options_of(kind: type[Options]) -> list[Option]:
    """Lists the options of a program in the order of the dataclass; fields that `option` did not make are none."""
    hints = typing.get_type_hints(kind)
    return [_option(field, hints[field.name]) for field in dataclasses.fields(kind) if field.metadata]


def _option(field: dataclasses.Field[Any], annotation: Any) -> Option:
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    members = [a for a in (typing.get_args(annotation) if union else [annotation]) if a is not types.NoneType]
    if many := typing.get_origin(members[0]) is not None and typing.get_origin(members[0]) is not typing.Literal:
        inner = typing.get_args(members[0])[0]
        members = list(typing.get_args(inner)) or [inner]
    texts = typing.get_args(members[0]) if typing.get_origin(members[0]) is typing.Literal else ()
    kind = str if texts else Path if Path in members else members[0]
    flag = field.metadata.get("flag", field.name)
    return Option(field.name, flag, kind, many, texts, field.default, field.metadata)


class _Parser(flags.ArgumentParser[Any]):
    """Lets an option read its texts."""

    def __init__(self, option: Option) -> None:
        self.option = option

    def parse(self, argument: Any) -> Any:
        return self.option.read(argument) if isinstance(argument, str) else argument


def flags_from(kind: type[Options]) -> flags.FlagValues:
    """Makes the flags of a program: one for each option that is not positional."""
    values = flags.FlagValues()
    for option in options_of(kind):
        if not option.rules.get("positional"):
            parser, given = _Parser(option), (option.flag, None, option.rules["help"])
            if option.kind is bool:
                flag: flags.Flag[Any] = flags.BooleanFlag(*given)
                flag.parser = parser
            else:
                flag = (flags.MultiFlag if option.many else flags.Flag)(parser, flags.ArgumentSerializer(), *given)
            flags.DEFINE_flag(flag, values)
    return values


def parse(argv: Sequence[str], kind: type[T]) -> T:
    """Parses a command line, program name first. With --help prints it, and exits with 0.

    Raises InputError for an unknown flag, with the nearest one, and for a value that its option does not allow.
    """
    if any(argument in HELP for argument in argv[1 : argv.index("--") if "--" in argv else None]):
        print(help_text(kind), flush=True)
        sys.exit(0)
    values = flags_from(kind)
    values.set_gnu_getopt(True)
    try:
        rest = values(list(argv))[1:]
    except flags.UnrecognizedFlagError as error:
        meant = nearest(f"--{error.flagname}", [f"--{name}" for name in values])
        raise InputError(f"unknown flag --{error.flagname}{meant or '; --help lists the flags'}") from None
    except flags.CantOpenFlagFileError as error:
        told = str(error).removeprefix("ERROR:: Unable to open flagfile: ")
        raise InputError(f"--flagfile cannot be read ({told})") from error
    except flags.Error as error:
        if isinstance(error.__context__, InputError):
            raise error.__context__ from None
        if found := re.match(r"Missing value for flag --([\w.]+)", str(error)):
            raise InputError(f"--{found[1]} needs a value, --{found[1]}=VALUE: {values[found[1]].help}") from None
        raise InputError(str(error)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"--flagfile cannot be read ({error})") from error
    flags.FLAGS.mark_as_parsed()  # libraries read their own flags, at their defaults
    given: dict[str, Any] = {o.name: values[o.flag].value for o in options_of(kind) if _given(o, values)}
    rest = [str(expand(argument)) if argument.startswith("~") else argument for argument in rest]
    for option in options_of(kind):
        if option.rules.get("positional") and rest:
            given[option.name], rest = (rest, []) if option.many else (rest[0], rest[1:])
    if rest:
        raise InputError(f"unexpected argument '{rest[0]}'; every argument is a flag, --name=value")
    for option in options_of(kind):
        if option.name in given:
            option.conform(given[option.name])
        elif option.default is dataclasses.MISSING:
            what = option.allowed if option.texts else option.rules["help"]
            raise InputError(f"{option.shown} is missing: {what}")
    return kind(**given)


def _given(option: Option, values: flags.FlagValues) -> bool:
    """Tells whether the command line gives an option. Raises InputError when its value is the flag that follows it."""
    if option.flag not in values or not values[option.flag].present:
        return False
    given: Any = values[option.flag].value
    for value in map(str, given if option.many else [given]):
        if value.startswith("--") and value.lstrip("-").partition("=")[0] in values:
            raise InputError(f"--{option.flag} has no value: the flag {value} follows it")
    return True


def run_main(main: Callable[[T], int | None], kind: type[T]) -> NoReturn:
    """Calls `main` with the options that sys.argv gives, and exits with the code that it returns (None: 0)."""
    guard(lambda: main(parse(sys.argv, kind)))


def help_text(kind: type[Options]) -> str:
    """Writes --help: the docstring of a program and its options by group, a line each."""
    groups = dict(grouped(kind))
    width = max((len(left) for rows in groups.values() for left, _ in rows), default=0)
    lines = [(sys.modules[kind.__module__].__doc__ or "").strip()]
    for group, rows in groups.items():
        lines += ["", f"{group}:", *(f"  {left:<{width}}  {right}" for left, right in rows)]
    return "\n".join(lines)


def grouped(kind: type[Options]) -> Iterator[tuple[str, list[tuple[str, str]]]]:
    """Yields the groups: a title, and of each option how it is written and what it means, allows, defaults to."""
    title, rows = "Options", list[tuple[str, str]]()
    for option in options_of(kind):
        if (begun := option.rules.get("group")) and rows:
            yield title, rows
            rows = []
        title = begun or title
        rows.append(_row(option))
    yield title, rows


def _row(option: Option) -> tuple[str, str]:
    about, rules = list[str](), option.rules
    if "at_least" in rules or "at_most" in rules:
        about.append(option.allowed.removeprefix(_WORDS[option.kind]).removeprefix(" of").strip())
    if option.default is dataclasses.MISSING:
        about.append("required")
    elif option.default is not False and option.default not in (None, ()):
        about.append(f"default {option.default}")
    if option.many and "positional" not in rules:
        about.append("may be repeated")
    value = "|".join(option.texts) or _PLACEHOLDERS.get(option.kind)
    left = f"--[no]{option.flag}" if option.kind is bool else f"--{option.flag}={value}"
    right = rules["help"].rstrip(".") + (f" ({'; '.join(about)})" if about else "")
    return rules.get("positional", left), right
