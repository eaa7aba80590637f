"""The world of `scenes`: its words, which combinations are never learned from, and scenes as numbers, without pixels.

Lengths are fractions of the image side, x to the right and y downwards. Words are those of the tuples below; captions
have synonyms for them. A scene has one or two groups of like objects, four objects at most:

    single   one object, at one of nine places
    several  two, three or four alike
    pair     two that differ in kind and color, and a relation of the first to the second
    mixed    two groups of three or four objects together, the first left of the second or above it
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from gen.data.outlines import KINDS, LATTICE

T = TypeVar("T")

SCENES = ("single", "several", "pair", "mixed")
COLORS = {
    "red": (0.89, 0.12, 0.15),
    "orange": (0.98, 0.53, 0.06),
    "yellow": (0.99, 0.88, 0.16),
    "green": (0.16, 0.66, 0.25),
    "cyan": (0.12, 0.83, 0.89),
    "blue": (0.13, 0.31, 0.92),
    "purple": (0.58, 0.20, 0.80),
    "pink": (0.98, 0.54, 0.76),
}
SIZES = {"small": (0.14, 0.155), "large": (0.225, 0.24)}  # radius from, to; what holds another is larger still
HOLDING = (0.38, 0.42)  # radius of an object that another is inside of
RELATIONS = ("left of", "above", "inside", "overlapping")
PLACES = tuple(" ".join(dict.fromkeys((row, column))) for row in ("top", "center", "bottom") for column in
               ("left", "center", "right"))  # fmt: skip
TONES = {
    "dark": (0.13, 0.14, 0.18),
    "gray": (0.50, 0.51, 0.53),
    "light": (0.90, 0.90, 0.87),
    "brown": (0.38, 0.27, 0.19),
}
PATTERNS = ("plain", "stripes", "checks", "noise")  # plain, then those of outlines.TEXTURES
HOLDERS = ("circle", "ring", "square", "triangle", "star", "heart")  # in which there is room
COVERED = ("circle", "square", "triangle", "star", "cross", "heart")  # which overlap where their circles do
_GROUPS = ((2, 1), (3, 1), (1, 2), (1, 3), (2, 2))  # how many objects a mixed scene has in its two groups

# A fifth of all combinations, 13 of 64 and 6 of 32, are in no image to learn from, and in none that is held out.
UNSEEN_COLORS = frozenset(
    (color, kind) for k, kind in enumerate(KINDS) for c, color in enumerate(COLORS) if (c + 2 * k) % 5 == 0
)
UNSEEN_RELATIONS = frozenset(
    {
        ("heart", "left of"),
        ("triangle", "left of"),
        ("ring", "above"),
        ("cross", "above"),
        ("star", "inside"),
        ("square", "overlapping"),
    }
)  # the kind of the first object, which is left of the second, above it, inside it, or covers part of it


@dataclass(frozen=True)
class Thing:
    """An object: words, and numbers; rotation in radians, anticlockwise."""

    kind: str
    color: str
    size: str
    rgb: tuple[float, float, float]
    x: float
    y: float
    radius: float
    rotation: float


@dataclass(frozen=True)
class Background:
    """A tone and a pattern: words, and numbers. frequency: waves a side; angle in radians; lattice [7][7] in -1..1."""

    tone: str
    pattern: str
    amplitude: float
    frequency: float
    angle: float
    lattice: np.ndarray


@dataclass(frozen=True)
class Scene:
    """What is to see. relation: of the first group to the second; place: of a single object."""

    label: int
    groups: tuple[tuple[Thing, ...], ...]
    relation: str | None
    place: str | None
    background: Background

    @property
    def things(self) -> tuple[Thing, ...]:
        """All objects; an earlier one covers a later one."""
        return tuple(thing for group in self.groups for thing in group)

    @property
    def unseen(self) -> bool:
        """Tells whether a combination in it is never learned from."""
        colors = any((thing.color, thing.kind) in UNSEEN_COLORS for thing in self.things)
        return colors or (self.groups[0][0].kind, self.relation) in UNSEEN_RELATIONS


def draw(rng: np.random.Generator, label: int, *, unseen: str | None = None) -> Scene:
    """Draws a scene of kind SCENES[label]. unseen: "color" or "relation" has one such combination, in its first group.

    Else there is none. A relation is of two groups: label 2 or 3.
    """
    name = SCENES[label]
    sizes = {"single": (1,), "several": (int(rng.integers(2, 5)),), "pair": (1, 1)}
    counts = sizes.get(name) or _GROUPS[rng.integers(len(_GROUPS))]
    relation = None
    kind = _one_of(rng, KINDS)
    if len(counts) == 2:
        allowed = RELATIONS if name == "pair" else RELATIONS[:2]
        pairs = [(k, r) for r in allowed for k in KINDS if (r != "overlapping" or k in COVERED)]
        kind, relation = _one_of(rng, [p for p in pairs if (p in UNSEEN_RELATIONS) == (unseen == "relation")])
    kinds = [kind]
    colors = [_color(rng, kind, unseen=unseen == "color")]
    if relation:
        room = {"inside": HOLDERS, "overlapping": COVERED}.get(relation, KINDS)
        kinds.append(_one_of(rng, [other for other in room if other != kind]))
        colors.append(_color(rng, kinds[1], but=colors[0]))
    size_names = _sizes(rng, counts, relation)
    radii = [float(rng.uniform(*(HOLDING if size == "holding" else SIZES[size]))) for size in size_names]
    place = int(rng.integers(len(PLACES))) if name == "single" else None
    spots = _spots(rng, counts, radii, relation, place)
    groups = tuple(
        tuple(
            _thing(rng, kind, color, "large" if size == "holding" else size, radius, shade, spot)
            for spot in spots_of_group
        )
        for kind, color, size, radius, shade, spots_of_group in zip(
            kinds, colors, size_names, radii, rng.uniform(0.92, 1, len(kinds)), spots, strict=True
        )
    )
    return Scene(label, groups, relation, None if place is None else PLACES[place], _background(rng))


def _one_of(rng: np.random.Generator, these: Sequence[T]) -> T:
    return these[int(rng.integers(len(these)))]


def _color(rng: np.random.Generator, kind: str, *, unseen: bool = False, but: str = "") -> str:
    return _one_of(rng, [c for c in COLORS if ((c, kind) in UNSEEN_COLORS) == unseen and c != but])


def _sizes(rng: np.random.Generator, counts: tuple[int, ...], relation: str | None) -> list[str]:
    """Chooses the size of each group, so that all fit."""
    chosen = [_one_of(rng, tuple(SIZES)) for _ in counts]
    if relation == "inside":
        return ["small", "holding"]
    if relation == "overlapping":
        return [chosen[0], "large"]  # a small one in front, never behind
    if len(counts) == 2 and sum(counts) > 2:
        return ["small" if count > 1 else size for count, size in zip(counts, chosen, strict=True)]
    return chosen


def _spots(
    rng: np.random.Generator, counts: tuple[int, ...], radii: list[float], relation: str | None, place: int | None
) -> list[np.ndarray]:
    """Chooses the centers [count 2] of each group."""

    def shift(most: float) -> np.ndarray:
        return rng.uniform(-most, most, 2)

    if place is not None:
        row, column = divmod(place, 3)
        reach, most = (0.3, 0.04) if radii[0] < 0.2 else (0.245, 0.012)
        return [(0.5 + reach * np.array([column - 1, row - 1]) + shift(most))[None]]
    if relation is None:  # each in a quarter of its own
        quarters = rng.permutation(np.array([[x, y] for x in (0.25, 0.75) for y in (0.25, 0.75)]))[: counts[0]]
        return [np.stack([quarter + shift(0.24 - radii[0]) for quarter in quarters])]
    if relation == "inside":
        holder = 0.5 + shift(0.05)
        return [(holder + shift(0.02))[None], holder[None]]
    if relation == "overlapping":
        angle, apart = rng.uniform(0, 2 * np.pi), rng.uniform(0.55, 0.62) * sum(radii)
        way = apart / 2 * np.array([np.cos(angle), np.sin(angle)])
        middle = 0.5 + shift(0.06)
        return [(middle + way)[None], (middle - way)[None]]
    spots = []
    for count, radius, line in zip(counts, radii, (0.25, 0.75), strict=True):
        along = {1: [0.5], 2: [0.27, 0.73], 3: [0.175, 0.5, 0.825]}[count]
        most = min(0.16, 0.48 - radius) if count == 1 else 0.006
        both = [(a + rng.uniform(-most, most), line + rng.uniform(-1, 1) * min(0.04, 0.245 - radius)) for a in along]
        spots.append(np.array([(y, x) if relation == "left of" else (x, y) for x, y in both]))
    return spots


def _thing(
    rng: np.random.Generator, kind: str, color: str, size: str, radius: float, shade: float, spot: np.ndarray
) -> Thing:
    red, green, blue = (float(shade * value) for value in COLORS[color])
    turn = float(rng.uniform(-1, 1) * np.pi / 15)
    return Thing(kind, color, size, (red, green, blue), float(spot[0]), float(spot[1]), radius, turn)


def _background(rng: np.random.Generator) -> Background:
    tone, pattern = _one_of(rng, tuple(TONES)), _one_of(rng, PATTERNS)
    amplitude, frequency, angle = rng.uniform([0.06, 3, 0], [0.085, 5, np.pi]).tolist()
    lattice = rng.uniform(-1, 1, (LATTICE, LATTICE)).astype(np.float32)
    return Background(tone, pattern, 0.0 if pattern == "plain" else amplitude, frequency, angle, lattice)
