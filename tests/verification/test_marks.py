"""The mark in a verdict: the bound counts each time that it was looked for."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from gen import watermark
from gen.provenance.c2pa_report import Signature
from gen.verification import marks
from gen.verification.findings import Mark


@pytest.mark.parametrize(
    ("search", "frames", "tries"), [("aligned", 1, 1), ("aligned", 4, 2), ("full", 1, 2), ("full", 4, 3)]
)
def test_each_search_of_a_file_is_a_try(search, frames, tries):
    parsed = SimpleNamespace(pixels=np.zeros((frames, 64, 64, 3), np.uint8), signature=Signature("absent"))
    assert marks.Marks(None, search)._tries(parsed) == tries
    parsed.pixels = parsed.pixels[:1, :32]  # too small to be searched for parts
    assert marks.Marks(None, search)._tries(parsed) == 1


def test_the_bound_is_that_of_all_tries_together():
    once = watermark.Detection(6e-7, True, 1, 5, 8, "mirrored")
    assert marks._mark(once) == Mark(True, True, 6e-7, "mirrored", 5, 8, "")
    assert marks._mark(once, 2) == Mark(True, False, pytest.approx(1.2e-6), note="")
    assert marks._mark(watermark.Detection(0.7, False, None, None, 0, ""), 2) == Mark(True, False, 1.0, note="")
