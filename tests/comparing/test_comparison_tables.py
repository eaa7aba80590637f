"""The tables of a comparison, from values known by hand."""

import math

import pytest
from written_runs import result

from gen.comparing.tables import Cell, differing_fields, marks, metric_rows, notes


def test_only_the_fields_that_differ_are_listed_and_the_others_counted():
    configs = [{"a": 1, "b": [1, 2], "c": "x", "d": {}}, {"a": 1, "b": [1, 3], "c": "x", "e": None}]
    assert differing_fields(configs) == (
        {"b": ["[1, 2]", "[1, 3]"], "d": ["{}", "–"], "e": ["–", "null"]},
        2,
    )
    assert differing_fields(configs[:1]) == ({}, 4)


def test_close_numbers_and_types_differ():
    differing, equal = differing_fields([{"a": 0.12345678, "b": 1}, {"a": 0.12345679, "b": True}])
    assert differing == {"a": ["0.12345678", "0.12345679"], "b": ["1", "true"]}
    assert equal == 0


def test_the_best_is_marked_and_what_may_be_as_good():
    found = [result(value=5), result(value=6.5), None, result(value=7.5), result(value=math.nan)]
    assert marks(found) == ["best", "alike", "", "", ""]
    higher = [result(value=value, better="higher") for value in (5, 6.5, 7.5, 7.5)]
    assert marks(higher) == ["", "alike", "best", "best"]


@pytest.mark.parametrize(
    "found",
    [
        [result(value=5), None],  # nothing to compare with
        [result(better="neither"), result(value=6, better="neither")],
        [result(), result(value=9, num_samples=500)],
        [result(), result(value=9, extractor_digest="f" * 64)],
        [result(), result(value=9, better="higher")],
    ],
)
def test_nothing_is_marked_that_does_not_compare(found):
    assert marks(found) == ["", ""]


def test_rows_have_a_cell_for_each_run():
    rows = metric_rows([{"FD-own": result(value=5)}, {}, {"FD-own": result(value=3, low=None, high=None)}])
    (row,) = rows
    assert row.name == "FD-own ↓"
    assert "distance" in row.description
    assert row.cells == [Cell("5", "4 .. 6", ""), Cell("–", "", ""), Cell("3", "", "best")]


def test_notes_say_which_numbers_do_not_compare_in_which_runs():
    a = {"FD-own": result(), "recall": result("recall")}
    few = {"FD-own": result(num_samples=500), "recall": result("recall", num_samples=500)}
    other = {"FD-own": result(extractor="random", extractor_digest="f" * 64), "alone": result("alone")}
    assert notes(["a", "b", "c"], [a, few, a]) == ["num samples is 1000 (a, c), 500 (b): FD-own, recall"]
    assert notes(["a", "b"], [a, other]) == ["extractor is own (a), random (b): FD-own"]
    assert notes(["a", "b"], [a, a]) == []
    assert notes(["a"], [{}]) == []
