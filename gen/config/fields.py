"""Lists the fields of an experiment with values and meanings, for --list.

The meaning of a field is the comment behind it in the source: in a dataclass, or in the signature of a component.
"""

from __future__ import annotations

import ast
import dataclasses
import functools
import inspect
import io
import textwrap
import tokenize
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from gen.config.config import Config, allowed
from gen.config.experiment import as_text, fields_of
from gen.config.resolve import arguments, resolve
from gen.config.values import Spec, describe
from gen.errors import InputError
from gen.files import printable

_WIDTH = 44  # characters of the first column


def listing(config: Config | None) -> str:
    """Writes a line for each field of a config; None: the fields of every experiment, with their defaults."""
    if config is not None:
        return "\n".join(_lines(config, "", fields_of(config, "")))
    plain = Config(data=Spec(call=""), task=Spec(call=""))
    kinds = {name: kind for name, kind in fields_of(plain, "").items() if name not in ("data", "task")}
    return "\n".join([*_lines(plain, "", kinds), "", "--config=FILE.py --list shows an experiment's."])


def _lines(holder: Any, place: str, kinds: Mapping[str, Any]) -> Iterator[str]:
    target = _target(holder, place)
    known, defaults = meanings(target), arguments(target).defaults if target else {}
    values = {**defaults, **(holder if isinstance(holder, Mapping) else vars(holder))}
    for name, kind in kinds.items():
        path = f"{place}.{name}" if place else name
        value = values.get(name)
        if inner := fields_of(value, path):
            about = value.get("call", "") if isinstance(value, Mapping) else ""
            summary = (inspect.getdoc(_target(value, path)) or "").partition("\n")[0]
            yield f"\n{path} {about}  {summary}".rstrip()
            yield from _lines(value, path, inner)
        else:
            shown = f"{path} = {as_text(value) or repr('')}" if name in values else f"{path} (needed)"
            meaning = known.get(name) or describe(kind)
            if name in known and (within := _limits(holder, name, kind)):
                meaning = f"{meaning} ({within})"
            yield f"{printable(shown):<{_WIDTH}}  {meaning}"


def _limits(holder: Any, name: str, kind: Any) -> str:
    """Describes what a field allows besides its type: bounds or a choice of texts; "" for neither."""
    rules = {f.name: f.metadata for f in dataclasses.fields(holder)} if dataclasses.is_dataclass(holder) else {}
    choice = describe(kind) if describe(kind).startswith(("one of", "some of")) else ""
    return allowed(rules.get(name, {})) or choice


def _target(holder: Any, place: str) -> Callable[..., Any] | None:
    if isinstance(holder, Mapping):
        return resolve(holder["call"], place) if "call" in holder else None
    return type(holder)


@functools.cache
def meanings(target: Callable[..., Any] | None) -> dict[str, str]:
    """Maps the fields of a class and its bases, or the parameters of a function, to the comments behind them."""
    found: dict[str, str] = {}
    for part in reversed(getattr(target, "__mro__", [target])):
        try:
            source = textwrap.dedent(inspect.getsource(part))
        except (OSError, TypeError):  # of a built-in class, or typed in
            continue
        tree = ast.parse(source).body[0]
        nodes = tree.body if isinstance(tree, ast.ClassDef) else _parameters(tree)
        comments = {
            token.start[0]: token.string.lstrip("# ")
            for token in tokenize.generate_tokens(io.StringIO(source).readline)
            if token.type == tokenize.COMMENT
        }
        for node in nodes:
            name = node.arg if isinstance(node, ast.arg) else getattr(getattr(node, "target", None), "id", None)
            if name and node.end_lineno in comments:
                found[name] = comments[node.end_lineno]
    return found


def _parameters(tree: ast.stmt) -> list[ast.arg]:
    if not isinstance(tree, ast.FunctionDef):
        raise InputError("only functions and classes have fields")
    return [*tree.args.posonlyargs, *tree.args.args, *tree.args.kwonlyargs]
