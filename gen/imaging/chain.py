"""Operators in a row, written as text and compiled to one function:

    post = chain("bilateral(9)|unsharp(1.0, 0.6)|white_balance('gray_world')|inside('foreground', 'vibrance(0.3)')")
    y = post(x)

The language has names, literals (numbers, texts in quotes, True, False, None, tuples and lists of these) and `|`;
nothing in a text is ever run as code. Arrays go by name: `match_linear('evening')` takes references["evening"].
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError, nearest
from gen.imaging import arrays, color, filters, regions


def lut(x: jax.Array, path: str, *, interpolation: str = "tetrahedral") -> jax.Array:
    """The colours of a look-up table in a .cube file, see `color.apply_lut`."""
    return color.apply_lut(x, color.read_cube(path), interpolation=interpolation)


def reduce_colors(x: jax.Array, colors: int, *, dither: str = "none") -> jax.Array:
    """Each pixel in one of the main colours of its image, see `color.palette` and `color.quantize`."""
    return color.quantize(x, color.palette(x, colors).colors, dither=dither)


_NOT_IMAGES = {  # what is public but does not make an image of an image by itself
    *color.spaces.__all__,
    *("Lut", "Palette", "apply_lut", "palette", "quantize", "read_cube", "write_cube", "delta_e_76", "delta_e_2000"),
    "reconstruct",
}
OPERATORS: dict[str, Callable[..., Any]] = {
    name: getattr(module, name) for module in (filters, color) for name in module.__all__ if name not in _NOT_IMAGES
} | {
    "inside": regions.inside,
    "lut": lut,
    "per_segment": regions.per_segment,
    "reduce_colors": reduce_colors,
}

Arrays = Mapping[str, Any]
_BRACKETS = {"(": ")", "[": "]"}


@dataclasses.dataclass(frozen=True)
class Step:
    """One operator of a chain and what the text gives it, by parameter, in the order of the text."""

    name: str
    arguments: tuple[tuple[str, Any], ...]
    positional: int  # how many of them the text does not name

    def __str__(self) -> str:
        numbered = enumerate(self.arguments)
        given = [repr(value) if i < self.positional else f"{name}={value!r}" for i, (name, value) in numbered]
        return f"{self.name}({', '.join(given)})" if given else self.name

    @property
    def function(self) -> Callable[..., Any]:
        return OPERATORS[self.name]

    @property
    def random(self) -> bool:
        return "key" in inspect.signature(self.function).parameters or any(c.random for c in self._nested)

    @property
    def _nested(self) -> list[Chain]:
        return [value for _, value in self.arguments if isinstance(value, Chain)]


@dataclasses.dataclass(frozen=True)
class Chain:
    """A parsed chain; call it on images, `str` gives its text back."""

    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return "|".join(map(str, self.steps))

    def __repr__(self) -> str:
        return repr(str(self))

    @property
    def random(self) -> bool:
        """Does any step draw random numbers, so that a key must be given?"""
        return any(step.random for step in self.steps)

    @property
    def strengths(self) -> dict[str, float]:
        """The numbers that may be arrays and fitted: {"unsharp.amount": 0.6}; a second unsharp is "unsharp#2"."""
        return {
            f"{label}.{name}": value
            for label, step in self._labelled()
            for name, value in step.arguments
            if isinstance(value, int | float) and not isinstance(value, bool) and name not in _static(step.function)
        }

    def with_strengths(self, strengths: Mapping[str, Any]) -> Chain:
        """The same chain with other numbers, as its text will show them. Raises InputError for an unknown name."""
        _known_strengths(strengths, self.strengths)
        steps = [
            dataclasses.replace(
                step,
                arguments=tuple(
                    (name, float(strengths[f"{label}.{name}"]) if f"{label}.{name}" in strengths else value)
                    for name, value in step.arguments
                ),
            )
            for label, step in self._labelled()
        ]
        return Chain(tuple(steps))

    def __call__(
        self,
        x: jax.Array | np.ndarray,
        *,
        references: Arrays | None = None,
        masks: Arrays | None = None,
        key: jax.Array | None = None,
        strengths: Arrays | None = None,
    ) -> jax.Array:
        """Refines images [b h w c] or [h w c] in [0, 1]; the result is clipped to [0, 1].

        references: images by name. masks: masks float [b h w 1] or labels int32 [b h w] by name. key: for random
        operators. strengths: numbers or arrays [] or [b] in place of those of the text, see `strengths`; traced, so
        that they can be fitted by their gradients. Raises InputError for what is missing, NaN, or of the wrong shape.
        """
        x = jnp.asarray(x)
        arrays.check("chain", "x", x)
        given = {"references": dict(references or {}), "masks": dict(masks or {}), "strengths": dict(strengths or {})}
        _known_strengths(given["strengths"], self.strengths)
        for name, array in {"x": x, **given["references"]}.items():
            if not isinstance(array, jax.core.Tracer):
                arrays.finite("chain", name, array)
        if self.random and key is None:
            names = ", ".join(step.name for step in self.steps if step.random)
            raise InputError(f"chain: {names} is random, and key is None; allowed: key=jax.random.key(0)")
        try:
            return _compiled(self)(x, key, given)
        except InputError as error:  # raised while tracing: without the notes of jax
            raise InputError(str(error)) from None

    def _labelled(self) -> Iterator[tuple[str, Step]]:
        seen: dict[str, int] = {}
        for step in self.steps:
            seen[step.name] = count = seen.get(step.name, 0) + 1
            yield (step.name if count == 1 else f"{step.name}#{count}"), step

    def apply(self, key: jax.Array | None, x: jax.Array, given: Mapping[str, Mapping[str, Any]]) -> jax.Array:
        """The steps one after the other, not compiled, not clipped: what `__call__` compiles."""
        for i, (label, step) in enumerate(self._labelled()):
            step_key = None if key is None else jax.random.fold_in(key, i)
            arguments = {name: given["strengths"].get(f"{label}.{name}", value) for name, value in step.arguments}
            x = _run(step, x, step_key, arguments, given)
        return x


@functools.lru_cache(maxsize=256)
def _compiled(chain: Chain) -> Callable[..., jax.Array]:
    return jax.jit(lambda x, key, given: jnp.clip(chain.apply(key, x, given), 0.0, 1.0))


def _run(step: Step, x: jax.Array, key: jax.Array | None, arguments: dict[str, Any], given: Any) -> jax.Array:
    """One step: arrays looked up by name, nested chains made functions of the image."""
    parameters = inspect.signature(step.function).parameters
    for name, value in arguments.items():
        kind = "masks" if name in ("mask", "labels") else "references"
        if isinstance(value, Chain):
            arguments[name] = lambda part, nested=value: nested.apply(key, part, {**given, "strengths": {}})
        elif name in arrays.KINDS and isinstance(value, str):
            if value in given[kind]:
                arguments[name] = given[kind][value]
            elif not (step.name in _REGIONS and regions.is_automatic(value)):
                known = ", ".join(given[kind]) or "none was given"
                meant = nearest(value, given[kind])
                raise InputError(f"{step.name}: no '{value}' in {kind}{meant}; there are: {known}")
    first = (key, x) if "key" in parameters else (x,)
    return step.function(*first, **arguments)


_REGIONS = {"inside", "per_segment"}


def _static(function: Callable[..., Any]) -> frozenset[str]:
    return getattr(function, "static", frozenset())


def _known_strengths(given: Mapping[str, Any], allowed: Mapping[str, Any]) -> None:
    for name in given:
        if name not in allowed:
            known = ", ".join(allowed) or "none"
            raise InputError(f"chain: no strength '{name}'{nearest(name, allowed)}; there are: {known}")


# -- Reading


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
    given = [(at, piece) for at, piece in _split(rest[:-1], ",", start + len(name) + 1)] if rest[:-1].strip() else []
    takes = _takes(name)
    arguments: dict[str, Any] = {}
    positional = 0
    for at, piece in given:
        keyword, equals, literal = _keyword(piece)
        where = f"chain, position {at + 1 + len(piece) - len(piece.lstrip())}"
        if not equals:
            if len(arguments) > positional:
                raise InputError(f"{where}: {name}: '{piece.strip()}' has no name, but stands after one that has")
            free = [parameter for parameter in takes if takes[parameter].kind is not inspect.Parameter.KEYWORD_ONLY]
            if positional >= len(free):
                raise InputError(f"{where}: {name} takes {len(free)} arguments without a name{_usage(takes)}")
            keyword, literal, positional = free[positional], piece, positional + 1
        if keyword not in takes:
            raise InputError(f"{where}: {name} has no '{keyword}'{nearest(keyword, takes)}{_usage(takes)}")
        if keyword in arguments:
            raise InputError(f"{where}: {name} gets '{keyword}' twice")
        arguments[keyword] = _literal(literal.strip(), where, name, takes[keyword])
    for parameter in takes.values():
        if parameter.default is inspect.Parameter.empty and parameter.name not in arguments:
            raise InputError(f"{place}: {name} needs '{parameter.name}'{_usage(takes)}")
    return Step(name, tuple(arguments.items()), positional)


def _keyword(piece: str) -> tuple[str, str, str]:
    before, equals, after = piece.partition("=")
    return (before.strip(), equals, after) if equals and before.strip().isidentifier() else ("", "", piece)


def _takes(name: str) -> dict[str, inspect.Parameter]:
    """The parameters that a text may give: all but the key and the image."""
    parameters = inspect.signature(OPERATORS[name]).parameters
    return {p.name: p for p in parameters.values() if p.name not in ("key", "x")}


def _usage(takes: Mapping[str, inspect.Parameter]) -> str:
    return f"; allowed: {', '.join(takes) or 'none'}"


def _literal(text: str, where: str, name: str, parameter: inspect.Parameter) -> Any:
    """The value of a literal, of a kind that the parameter takes; a chain where it takes a function."""
    try:
        value = ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        quoted = "; texts stand in quotes" if text.isidentifier() else ""
        raise InputError(f"{where}: {name}: '{text}' is not a number, text, list or tuple{quoted}") from None
    value = _frozen(value)
    if parameter.name == "function":
        if not isinstance(value, str):
            raise InputError(f"{where}: {name}: {text} is not a chain in quotes")
        return chain(value)
    wanted = _wanted(parameter)
    if value is not None and not _fits(value, wanted):
        raise InputError(f"{where}: {name}: {parameter.name}={text}; allowed: {wanted}")
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
