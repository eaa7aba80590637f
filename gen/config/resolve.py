"""Finds the function or class that "package.module:Name" names, if it may be named, and its arguments.

A run may name only what gen.config.components declares for that place, and components of the packages listed in the
environment variable GEN_PACKAGES (comma-separated): the person who loads a run decides what it may import, never the
run. A name is checked before anything is imported or called. Imports no jax.
"""

from __future__ import annotations

import contextlib
import dataclasses
import importlib
import inspect
import os
import pkgutil
import sys
import traceback
import types
import typing
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from gen.config.components import KINDS, KNOWN, Kind, is_dotted, is_own, own_packages
from gen.errors import InputError, nearest
from gen.files import printable

Wanted = str | tuple[type, ...]  # a kind of gen.config.components, or classes


class Arguments(NamedTuple):
    """The keyword arguments of a component."""

    types: dict[str, Any]  # name -> annotation, or the type of the default, or Any
    defaults: dict[str, Any]
    open: bool  # takes any keyword


def resolve(call: str, place: str, wanted: Wanted | None = None) -> Callable[..., Any]:
    """Imports the function or class "package.module:Name". wanted: as in `gen.config.spec.check`; None: any component.

    Raises InputError, before any import, for a name that gen.config.components does not declare for this kind, or of a
    package that is not the user's own; after it, where there is no such name, or it is of another kind.
    """
    check_name(call, place, wanted)
    module_name, _, name = call.partition(":")
    module = _module(module_name, place)
    found = vars(module).get(name)
    if not callable(found) or name.startswith("_"):
        public = [known for known, value in vars(module).items() if callable(value) and not known.startswith("_")]
        raise InputError(f"{place} names '{call}': there is no '{name}' in {module_name}{nearest(name, public)}")
    if (origin := _full_name(found)) != call:
        raise InputError(f"{place} names '{printable(call)}', which comes from {printable(origin)}; name it there")
    if isinstance(wanted, str):
        if call not in KNOWN:
            _check_own(found, call, place, wanted)
    elif wanted is not None and not _made(found, *map(_full_name, wanted)):
        allowed = " or ".join(_full_name(kind).replace(":", ".") for kind in wanted) or "no component"
        raise InputError(f"{place} names '{call}'; allowed there: {allowed}")
    return found


def arguments(target: Callable[..., Any]) -> Arguments:
    """Reads the keyword arguments of `target`, without the `parent` and `name` that flax adds to its modules."""
    flax_module = any(base.__module__.startswith("flax.linen") for base in getattr(target, "__mro__", ()))
    parameters = inspect.signature(target).parameters
    own_init = isinstance(target, type) and not dataclasses.is_dataclass(target)
    try:
        hints = typing.get_type_hints(target.__init__ if own_init else target)
    except (NameError, TypeError):  # an annotation that exists only for type checkers
        hints = {}
    found = Arguments({}, {}, any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters.values()))
    for name, parameter in parameters.items():
        by_keyword = parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
        if not by_keyword or (flax_module and name in ("parent", "name")):
            continue
        if parameter.default is not parameter.empty:
            found.defaults[name] = parameter.default
        default = found.defaults.get(name)
        found.types[name] = hints.get(name, Any if default is None else type(default))
    return found


def check_name(call: str, place: str, wanted: Wanted | None) -> None:
    """Raises InputError unless `call` may be named at `place`; imports nothing."""
    module_name, _, name = call.partition(":")
    known = KINDS[wanted].known if isinstance(wanted, str) else sorted(KNOWN)
    if call in known or (is_own(module_name) and name.isidentifier()):
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


def _check_own(found: Any, call: str, place: str, wanted: str) -> None:
    """Raises InputError unless a component of the user's own has the interface of this kind."""
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


def _made(found: Any, *wanted: str) -> bool:
    """Tells whether a component is, or is annotated to return, a class of one of these names, "module:Class"."""
    made = found
    if not isinstance(found, type):
        try:
            made = typing.get_type_hints(found).get("return")
        except (NameError, TypeError, AttributeError):
            return False
    return any(_full_name(base) in wanted for base in getattr(typing.get_origin(made) or made, "__mro__", ()))


def _full_name(target: Any) -> str:
    return f"{getattr(target, '__module__', '?')}:{getattr(target, '__qualname__', '?')}"


def _module(name: str, place: str) -> types.ModuleType:
    """Imports a module. Raises InputError: there is none, or where in it the import failed."""
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
    """Turns any exception but those in `passed` into one InputError: what failed, why, in which line."""
    try:
        yield
    except Exception as error:
        if isinstance(error, (InputError, *passed)):
            raise
        raise InputError(f"{what} fails: {blame(error)}") from error


def blame(error: BaseException) -> str:
    """Describes an exception: its type, first line, and place in the innermost file outside of libraries."""
    frames = traceback.extract_tb(error.__traceback__)
    outside = [frame for frame in frames if "-packages" not in frame.filename and frame.filename[:1] != "<"] or frames
    where = f" ({os.path.basename(outside[-1].filename)}:{outside[-1].lineno})" if outside else ""
    return f"{type(error).__name__}: {printable(next(iter(str(error).splitlines()), ''))}{where}"
