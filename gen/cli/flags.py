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
true or false, one of the texts of a Literal, a number or one of these (int | Literal), or a sequence of those (the flag
may be repeated), and may be None; where the annotation names Path, a leading ~ on the command line is that home.
"""

from __future__ import annotations

import dataclasses
import inspect
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
    "steps": {"at_least": 1, "at_most": 10_000},
}
_PLACEHOLDERS = {int: "N", float: "X", str: "TEXT", Path: "PATH"}
_WORDS = {int: "a whole number", float: "a number", str: "text", Path: "a path", bool: "true or false"}


def option(default: Any, help: str, **rules: Any) -> Any:
    """Makes a field of options; the default ... stands for none: the option must be given.

    rules, all optional: group begins a group of --help, which the options below belong to. at_least, at_most: bounds,
    both included. flag: the name on the command line, where it is not the field's. positional: the word in --help for
    an argument without a name, of which a sequence takes all that are left.
    """
    return dataclasses.field(
        default=dataclasses.MISSING if default is ... else default, metadata={"help": help} | rules
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Options:
    """Options of a program. Values are checked, and conformed to their annotation, where the dataclass is made."""

    def __post_init__(self) -> None:
        for field in options_of(type(self)):
            object.__setattr__(self, field.name, field.conform(getattr(self, field.name)))


class Option(typing.NamedTuple):
    """One option: a field with its annotation taken apart."""

    name: str  # of the field
    kind: Any  # of one value: bool, int, float, str, Path
    many: bool
    texts: tuple[str, ...]  # those of a Literal, which alone are allowed, or beside numbers
    default: Any
    rules: typing.Mapping[str, Any]  # what `option` was given

    @property
    def flag(self) -> str:
        """The name on the command line."""
        return str(self.rules.get("flag", self.name))

    @property
    def shown(self) -> str:
        """The name in errors."""
        return str(self.rules.get("positional", f"--{self.flag}"))

    @property
    def bounds(self) -> str:
        """The bounds in words; "" for none."""
        low, high = self.rules.get("at_least"), self.rules.get("at_most")
        if None not in (low, high):
            return f"from {low} to {high}"
        return f"at least {low}" if low is not None else f"at most {high}" if high is not None else ""

    @property
    def allowed(self) -> str:
        """What a value must be, in words."""
        if self.texts and self.kind is str:
            return f"one of {', '.join(self.texts)}"
        number = f"{_WORDS[self.kind]} {self.bounds}".replace(" at ", " of at ").strip()
        return ", or ".join([number, *self.texts])

    def conform(self, value: Any) -> Any:
        """Checks a value from Python and brings it to the annotation. Raises InputError."""
        if value is None and self.default is None:
            return None
        if not self.many:
            return self._one(value, value)
        return tuple(self._one(v, v) for v in ((value,) if isinstance(value, str | os.PathLike) else value))

    def read(self, texts: Sequence[str]) -> Any:
        """Reads what the command line gives, of which the last counts unless there may be many. Raises InputError."""
        values = [self._one(self._typed(text), text) for text in texts]
        return tuple(values) if self.many else values[-1]

    def _typed(self, text: str) -> Any:
        if text in self.texts:
            return text
        try:
            if self.kind is Path:  # also NAME=PATH and KIND:PATH
                before, path = re.fullmatch(r"(?s)([\w.]+[=:](?=~))?(.*)", text).groups(default="")  # type: ignore[union-attr]
                return before + (str(expand(path)) if path.startswith("~") else path)
            return flags.BooleanParser().parse(text) if self.kind is bool else self.kind(text)
        except InputError as error:
            raise InputError(f"{self.shown}: {error}") from None
        except ValueError:
            raise self._refused(text) from None

    def _one(self, value: Any, shown: Any) -> Any:
        """Checks one value, which errors show as `shown`."""
        if isinstance(value, str) and value in self.texts:
            return value
        number = self.kind in (int, float)
        types = {int: numbers.Integral, float: numbers.Real, bool: bool}.get(self.kind, str | os.PathLike)
        low, high = self.rules.get("at_least", -math.inf), self.rules.get("at_most", math.inf)
        fits = isinstance(value, types) and isinstance(value, bool) == (self.kind is bool)
        if not fits or (number and (value < low or value > high)) or (self.texts and not number):
            raise self._refused(shown)
        if number and not math.isfinite(value):
            raise InputError(f"{self.shown}={shown}; it must be a finite number")
        if number and abs(value) >= 2**63:
            raise InputError(f"{self.shown}={shown}; it must be less than 2**63")
        if not str(value).strip():
            raise InputError(f"{self.shown} is empty; leave it out, or give it a value")
        if "\0" in str(value):
            raise InputError(f"{self.shown}={shown}: a value cannot hold a NUL character")
        return str(value) if self.kind is Path else self.kind(value)

    def _refused(self, value: Any) -> InputError:
        meant = nearest(str(value), self.texts) if self.texts else ""
        return InputError(f"{self.shown}={value}; it must be {self.allowed}{meant}")


def options_of(kind: type[Options]) -> list[Option]:
    """Lists the options of a program: its own in the order of the dataclass, then those that it shares with others.

    Fields that `option` did not make are none.
    """
    hints, own = typing.get_type_hints(kind), inspect.get_annotations(kind)
    fields = sorted(dataclasses.fields(kind), key=lambda field: field.name not in own)
    return [_option(field, hints[field.name]) for field in fields if field.metadata]


def _option(field: dataclasses.Field[Any], annotation: Any) -> Option:
    members = _members(annotation)
    if many := typing.get_origin(members[0]) is Sequence:
        members = _members(typing.get_args(members[0])[0])
    texts = next((typing.get_args(a) for a in members if typing.get_origin(a) is typing.Literal), ())
    kind = Path if Path in members else members[0] if isinstance(members[0], type) else str
    return Option(field.name, kind, many, texts, field.default, field.metadata)


def _members(annotation: Any) -> list[Any]:
    """The members of a union but None; of other annotations, themselves."""
    union = typing.get_origin(annotation) in (typing.Union, types.UnionType)
    return [a for a in (typing.get_args(annotation) if union else [annotation]) if a is not types.NoneType]


def flags_from(kind: type[Options]) -> flags.FlagValues:
    """Makes the flags of a program, one for each option that is not positional. They hold texts, for `Option.read`."""
    values = flags.FlagValues()
    for option in options_of(kind):
        if "positional" not in option.rules:
            given = (option.flag, None, option.rules["help"])
            flag: flags.Flag[Any] = flags.BooleanFlag(*given)
            if option.kind is not bool:
                flag = flags.MultiFlag(flags.ArgumentParser(), flags.ArgumentSerializer(), *given)
            flag.parser = flags.ArgumentParser()
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
        meant = nearest(error.flagname, values).replace("'", "'--", 1)  # without the dashes, which make all names alike
        raise InputError(f"unknown flag --{error.flagname}{meant or '; --help lists the flags'}") from None
    except (flags.CantOpenFlagFileError, OSError, UnicodeDecodeError) as error:
        told = str(error).removeprefix("ERROR:: Unable to open flagfile: ")
        raise InputError(f"--flagfile cannot be read ({told})") from error
    except flags.Error as error:
        if not (found := re.match(r"Missing value for flag --([\w.]+)", str(error))):
            raise InputError(str(error)) from None
        meaning = values[found[1]].help.partition(";\n")[0]  # to which absl adds a line
        raise InputError(f"--{found[1]} needs a value, --{found[1]}=VALUE: {meaning}") from None
    flags.FLAGS.mark_as_parsed()  # libraries read their own flags, at their defaults
    given = dict[str, Any]()
    for option in options_of(kind):
        if texts := _texts(option, values, rest):
            given[option.name] = option.read(texts)
        elif option.default is dataclasses.MISSING:
            what = option.allowed if option.texts else option.rules["help"]
            raise InputError(f"{option.shown} is missing: {what}")
    if rest:
        raise InputError(f"unexpected argument '{rest[0]}'; every argument is a flag, --name=value")
    return kind(**given)


def _texts(option: Option, values: flags.FlagValues, rest: list[str]) -> list[str]:
    """The texts that the command line gives for an option; a positional one takes its own out of `rest`."""
    if "positional" in option.rules:
        texts = rest[: None if option.many else 1]
        del rest[: len(texts)]
        return texts
    value: Any = values[option.flag].value if values[option.flag].present else []
    texts = value if isinstance(value, list) else [value]
    for text in texts:
        if text.startswith("--") and text.lstrip("-").partition("=")[0] in values:
            raise InputError(f"--{option.flag} has no value: the flag {text} follows it")
    return texts


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
    title, rows = "Arguments", list[tuple[str, str]]()
    for option in options_of(kind):
        if (begun := option.rules.get("group")) and rows:
            yield title, rows
            rows = []
        title = begun or title
        rows.append(_row(option))
    yield title, rows


def _row(option: Option) -> tuple[str, str]:
    about, rules = list[str](), option.rules
    if option.bounds:
        about.append(option.bounds)
    if option.default is dataclasses.MISSING:
        about.append("required")
    elif option.default is not False and option.default not in (None, ()):
        about.append(f"default {option.default}")
    if option.many and "positional" not in rules:
        about.append("may be repeated")
    alone = option.texts and option.kind is str
    value = "|".join([*([] if alone else [_PLACEHOLDERS.get(option.kind, "")]), *option.texts])
    left = f"--[no]{option.flag}" if option.kind is bool else f"--{option.flag}={value}"
    right = rules["help"].rstrip(".") + (f" ({'; '.join(about)})" if about else "")
    return rules.get("positional", left), right
