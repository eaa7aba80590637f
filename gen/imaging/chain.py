"""Operators in a row, written as text and compiled to one function:

    post = chain("bilateral(9)|unsharp(1.0, 0.6)|white_balance('gray_world')|inside('foreground', 'vibrance(0.3)')")
    y = post(x)

The language has names, literals (numbers, texts in quotes, True, False, None, tuples and lists of these) and `|`;
nothing in a text is ever run as code. Arrays go by name: `match_linear('evening')` takes references["evening"].
"""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from typing import Any

from gen.errors import InputError, nearest
from gen.imaging import arrays
from gen.imaging.operators import OPERATORS, takes
from gen.imaging.steps import Chain, Step

__all__ = ["OPERATORS", "Chain", "chain"]

_BRACKETS = {"(": ")", "[": "]"}


def chain(text: str) -> Chain:
    """Reads a chain. Raises InputError that names the position, the mistake and the nearest right name."""
    if not isinstance(text, str) or not text.strip():
        raise InputError("chain: the text is empty; allowed: operators joined by |, as in gaussian(2)|sepia(0.5)")
    return Chain(tuple(_step(part, start) for start, part in _split(text, "|", 0)))


def _split(text: str, separator: str, offset: int) -> Iterator[tuple[int, str]]:
    """The parts between separators that are outside quotes and brackets, with their positions (from 1)."""
    closing: list[str] = []
    quote, begin = "", 0
    for i, letter in enumerate(text):
        if quote:
            quote = "" if letter == quote and text[i - 1] != "\\" else quote
        elif letter in "'\"":
            quote = letter
        elif letter in _BRACKETS:
            closing.append(_BRACKETS[letter])
        elif letter in _BRACKETS.values():
            if not closing or closing.pop() != letter:
                raise InputError(f"chain, position {offset + i + 1}: '{letter}' closes nothing")
        elif letter == separator and not closing:
            yield offset + begin, text[begin:i]
            begin = i + 1
    if quote or closing:
        raise InputError(f"chain, position {offset + len(text)}: {quote or closing[-1]} is missing at the end")
    yield offset + begin, text[begin:]


def _step(part: str, start: int) -> Step:
    start += len(part) - len(part.lstrip())
    place, part = f"chain, position {start + 1}", part.strip()
    name, bracket, rest = part.partition("(")
    name = name.strip()
    if not part:
        raise InputError(f"{place}: an operator is missing")
    if name not in OPERATORS:
        raise InputError(f"{place}: no operator '{name}'{nearest(name, OPERATORS)}; gen.refine --list names them all")
    if bracket and not rest.endswith(")"):
        raise InputError(f"{place}: {name}: '{rest[rest.rfind(')') + 1 :].strip()}' after its arguments; | is missing")
    pieces = list(_split(rest[:-1], ",", start + len(name) + 1)) if rest[:-1].strip() else []
    arguments, positional = _arguments(name, pieces)
    for parameter in takes(OPERATORS[name]).values():
        if parameter.default is inspect.Parameter.empty and parameter.name not in arguments:
            raise InputError(f"{place}: {name} needs '{parameter.name}'{_usage(name)}")
    return Step(name, tuple(arguments.items()), positional)


def _arguments(name: str, pieces: list[tuple[int, str]]) -> tuple[dict[str, Any], int]:
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
                raise InputError(f"{place}: {name}: '{piece.strip()}' has no name, but stands after one that has")
            if positional >= len(free):
                raise InputError(f"{place}: {name} takes {len(free)} arguments without a name{_usage(name)}")
            keyword, literal, positional = free[positional], piece, positional + 1
        if keyword not in parameters:
            raise InputError(f"{place}: {name} has no '{keyword}'{nearest(keyword, parameters)}{_usage(name)}")
        if keyword in arguments:
            raise InputError(f"{place}: {name} gets '{keyword}' twice")
        arguments[keyword] = _literal(literal.strip(), place, name, parameters[keyword])
    return arguments, positional


def _keyword(piece: str) -> tuple[str, str, str]:
    before, equals, after = piece.partition("=")
    return (before.strip(), equals, after) if equals and before.strip().isidentifier() else ("", "", piece)


def _usage(name: str) -> str:
    return f"; allowed: {', '.join(takes(OPERATORS[name])) or 'none'}"


def _literal(text: str, place: str, name: str, parameter: inspect.Parameter) -> Any:
    """The value of a literal, of a kind that the parameter takes; a chain where it takes a function."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        quoted = "; texts stand in quotes" if text.isidentifier() else ""
        raise InputError(f"{place}: {name}: '{text}' is not a number, text, list or tuple{quoted}") from None
    value = _frozen(value)
    if parameter.name == "function":
        if not isinstance(value, str):
            raise InputError(f"{place}: {name}: {text} is not a chain in quotes")
        return chain(value)
    wanted = _wanted(parameter)
    if value is not None and not _fits(value, wanted):
        raise InputError(f"{place}: {name}: {parameter.name}={text}; allowed: {wanted}")
    return value


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _wanted(parameter: inspect.Parameter) -> str:
    """In words, what a parameter takes, from its annotation."""
    kind = str(parameter.annotation)
    if parameter.name in arrays.KINDS:
        return "a name in quotes"
    if kind.startswith("str") or "Literal" in kind or "Path" in kind:
        return "a text in quotes"
    if kind.startswith("bool"):
        return "True or False"
    return "a whole number" if kind in ("int", "int | None") else "a number or a tuple of numbers"


def _fits(value: Any, wanted: str) -> bool:
    if wanted.endswith("in quotes"):
        return isinstance(value, str)
    if wanted == "True or False":
        return isinstance(value, bool)
    if wanted == "a whole number":
        return isinstance(value, int) and not isinstance(value, bool)
    numbers = value if isinstance(value, tuple) else (value,)
    return all(
        _fits(n, wanted) if isinstance(n, tuple) else isinstance(n, int | float) and not isinstance(n, bool)
        for n in numbers
    )
