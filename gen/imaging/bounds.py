"""The parameters of operators, read from their annotations: kinds of values, allowed texts, and limits of numbers.

Limits of sizes keep time and memory bounded by the image; limits of strengths keep finite images finite. They are
checked when an operator is called and when a chain is read.
"""

from __future__ import annotations

import collections.abc
import contextlib
import contextvars
import dataclasses
import functools
import inspect
import types
import typing
from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError, nearest
from gen.files import printable

_MOST_STEPS = 1e12  # for each image: minutes on a CPU
_left: contextvars.ContextVar[list[float] | None] = contextvars.ContextVar("left", default=None)  # of a budget
# Parameters that are arrays, by name: rank with the batch axis, and what their dtype must be.
KINDS: dict[str, tuple[int, Any]] = {
    **dict.fromkeys(("x", "guide", "reference", "mask"), (4, jnp.floating)),
    **dict.fromkeys(("labels", "markers", "other"), (3, jnp.integer)),
}


@dataclasses.dataclass(frozen=True)
class Numbers:
    """Numbers from `least` (or above it) to `most`, of some kind; in each entry, where a parameter takes several."""

    least: float = -1e6
    most: float = 1e6
    whole: bool = False
    odd: bool = False
    above: bool = False
    rising: bool = False  # along the last axis

    def __str__(self) -> str:
        kind = "odd" if self.odd else "whole" if self.whole else "rising" if self.rising else ""
        start = "above" if self.above else "from"
        return f"{kind} numbers {start} {self.least:.10g} to {self.most:.10g}".strip()

    def __contains__(self, value: Any) -> bool:
        numbers = _array(value)
        if numbers is None or not np.isfinite(numbers).all():
            return False
        inside = (numbers > self.least if self.above else numbers >= self.least) & (numbers <= self.most)
        if (self.whole or self.odd) and (numbers % (2 if self.odd else 1) != int(self.odd)).any():
            return False
        return bool(inside.all()) and not (self.rising and numbers.ndim and (np.diff(numbers) <= 0).any())


def whole(least: int, most: int) -> Numbers:
    """Whole numbers, both ends among them."""
    return Numbers(least, most, whole=True)


def _array(value: Any) -> np.ndarray | None:
    """Numbers as float64; None for what is none, or a truth value, or of ragged lists."""
    try:
        if not isinstance(value, int | float):
            found = np.asarray(value)
            if found.dtype.kind not in "iufV" or found.dtype.names:  # V: the 16-bit floats of jax
                return None
        return None if isinstance(value, bool) else np.asarray(value, np.float64)
    except (TypeError, ValueError, OverflowError):
        return None


# Any is traced: a number, or one for each image, [b].
NotNegative = Annotated[Any, Numbers(0)]
Sigma = Annotated[Any, Numbers(0, 1024)]  # of a Gaussian, whose radius is four times that
Radius = Annotated[int, whole(0, 4096)]  # of a window; beyond the edges the image is reflected, again and again
Window = Annotated[int, Numbers(1, 255, odd=True)]  # pixels a side, around a pixel
Bins = Annotated[int, whole(2, 1024)]


@dataclasses.dataclass(frozen=True)
class Argument:
    """A parameter of an operator, as its annotation describes it."""

    name: str
    default: Any
    positional: bool
    optional: bool  # takes None
    kind: type | None  # int, float, bool, str or tuple: a Python value, which jit does not trace; None: another one
    choices: tuple[Any, ...]  # the texts or numbers that are allowed; empty: not limited to some
    numbers: Numbers | None  # limits; None: not for numbers
    function: bool

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty

    @property
    def array(self) -> bool:
        return self.name in KINDS

    def check(self, place: str, value: Any) -> None:
        """Raises InputError unless the operator takes this value. Arrays and traced values are not checked."""
        if self.array or any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
            return
        allowed, meant = str(self.numbers or "a value"), ""
        if value is None:
            wrong = not self.optional
        elif self.choices:
            allowed = ", ".join(map(str, self.choices))
            wrong = not isinstance(value, str | int) or value not in self.choices
            meant = nearest(value, self.choices) if isinstance(value, str) else ""
        else:
            wrong = bool(self.numbers) and value not in self.numbers  # type: ignore[operator]
        if wrong:
            raise InputError(f"{place}: {self.name}={printable(_shown(value), longest=60)}; allowed: {allowed}{meant}")


def arguments(function: Callable[..., Any]) -> dict[str, Argument]:
    """Reads the parameters of an operator by name, without its key and its image."""
    return _arguments(inspect.unwrap(function))


@functools.cache
def _arguments(function: Callable[..., Any]) -> dict[str, Argument]:
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = [p for p in inspect.signature(function).parameters.values() if p.name not in ("key", "x")]
    return {p.name: _argument(p, list(_parts(hints[p.name]))) for p in parameters}


def _argument(parameter: inspect.Parameter, parts: list[Any]) -> Argument:
    choices = tuple(value for part in parts for value in typing.get_args(part))
    kinds = {type(choices[0]) if typing.get_args(part) else part for part in parts if not isinstance(part, Numbers)}
    kinds.discard(types.NoneType)
    numeric = kinds <= {int, float, Any, jax.Array} and not choices and parameter.name not in KINDS
    return Argument(
        parameter.name,
        parameter.default,
        parameter.kind is not parameter.KEYWORD_ONLY,
        parameter.default is None or types.NoneType in parts,
        next(iter(kinds)) if kinds <= {int, float, bool, str, tuple} else None,
        choices,
        next((part for part in parts if isinstance(part, Numbers)), Numbers() if numeric else None),
        collections.abc.Callable in kinds,
    )


def _parts(annotation: Any) -> Iterator[Any]:
    """The alternatives of an annotation, Literals whole, and the limits that are annotated to them."""
    origin = typing.get_origin(annotation)
    if origin is Annotated:
        yield from (*_parts(annotation.__origin__), *annotation.__metadata__)
    elif origin in (typing.Union, types.UnionType):
        yield from (part for member in typing.get_args(annotation) for part in _parts(member))
    else:
        yield annotation if origin in (None, Literal) else origin


def _shown(value: Any) -> str:
    """As a person may have written it; a whole number of 5000 digits has no text in Python."""
    try:
        return repr(value.tolist() if hasattr(value, "tolist") else value)
    except ValueError:
        return "a number of too many digits"


@contextlib.contextmanager
def budget(steps: float) -> Iterator[None]:
    """Within it the operators that are compiled may take so many steps in all for each image, about a ns each."""
    token = _left.set([steps])
    try:
        yield
    finally:
        _left.reset(token)


def check_steps(place: str, steps: float, height: int, width: int) -> None:
    """Raises InputError if `steps` for each pixel are too many for an image of this size, or for what is left."""
    if (left := _left.get()) is not None:
        left[0] -= steps * height * width
        if left[0] < 0:
            raise InputError(f"{place}: with it the chain takes more steps in all than a chain of a stranger may")
    if steps * height * width > _MOST_STEPS:
        raise InputError(
            f"{place}: {steps * height * width:.0e} steps for an image of {width} x {height} pixels; "
            f"allowed: {_MOST_STEPS:.0e}, so a smaller window, fewer iterations or a smaller image"
        )
