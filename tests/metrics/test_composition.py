"""What images show of what prompts ask for, against cases worked out by hand."""

import numpy as np
import pytest

from gen.errors import InputError
from gen.metrics.composition import (
    Found,
    Group,
    Wanted,
    atoms,
    by_atom,
    by_skill,
    composition,
    place_of,
    relation_of,
)

STAR = Found("star", "red", "small", 0.25, 0.5, 0.15)
RING = Found("ring", "blue", "large", 0.75, 0.55, 0.23)
PAIR = Wanted((Group("star", "red"), Group("ring", "blue", "large")), "left of")


@pytest.mark.parametrize(
    ("second", "relation"),
    [
        ((0.9, 0.5, 0.15), "left of"),
        ((0.1, 0.5, 0.15), "right of"),
        ((0.5, 0.9, 0.15), "above"),
        ((0.5, 0.1, 0.15), "below"),
        ((0.5, 0.52, 0.4), "inside"),
        ((0.5, 0.52, 0.05), "holding"),
        ((0.65, 0.6, 0.23), "overlapping"),
    ],
)
def test_relation_is_that_of_the_picture(second, relation):
    assert (
        relation_of(Found("star", "red", "small", 0.5, 0.5, 0.15), Found("ring", "red", "small", *second)) == relation
    )


def test_place_is_one_of_nine():
    names = [place_of(STAR._replace(x=x, y=y)) for y in (0.2, 0.5, 0.8) for x in (0.2, 0.5, 0.8)]
    assert names[::2] == ["top left", "top right", "center", "bottom left", "bottom right"]
    assert names[1::2] == ["top center", "center left", "center right", "bottom center"]


def test_all_atoms_of_a_true_image_are_right():
    assert atoms(PAIR, [RING, STAR]) == [
        ("kind", True),
        ("color", True),
        ("kind", True),
        ("color", True),
        ("size", True),
        ("relation", True),
    ]


def test_colors_belong_to_their_objects():
    swapped = [STAR._replace(color="blue"), RING._replace(color="red")]
    assert [right for _, right in atoms(PAIR, swapped)] == [True, False, True, False, True, True]


def test_one_object_is_all_that_is_asked():
    small_red, parts = (
        Wanted((Group("star", "red", "small"),)),
        [STAR._replace(color="blue"), STAR._replace(size="large")],
    )
    for found in (parts, parts[::-1]):
        assert [right for _, right in atoms(small_red, found)] in ([True, True, False], [True, False, True])
        assert all(right for _, right in atoms(small_red, [*found, STAR]))
    there = Wanted((Group("star", "red"),), place="top left")
    elsewhere, other = STAR._replace(x=0.8, y=0.8), STAR._replace(x=0.2, y=0.2, color="blue")
    assert composition([there], [[elsewhere, other]]).prompts.value == 0
    assert composition([there], [[elsewhere, other, STAR._replace(x=0.2, y=0.2)]]).prompts.value == 1


def test_relation_is_of_the_objects_that_have_the_colors_asked_for():
    wrong = [STAR._replace(color="blue"), RING, STAR._replace(x=0.95)]  # a blue star left of the ring, a red one right
    assert dict(atoms(Wanted(PAIR.groups), wrong)) == {"kind": True, "color": True, "size": True}
    assert composition([PAIR], [wrong]).prompts.value == 0
    assert composition([PAIR], [[*wrong, STAR]]).prompts.value == 1


def test_counts_are_exact_and_of_what_is_asked_for():
    three = [STAR._replace(x=x) for x in (0.2, 0.5, 0.8)]
    right = [dict(atoms(Wanted((Group("star", number=n),)), three))["count"] for n in (2, 3, 4)]
    assert right == [False, True, False]
    other = STAR._replace(color="blue")
    assert dict(atoms(Wanted((Group("star", "red", number=3),)), [*three, other]))["count"]
    assert not dict(atoms(Wanted((Group("star", number=3),)), [*three, other]))["count"]
    small = Wanted((Group("star", "red", "small", number=3),))
    assert dict(atoms(small, [*three, STAR._replace(size="large")]))["count"]
    assert not dict(atoms(small, [*three[1:], STAR._replace(size="large")]))["count"]


def test_an_empty_image_has_nothing():
    assert not any(right for _, right in atoms(PAIR._replace(place="center"), []))


def test_score_counts_prompts_and_atoms():
    found = [[STAR, RING], [STAR]]
    score = composition([PAIR, PAIR], found)
    assert score.prompts.value == 0.5
    assert score.atoms.value == 8 / 12
    assert 0 <= score.prompts.low < 0.5 < score.prompts.high <= 1
    assert score.n == 2
    assert np.isnan(composition([PAIR], found[:1], replicates=0).prompts.low)
    named = by_skill(["position", "colors"], [PAIR, PAIR], found)
    assert list(named) == ["colors", "position"]
    assert [each.prompts.value for each in named.values()] == [0, 1]
    assert by_atom([PAIR, PAIR], found)["relation"].value == 0.5


def test_refuses_what_does_not_fit():
    with pytest.raises(InputError, match="2 prompts and 1 images"):
        composition([PAIR, PAIR], [[STAR]])
    with pytest.raises(InputError, match="allowed: single object"):
        by_skill(["beauty"], [PAIR], [[STAR]])
