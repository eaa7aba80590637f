"""Which numbers a parameter takes: declared beside an operator, checked when it is called and when a chain is read.

Sizes have limits so that time and memory stay bounded by the image; strengths, so that finite images stay finite.
"""

from __future__ import annotations

import dataclasses
import functools
import inspect
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import jax
import numpy as np

from gen.errors import InputError
from gen.files import printable

Function = TypeVar("Function", bound=Callable[..., Any])

_MOST_STEPS = 1e12  # for each image: minutes on a CPU


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


ANY = Numbers()


def whole(least: int, most: int) -> Numbers:
    """Whole numbers, both ends among them."""
    return Numbers(least, most, whole=True)


def odd(most: int) -> Numbers:
    """Odd numbers from 1 to `most`: whole windows around a pixel."""
    return Numbers(1, most, odd=True)


FROM_0 = Numbers(0)
RADIUS = whole(0, 4096)  # of a window, in pixels; beyond the edges the image is reflected, again and again
SIGMA = Numbers(0, 1024)  # of a Gaussian, whose radius is four times that
BINS = whole(2, 1024)


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


def check(place: str, parameter: inspect.Parameter, value: Any, allowed: Mapping[str, Numbers]) -> None:
    """InputError unless a parameter of an operator takes this value: None and numbers. What is traced is not looked at.

    allowed: by the name of the parameter; numbers that are not named there are in `ANY`.
    """
    name, kind = parameter.name, str(parameter.annotation)
    if value is None:
        if parameter.default is not None and "None" not in kind:
            raise InputError(f"{place}: {name}=None; allowed: {allowed.get(name, 'a value')}")
        return
    numeric = name in allowed or not any(word in kind for word in ("bool", "str", "Callable", "Lut", "tuple"))
    if not numeric or any(isinstance(leaf, jax.core.Tracer) for leaf in jax.tree.leaves(value)):
        return
    numbers = allowed.get(name, ANY)
    if value not in numbers:
        raise InputError(f"{place}: {name}={printable(_shown(value), longest=60)}; allowed: {numbers}")


def _shown(value: Any) -> str:
    """As a person may have written it; a whole number of 5000 digits has no text in Python."""
    try:
        return str(np.asarray(value).tolist() if hasattr(value, "shape") else value)
    except ValueError:
        return "a number of too many digits"


def check_steps(place: str, steps: float, height: int, width: int) -> None:
    """InputError if `steps` for each pixel are too many for an image of this size."""
    if steps * height * width > _MOST_STEPS:
        raise InputError(
            f"{place}: {steps * height * width:.0e} steps for an image of {width} x {height} pixels; "
            f"allowed: {_MOST_STEPS:.0e}, so a smaller window, fewer iterations or a smaller image"
        )


def bounded(**allowed: Numbers) -> Callable[[Function], Function]:
    """Declares and checks the numbers of a function that is no `arrays.operator` itself."""

    def decorate(function: Function) -> Function:
        signature = inspect.signature(function)

        @functools.wraps(function)
        def call(*args: Any, **kwargs: Any) -> Any:
            for name, value in signature.bind(*args, **kwargs).arguments.items():
                if name in allowed:
                    check(function.__name__, signature.parameters[name], value, allowed)
            return function(*args, **kwargs)

        call.allowed = allowed  # type: ignore[attr-defined]
        return call  # type: ignore[return-value]

    return decorate
