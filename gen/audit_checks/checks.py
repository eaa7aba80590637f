"""The kinds of findings: what each means, how bad it is, and the thresholds of numbers of single images, in one table.

VERSION counts its changes; it is in every audit. Thresholds were set on crops of eleven photographs that come with
scikit-learn, matplotlib, gradio and ultralytics, and are measured on others by benchmarks/audit.py.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal, NamedTuple

VERSION = 2

Severity = Literal["fault", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("fault", "warning", "note")
Condition = tuple[str, float]  # a number of `Measures`, and the threshold: beyond it, away from `_SOUND`
_LOW = {"detail", "brightest", "contrast", "chroma", "information", "quality"}  # numbers of which little is bad
COMMON = 1 / 3  # share of a set from which on a number tells what the set is like, and not what is wrong with an image
WORSE = 1.8  # times the median score of these, from which on an image is worse than the set is


class Kind(NamedTuple):
    """A kind of finding."""

    title: str
    severity: Severity  # fault: leave it out; warning: look at it; note: gen copes with it, you should know
    meaning: str
    rules: tuple[tuple[Condition, ...], ...] = ()  # any of these, each with all its conditions; (): found otherwise


KINDS: dict[str, Kind] = {
    "unreadable": Kind("unreadable", "fault", "cannot be decoded"),
    "truncated": Kind("truncated", "fault", "ends before the picture does"),
    "too_large": Kind("too large", "fault", "declares more pixels than are decoded: a bomb, or a mistake"),
    "leakage": Kind("in both splits", "fault", "a held-out image is among those to learn from"),
    "duplicate": Kind("exact duplicate", "fault", "the same pixels as another image"),
    "near_duplicate": Kind("near duplicate", "fault", "another image, stored, scaled, turned or cropped again"),
    "generated": Kind("generated", "fault", "says, or carries a mark, that a model made it"),
    "blur": Kind("blurred", "warning", "no edge is sharp", ((("edge_width", 1.22),),)),
    "noise": Kind(
        "noisy",
        "warning",
        "grain, or single wrong pixels",
        ((("noise", 5.2), ("whiteness", 0.5)), (("impulses", 0.01),)),
    ),
    "blocking": Kind(
        "JPEG blocks",
        "warning",
        "compressed until blocks show",
        ((("blocking", 0.19), ("quality", 60.0)), (("blocking", 0.45),), (("quality", 30.0),)),
    ),
    "upscaled": Kind(
        "enlarged",
        "warning",
        "no finer detail than a smaller image would have",
        ((("detail", -6.2),), (("detail", -4.8), ("periodicity", 10.0)), (("repetition", 0.4),)),
    ),
    "dark": Kind("dark", "warning", "nothing in it is bright", ((("brightest", 0.38),),)),
    "light": Kind("pale", "warning", "overexposed or washed out: nothing in it is dark", ((("palest", 0.42),),)),
    "low_contrast": Kind("low contrast", "warning", "its dark and its bright are close", ((("contrast", 0.1),),)),
    "low_information": Kind("empty", "fault", "next to nothing is to be seen", ((("information", 1.5),),)),
    "gray": Kind("gray among color", "warning", "without color, in a set with colors", ((("chroma", 0.03),),)),
    "border": Kind("border", "warning", "bands of one color around the picture", ((("border", 0.02),),)),
    "odd_aspect": Kind("odd shape", "warning", "more than twice as long as wide", ((("aspect", 2.2),),)),
    "odd_size": Kind("odd size", "warning", "far smaller or larger than the others"),
    "outlier": Kind("unlike the others", "warning", "far from every other image"),
    "label": Kind("label in doubt", "warning", "looks like another class"),
    "uncaptioned": Kind("no caption", "warning", "without a caption, where others have one"),
    "rotated": Kind("turned by EXIF", "note", "stored on its side; gen turns it upright"),
    "transparent": Kind("transparent", "note", "shown on the background of the data, white unless told"),
    "profile": Kind("color profile", "note", "of other colors than sRGB; gen converts it"),
    "deep": Kind("16 bits", "note", "more than 8 bits a channel; rounded to 8 for training"),
    "cmyk": Kind("CMYK", "note", "inks, not lights; gen converts it"),
    "frames": Kind("several frames", "note", "an animation or several pages, of which the first is used"),
}
BY_NUMBERS = tuple(name for name, kind in KINDS.items() if kind.rules)
# What most images of a set may be like without anything being wrong with them.
_OF_SETS = frozenset(
    ("blur", "noise", "upscaled", "dark", "light", "low_contrast", "gray", "border", "odd_aspect", "blocking")
)


def score(kind: Kind, numbers: Mapping[str, float]) -> float:
    """Returns how far beyond its thresholds an image is: 1 at the threshold, more is worse; 0 where none is known."""
    return max((min(_ratio(numbers, name, limit) for name, limit in rule) for rule in kind.rules), default=0.0)


def _ratio(numbers: Mapping[str, float], name: str, limit: float) -> float:
    value = numbers.get(name, math.nan)
    if math.isnan(value):
        return 0.0
    if name == "detail":  # a logarithm, below 0
        return max(0.0, value / limit)
    return min(limit / max(value, 1e-9), 1e3) if name in _LOW else min(value / limit, 1e3)


def found_by_numbers(numbers: Mapping[str, float]) -> dict[str, float]:
    """Returns the kinds that an image is found to be of by its numbers alone, with their scores."""
    scores = {name: score(KINDS[name], numbers) for name in BY_NUMBERS}
    found = {name: value for name, value in scores.items() if value >= 1}
    return found


def of_the_set(kind: str, share: float) -> bool:
    """Returns whether so large a share of images of a kind is what the set is like, rather than a finding in each."""
    return kind in _OF_SETS and share > COMMON
