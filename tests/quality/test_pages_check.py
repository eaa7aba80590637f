"""Pictures of an evaluation go over nothing but those of an evaluation."""

import numpy as np
import pytest
from PIL import Image

from gen.errors import InputError
from gen.quality import pages
from gen.report import save_png


def test_a_map_of_somebody_else_is_not_replaced(tmp_path):
    pages.check(tmp_path / "none")
    save_png(tmp_path / "nearest.png", np.zeros((2, 2, 3), np.uint8))  # as gen writes it
    pages.check(tmp_path)
    Image.new("RGB", (2, 2)).save(tmp_path / "map.png")
    with pytest.raises(InputError, match=r"map\.png: it is there and not made by gen"):
        pages.check(tmp_path)
    (tmp_path / "evaluation.html").write_text("of an earlier one")
    pages.check(tmp_path)
