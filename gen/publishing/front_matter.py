"""The front matter of a card: YAML between two lines ---, as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gen.files import printable

_LONGEST = 500  # characters of a text


def front_matter(fields: Mapping[str, Any]) -> str:
    """Writes texts, numbers, and lists and dicts of them, as YAML 1.1 and 1.2 read them alike; empty ones are left out.

    Scalars are JSON, which is YAML: every text is quoted, so that none is taken for a number, a date or a command.
    """
    return "\n".join(["---", *_mapping(fields, ""), "---", ""])


def _mapping(fields: Mapping[str, Any], indent: str) -> Iterator[str]:
    for name, value in fields.items():
        if isinstance(value, Mapping | list | tuple):
            if value:
                yield f"{indent}{name}:"
                yield from _nested(value, indent + "  ")
        elif value is not None:
            yield f"{indent}{name}: {_scalar(value)}"


def _nested(value: Mapping[str, Any] | Sequence[Any], indent: str) -> Iterator[str]:
    if isinstance(value, Mapping):
        yield from _mapping(value, indent)
        return
    for entry in value:
        if isinstance(entry, Mapping):
            first, *others = _mapping(entry, indent + "  ")
            yield f"{indent}- {first.lstrip()}"
            yield from others
        else:
            yield f"{indent}- {_scalar(entry)}"


def _scalar(value: Any) -> str:
    if isinstance(value, float):
        text = json.dumps(value)
        mantissa, e, exponent = text.partition("e")  # 1e-05 is a text in YAML 1.1
        return f"{mantissa}.0e{exponent}" if e and "." not in mantissa else text
    if isinstance(value, bool | int):
        return json.dumps(value)
    return json.dumps(printable(value, longest=_LONGEST), ensure_ascii=False)
