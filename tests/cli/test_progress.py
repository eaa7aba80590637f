"""gen/cli/progress.py: items pass through, and the bar ends at the total."""

from __future__ import annotations

import sys

from gen.cli import progress, progress_bar


def test_items_pass_through_and_nothing_is_shown_without_a_terminal(capsys):
    assert list(progress([[1, 2], [3]], 3, size=len)) == [[1, 2], [3]]
    assert capsys.readouterr() == ("", "")


def test_a_terminal_shows_how_many_images_of_all_are_done(monkeypatch, capsys):
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    with progress_bar(3, "images") as bar:
        bar.delay = 0  # not after five seconds, but at once
        bar.update(2)
        bar.refresh()
        shown = capsys.readouterr().err
    assert "2/3" in shown
    assert "images/s" in shown
