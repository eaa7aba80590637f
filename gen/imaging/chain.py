"""Operators in a row, written as text and compiled to one function:

    post = chain("bilateral(9)|unsharp(1.0, 0.6)|white_balance('gray_world')|inside('foreground', 'vibrance(0.3)')")
    y = post(x)

The language has names, literals (numbers, texts in quotes, True, False, None, tuples and lists of these) and `|`;
nothing in a text is ever run as code. Arrays go by name: `match_linear('evening')` takes references["evening"].

A text may come from a stranger's run folder: its length, its steps and its nesting have limits, numbers are checked
against those that an operator declares (see `bounds`), and a message repeats no more than a few words of it.
"""

from __future__ import annotations

import ast
import inspect
import warnings
from collections.abc import Iterator
from typing import Any

from gen.errors import InputError, nearest
from gen.files import printable
from gen.imaging import _operator, bounds
from gen.imaging.catalog import OPERATORS, takes
from gen.imaging.steps import Chain, Step

__all__ = ["OPERATORS", "Chain", "chain"]

_BRACKETS = {"(": ")", "[": "]"}
_LONGEST, _MOST_STEPS, _DEEPEST, _MOST_BRACKETS = 10_000, 100, 4, 8
_LARGEST = 1e15  # of numbers; above, float32 and int32 have no room for what is made of them


def chain(text: str) -> Chain:
    """Reads a chain of up to 10,000 characters, 100 steps in all, and chains within chains to a depth of 4.

    Raises InputError that names the position, the mistake and the nearest right name, in at most 300 characters.
    """
    try:
        if isinstance(text, str) and len(text) > _LONGEST:
            raise InputError(f"chain: {len(text):,} characters; allowed: {_LONGEST:,}")
        read = _chain(text, 1)
        if (steps := read.size) > _MOST_STEPS:
            raise InputError(f"chain: {steps} steps, those of chains within it too; allowed: {_MOST_STEPS}")
    except InputError as error:
        raise InputError(printable(str(error))) from None
    return read


def _chain(text: str, depth: int) -> Chain:
    if not isinstance(text, str) or not text.strip():
        raise InputError("chain: the text is empty; allowed: operators joined by |, as in gaussian(2)|sepia(0.5)")
    if depth > _DEEPEST:
        raise InputError(f"chain: chains within chains to a depth of {depth}; allowed: {_DEEPEST}")
    return Chain(tuple(_step(part, start, depth) for start, part in _split(text, "|", 0)))


def _split(text: str, separator: str, offset: int) -> Iterator[tuple[int, str]]:
    """The parts between separators that are outside quotes and brackets, with their positions (from 1)."""
    closing: list[str] = []
    quote, begin, escaped = "", 0, False
    for i, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and not escaped else quote
            escaped = letter == "\\" and not escaped
        elif letter in "'\"":
            quote = letter
        elif letter in _BRACKETS:
            closing.append(_BRACKETS[letter])
            if len(closing) > _MOST_BRACKETS:
                raise InputError(f"chain, position {offset + i + 1}: more than {_MOST_BRACKETS} open brackets")
        elif letter in _BRACKETS.values():
            if not closing or closing.pop() != letter:
                raise InputError(f"chain, position {offset + i + 1}: '{letter}' closes nothing")
        elif letter == separator and not closing:
            yield offset + begin, text[begin:i]
            begin = i + 1
    if quote or closing:
        raise InputError(f"chain, position {offset + len(text)}: {quote or closing[-1]} is missing at the end")
    yield offset + begin, text[begin:]


def _step(part: str, start: int, depth: int) -> Step:
    start += len(part) - len(part.lstrip())
    place, part = f"chain, position {start + 1}", part.strip()
    name, bracket, rest = part.partition("(")
    name = name.strip()
    if not part:
        raise InputError(f"{place}: an operator is missing")
    if name not in OPERATORS:
        meant = nearest(name[:40], OPERATORS)
        raise InputError(f"{place}: no operator '{_cut(name)}'{meant}{_odd(name)}; gen.refine --list names them all")
    if bracket and not rest.endswith(")"):
        after = _cut(rest[rest.rfind(")") + 1 :].strip())
        raise InputError(f"{place}: {name}: '{after}' after its arguments; | is missing")
    pieces = list(_split(rest[:-1], ",", start + len(name) + 1)) if rest[:-1].strip() else []
    arguments, positional = _arguments(name, pieces, depth)
    for parameter in takes(OPERATORS[name]).values():
        if parameter.default is inspect.Parameter.empty and parameter.name not in arguments:
            raise InputError(f"{place}: {name} needs '{parameter.name}'{_usage(name)}")
    return Step(name, tuple(arguments.items()), positional)


def _arguments(name: str, pieces: list[tuple[int, str]], depth: int) -> tuple[dict[str, Any], int]:
    """The arguments of an operator by parameter, from their texts and positions; and how many have no name."""
    parameters = takes(OPERATORS[name])
    free = [p.name for p in parameters.values() if p.kind is not inspect.Parameter.KEYWORD_ONLY]
    arguments: dict[str, Any] = {}
    positional = 0
    for at, piece in pieces:
        keyword, equals, literal = _keyword(piece)
        place = f"chain, position {at + 1 + len(piece) - len(piece.lstrip())}"
        if not equals:
            if len(arguments) > positional:
                raise InputError(f"{place}: {name}: '{_cut(piece.strip())}' has no name, but stands after one that has")
            if positional >= len(free):
                raise InputError(f"{place}: {name} takes {len(free)} arguments without a name{_usage(name)}")
            keyword, literal, positional = free[positional], piece, positional + 1
        if keyword not in parameters:
            meant = nearest(keyword[:40], parameters)
            raise InputError(f"{place}: {name} has no '{_cut(keyword)}'{meant}{_odd(keyword)}{_usage(name)}")
        if keyword in arguments:
            raise InputError(f"{place}: {name} gets '{keyword}' twice")
        arguments[keyword] = _literal(literal.strip(), place, name, parameters[keyword], depth)
    return arguments, positional


def _keyword(piece: str) -> tuple[str, str, str]:
    before, equals, after = piece.partition("=")
    return (before.strip(), equals, after) if equals and before.strip().isidentifier() else ("", "", piece)


def _usage(name: str) -> str:
    return f"; allowed: {', '.join(takes(OPERATORS[name])) or 'none'}"


def _cut(text: str) -> str:
    return printable(text, longest=40)


def _odd(name: str) -> str:
    """A hint for letters that look like others."""
    strange = [letter for letter in name[:40] if not letter.isascii()]
    return f" ('{_cut(strange[0])}' is U+{ord(strange[0]):04X}, no letter of English)" if strange else ""


def _literal(text: str, place: str, name: str, parameter: inspect.Parameter, depth: int) -> Any:
    """The value of a literal, of a kind that the parameter takes; a chain where it takes a function."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", SyntaxWarning)  # of a backslash in a text
            warnings.simplefilter("ignore", DeprecationWarning)
            value = _frozen(ast.literal_eval(text.encode("utf-8", "backslashreplace").decode()))  # bytes of a name
    except (ValueError, SyntaxError, TypeError, MemoryError, RecursionError):
        quoted = "; texts stand in quotes, ' or \"" if text[:1].isidentifier() or not text.isascii() else ""
        raise InputError(f"{place}: {name}: '{_cut(text)}' is not a number, text, list or tuple{quoted}") from None
    if parameter.name == "function":
        if not isinstance(value, str):
            raise InputError(f"{place}: {name}: {_cut(text)} is not a chain in quotes")
        return _chain(value, depth + 1)
    wanted = _wanted(parameter)
    optional = value is None and (parameter.default is None or "None" in str(parameter.annotation))
    if not optional and not _fits(value, wanted):
        raise InputError(f"{place}: {name}: {parameter.name}={_cut(text)}; allowed: {wanted}")
    if not isinstance(value, str):
        bounds.check(f"{place}: {name}", parameter, value, getattr(OPERATORS[name], "allowed", {}))
    return value


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _wanted(parameter: inspect.Parameter) -> str:
    """In words, what a parameter takes, from its annotation."""
    kind = str(parameter.annotation)
    if parameter.name in _operator.KINDS:
        return "a name in quotes"
    if kind.startswith("str") or "Literal" in kind or "Path" in kind:
        return "a text in quotes"
    if kind.startswith("bool"):
        return "True or False"
    if kind in ("int", "int | None"):
        return "a whole number"
    if kind in ("float", "float | None"):
        return f"a number, up to {_LARGEST:g}"
    return f"a number or a tuple of numbers, up to {_LARGEST:g}"


def _fits(value: Any, wanted: str) -> bool:
    if wanted.endswith("in quotes"):
        return isinstance(value, str)
    if wanted == "True or False":
        return isinstance(value, bool)
    if wanted == "a whole number":
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) <= _LARGEST
    if isinstance(value, tuple) and "tuple" not in wanted:
        return False
    numbers = value if isinstance(value, tuple) else (value,)
    return bool(numbers) and all(
        _fits(n, wanted)
        if isinstance(n, tuple)
        else isinstance(n, int | float) and not isinstance(n, bool) and abs(n) <= _LARGEST
        for n in numbers
    )
