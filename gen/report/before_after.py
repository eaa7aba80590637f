"""One page that shows images before and after refinement, in one file."""

from __future__ import annotations

from collections.abc import Sequence

from gen.report.html import data_uri, render


def before_and_after(pairs: Sequence[tuple[bytes, bytes, str]], *, chain: str, total: int | None = None) -> str:
    """Renders the page, ready to be written as UTF-8.

    pairs: (before, after, name), PNG files. chain: the text of what refined them. total: how many images there are,
    when these are the first of them.
    """
    shown = [(data_uri(before), data_uri(after), name) for before, after, name in pairs]
    return render("before_after.html", pairs=shown, chain=chain, total=total or len(pairs))
