"""The values that a config holds, and whether they fit the annotation of what receives them.

A value is None, a boolean, a finite number, a string, a tuple (an array in JSON), a dict or a `Spec`. Lists become
tuples at once, so that a value equals itself after a round trip through JSON. What others wrote is never trusted:
`strict_json` and `canonical` refuse what a config cannot hold, `conform` what does not fit its annotation.
"""

from __future__ import annotations

import collections
import contextlib
import inspect
import json
import math
import os
import types
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gen.errors import InputError, nearest
from gen.files import printable

_DEEPEST = 32  # levels of lists and objects in a JSON text
_LARGEST = 2**63  # whole numbers stay below


class Spec(dict[str, Any]):
    """A component and its arguments; `spec.width` and `spec.width = 64` read and write spec["width"]."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"the spec of {self.get('call')} holds no '{name}'{nearest(name, self)}")

    def __setattr__(self, name: str, value: Any) -> None:
        self[name] = canonical(value, name)


def strict_json(text: str, place: str) -> Any:
    """The value of a JSON text. Raises InputError, with `place`, for all that is no plain JSON.

    Refused are also names that occur twice in an object, NaN and Infinity, more than 32 levels, and lone surrogates but
    those that stand for bytes of a file name.
    """
    try:
        value = json.loads(text, object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
    except RecursionError:
        raise InputError(f"{place} is not JSON that can be read: too many levels") from None
    except ValueError as error:
        raise InputError(f"{place} is not JSON: {printable(error)}") from None
    level, depth = [value], 0
    while level:
        if (depth := depth + 1) > _DEEPEST:
            raise InputError(f"{place} has more than {_DEEPEST} levels of lists and objects")
        inside = [v.values() if isinstance(v, dict) else v for v in level if isinstance(v, dict | list)]
        level = [element for elements in inside for element in elements]
    try:
        json.dumps(value, ensure_ascii=False).encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise InputError(f"{place} holds half of a character, which no file can: a lone surrogate") from None
    return value


def canonical(value: Any, place: str) -> Any:
    """A JSON value with tuples for lists and Spec for a dict with "call". Raises InputError for anything else."""
    if isinstance(value, int) and not -_LARGEST < value < _LARGEST:
        raise InputError(f"{place} is a number of {value.bit_length()} bits; whole numbers must be below 2^63")
    if value is None or isinstance(value, bool | int | str) or (isinstance(value, float) and math.isfinite(value)):
        return value
    if isinstance(value, list | tuple):
        return tuple(canonical(element, f"{place}[{index}]") for index, element in enumerate(value))
    if isinstance(value, Mapping) and all(isinstance(key, str) for key in value):
        return (Spec if "call" in value else dict)(
            {key: canonical(inner, f"{place}.{printable(key)}") for key, inner in value.items()}
        )
    hint = "; name an object by spec(...), a dtype by its name" if callable(value) else ""
    raise InputError(
        f"{place} is {shown(value)}; a config holds only finite numbers, strings, booleans, None, tuples and "
        f"specs{hint}"
    )


def shown(value: Any) -> str:
    """A value in a message: one printable line of bounded length."""
    return printable(repr(value))


def require(value: Any, annotation: Any, place: str) -> Any:
    """`conform`, with InputError that names the place, the value and the type."""
    try:
        return conform(value, annotation)
    except TypeError:
        raise InputError(f"{place} is {shown(value)}; it must be {describe(annotation)}") from None


def conform(value: Any, annotation: Any) -> Any:
    """`value` as the annotation wants it, an int as a float where one is wanted. Raises TypeError if it does not fit.

    An annotation that names another class takes a Spec of such a component, see `components`; Any takes all but Specs.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        for member in inner:
            with contextlib.suppress(TypeError):
                return conform(value, member)
        raise TypeError
    if annotation in (tuple, list, Sequence) or origin in (tuple, list, Sequence):
        return _conform_elements(value, inner, fixed_length=origin is tuple and Ellipsis not in inner)
    if annotation in (dict, Mapping) or origin in (dict, Mapping):
        return _conform_items(value, inner)
    kind = origin or annotation
    if origin is typing.Literal:
        fits = any(value == allowed and type(value) is type(allowed) for allowed in inner)
    elif annotation in (int, float):
        fits = isinstance(value, int | annotation) and not isinstance(value, bool)
    elif isinstance(value, Spec):
        fits = annotation is Spec or _names_a_class(annotation)
    elif annotation is Any or not isinstance(kind, type):  # what only type checkers understand
        fits = not _holds_spec(value)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise TypeError
    return float(value) if annotation is float else value


def components(value: Any, annotation: Any, place: str) -> Iterator[tuple[str, Spec, tuple[type, ...]]]:
    """The Specs in a value that conforms to an annotation: the place of each, and the classes that it may be of."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    members = inner if origin in (typing.Union, types.UnionType) else (annotation,)
    if isinstance(value, Spec):
        yield place, value, tuple(typing.get_origin(m) or m for m in members if _names_a_class(m))
        return
    for member in members:
        with contextlib.suppress(TypeError):
            conform(value, member)
            annotation, inner = member, typing.get_args(member)
            break
    if isinstance(value, tuple):
        fixed = typing.get_origin(annotation) is tuple and Ellipsis not in inner
        kinds = inner if fixed and inner else (inner[:1] or (Any,)) * len(value)
        for index, (element, kind) in enumerate(zip(value, kinds, strict=True)):
            yield from components(element, kind, f"{place}[{index}]")
    elif isinstance(value, Mapping):
        for key, element in value.items():
            yield from components(element, inner[1] if inner else Any, f"{place}.{printable(key)}")


_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
_MANY = {float: ("numbers", "1e-3,1e-4,1e-5"), int: ("whole numbers", "128,64,32"), str: ("texts", "a,b,c")}


def describe(annotation: Any) -> str:
    """An annotation in words: "a number", "one of 'a', 'b'", "a whole number or none"."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Literal:
        return "one of " + ", ".join(repr(allowed) for allowed in inner)
    if origin in (typing.Union, types.UnionType):
        words = [describe(member) for member in inner]
        return " or ".join(dict.fromkeys(word for word in words if word != "text" or "a path" not in words))
    if isinstance(origin or annotation, type) and issubclass(origin or annotation, os.PathLike):
        return "a path"
    if origin in (tuple, list, Sequence) and inner:
        fixed = origin is tuple and Ellipsis not in inner
        count = {2: "two", 3: "three", 4: "four"}.get(len(inner), str(len(inner))) if fixed else ""
        kind, example = _MANY.get(inner[0], ("values", "a,b,c"))
        return f"{count} {kind}, e.g. {','.join(example.split(',')[: len(inner) if fixed else None])}".strip()
    if origin in (dict, Mapping):
        return "values by name"
    known = {types.NoneType: "none", Spec: "a spec(component, ...)"} | _WORDS
    return known.get(annotation) or inspect.formatannotation(annotation)


def _conform_elements(values: Any, kinds: tuple[Any, ...], *, fixed_length: bool) -> tuple[Any, ...]:
    if not isinstance(values, list | tuple) or (fixed_length and len(values) != len(kinds)):
        raise TypeError
    each = kinds if fixed_length else (kinds[:1] or (Any,)) * len(values)
    return tuple(conform(value, kind) for value, kind in zip(values, each, strict=True))


def _conform_items(value: Any, kinds: tuple[Any, ...]) -> dict[str, Any]:
    if not isinstance(value, Mapping) or isinstance(value, Spec):
        raise TypeError
    key_kind, kind = kinds or (str, Any)
    return {conform(key, key_kind): conform(element, kind) for key, element in value.items()}


def _names_a_class(annotation: Any) -> bool:
    """Could an object of this class be a component? Not of the plain ones, which JSON has itself."""
    kind = typing.get_origin(annotation) or annotation
    return isinstance(kind, type) and kind.__module__ not in ("builtins", "types", "typing", "collections.abc")


def _holds_spec(value: Any) -> bool:
    if isinstance(value, Spec):
        return True
    inner = value.values() if isinstance(value, Mapping) else value if isinstance(value, list | tuple) else ()
    return any(map(_holds_spec, inner))


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) < len(pairs):
        twice, _ = collections.Counter(name for name, _ in pairs).most_common(1)[0]
        raise ValueError(f"the name '{printable(twice)}' occurs twice in one object")
    return made


def _no_constant(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
