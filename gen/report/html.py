"""Pages and images as text: jinja2 templates that escape every value, and data URIs."""

from __future__ import annotations

import base64
import functools
from pathlib import Path
from typing import Any

import jinja2

from gen.files import printable

_LONGEST = 20_000  # characters of a value


def render(template: str, /, **values: Any) -> str:
    """Fills gen/report/templates/TEMPLATE; every page extends base.html. The text is ready to be written as UTF-8."""
    return _environment().get_template(template).render(values)


@functools.cache
def _environment() -> jinja2.Environment:
    return jinja2.Environment(
        loader=jinja2.FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )


def _shown(value: Any) -> Any:
    """Escapes what a page cannot hold in text that is no markup."""
    return printable(value, longest=_LONGEST) if type(value) is str else value


def data_uri(content: bytes, *, kind: str = "png") -> str:
    """Returns an encoded image as a data URI."""
    return f"data:image/{kind};base64,{base64.b64encode(content).decode()}"
