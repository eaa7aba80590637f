"""Markdown from templates: every value is escaped, so that no name in it becomes a heading, a link, HTML or a column.

`{{ value }}` is text; `{{ value | code }}` a code span, for what comes from others: in it nothing has a meaning, a web
address neither. Both are one line, and may stand in a table.
"""

from __future__ import annotations

import functools
import re
from pathlib import Path
from typing import Any

import jinja2

from gen.files import printable

_LONGEST = 2000  # characters of a value
_SPECIAL = re.compile(r"([\\`*_{}\[\]<>|~&$#@])")
_FIRST = re.compile(r"^(\s*)([-+=!:]|\d+(?=[.)](\s|$)))")  # what begins a list, a rule, an image


class Markdown(str):
    """Text that is Markdown already."""


def render(template: str, /, **values: Any) -> str:
    """Fills gen/publishing/templates/TEMPLATE."""
    return _environment().get_template(template).render(values)


def escaped(value: Any) -> Markdown:
    """Escapes a value as text of one line."""
    if isinstance(value, Markdown):
        return value
    text = _SPECIAL.sub(r"\\\1", printable(value, longest=_LONGEST))
    text = re.sub(r"(?i)(https?|ftp)(:)|(www)(\.)", lambda m: f"{m[1] or m[3]}\\{m[2] or m[4]}", text)  # no link
    return Markdown(_FIRST.sub(lambda m: f"{m[1]}{_escape_first(m[2])}", text))


def code(value: Any) -> Markdown:
    """Makes a code span of a value; nothing of an empty text."""
    text = printable(value, longest=_LONGEST)
    if not text.strip():
        return Markdown("")
    fence = "`" * (max(map(len, re.findall("`+", text)), default=0) + 1)
    space = " " if text[0] in " `" or text[-1] in " `" else ""
    return Markdown(f"{fence}{space}{text}{space}{fence}")


def _escape_first(mark: str) -> str:
    return f"{mark}\\" if mark.isdigit() else f"\\{mark}"


def cell(value: Any) -> Markdown:
    """Makes a code span for a table, where a bar ends a column even there."""
    return Markdown(code(value).replace("|", r"\|"))


@functools.cache
def _environment() -> jinja2.Environment:
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=False,  # that would be for HTML: `finalize` escapes
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=lambda value: escaped(value) if type(value) is str else value,
    )
    environment.filters |= {"code": code, "cell": cell}
    return environment
