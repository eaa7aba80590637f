"""The pictures of a comparison: which previews are shown, and that a column of samples is a seed."""

import base64
import io

import numpy as np
import pytest
from PIL import Image
from written_runs import write_run

from gen.comparing import pictures
from gen.comparing.pictures import Samples, previews, strips
from gen.comparing.runs import read
from gen.provenance import picture


def decoded(uri: str) -> np.ndarray:
    """Returns the pixels of a data URI, [h w 3]."""
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"))


def runs_with(tmp_path, *steps, **options):
    each = [write_run(tmp_path / f"run{i}", previews=previews, **options) for i, previews in enumerate(steps)]
    return [read(path, path.name, by="step") for path in each]


def titled(rows):
    return {title: [(shown.run, shown.words, bool(shown.uri)) for shown in row] for title, row in rows}


def test_previews_are_of_the_last_common_step_and_the_newest_of_each(tmp_path):
    rows = previews(runs_with(tmp_path, (10, 20, 30), (20, 25)))
    assert titled(rows) == {
        "The newest of each": [(0, "step 30", True), (1, "step 25", True)],
        "All at step 20": [(0, "step 20", True), (1, "step 20", True)],
    }
    newest = [decoded(shown.uri) for shown in rows[0][1]]
    assert [int(image[4, 4, 0]) for image in newest] == [220, 225]  # 250 - step


def test_one_row_is_enough_where_all_are_as_far(tmp_path):
    assert list(titled(previews(runs_with(tmp_path, (10, 20), (20,))))) == ["The newest of each"]


def test_the_noise_of_step_0_is_shown_only_where_there_is_nothing_else(tmp_path):
    rows = titled(previews(runs_with(tmp_path, (0, 20), (0,))))
    assert rows == {"The newest of each": [(0, "step 20", True), (1, "step 0", True)]}


def test_runs_without_a_preview_say_so(tmp_path):
    runs = runs_with(tmp_path, (10,), ())
    assert titled(previews(runs)) == {"The newest of each": [(0, "step 10", True), (1, "no preview yet", False)]}
    assert previews(runs[1:]) == []


def test_a_damaged_preview_is_left_out_with_a_word(tmp_path):
    runs = runs_with(tmp_path, (10,))
    runs[0].previews[10].write_bytes(b"\x89PNG")
    ((shown,),) = [row for _, row in previews(runs)]
    assert shown.uri == ""
    assert shown.words.startswith("the preview of step 10 cannot be read")


def test_large_previews_become_small(tmp_path, monkeypatch):
    runs = runs_with(tmp_path, (10,))
    noise = np.random.default_rng(0).integers(0, 256, (400, 400, 3), np.uint8)
    Image.fromarray(noise).save(runs[0].previews[10])
    monkeypatch.setattr(pictures, "_MOST_BYTES", 20_000)
    ((shown,),) = [row for _, row in previews(runs)]
    assert len(shown.uri) < 20_000 * 4 / 3 + 100
    assert abs(decoded(shown.uri).mean() - 127.5) < 5


def test_a_column_of_samples_is_a_seed_whatever_the_size_of_the_images():
    small = np.stack([np.full((16, 16, 3), value, np.float32) for value in (0.0, 0.5, 1.0)])
    wide = np.stack([np.full((100, 200, 1), value, np.float32) for value in (1.0, 0.5, 0.0)])
    none = np.zeros((0, 1, 1, 3), np.float32)
    record = picture("grid")
    first, second, third = strips([Samples(small, "a", record), Samples(wide, "b", record), Samples(none, "c", {})])
    assert third == ""
    one, other = decoded(first), decoded(second)
    assert one.shape == other.shape == (128, 3 * 132, 3)
    centers = [66, 198, 330]
    assert one[64, centers, 0].tolist() == pytest.approx([0, 128, 255], abs=3)
    assert other[64, centers, 0].tolist() == pytest.approx([255, 128, 0], abs=3)
