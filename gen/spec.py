"""Components named in JSON: `spec` writes {"call": "gen.models.r3gan:Generator", "width": 64}, `build` makes it.

A run may name only what lives in `gen` and in the packages that the environment variable GEN_PACKAGES lists
(comma-separated): the person who loads a run decides what it may import, never the run. Imports no jax.
"""

from __future__ import annotations

import dataclasses
import importlib
import inspect
import os
import pkgutil
import sys
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gen.errors import InputError, nearest
from gen.values import Spec, canonical, conform, describe, require


class Arguments(NamedTuple):
    """What a component takes by keyword."""

    types: dict[str, Any]  # name -> annotation, or the type of the default, or Any
    required: frozenset[str]
    open: bool  # takes any keyword


def spec(target: Callable[..., Any], /, **kwargs: Any) -> Spec:
    """The component `target`, a public function or class of an allowed package, with some of its keyword arguments.

    Raises InputError when `target` cannot be found again by its name, or a value is not a JSON value.
    """
    name = f"{getattr(target, '__module__', None)}:{getattr(target, '__qualname__', None)}"
    if "<" in name or "None" in name:
        raise InputError(f"spec({target!r}): only functions and classes at the top of a module can be named")
    if resolve(name, "spec") is not target:
        raise InputError(f"spec({target!r}): the name '{name}' leads to another object")
    if "call" in kwargs:
        raise InputError(f"spec({name}): an argument cannot be named 'call'")
    return Spec(call=name, **{key: canonical(value, key) for key, value in kwargs.items()})


def build(spec: Mapping[str, Any], place: str = "", /, **context: Any) -> Any:
    """The object that `spec` describes: nested specs are built first, then the component is called.

    `context` holds what only the program knows (the shape of an image); of it, a component receives the keywords that
    it takes, and nested specs receive nothing. `place` is the dotted name of the spec in messages. Raises InputError as
    `check` does.
    """
    check(spec, place or str(spec.get("call", "spec")).rpartition(":")[2], provided=context)
    target = resolve(spec["call"], place)
    takes = arguments(target)
    given = {name: conform(_built(value), takes.types.get(name, Any)) for name, value in spec.items() if name != "call"}
    return target(**given, **{name: value for name, value in context.items() if takes.open or name in takes.types})


def check(spec: Any, place: str, *, provided: typing.Container[str] = ()) -> None:
    """Resolves a spec and the specs inside it without building; `provided` names arguments that come from the program.

    Raises InputError, with the dotted place, for an unknown component, an unknown or missing argument, a value of the
    wrong type.
    """
    if not isinstance(spec, Mapping) or not isinstance(spec.get("call"), str):
        raise InputError(f"{place} is {spec!r}; it must be a spec(component, ...)")
    takes = arguments(resolve(spec["call"], place))
    for name, value in spec.items():
        if name == "call":
            continue
        if name in provided:
            raise InputError(f"{place}.{name} is set by the program; leave it out")
        if name not in takes.types and not takes.open:
            allowed = [known for known in takes.types if known not in provided]
            meant = nearest(name, allowed)
            raise InputError(
                f"unknown argument {place}.{name}{meant}; {spec['call']} takes: {', '.join(allowed) or 'none'}"
            )
        for inner_place, inner in _inner_specs(value, f"{place}.{name}"):
            check(inner, inner_place)
        require(value, takes.types.get(name, Any), f"{place}.{name}")
    for name in takes.types:
        if name in takes.required and name not in spec and name not in provided:
            wanted = describe(takes.types[name])
            raise InputError(
                f"{place}.{name} is missing: {spec['call']} needs it ({wanted}); add --config.{place}.{name}=VALUE"
            )


def resolve(call: str, place: str) -> Callable[..., Any]:
    """The function or class that "package.module:Name" means.

    Raises InputError outside the allowed packages, and with the nearest name when there is no such thing.
    """
    module_name, _, name = call.partition(":")
    if not _allowed(module_name):
        raise InputError(_outside(place, call))
    found: Any = _module(module_name, place)
    for part in name.split("."):
        public = [
            known
            for known, value in getattr(found, "__dict__", {}).items()
            if callable(value) and not known.startswith("_")
        ]
        if part not in public:
            raise InputError(f"{place} names '{call}': there is no '{part}' in {module_name}{nearest(part, public)}")
        found = getattr(found, part)
    if not _allowed(str(found.__module__)):  # a library that a module of gen imports
        raise InputError(_outside(place, call))
    return found


def arguments(target: Callable[..., Any]) -> Arguments:
    """What `target` takes by keyword; without the `parent` and `name` that flax adds to each of its modules."""
    flax_module = any(base.__module__.startswith("flax.linen") for base in getattr(target, "__mro__", ()))
    parameters = inspect.signature(target).parameters
    own_init = isinstance(target, type) and not dataclasses.is_dataclass(target)
    try:
        hints = typing.get_type_hints(target.__init__ if own_init else target)
    except (NameError, TypeError):  # an annotation that exists only for type checkers
        hints = {}
    types_, required = {}, set()
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if flax_module and name in ("parent", "name"):
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        types_[name] = hints.get(name, Any if default is None else type(default))
        if parameter.default is parameter.empty:
            required.add(name)
    open_ = any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values())
    return Arguments(types_, frozenset(required), open_)


def _allowed(module_name: str) -> bool:
    return any(module_name == package or module_name.startswith(package + ".") for package in _packages())


def _packages() -> list[str]:
    return ["gen", *filter(None, os.environ.get("GEN_PACKAGES", "").replace(" ", "").split(","))]


def _outside(place: str, call: str) -> str:
    return (
        f"{place} names '{call}', outside the packages that a run may use ({', '.join(_packages())}); "
        "if you trust it, list its package in the environment variable GEN_PACKAGES"
    )


def _module(name: str, place: str) -> types.ModuleType:
    parent, _, last = name.rpartition(".")
    container = _module(parent, place) if parent else None
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:  # something that the component itself needs
            raise
        siblings = [module.name for module in pkgutil.iter_modules(getattr(container, "__path__", sys.path))]
        raise InputError(f"{place} names '{name}': there is no such module{nearest(last, siblings)}") from None


def _inner_specs(value: Any, place: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(value, Mapping) and "call" in value:
        yield place, value
    elif isinstance(value, Mapping):
        for key, inner in value.items():
            yield from _inner_specs(inner, f"{place}.{key}")
    elif isinstance(value, list | tuple):
        for index, inner in enumerate(value):
            yield from _inner_specs(inner, f"{place}[{index}]")


def _built(value: Any) -> Any:
    if isinstance(value, Mapping):
        return build(value) if "call" in value else {key: _built(inner) for key, inner in value.items()}
    return tuple(_built(inner) for inner in value) if isinstance(value, list | tuple) else value
