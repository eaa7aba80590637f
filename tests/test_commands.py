"""The programs: what --help shows of each, and the page that is made of it."""

from __future__ import annotations

import pathlib
import runpy
import subprocess
import sys

import pytest

from gen.cli.flags import help_text

ROOT = pathlib.Path(__file__).parents[1]
MAKER = runpy.run_path(str(ROOT / "docs" / "make_commands.py"))


@pytest.mark.parametrize("name", MAKER["PROGRAMS"])
def test_help_has_one_line_for_each_option_that_fits_a_terminal(name):
    doc, kind = MAKER["options_of_program"](name)
    lines = help_text(kind).splitlines()
    assert lines[0] == doc.splitlines()[0]
    assert [line for line in lines if len(line) > 120] == []


def test_programs_are_imported_without_jax():
    names = ", ".join(f"gen.{name}" for name in MAKER["PROGRAMS"])
    code = f"import sys, {names}; sys.exit('jax' in sys.modules or 'flax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_the_page_of_commands_is_in_step():
    assert (ROOT / "docs" / "commands.md").read_text(encoding="utf-8") == MAKER["page"]()
