"""Measures whether images show what their prompts ask for, from what was read off them (GenEval, Ghosh et al. 2023).

`Wanted` is what a prompt asks, `Found` an object that was read off an image; lengths are fractions of the image side,
x to the right and y downwards. A prompt's atoms are the single facts it states (GenEval 2, Kamath et al. 2025); it is
fulfilled where all of them are. Numbers are no better than the reader: give its score on real renders beside them, and
the score of shuffled prompts, which is chance.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from gen.errors import InputError
from gen.metrics.bootstrap import REPLICATES, Value, bootstrap
from gen.metrics.memorization import clopper_pearson

# GenEval's six, in its order, and two of our own.
SKILLS = (
    "single object", "two objects", "counting", "colors", "position", "color attribution", "place", "size",
)  # fmt: skip
_EDGE = 0.12  # from the middle: where left, right, top and bottom begin
_TOUCHING = 0.85  # of the sum of two radii: nearer objects overlap


class Group(NamedTuple):
    """Objects that a prompt asks for: a kind, and what it says of them. number: exactly so many; None: at least one."""

    kind: str
    color: str | None = None
    size: str | None = None
    number: int | None = None


class Wanted(NamedTuple):
    """What a prompt asks: one group, or two with a relation of the first to the second; place: of one object."""

    groups: tuple[Group, ...]
    relation: str | None = None
    place: str | None = None


class Found(NamedTuple):
    """An object in an image: words as in Group, and its center and the radius of the circle about it."""

    kind: str
    color: str
    size: str
    x: float
    y: float
    radius: float


class Score(NamedTuple):
    """prompts: the share of prompts with every atom right; atoms: of atoms; n: prompts."""

    prompts: Value
    atoms: Value
    n: int


def place_of(thing: Found) -> str:
    """Names the place of an object, one of nine: "top left", "top center", ... "center", ... "bottom right"."""
    row = "top" if thing.y < 0.5 - _EDGE else "bottom" if thing.y > 0.5 + _EDGE else "center"
    column = "left" if thing.x < 0.5 - _EDGE else "right" if thing.x > 0.5 + _EDGE else "center"
    return row if row == column else f"{row} {column}"


def relation_of(first: Found, second: Found) -> str:
    """Names what the first is to the second: inside, overlapping, left of, right of, above, below, or holding.

    Overlapping is the same both ways: which of the two is in front is not known.
    """
    dx, dy = second.x - first.x, second.y - first.y
    distance = math.hypot(dx, dy)
    if distance + min(first.radius, second.radius) / 2 < max(first.radius, second.radius):
        return "inside" if first.radius < second.radius else "holding"
    if distance < _TOUCHING * (first.radius + second.radius):
        return "overlapping"
    if abs(dx) > abs(dy):
        return "left of" if dx > 0 else "right of"
    return "above" if dy > 0 else "below"


def _mean(things: Sequence[Found]) -> Found:
    x, y, radius = np.mean([thing[3:] for thing in things], axis=0).tolist()
    return Found(*things[0][:3], x, y, radius)


def atoms(wanted: Wanted, found: Sequence[Found]) -> list[tuple[str, bool]]:
    """Lists the atoms of a prompt, by name, and whether the image has them.

    Of each group: its kind; color and size; and its count, of the objects that are all that is said of the group. Then
    relation and place. Where one object is asked for, all is of that one for which most is right; of several, the
    relation is that of the mean of those which fulfil most.
    """
    choices = itertools.product(*(_choices(group, found) for group in wanted.groups))
    return max(
        (_atoms(wanted, found, chosen) for chosen in choices), key=lambda listed: sum(right for _, right in listed)
    )


def _choices(group: Group, found: Sequence[Found]) -> list[list[Found]]:
    """Lists which objects may be meant: each of the kind, or the likest ones together; [] alone where there is none."""
    alike = [thing for thing in found if thing.kind == group.kind]
    if not alike:
        return [[]]
    if group.number is None:
        return [[thing] for thing in alike]
    points = [(group.color == thing.color) + (group.size == thing.size) for thing in alike]
    return [[thing for thing, point in zip(alike, points, strict=True) if point == max(points)]]


def _atoms(wanted: Wanted, found: Sequence[Found], chosen: Sequence[Sequence[Found]]) -> list[tuple[str, bool]]:
    """Lists the atoms where the objects `chosen` for each group are meant."""
    listed = list[tuple[str, bool]]()
    for group, things in zip(wanted.groups, chosen, strict=True):
        listed.append(("kind", bool(things)))
        listed += [("color", any(thing.color == group.color for thing in things))] if group.color else []
        listed += [("size", any(thing.size == group.size for thing in things))] if group.size else []
        if group.number is not None:
            listed.append(("count", sum(_is(thing, group) for thing in found) == group.number))
    if wanted.relation:
        first, second = chosen
        right = bool(first and second) and relation_of(_mean(first), _mean(second)) == wanted.relation
        listed.append(("relation", right))
    if wanted.place:
        listed.append(("place", any(place_of(thing) == wanted.place for thing in chosen[0])))
    return listed


def _is(thing: Found, group: Group) -> bool:
    return thing.kind == group.kind and group.color in (None, thing.color) and group.size in (None, thing.size)


def composition(
    wanted: Sequence[Wanted], found: Sequence[Sequence[Found]], *, replicates: int = REPLICATES, seed: int = 0
) -> Score:
    """Computes the share of prompts and of atoms that images fulfil, each from 0 to 1; higher is better.

    The interval of prompts is exact, that of atoms resamples prompts. InputError without prompts, or for other numbers
    of prompts and images.
    """
    if len(wanted) != len(found) or not wanted:
        raise InputError(f"{len(wanted)} prompts and {len(found)} images; as many of both are wanted, at least one")
    right, total, whole = _counts(wanted, found)
    share = bootstrap(lambda at: right[at].sum() / total[at].sum(), len(right), replicates=replicates, seed=seed)
    prompts = clopper_pearson(int(whole.sum()), len(whole)) if replicates >= 2 else Value(float(whole.mean()))
    return Score(prompts, share.within(0, 1), len(whole))


def by_skill(
    skills: Sequence[str],
    wanted: Sequence[Wanted],
    found: Sequence[Sequence[Found]],
    *,
    replicates: int = REPLICATES,
    seed: int = 0,
) -> dict[str, Score]:
    """Computes `composition` for each skill that there are prompts of, in the order of SKILLS."""
    if unknown := set(skills) - set(SKILLS):
        raise InputError(f"skill {min(unknown)!r}; allowed: {', '.join(SKILLS)}")
    scores = {}
    for skill in SKILLS:
        at = [n for n, name in enumerate(skills) if name == skill]
        if at:
            asked, there = [wanted[n] for n in at], [found[n] for n in at]
            scores[skill] = composition(asked, there, replicates=replicates, seed=seed)
    return scores


def by_atom(wanted: Sequence[Wanted], found: Sequence[Sequence[Found]]) -> dict[str, Value]:
    """Computes the share of right atoms of each name, with exact intervals as if all were independent."""
    listed = [atom for asked, there in zip(wanted, found, strict=True) for atom in atoms(asked, there)]
    names = dict.fromkeys(name for name, _ in listed)
    rights = {name: [right for other, right in listed if other == name] for name in names}
    return {name: clopper_pearson(sum(right), len(right)) for name, right in rights.items()}


def _counts(wanted: Sequence[Wanted], found: Sequence[Sequence[Found]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Counts right atoms and all atoms, float64 [n], and whether all are right, bool [n]."""
    rights = [[right for _, right in atoms(*both)] for both in zip(wanted, found, strict=True)]
    right, total = np.array([sum(each) for each in rights], np.float64), np.array([len(each) for each in rights])
    return right, total.astype(np.float64), right == total
