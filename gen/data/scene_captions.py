"""Captions of scenes, and prompts that ask for one skill each, with what they ask for in a form that can be checked.

A caption names the groups of a scene with synonyms, in several orders, and leaves things out by chance. Nothing it
says is false. Words that mean the same are the lines of WORDS; a test reads captions back by them.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from gen.data.scene_world import SCENES, Scene, Thing, draw
from gen.errors import InputError
from gen.metrics.composition import SKILLS, Group, Wanted

# What the words of gen.data.scene_world may be called; the first is the most common by far.
WORDS: dict[str, tuple[str, ...]] = {
    "circle": ("circle", "disc"),
    "ring": ("ring", "hoop"),
    "square": ("square", "box"),
    "triangle": ("triangle",),
    "star": ("star",),
    "cross": ("cross", "plus"),
    "heart": ("heart",),
    "crescent": ("crescent", "moon"),
    "red": ("red", "scarlet"),
    "orange": ("orange",),
    "yellow": ("yellow", "golden"),
    "green": ("green",),
    "cyan": ("cyan", "turquoise"),
    "blue": ("blue",),
    "purple": ("purple", "violet"),
    "pink": ("pink", "rosy"),
    "small": ("small", "little", "tiny"),
    "large": ("large", "big"),
    "dark": ("dark", "black"),
    "gray": ("gray", "grey"),
    "light": ("light", "white"),
    "brown": ("brown",),
    "plain": ("plain", "smooth"),
    "stripes": ("striped",),
    "checks": ("checkered", "checked"),
    "noise": ("cloudy", "mottled"),
    "left of": ("left of", "to the left of"),
    "right of": ("right of", "to the right of"),
    "above": ("above", "over"),
    "below": ("below", "under"),
    "inside": ("inside", "within"),
    "around": ("around", "surrounding"),
    "overlapping": ("overlapping", "in front of", "partly covering"),
    "behind": ("behind", "partly covered by"),
}
INVERSE = {"left of": "right of", "above": "below", "inside": "around", "overlapping": "behind"}
NUMBERS = ("no", "one", "two", "three", "four")
_CORNER = {"top": ("top", "upper"), "bottom": ("bottom", "lower")}


class Say(NamedTuple):
    """What a caption mentions beside kinds and numbers."""

    colors: bool = False
    sizes: tuple[bool, bool] = (False, False)  # of the first group, and of the second
    relation: bool = False
    place: bool = False
    background: bool = False


@dataclass(frozen=True)
class Prompt:
    """A text, the skill of SKILLS that it is for, what it asks for, and a scene that shows it."""

    text: str
    skill: str
    wanted: Wanted
    scene: Scene


def captions_of(scene: Scene, index: int, *, number: int = 3, seed: int = 0) -> list[str]:
    """Writes captions of scene `index` of the world `seed`, all different where chance finds so many."""
    rng = np.random.default_rng((seed, index, 1))
    found = dict.fromkeys(caption(scene, rng) for _ in range(number))
    for _ in range(4 * number):
        if len(found) < number:
            found.setdefault(caption(scene, rng))
    return (list(found) * number)[:number]


def caption(scene: Scene, rng: np.random.Generator) -> str:
    """Writes a caption that says by chance more or less."""
    colors, first, second, relation, place, background = rng.random(6) < [0.85, 0.5, 0.5, 0.85, 0.6, 0.6]
    return describe(scene, rng, Say(bool(colors), (bool(first), bool(second)), relation, place, background))


def describe(scene: Scene, rng: np.random.Generator, say: Say) -> str:
    """Writes a caption that says what it is told to, where the scene has it."""
    names = [_named(rng, group, say.colors, size) for group, size in zip(scene.groups, say.sizes, strict=False)]
    if len(names) == 1:
        text = names[0]
        if say.place and scene.place:
            where = _where(rng, scene.place)
            text = f"{where}, {text}" if rng.random() < 0.2 else f"{text} {where}"
    elif say.relation and scene.relation:
        if rng.random() < 0.7:
            text = f"{names[0]} {_word(rng, scene.relation)} {names[1]}"
        else:
            text = f"{names[1]} {_word(rng, INVERSE[scene.relation])} {names[0]}"
    else:
        text = " and ".join(names if rng.random() < 0.5 else names[::-1])
    if not say.background:
        return text
    ground = _ground(rng, scene)
    return f"{ground}, {text}" if rng.random() < 0.2 else f"{text} {ground}"


def prompts(skill: str, number: int, *, unseen: bool = False, seed: int = 0) -> list[Prompt]:
    """Writes prompts of one skill. unseen: each asks for a combination that is never learned from.

    There are none of those, and [] is returned, where neither color nor relation is named: "single object" and "two
    objects". InputError for another skill.
    """
    if skill not in SKILLS:
        raise InputError(f"skill {skill!r}; allowed: {', '.join(SKILLS)}")
    colors = Say(colors=True)
    kind, say = {
        "single object": ("single", Say()),
        "two objects": ("pair", Say()),
        "counting": ("several", colors),
        "colors": ("single", colors),
        "position": ("pair", Say(relation=True)),
        "color attribution": ("pair", colors),
        "place": ("single", colors._replace(place=True)),
        "size": ("single", colors._replace(sizes=(True, True))),
    }[skill]
    if unseen and not (say.colors or say.relation):
        return []
    what = ("relation" if say.relation else "color") if unseen else None
    rng = np.random.default_rng((seed, SKILLS.index(skill), int(unseen), 2))
    drawn = [draw(rng, SCENES.index(kind), unseen=what) for _ in range(number)]
    return [Prompt(describe(scene, rng, say), skill, wanted(scene, say), scene) for scene in drawn]


def wanted(scene: Scene, say: Say) -> Wanted:
    """Returns what a caption of a scene asks for that says this much; backgrounds are not checked."""
    groups = tuple(
        Group(
            group[0].kind,
            group[0].color if say.colors else None,
            group[0].size if size else None,
            len(group) if len(scene.things) > len(scene.groups) else None,
        )
        for group, size in zip(scene.groups, say.sizes, strict=False)
    )
    return Wanted(groups, scene.relation if say.relation else None, scene.place if say.place else None)


def _word(rng: np.random.Generator, name: str) -> str:
    """Chooses a synonym: the first in two of three cases, if there are others."""
    first, *others = WORDS[name]
    return others[int(rng.integers(len(others)))] if others and rng.random() < 1 / 3 else first


def _named(rng: np.random.Generator, group: tuple[Thing, ...], color: bool, size: bool) -> str:
    """Names a group: "a small red star", "two stars that are red"."""
    thing, number = group[0], len(group)
    noun = _word(rng, thing.kind)
    if number > 1:
        noun += "es" if noun.endswith(("s", "x")) else "s"
    said = [_word(rng, thing.size)] if size else []
    said += [_word(rng, thing.color)] if color else []
    if said and rng.random() < 0.1:
        words, after = [noun], f" that {'are' if number > 1 else 'is'} {' and '.join(said)}"
    else:
        words, after = [*said, noun], ""
    one = "an" if words[0][0] in "aeiou" else "a"
    if number == 1:
        return " ".join([one, *words]) + after
    return " ".join([NUMBERS[number] if rng.random() < 0.9 else str(number), *words]) + after


def _where(rng: np.random.Generator, place: str) -> str:
    """Says where one of PLACES is."""
    row, _, column = place.partition(" ")
    if place == "center":
        return ("in the center", "in the middle")[rng.integers(2)]
    if column == "center":
        return f"at the {row}"
    if row == "center":
        return (f"on the {column}", f"at the {column}")[rng.integers(2)]
    corner = f"{_CORNER[row][rng.integers(2)]} {column}"
    return (f"at the {corner}", f"in the {corner} corner")[rng.integers(2)]


def _ground(rng: np.random.Generator, scene: Scene) -> str:
    """Names the background, or half of what there is to say of it."""
    tone, pattern = _word(rng, scene.background.tone), _word(rng, scene.background.pattern)
    chosen = ([pattern, tone], [tone], [pattern])[rng.choice(3, p=[0.6, 0.3, 0.1])]
    words = [*chosen, ("background", "ground")[rng.integers(2)]]
    return " ".join([("on", "against")[int(rng.random() < 0.25)], "a", *words])
