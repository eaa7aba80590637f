"""gen/cli/arguments.py: seeds and classes as they are written on the command line."""

from __future__ import annotations

import pytest

from gen.cli.arguments import parse_labels, parse_seeds
from gen.errors import InputError

CLASSES = ("T-shirt/top", "Sandal", "Ankle boot")


@pytest.mark.parametrize(
    ("text", "seeds"),
    [("5", [5]), ("0-3", [0, 1, 2, 3]), ("3,7,11", [3, 7, 11]), ("0-2,9", [0, 1, 2, 9]), (" 1 - 2 , 1", [1, 2, 1])],
)
def test_seeds(text, seeds):
    assert parse_seeds(text, repeated=True) == seeds


@pytest.mark.parametrize("text", ["", "a", "1-", "-1", "3-1", "1,,2", "1.5", "4294967296", "0-1000000", "²"])
def test_bad_seeds_are_named(text):
    with pytest.raises(InputError, match="--seeds="):
        parse_seeds(text)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        (None, None),
        ("all", [0, 1, 2]),
        ("sandal", [1]),
        ("2", [2]),
        ("Ankle boot,T-shirt/top", [2, 0]),
        ("0,sandal", [0, 1]),
    ],
)
def test_labels(text, labels):
    assert parse_labels(text, CLASSES) == labels


def test_a_class_name_may_be_a_number_or_hold_a_comma():
    assert parse_labels("7", ["9", "8", "7"]) == [2]
    assert parse_labels("goldfish, koi", ["tench", "goldfish, koi"]) == [1]


def test_a_seed_or_class_named_twice_would_make_the_same_image_twice():
    with pytest.raises(InputError, match="--seeds=0,0,0: seed 0 is named twice"):
        parse_seeds("0,0,0")
    with pytest.raises(InputError, match="class 'Sandal' is named twice"):
        parse_labels("Sandal,1", CLASSES)


def test_a_class_whose_name_is_not_utf8_is_asked_for_as_it_is_shown():
    assert parse_labels("caf\\xe9", ["a", "caf\udce9"]) == parse_labels("caf\udce9", ["a", "caf\udce9"])
    assert parse_labels("B", ["a", "b", "B"]) == [2]


def test_bad_labels_are_named():
    with pytest.raises(InputError, match="no class 'sandel'; did you mean 'sandal'"):
        parse_labels("sandel", CLASSES)
    with pytest.raises(InputError, match="0-2"):
        parse_labels("3", CLASSES)
    with pytest.raises(InputError, match="without classes"):
        parse_labels("sandal", ())
