"""Components named in JSON: `spec` writes {"call": "gen.models.r3gan:Generator", "width": 64}, `build` makes it.

A run may name only what gen.config.components declares for that place, and components of the packages that the
environment variable GEN_PACKAGES lists (comma-separated): the person who loads a run decides what it may import,
never the run. Nothing is imported or called before its name has passed. Imports no jax.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import importlib
import inspect
import os
import pkgutil
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

from gen.config.components import KINDS, KNOWN, PLACES, Kind, is_dotted, is_own, own_packages
from gen.config.values import Spec, canonical, describe, require
from gen.errors import InputError, nearest
from gen.files import printable, shown

Wanted = str | tuple[type, ...]  # a kind of gen.config.components, or classes


class Arguments(NamedTuple):
    """What a component takes by keyword."""

    types: dict[str, Any]  # name -> annotation, or the type of the default, or Any
    defaults: dict[str, Any]
    open: bool  # takes any keyword


def spec(target: Callable[..., Any], /, **kwargs: Any) -> Spec:
    """The component `target`, a function or class that may be named, with some of its keyword arguments.

    Raises InputError when `target` is no component or cannot be found again by its name, or a value is no JSON value.
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
    """A component and arguments that fit it; those that are components are Checked themselves."""

    call: str
    target: Callable[..., Any]
    takes: Arguments
    given: Mapping[str, Any]

    def build(self, **context: Any) -> Any:
        """Builds the components among the arguments, and calls this one with them and what it takes of `context`."""
        given = {name: _built(value) for name, value in self.given.items()}
        given |= {name: value for name, value in context.items() if self.takes.open or name in self.takes.types}
        with blamed(self.call, OSError):
            return self.target(**given)


def build(spec: Mapping[str, Any], place: str = "", /, **context: Any) -> Any:
    """The object that `spec` describes: nested specs are built first, then the component is called.

    `context` holds what only the program knows (the shape of an image); of it, a component receives the keywords that
    it takes, and nested specs receive nothing. `place` is the dotted name of the spec in messages; "data" and "task"
    are also its kind. Raises InputError as `check` does.
    """
    place = place or str(spec.get("call", "spec")).rpartition(":")[2]
    return check(spec, place, provided=context).build(**context)


def check(spec: Any, place: str, *, provided: typing.Container[str] = (), wanted: Wanted | None = None) -> Checked:
    """Checks a spec and the specs inside it without building; `provided` names arguments that come from the program.

    wanted: the kind of component, or classes of which it must be; None: that of the place "data" or "task", elsewhere
    any. Raises InputError, with the dotted place, for a component that may not stand there, an unknown or missing
    argument, a value of the wrong type.
    """
    call = _call(spec, place)
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


def check_name(spec: Any, place: str) -> None:
    """Raises InputError unless the name of the component of a spec at `place` may stand there; imports nothing.

    For what will not be built: a model can be had without its data, and without what made the data.
    """
    _check_name(_call(spec, place), place, PLACES[""].get(place))


def resolve(call: str, place: str, wanted: Wanted | None = None) -> Callable[..., Any]:
    """The function or class that "package.module:Name" means. wanted: as in `check`; None: any component.

    Raises InputError, before anything is imported, for a name of gen that is not declared in gen.config.components for
    this kind, or of a package that is not the user's own; then where there is no such thing, or another kind of it.
    """
    _check_name(call, place, wanted)
    module_name, _, name = call.partition(":")
    module = _module(module_name, place)
    found = vars(module).get(name)
    if not callable(found) or name.startswith("_"):
        public = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
        raise InputError(f"{place} names '{call}': there is no '{name}' in {module_name}{nearest(name, public)}")
    origin = f"{getattr(found, '__module__', '?')}:{getattr(found, '__qualname__', '?')}"
    if origin != call:
        raise InputError(f"{place} names '{printable(call)}', which comes from {printable(origin)}; name it there")
    if call not in KNOWN and isinstance(wanted, str):
        _check_own(found, call, place, wanted)
    if wanted is not None and not isinstance(wanted, str) and not _made(found, wanted):
        allowed = " or ".join(f"{kind.__module__}.{kind.__qualname__}" for kind in wanted) or "no component"
        raise InputError(f"{place} names '{call}'; allowed there: {allowed}")
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
    found = Arguments({}, {}, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()))
    for name, parameter in parameters.items():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            continue
        if flax_module and name in ("parent", "name"):
            continue
        default = None if parameter.default is parameter.empty else parameter.default
        found.types[name] = hints.get(name, Any if default is None else type(default))
        if parameter.default is not parameter.empty:
            found.defaults[name] = parameter.default
    return found


def _check_name(call: str, place: str, wanted: Wanted | None) -> None:
    """Raises InputError for a name that may not stand there, whatever it leads to."""
    module_name, _, name = call.partition(":")
    known = KINDS[wanted].known if isinstance(wanted, str) else sorted(KNOWN)
    if call in known:
        return
    if is_own(module_name) and name.isidentifier():
        return
    shown_call = printable(call)
    if not is_dotted(module_name) or not name.isidentifier():
        raise InputError(f"{place} names '{shown_call}'; a component is named 'package.module:Name'")
    if module_name.partition(".")[0] == "gen":
        what = f"no {wanted} component" if isinstance(wanted, str) else "no component"
        allowed = f"; allowed: {', '.join(known)}" if isinstance(wanted, str) and known else ""
        raise InputError(f"{place} names '{shown_call}', which is {what} of gen{nearest(call, known)}{allowed}")
    raise InputError(
        f"{place} names '{shown_call}', outside the packages that a run may use "
        f"({', '.join(['gen', *own_packages()])}); if it is your own, list its package in the environment variable "
        "GEN_PACKAGES"
    )


def _check_inside(wanted: Wanted | None, spec: Spec, place: str, classes: tuple[type, ...]) -> Checked:
    return check(spec, place, wanted=classes if wanted is None else wanted)


def _call(spec: Any, place: str) -> str:
    if not isinstance(spec, Mapping) or not isinstance(spec.get("call"), str):
        raise InputError(f"{place} is {shown(spec)}; it must be a spec(component, ...)")
    return str(spec["call"])


def _built(value: Any) -> Any:
    if isinstance(value, Checked):
        return value.build()
    if isinstance(value, Mapping):
        return {key: _built(inner) for key, inner in value.items()}
    return tuple(_built(inner) for inner in value) if isinstance(value, tuple) else value


def _check_own(found: Any, call: str, place: str, wanted: str) -> None:
    """Raises InputError unless a component of the user's own is what this kind must be."""
    kind: Kind = KINDS[wanted]
    if kind.made and not _made(found, kind.made):
        made = kind.made.replace(":", ".")
        how = f"subclass {made}" if isinstance(found, type) else f"annotate it '-> {made.rpartition('.')[2]}'"
        raise InputError(f"{place} names '{call}', which is no {wanted}: {how} ({made})")
    takes = arguments(found)
    for verb, names, there in (
        ("take", kind.given, lambda name: takes.open),
        ("have", kind.members, lambda name: hasattr(found, name)),
    ):
        if missing := [name for name in names if name not in takes.types and not there(name)]:
            raise InputError(
                f"{place} names '{call}', which is no {wanted}: it must {verb} {', '.join(names)} and lacks "
                f"{', '.join(missing)}; docs/own_networks.md has an example"
            )


def _made(found: Any, wanted: str | tuple[type, ...]) -> bool:
    """Is a component of one of these classes, or annotated to return one? A text names the class, "module:Class"."""
    made = found
    if not isinstance(found, type):
        try:
            made = typing.get_type_hints(found).get("return")
        except (NameError, TypeError, AttributeError):
            return False
        made = typing.get_origin(made) or made
    if not isinstance(made, type):
        return False
    if isinstance(wanted, str):
        return any(f"{base.__module__}:{base.__qualname__}" == wanted for base in made.__mro__)
    try:
        return issubclass(made, wanted)
    except TypeError:  # a Protocol that cannot be asked
        return False


def _module(name: str, place: str) -> types.ModuleType:
    """Imports a module whose name has passed. Raises InputError: there is none, or where in it the import failed."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name and not name.startswith(f"{error.name}."):  # something that the module itself needs
            raise InputError(f"{place} needs {name}, and that the package '{error.name}', which is missing") from error
        missing = str(error.name)
        parent, _, last = missing.rpartition(".")
        container = sys.modules.get(parent)
        siblings = [module.name for module in pkgutil.iter_modules(getattr(container, "__path__", None))]
        raise InputError(f"{place} names '{missing}': there is no such module{nearest(last, siblings)}") from None
    except InputError:
        raise
    except Exception as error:  # whatever the user's own module does
        raise InputError(f"{place} needs {name}, which fails: {blame(error)}") from error


@contextlib.contextmanager
def blamed(what: str, *passed: type[Exception]) -> Iterator[None]:
    """Turns any exception of a component, but those passed on, into one InputError: what failed, why, in which line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (InputError, *passed)):
            raise
        raise InputError(f"{what} fails: {blame(error)}") from error


def blame(error: BaseException) -> str:
    """An exception as part of a message: type, first line, and the line of the innermost file outside of libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "-packages" not in frame.filename and frame.filename[:1] != "<"] or frames
    where = f" ({os.path.basename(outside[-1].filename)}:{outside[-1].lineno})" if outside else ""
    return f"{type(error).__name__}: {printable(next(iter(str(error).splitlines()), ''))}{where}"
