"""gen/cli/progress.py: items pass through; a bar shows on a terminal only, below what is said, and goes away."""

from __future__ import annotations

import contextlib
import io
import sys

import pytest

from gen import cli


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def at_once(monkeypatch):
    monkeypatch.setattr(sys.modules["gen.cli.progress"], "_LEAST_SECONDS", 0.0)


def shown(total: int, *unit: str, **options) -> str:
    with contextlib.redirect_stderr(Terminal()) as terminal, cli.progress_bar(total, *unit, **options) as bar:
        bar.last_print_t -= 1  # more than the least time between two looks
        bar.update(2)
        cli.say("a warning")
    return terminal.getvalue()


def test_items_pass_through_and_nothing_is_shown_without_a_terminal(at_once, capsys):
    assert list(cli.progress([[1, 2], [3]], 3, size=len)) == [[1, 2], [3]]
    assert capsys.readouterr() == ("", "")


def test_a_bar_shows_what_is_done_and_goes_away(at_once):
    text = shown(8, done=2, doing="sampling")
    assert "sampling: " in text
    assert " 4/8 " in text
    assert "images/s" in text
    assert text.endswith("\r")


def test_a_line_stands_above_the_bar(at_once):
    assert "\rgen: a warning\n" in shown(8)


def test_bytes_are_counted_in_their_units(at_once):
    assert "1.00G/2.00G" in shown(2**31, "B", done=2**30)


def test_a_short_job_shows_nothing():
    assert shown(2).strip() == "gen: a warning"
