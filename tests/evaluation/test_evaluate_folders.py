"""Folders of images to measure hold more than images."""

import numpy as np
import pytest
from PIL import Image

from gen.errors import InputError
from gen.evaluation.evaluate_folders import evaluate_folders
from gen.report import save_png


@pytest.fixture
def folders(tmp_path):
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
        for number in range(12):
            Image.fromarray(rng.integers(0, 256, (8, 8, 3), np.uint8)).save(tmp_path / name / f"{number}.png")
    return tmp_path


def measured(folders, **options):
    made = evaluate_folders(f"{folders}/a", f"{folders}/b", "pixels", groups=("frechet",), **options)
    return made.results["images"]


def test_one_torn_file_and_a_grid_are_left_out(folders, capsys):
    (whole,) = measured(folders)
    (folders / "a" / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    save_png(folders / "b" / "grid.png", np.zeros((50, 50, 3), np.uint8))
    capsys.readouterr()
    (result,) = measured(folders)
    assert (result.value, result.num_samples, result.num_references) == (whole.value, 12, 12)
    said = capsys.readouterr().err.splitlines()
    assert [line for line in said if "1 of 13 files left out" in line and "torn.png: cannot be read" in line]


def test_nothing_left_is_one_line(folders):
    with pytest.raises(InputError, match=r"none of the 12 files can be used: .*0\.png: is 8x8, smaller than --size=9"):
        measured(folders, size=9)
