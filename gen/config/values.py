"""Checks the values of a config, and whether they fit annotations.

A value is None, a boolean, a finite number, a string, a tuple (an array in JSON), a dict or a `Spec`. Lists become
tuples at once, so that a value equals itself after a round trip through JSON. No input is trusted: `strict_json` and
`canonical` refuse what a config cannot hold, `conform` what does not fit its annotation.
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
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gen.errors import InputError, nearest
from gen.files import printable, shown

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


Component = Callable[[Spec, str, tuple[type, ...]], Any]


def strict_json(text: str, place: str) -> Any:
    """Parses a JSON text. Raises InputError, with `place`, for anything but plain JSON.

    Also refuses a name that occurs twice in an object, NaN and Infinity, more than 32 levels, and lone surrogates
    except those that encode bytes of a file name.
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
    """Converts lists in a JSON value to tuples, and dicts with "call" to Specs. Raises InputError for other values."""
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


def require(value: Any, annotation: Any, place: str, component: Component | None = None) -> Any:
    """Does what `conform` does, with an InputError that names the place, the value and the type."""
    try:
        return conform(value, annotation, place, component)
    except TypeError:
        raise misfit(value, annotation, place) from None


def misfit(value: Any, annotation: Any, place: str) -> InputError:
    """Describes a value that does not fit its annotation: the place, the value, the nearest match, what is allowed."""
    members = (annotation, *typing.get_args(annotation))
    if isinstance(value, list | tuple) and Ellipsis in members and _is_literal(members[1]):  # the element at fault
        for index, element in enumerate(value):
            if element not in typing.get_args(members[1]):
                return misfit(element, members[1], f"{place}[{index}]")
    texts = [str(text) for member in members if _is_literal(member) for text in typing.get_args(member)]
    given = [str(word) for word in ((value,) if isinstance(value, str) else value if isinstance(value, tuple) else ())]
    wrong = [word for text in given for word in text.split(",") if word not in texts]
    meant = nearest(wrong[0], texts) if texts and wrong else ""
    return InputError(f"{place} is {shown(value)}{meant}; it must be {describe(annotation)}")


def conform(value: Any, annotation: Any, place: str = "", component: Component | None = None) -> Any:
    """Converts a value to its annotation: an int to a float, say. Raises TypeError if it does not fit.

    Where the annotation is a class that JSON has not, the value is a Spec of such a component: `component` gets the
    Spec, its place and the classes, and returns what replaces it; None: nothing does. Any takes all but Specs.
    """
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if isinstance(value, Spec):
        classes = component_classes(annotation)
        if not classes:
            raise TypeError
        return value if component is None or annotation is Spec else component(value, place, classes)
    if _is_union(annotation):
        for member in inner:
            with contextlib.suppress(TypeError):
                return conform(value, member, place, component)
        raise TypeError
    if annotation in (tuple, list, Sequence) or origin in (tuple, list, Sequence):
        if not isinstance(value, list | tuple):
            raise TypeError
        fixed = inner if origin is tuple and Ellipsis not in inner else (inner[:1] or (Any,)) * len(value)
        if len(fixed) != len(value):
            raise TypeError
        pairs = zip(value, fixed, strict=True)
        return tuple(conform(v, kind, f"{place}[{i}]", component) for i, (v, kind) in enumerate(pairs))
    if annotation in (dict, Mapping) or origin in (dict, Mapping):
        if not isinstance(value, Mapping):
            raise TypeError
        key_kind, kind = inner or (str, Any)
        items = {conform(key, key_kind): (key, element) for key, element in value.items()}
        return {k: conform(v, kind, f"{place}.{printable(key)}", component) for k, (key, v) in items.items()}
    kind = origin or annotation
    if _is_literal(annotation):
        fits = any(value == text and type(value) is type(text) for text in inner)
    elif annotation in (int, float):
        fits = isinstance(value, int | annotation) and not isinstance(value, bool)
    elif annotation is Any or not isinstance(kind, type):  # what only type checkers understand
        fits = not _holds_spec(value)
    else:
        fits = isinstance(value, kind)
    if not fits:
        raise TypeError
    return float(value) if annotation is float else value


def component_classes(annotation: Any) -> tuple[type, ...]:
    """Lists the classes that an annotation allows for a component; () where it allows no component."""
    members = typing.get_args(annotation) if _is_union(annotation) else (annotation,)
    kinds = [typing.get_origin(member) or member for member in members]
    plain = ("builtins", "types", "typing", "collections.abc")  # those that JSON has itself
    return tuple(kind for kind in kinds if isinstance(kind, type) and kind.__module__ not in plain)


def _is_union(annotation: Any) -> bool:
    return typing.get_origin(annotation) in (typing.Union, types.UnionType)


def _is_literal(annotation: Any) -> bool:
    return typing.get_origin(annotation) is typing.Literal


_WORDS = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
_MANY = {float: ("numbers", "1e-3,1e-4,1e-5"), int: ("whole numbers", "128,64,32"), str: ("texts", "a,b,c")}


def describe(annotation: Any) -> str:
    """Describes an annotation: "a number", "one of 'a', 'b'", "a whole number or none"."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if _is_literal(annotation):
        return "one of " + ", ".join(repr(allowed) for allowed in inner)
    if _is_union(annotation):
        words = [describe(member) for member in inner]
        return " or ".join(dict.fromkeys(word for word in words if word != "text" or "a path" not in words))
    if isinstance(origin or annotation, type) and issubclass(origin or annotation, os.PathLike):
        return "a path"
    if origin in (tuple, list, Sequence) and inner:
        if _is_literal(inner[0]):
            return describe(inner[0]).replace("one of", "some of", 1)
        fixed = origin is tuple and Ellipsis not in inner
        count = {2: "two", 3: "three", 4: "four"}.get(len(inner), str(len(inner))) if fixed else ""
        kind, example = _MANY.get(inner[0], ("values", "a,b,c"))
        return f"{count} {kind}, e.g. {','.join(example.split(',')[: len(inner) if fixed else None])}".strip()
    if origin in (dict, Mapping):
        return "values by name"
    known = {types.NoneType: "none", Spec: "a spec(component, ...)"} | _WORDS
    return known.get(annotation) or inspect.formatannotation(annotation)


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
