"""The values that a config holds, and whether they fit the annotation of what receives them.

A value is None, a boolean, a finite number, a string, a tuple (an array in JSON), a dict or a `Spec`. Lists become
tuples at once, so that a value equals itself after a round trip through JSON.
"""

from __future__ import annotations

import contextlib
import inspect
import math
import types
import typing
from collections.abc import Mapping, Sequence
from typing import Any

from gen.errors import InputError, nearest


class Spec(dict[str, Any]):
    """A component and its arguments; `spec.width` and `spec.width = 64` read and write spec["width"]."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"the spec of {self.get('call')} holds no '{name}'{nearest(name, self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = canonical(value, name)


def canonical(value: Any, place: str) -> Any:
    """A JSON value with tuples for lists and Spec for a dict with "call". Raises InputError for anything else."""
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return tuple(canonical(element, f"{place}[{index}]") for index, element in enumerate(value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return (Spec if "call" in value else dict)(
            {key: canonical(inner, f"{place}.{key}") for key, inner in value.items()}
        )
    hint = "; name an object by spec(...), a dtype by its name" if callable(value) else ""
    raise InputError(
        f"{place} is {value!r}; a config holds only finite numbers, strings, booleans, None, tuples and specs{hint}"
    )


def require(value: Any, annotation: Any, place: str) -> Any:
    """`conform`, with InputError that names the place, the value and the type."""
    try:
        return conform(value, annotation)
    except TypeError:
        raise InputError(f"{place} is {value!r}; it must be {describe(annotation)}") from None


def conform(value: Any, annotation: Any) -> Any:
    """`value` as the annotation wants it, an int as a float where one is wanted. Raises TypeError if it does not fit.

    Under an annotation that names another class, only numbers and strings can be judged unfit.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if annotation is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        for member in inner:
            with contextlib.suppress(TypeError):
                return conform(value, member)
        raise TypeError
    if annotation in (tuple, list) or origin in (tuple, list, Sequence):
        return _conform_elements(value, inner, fixed_length=origin is tuple and Ellipsis not in inner)
    if origin is typing.Literal:
        fits = any(value == allowed and type(value) is type(allowed) for allowed in inner)
    elif annotation in (int, float):
        fits = isinstance(value, int | annotation) and not isinstance(value, bool)
    else:
        kind = origin or annotation
        plain = value is None or isinstance(value, bool | int | float | str)
        judged = kind in (bool, str, types.NoneType, Spec) or (plain and isinstance(kind, type))
        fits = not judged or isinstance(value, kind)
    if not fits:
        raise TypeError
    return float(value) if annotation is float else value


def describe(annotation: Any) -> str:
    """An annotation in words: "float", "one of 'a', 'b'", "int or None"."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(allowed) for allowed in inner)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(describe(member) for member in inner)
    known = {types.NoneType: "None", Spec: "a spec(component, ...)"}
    return known.get(annotation) or inspect.formatannotation(annotation)


def _conform_elements(values: Any, kinds: tuple[Any, ...], *, fixed_length: bool) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or (fixed_length and len(values) != len(kinds)):
        raise TypeError
    each = kinds if fixed_length else (kinds[:1] or (Any,)) * len(values)
    return tuple(conform(value, kind) for value, kind in zip(values, each, strict=True))
