"""Operators in a row, written as text and compiled to one function:

    post = chain("bilateral(9)|unsharp_mask(1, 0.6)|white_balance('gray_world')|inside('foreground', 'vibrance(0.3)')")
    y = post(x)

The language is a part of Python's expressions: names, calls with literals (numbers, texts in quotes, True, False, None,
tuples and lists of these) and `|`. A text is parsed, and nothing in it is ever run as code. Arrays go by name:
`match_linear('evening')` takes references["evening"].

A text may come from a stranger's run folder: its length, its steps and its nesting have limits, arguments are checked
against what an operator declares (see `bounds`), and a message repeats no more than a few words of it.
"""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Callable
from typing import Any

from gen.errors import InputError, nearest
from gen.files import printable
from gen.imaging.bounds import Argument, arguments
from gen.imaging.catalog import OPERATORS
from gen.imaging.steps import Chain, Step

__all__ = ["OPERATORS", "Chain", "chain"]

_LONGEST, _MOST_STEPS, _DEEPEST = 10_000, 100, 4
_LARGEST = 1e15  # of numbers; sums and products of larger ones overflow float32 and int32
_EXAMPLE = "allowed: operators joined by |, as in gaussian(2)|sepia(0.5)"
_QUOTES = "texts stand in quotes, ' or \""
# Python's messages that are clear; for the others only the place is reported.
_CLEAR = re.compile(r"'.' was never closed|unmatched '.'|unterminated string|positional argument follows")


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
        raise InputError(f"chain: the text is empty; {_EXAMPLE}")
    if depth > _DEEPEST:
        raise InputError(f"chain: chains within chains to a depth of {depth}; allowed: {_DEEPEST}")
    return _Reader(text, depth).read()


class _Reader:
    """Makes a Chain of one text."""

    def __init__(self, text: str, depth: int):
        # Lines are joined; bytes of a file's name that are no UTF-8 become escapes.
        flat = re.sub(r"[\n\r\f]", " ", text)
        self.source = flat.lstrip().encode("utf-8", "backslashreplace")
        self.start, self.depth = len(flat) - len(flat.lstrip()) + 1, depth

    def read(self) -> Chain:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of a backslash in a text
                node = ast.parse(self.source.decode(), mode="eval").body
        except SyntaxError as error:
            raise InputError(self._syntax(error)) from None
        except (ValueError, MemoryError, RecursionError):
            raise InputError(f"chain: the text is too long or too deep to be read; {_EXAMPLE}") from None
        steps = []
        if rest := self.source[node.end_col_offset :].strip(b" )"):  # Python takes it for a comment
            at = self.source.index(rest, node.end_col_offset)
            raise InputError(f"{self._place(at)}: '{_cut(rest.decode())}' after its arguments; | is missing")
        while isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            steps.append(self._step(node.right))
            node = node.left
        return Chain((self._step(node), *reversed(steps)))

    def _place(self, at: int) -> str:
        """Where the byte `at` is, in characters from 1."""
        return f"chain, position {self.start + len(self.source[:at].decode(errors='ignore'))}"

    def _text(self, node: ast.expr) -> str:
        return self.source[node.col_offset : node.end_col_offset].decode()

    def _syntax(self, error: SyntaxError) -> str:
        text = self.source.decode()
        if not error.offset and not error.msg.startswith("invalid syntax"):  # such as a number of 5000 digits
            return f"chain: cannot be read: {printable(error.msg, longest=60)}"
        at = error.offset - 1 if error.offset else len(text)
        place, rest = f"chain, position {self.start + at}", text[at:].strip()
        if _CLEAR.match(error.msg):
            return f"{place}: {error.msg}"
        what = f"'{_cut(rest)}' cannot stand here" if rest else "an operator is missing"
        return f"{place}: {what}; {_EXAMPLE if rest.isascii() else _QUOTES}"

    def _step(self, node: ast.expr) -> Step:
        call = node if isinstance(node, ast.Call) else ast.Call(node, [], [])
        name, place = self._text(call.func), self._place(node.col_offset)
        if name not in OPERATORS:
            meant = nearest(name[:40], OPERATORS)
            raise InputError(
                f"{place}: no operator '{_cut(name)}'{meant}{_odd(name)}; gen.refine --list names them all"
            )
        taken = arguments(OPERATORS[name])
        usage = f"; allowed: {', '.join(taken) or 'none'}"
        free = [argument.name for argument in taken.values() if argument.positional]
        for node in call.args[len(free) :]:
            place = self._place(node.col_offset)
            raise InputError(f"{place}: {name} takes {len(free)} arguments without a name{usage}")
        pairs = [(word, value, value.col_offset) for word, value in zip(free, call.args, strict=False)]
        pairs += [(word.arg or "**", word.value, word.col_offset) for word in call.keywords]
        given: dict[str, Any] = {}
        for word, value, at in pairs:
            where = f"{self._place(at)}: {name}"
            if word not in taken:
                raise InputError(f"{where} has no '{_cut(word)}'{nearest(word[:40], taken)}{_odd(word)}{usage}")
            if word in given:
                raise InputError(f"{where} gets '{word}' twice")
            given[word] = self._value(value, where, taken[word])
        for word in taken:
            if taken[word].required and word not in given:
                raise InputError(f"{place}: {name} needs '{word}'{usage}")
        return Step(name, tuple(given.items()), len(call.args))

    def _value(self, node: ast.expr, place: str, argument: Argument) -> Any:
        """The value of a literal, of a kind that the parameter takes; a chain where it takes a function."""
        text = self._text(node)
        try:
            value = _frozen(ast.literal_eval(node))
        except (ValueError, TypeError, MemoryError, RecursionError):
            quoted = f"; {_QUOTES}" if text[:1].isidentifier() else ""
            raise InputError(f"{place}: '{_cut(text)}' is not a number, text, list or tuple{quoted}") from None
        wanted, fits = _wanted(argument)
        if not (value is None and argument.optional) and not fits(value):
            raise InputError(f"{place}: {argument.name}={_cut(text)}; allowed: {wanted}")
        if argument.function:
            return _chain(value, self.depth + 1)
        argument.check(place, value)
        return value


def _cut(text: str) -> str:
    return printable(text, longest=40)


def _odd(name: str) -> str:
    """A hint for letters that look like others."""
    strange = [letter for letter in name[:40] if not letter.isascii()]
    return f" ('{_cut(strange[0])}' is U+{ord(strange[0]):04X}, no letter of English)" if strange else ""


def _frozen(value: Any) -> Any:
    return tuple(map(_frozen, value)) if isinstance(value, list | tuple) else value


def _wanted(argument: Argument) -> tuple[str, Callable[[Any], bool]]:
    """What a text may give for a parameter, in words, and whether a value is that."""
    quoted = "a chain" if argument.function else "a name" if argument.array else "a text"
    if argument.function or argument.array or argument.kind is str:
        return f"{quoted} in quotes", lambda value: isinstance(value, str)
    if argument.kind is bool:
        return "True or False", lambda value: isinstance(value, bool)
    if argument.kind is int:
        return "a whole number", lambda value: isinstance(value, int) and _number(value)
    if argument.kind is float:
        return f"a number, up to {_LARGEST:g}", _number
    return f"a number or a tuple of numbers, up to {_LARGEST:g}", _numbers


def _number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST


def _numbers(value: Any) -> bool:
    return bool(value) and all(map(_numbers, value)) if isinstance(value, tuple) else _number(value)
