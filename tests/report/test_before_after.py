"""The page that shows images before and after refinement."""

from __future__ import annotations

from gen.report import before_and_after


def test_the_page_says_how_many_it_leaves_out():
    pairs = [(b"before", b"after", f"<{i}>") for i in range(2)]
    assert "The first 2 of 128 images." in before_and_after(pairs, chain="invert", total=128)
    for total in (None, 2):
        page = before_and_after(pairs, chain="a<b", total=total)
        assert "The first" not in page
        assert "<code>a&lt;b</code>" in page
        assert "&lt;1&gt;" in page
