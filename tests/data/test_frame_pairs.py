"""Films as pairs of frames: which pairs, which labels, what is held out, and files that do not fit."""

from __future__ import annotations

import numpy as np
import pytest

from gen.data import frame_pairs
from gen.errors import InputError


@pytest.fixture(autouse=True)
def _cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GEN_CACHE", str(tmp_path / "cache"))


def films(subjects: int, sequences: int = 2, frames: int = 3, side: int = 8) -> np.ndarray:
    """Every frame is of one value: subject * 100 + sequence * 10 + frame."""
    value = 100 * np.arange(subjects)[:, None, None] + 10 * np.arange(sequences)[:, None] + np.arange(frames)
    return np.broadcast_to(value[..., None, None, None], (*value.shape, side, side, 3)).astype(np.uint8)


def saved(tmp_path, **arrays):
    path = tmp_path / "films.npz"
    np.savez(path, **arrays)
    return path


def test_all_pairs_of_consecutive_frames_with_their_sequence(tmp_path):
    path = saved(tmp_path, x_train=films(2), x_test=films(1), sequence_names=np.array(["walk", "jump"]))
    source = frame_pairs(path)
    assert source.image_shape == (16, 8, 3)
    assert source.class_names == ("walk", "jump")
    values = np.asarray(source.train.images)[:, [0, 8], 0, 0]  # of the upper and of the lower frame
    assert values.tolist() == [[0, 1], [1, 2], [10, 11], [11, 12], [100, 101], [101, 102], [110, 111], [111, 112]]
    assert source.train.labels.tolist() == [0, 0, 1, 1, 0, 0, 1, 1]
    assert len(source.held_out.images) == 4


def test_without_names_there_are_no_classes_and_frames_may_be_made_smaller(tmp_path):
    source = frame_pairs(saved(tmp_path, x_train=films(1)[0], x_test=films(1)[0]), resolution=4)
    assert source.image_shape == (8, 4, 3)
    assert source.num_classes == 0
    assert np.asarray(source.train.images)[:, [0, 4], 0, 0].tolist() == [[0, 1], [1, 2], [10, 11], [11, 12]]


@pytest.mark.parametrize(
    ("arrays", "message"),
    [
        ({"x_train": films(1)}, "has no x_test: the clips to hold out"),
        ({"x_test": films(1)}, "has no x_train; it holds x_test"),
        ({"x_train": films(1, frames=1), "x_test": films(1)}, "at least 2 frames"),
        ({"x_train": films(1).astype(np.float32), "x_test": films(1)}, "x_train is float32"),
        (
            {"x_train": films(1), "x_test": films(1), "sequence_names": np.array(["walk"])},
            "but there are 1 sequence_names; it must be [..., 1 sequences, frames",
        ),
    ],
)
def test_files_that_do_not_fit(tmp_path, arrays, message):
    with pytest.raises(InputError) as error:
        frame_pairs(saved(tmp_path, **arrays))
    assert message in str(error.value)
    with pytest.raises(InputError, match="is not a file"):
        frame_pairs(tmp_path / "none.npz")
