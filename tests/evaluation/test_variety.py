"""The line that says that variety falls, from made-up measurements."""

from __future__ import annotations

from collections.abc import Sequence

from gen.evaluation.variety import Variety


def said(recalls: Sequence[float | None], *, coverage: float = 0.6, distances: Sequence[float] = ()) -> list[str]:
    """What is said at steps 10, 20, ..., for measurements of recall."""
    variety = Variety("FD-pixels")
    distances = distances or [1.0] * len(recalls)
    numbers = [{"FD-pixels": fd, "recall": r, "coverage": coverage} for fd, r in zip(distances, recalls, strict=True)]
    return [variety(10 * step, each) for step, each in enumerate(numbers, 1)]


def test_a_fall_is_said_once_with_what_it_fell_from():
    lines = said([0.1, 0.2, 0.15, 0.14, 0.12, 0.11])
    assert lines == ["", "", "", "recall fell to 0.14 at step 40, from 0.2 at step 20", "", ""]


def test_one_measurement_alone_is_noise():
    assert not any(said([0.2, 0.1, 0.2, 0.1, 0.2, 0.19, 0.17]))
    assert not any(said([0.06, 0.04, 0.04, 0.04, 0.035]))  # of so small a share


def test_after_it_has_recovered_a_fall_is_said_again():
    lines = said([0.2, 0.1, 0.1, 0.17, 0.19, 0.1, 0.1])
    assert [bool(line) for line in lines] == [False, False, True, False, False, False, True]


def test_both_numbers_are_said_in_one_line():
    variety = Variety("FD-own")
    for step, value in enumerate((0.5, 0.4, 0.3), 1):
        line = variety(step, {"FD-own": 1.0, "recall": value, "coverage": 2 * value})
    assert line == ""
    line = variety(4, {"FD-own": 1.0, "recall": 0.3, "coverage": 0.6})
    assert line == "recall fell to 0.3 at step 4, from 0.5 at step 1; coverage fell to 0.6 at step 4, from 1 at step 1"


def test_scattered_samples_of_the_beginning_do_not_count():
    assert not any(said([0.9, 0.8, 0.3, 0.3, 0.3], distances=[50.0, 30.0, 3.0, 2.5, 2.0]))


def test_what_was_not_measured_does_not_count():
    assert not any(said([None, 0.0, None, None]))
    assert Variety("FD-own")(1, {}) == ""
