"""Components named in JSON: `spec` writes {"call": "gen.models.r3gan:Generator", "width": 64}, `build` makes it.

gen/config/resolve.py decides which components may be named. Imports no jax.
"""

from __future__ import annotations

import dataclasses
import functools
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from gen.config.components import KNOWN, PLACES
from gen.config.resolve import Arguments, Wanted, arguments, blamed, resolve
from gen.config.values import Spec, canonical, describe, require
from gen.errors import InputError, nearest
from gen.files import printable, shown

if TYPE_CHECKING:
    from gen.config.config import Config


def spec(target: Callable[..., Any], /, **kwargs: Any) -> Spec:
    """Names the component `target`, a function or class, with some of its keyword arguments.

    Raises InputError if `target` is no component or not found by its name, or a value is no JSON value.
    """
    name = f"{getattr(target, '__module__', None)}:{getattr(target, '__qualname__', None)}"
    if "<" in name or "None" in name:
        raise InputError(f"spec({target!r}): only functions and classes at the top of a module can be named")
    if "call" in kwargs:
        raise InputError(f"spec({name}): an argument cannot be named 'call'")
    named = Spec(call=name, **{key: canonical(value, key) for key, value in kwargs.items()})
    if resolve(name, "spec") is not target:
        raise InputError(f"spec({target!r}): the name '{name}' leads to another object")
    return named


@dataclasses.dataclass(frozen=True)
class Checked:
    """A component with checked arguments, of which those that are components are Checked, too."""

    call: str
    target: Callable[..., Any]
    takes: Arguments
    given: Mapping[str, Any]

    def build(self, **context: Any) -> Any:
        """Builds the components among the arguments, then calls this one with them and what it takes of `context`."""
        given = {name: _built(value) for name, value in self.given.items()}
        given |= {name: value for name, value in context.items() if self.takes.open or name in self.takes.types}
        with blamed(self.call, OSError):
            return self.target(**given)


def build(spec: Mapping[str, Any], place: str = "", /, **context: Any) -> Any:
    """Builds the object of a spec: nested specs first, then the component is called.

    `context` holds what only the program knows (the shape of an image): the component gets the keywords that it takes,
    nested specs get none. `place` is the dotted name of the spec in messages, and "data" and "task" are also its kind.
    Raises InputError as `check` does.
    """
    place = place or str(spec.get("call", "spec")).rpartition(":")[2]
    return check(spec, place, provided=context).build(**context)


def build_task(config: Config, image_shape: tuple[int, ...], num_classes: int, caption_length: int = 0) -> Any:
    """Builds the Task of a config for images of this shape. Raises InputError, also where a component fails.

    caption_length: tokens of a caption; 0: there are none.
    """
    context = {"image_shape": image_shape, "num_classes": num_classes, "batch_size": config.batch_size}
    context |= {"caption_length": caption_length}
    with blamed("task"):
        return build(config.task, "task", **context)


def check(spec: Any, place: str, *, provided: typing.Container[str] = (), wanted: Wanted | None = None) -> Checked:
    """Checks a spec and the specs in it. `provided`: names of arguments that the program sets.

    wanted: the kind of the component, or its possible classes; None: the kind of the place "data" or "task", any
    elsewhere. Raises InputError, with the dotted place, for a component of another kind, an unknown or missing
    argument, a value of the wrong type.
    """
    call = call_of(spec, place)
    target = resolve(call, place, PLACES[""].get(place) if wanted is None else wanted)
    takes, given = arguments(target), {}
    for name, value in spec.items():
        if name == "call":
            continue
        inside = f"{place}.{printable(name)}"
        if name in provided:
            raise InputError(f"{inside} is set by the program; leave it out")
        if name not in takes.types and not takes.open:
            allowed = [known for known in takes.types if known not in provided]
            meant = nearest(name, allowed)
            raise InputError(f"unknown argument {inside}{meant}; {call} takes: {', '.join(allowed) or 'none'}")
        kind = PLACES.get(call, {}).get(name, () if call in KNOWN else None)
        inner = functools.partial(_check_inside, kind)
        given[name] = require(canonical(value, inside), takes.types.get(name, Any), inside, inner)
    for name in takes.types:
        if name not in takes.defaults and name not in spec and name not in provided:
            wanted_type = describe(takes.types[name])
            raise InputError(
                f"{place}.{name} is missing: {call} needs it ({wanted_type}); add --config.{place}.{name}=VALUE"
            )
    return Checked(call, target, takes, given)


def call_of(spec: Any, place: str) -> str:
    """Returns the name of the component of a spec. Raises InputError for what is no spec."""
    if not isinstance(spec, Mapping) or not isinstance(spec.get("call"), str):
        raise InputError(f"{place} is {shown(spec)}; it must be a spec(component, ...)")
    return str(spec["call"])


def _check_inside(wanted: Wanted | None, spec: Spec, place: str, classes: tuple[type, ...]) -> Checked:
    return check(spec, place, wanted=classes if wanted is None else wanted)


def _built(value: Any) -> Any:
    if isinstance(value, Checked):
        return value.build()
    if isinstance(value, Mapping):
        return {key: _built(inner) for key, inner in value.items()}
    return tuple(_built(inner) for inner in value) if isinstance(value, tuple) else value
