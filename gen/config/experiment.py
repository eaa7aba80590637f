"""Loads experiment files `FILE.py:variant`, sets fields by `--config.a.b=v`, and reads sweeps.

An override is a pair (dotted path, text); the text None stands for a flag without a value. Imports no jax.
"""

from __future__ import annotations

import ast
import collections.abc
import contextlib
import dataclasses
import hashlib
import inspect
import pathlib
import re
import runpy
import traceback
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gen.config.config import PROVIDED, Config
from gen.config.resolve import arguments, resolve
from gen.config.values import Spec, canonical, conform, misfit
from gen.errors import InputError, nearest

Override = tuple[str, str | None]


def split_overrides(argv: Sequence[str]) -> tuple[list[str], list[Override]]:
    """Splits the `--config.a.b=v`, `--config.a.b v`, `--config.a.b` and `--noconfig.a.b` from other arguments."""
    rest: list[str] = []
    overrides: list[Override] = []
    queue = list(argv)
    while queue:
        argument = queue.pop(0)
        found = re.fullmatch(r"--?(no)?config\.([^=]+)(?:=(.*))?", argument, re.DOTALL)
        if argument == "--":
            return [*rest, argument, *queue], overrides
        if not found:
            rest.append(argument)
            continue
        negated, path, text = found.groups()
        if text is None and not negated and queue and not re.match(r"--?[A-Za-z]|--$", queue[0]):
            text = queue.pop(0)
        overrides.append((path, "false" if negated else text))
    return rest, overrides


def load(name: str, overrides: Iterable[Override] = ()) -> Config:
    """Loads the Config of "FILE.py" or "FILE.py:variant". Raises InputError: no such file, or the line that fails."""
    path, _, arg = name.partition(":")
    if not pathlib.Path(path).is_file():
        there = experiments(path)
        named = {pathlib.Path(file).stem: file for file in there}
        meant = f"; did you mean '{named[path]}'?" if path in named else nearest(path, there)
        raise InputError(f"no experiment '{path}'{meant}; there are: {', '.join(there) or 'none'}")
    config = _call(path, "get_config", *filter(None, [arg]))
    if not isinstance(config, Config):
        raise InputError(f"{path}: get_config() must return a gen.config.Config, not {type(config).__name__}")
    config.experiment = config.experiment or ":".join(filter(None, (pathlib.Path(path).stem, arg)))
    for override_path, text in overrides:
        override(config, override_path, text)
    return config


def default_workdir(name: str) -> pathlib.Path:
    """The run folder of "FILE.py" or "FILE.py:variant": runs/FILE or runs/FILE-variant."""
    path, _, arg = name.partition(":")
    return pathlib.Path("runs", "-".join(filter(None, (pathlib.Path(path).stem, re.sub(r"[^\w.=,+-]", "_", arg)))))


def experiments(path: str = "") -> list[str]:
    """Lists the experiment files beside `path`, or in experiments/."""
    folder = pathlib.Path(path).parent
    folder = folder if path and folder.is_dir() and any(folder.glob("*.py")) else pathlib.Path("experiments")
    return sorted(str(file) for file in folder.glob("*.py") if not file.name.startswith("_"))


def sweep(name: str) -> list[dict[str, Any]]:
    """Reads the override dicts of the experiment's sweep(). Raises InputError: no sweep(), or the same run twice."""
    path = name.partition(":")[0]
    runs = _call(path, "sweep", missing=", which would yield override dicts such as {'batch_size': 32}")
    each = runs if isinstance(runs, list | tuple) else [runs]
    if not all(isinstance(run, Mapping) and all(isinstance(name, str) for name in run) for run in each):
        raise InputError(f"{path}: sweep() must yield dicts of overrides such as {{'batch_size': 32}}")
    folders = [folder_name(run) for run in each]
    for folder in folders:
        if folders.count(folder) > 1:
            raise InputError(f"{path}: sweep() yields the run '{folder}' twice")
    return list(each)


def as_overrides(run: Mapping[str, Any]) -> list[Override]:
    """Writes one dict of a sweep as overrides of the command line."""
    return [(path, as_text(value)) for path, value in run.items()]


def folder_name(run: Mapping[str, Any]) -> str:
    """Names the folder of a run "batch_size=32,task.gamma=0.1": safe on any file system, unique to the overrides."""
    exact = ",".join(f"{path}={text}" for path, text in as_overrides(run)) or "unchanged"
    safe = re.sub(r"[^A-Za-z0-9._=,+-]", "_", exact)[:150]
    return safe if safe == exact else f"{safe}-{hashlib.sha256(exact.encode()).hexdigest()[:8]}"


def _call(path: str, name: str, *args: str, missing: str = "") -> Any:
    """Calls a function of an experiment file; what it yields becomes a list.

    Raises InputError: "FILE:LINE: ..." for any exception in the file, and with `missing` if there is no such function.
    """
    try:
        function = runpy.run_path(path, run_name="experiment").get(name)
        if function is None:
            raise InputError(f"{path} has no {name}(){missing}")
        try:
            inspect.signature(function).bind(*args)
        except TypeError:
            wanted = f"takes no variant ':{args[0]}'" if args else f"needs a variant, --config={path}:NAME"
            raise InputError(f"{path}: {name}() {wanted}") from None
        made = function(*args)
        return list(made) if isinstance(made, Iterator) else made
    except Exception as error:
        raise InputError(_located(error, path)) from error


def _located(error: Exception, path: str) -> str:
    """Describes an error with its line in the experiment file, and the place where it was raised if in another file."""
    frames = traceback.extract_tb(error.__traceback__)
    lines = [frame.lineno for frame in frames if frame.filename == path]
    text, origin = str(error), f" (raised at {frames[-1].filename}:{frames[-1].lineno})"
    if isinstance(error, SyntaxError):
        text, origin = error.msg, ""
        lines += [error.lineno] if error.filename == path else []
    if not lines:
        return text if isinstance(error, InputError) else f"{path}: {text}"
    if not isinstance(error, InputError):
        text = f"{type(error).__name__}: {text}{'' if frames[-1].filename == path else origin}"
    return f"{path}:{lines[-1]}: {text}"


def override(config: Config, path: str, text: str | None) -> None:
    """Sets the field at dotted `path` to `text`, read as the type of the field; None, a flag without a value, is true.

    Reaches all arguments of a component, also those that the experiment leaves at their defaults. Texts: 3, 1e6 (also
    for whole numbers), true, none, 3,4 or (3,4), and any text for a string. Raises InputError: an unknown field with
    the nearest name, or what the type allows.
    """
    names = path.split(".")
    holder: Any = vars(config)
    kinds = fields_of(config, "")
    for depth, name in enumerate(names, 1):
        place = ".".join(names[: depth - 1])
        if name not in kinds:
            inside = f"; {place or 'the config'} has: {', '.join(kinds)}" if kinds else f"; {place} holds no fields"
            known = {field.rpartition(".")[2]: field for field in _all_fields(config)}
            meant = nearest(path, _all_fields(config)) or nearest(path.rpartition(".")[2], known)
            for last, field in known.items():  # a name without its group
                meant = meant.replace(f"'{last}'", f"'{field}'")
            raise InputError(f"unknown field '{path}'{meant}{inside}")
        kind, value = kinds[name], holder.get(name)
        items = None if isinstance(value, Spec) else _kind_of_items(kind)
        if depth == len(names):
            break
        if items:  # any name: init_from.ROLE=RUN
            value = holder[name] = {} if value is None else value
            kinds = dict.fromkeys([*value, names[depth]], items)
        else:
            kinds = fields_of(value, ".".join(names[:depth]))
        holder = vars(value) if dataclasses.is_dataclass(value) else value
    if inner := fields_of(value, path):
        raise InputError(f"{path} cannot be set as a whole; set one of {', '.join(f'{path}.{name}' for name in inner)}")
    if items and text not in ("none", "None"):
        raise InputError(f"{path} cannot be set as a whole; set its values by name, --config.{path}.NAME=VALUE")
    holder[name] = _value("true" if text is None else text, kind, path)


def _kind_of_items(annotation: Any) -> Any:
    """Returns KIND of an annotation dict[str, KIND], optional or not; None for other annotations."""
    for member in (annotation, *typing.get_args(annotation)):
        if typing.get_origin(member) in (dict, collections.abc.Mapping):
            return typing.get_args(member)[1]
    return None


def fields_of(holder: Any, place: str) -> dict[str, Any]:
    """Maps names to annotations of what can be set in a config, a spec or a dict; empty for other values."""
    if dataclasses.is_dataclass(holder):
        return typing.get_type_hints(type(holder))
    if not isinstance(holder, Mapping):
        return {}
    kinds: dict[str, Any] = dict.fromkeys(holder, Any)
    if "call" in holder:
        takes = arguments(resolve(holder["call"], place))
        kinds = takes.types | {name: Any for name in holder if takes.open and name not in takes.types}
    judged = {
        name: type(holder[name]) if kind is Any and holder.get(name) is not None else kind
        for name, kind in kinds.items()
    }
    return {name: kind for name, kind in judged.items() if name != "call" and name not in PROVIDED.get(place, ())}


def _all_fields(holder: Any, place: str = "") -> Iterator[str]:
    for name in fields_of(holder, place):
        inner = f"{place}.{name}" if place else name
        yield inner
        values = holder if isinstance(holder, Mapping) else vars(holder)
        yield from _all_fields(values.get(name), inner)


def _value(text: str, annotation: Any, path: str) -> Any:
    """Converts `text` to the first of its readings that the annotation accepts."""
    for reading in _readings(text):
        with contextlib.suppress(TypeError, InputError):
            return canonical(conform(reading, annotation), path)
    raise misfit(text, annotation, path)


def _readings(text: str) -> Iterator[Any]:
    words = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        yield words[text.lower()]
    try:
        literal = ast.literal_eval(text)
    except (ValueError, SyntaxError, TypeError):
        yield text
    else:
        yield from (literal, text, (literal,))
        if isinstance(literal, float) and literal.is_integer():
            yield int(literal)  # 1e6 images
        if text in ("0", "1"):
            yield text == "1"
    yield tuple(part.strip() for part in text.strip("()[] ").split(",") if part.strip())


def as_text(value: Any) -> str:
    """Writes a value as text for the command line, which `_readings` reads."""
    if isinstance(value, tuple | list) and all(re.fullmatch(r"[\w.+-]+", str(element)) for element in value):
        return ",".join(map(as_text, value))
    return str(value).lower() if value is None or isinstance(value, bool) else str(value)
