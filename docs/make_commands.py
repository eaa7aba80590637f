"""Writes docs/commands.md from the options of every program: python docs/make_commands.py"""

from __future__ import annotations

import importlib
import pathlib
import sys
from collections.abc import Iterator

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))

from gen.cli.flags import Options, grouped  # noqa: E402

PAGE = ROOT / "docs" / "commands.md"
PROGRAMS = (
    *("main", "sample", "refine", "score", "latents", "evaluate", "compare", "audit", "convert", "verify", "export"),
    *("checkpoint", "provenance"),
)
_HEAD = """# Commands

The flags and arguments of every program. `python -m gen.NAME --help` shows them too, after what the program does and
writes. A flag is written `--name=value` or `--name value`; one that is on or off, `--name` or `--noname`.

In Python a program is a function of a dataclass whose fields have these names:
`sample(SampleOptions(workdir="runs/shapes", out="images", seeds="0-3"))` of `gen.sample` does what
`python -m gen.sample --workdir runs/shapes --out images --seeds 0-3` does.
"""


def options_of_program(name: str) -> tuple[str, type[Options]]:
    """Returns the docstring and the options of gen.NAME."""
    module = importlib.import_module(f"gen.{name}")
    if hasattr(module, "__path__"):  # a room that is a program, too
        module = importlib.import_module(f"gen.{name}.__main__")
    kinds = [kind for kind in vars(module).values() if isinstance(kind, type) and issubclass(kind, Options)]
    (kind,) = (kind for kind in kinds if kind.__module__ == module.__name__)
    return module.__doc__ or "", kind


def page() -> str:
    """Returns the page."""
    return "\n".join([_HEAD, *(line for name in PROGRAMS for line in _program(name))])


def _program(name: str) -> Iterator[str]:
    doc, kind = options_of_program(name)
    summary = doc.partition("\n\n")[0].replace("\n", " ").partition(": python -m")[0].rstrip(".:")
    yield f"## python -m gen.{name}\n\n{summary}.\n"
    for title, rows in grouped(kind):
        yield f"| {title} | |\n| --- | --- |"
        for row in rows:
            left, right = (cell.replace("|", r"\|") for cell in row)
            yield f"| `{left}` | {right} |"
        yield ""


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
