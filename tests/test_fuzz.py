"""benchmarks/fuzz.py in small: damaged files of every kind get one verdict from all that read them."""

import importlib.util
import pathlib

import numpy as np
import pytest
from damage import KINDS, damaged, whole

SPEC = importlib.util.spec_from_file_location("fuzz", pathlib.Path(__file__).parents[1] / "benchmarks" / "fuzz.py")
fuzz = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(fuzz)


def test_all_readers_agree_on_damaged_files(tmp_path, capfd):
    assert list(fuzz.fuzz_images(8)) == []
    assert "Traceback" not in capfd.readouterr().err


def test_readers_that_disagree_are_told(tmp_path, monkeypatch):
    (tmp_path / "a.png").write_bytes(whole("color.png"))
    monkeypatch.setitem(fuzz.SINGLE, "load", lambda file: False)
    wrong, readable, _ = fuzz.compare(tmp_path)
    assert "a.png: load refuses it, refine does not" in wrong
    assert readable == 1


@pytest.mark.parametrize("kind", KINDS)
def test_damage_is_by_the_seed_and_mostly_bad(kind):
    first, again = (
        [damaged(rng, whole(kind)) for _ in range(20)] for rng in (np.random.default_rng(0), np.random.default_rng(0))
    )
    assert first == again
    assert sum(content != whole(kind) for content in first) >= 15
