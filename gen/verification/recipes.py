"""Reads from a record how an image is made again: its kind, its settings, and the arguments of sampling.

A record may come from anybody: every value is checked as a flag would be, and no file is opened that it names.
"""

from __future__ import annotations

import contextlib
import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any, Literal, NamedTuple

from gen.cli import SAMPLING
from gen.cli.arguments import parse_seeds
from gen.errors import InputError
from gen.files import printable, quoted, told
from gen.imaging.chain import Chain, chain
from gen.provenance import PREFIX, Record, text_of

Kind = Literal["still", "grid", "interpolation", "refined"]
_CONDITIONS = ("temperature", "top_k", "top_p", "guidance", "steps")
_MOST_IMAGES = 4096  # of one file
_LARGER = 16  # how many times more pixels than its file a picture on its way may have


class Recipe(NamedTuple):
    """How an image, or a picture of several, was made."""

    kind: Kind
    step: int | None  # of the checkpoint; None: of no run
    seeds: tuple[int, ...]
    label: str | None  # as the record has it
    truncation: float
    conditions: tuple[tuple[str, float], ...]
    chain: str | None
    refine_seed: int
    source: str | None  # sha256 of the file that was refined
    frames: int | None  # of an interpolation, from one seed to the next
    prompts: tuple[str, ...] = ()  # of a still one at most
    negative: str | None = None


def recipe(record: Record) -> Recipe:
    """Returns how the image of a record is made. Raises InputError for one that cannot be made from it."""
    field = {name.removeprefix(PREFIX): value for name, value in record.items()}
    text, shows = field.get("refine"), field.get("shows")
    refined = "refine_seed" in field
    if shows not in (None, "grid", "interpolation"):
        raise InputError(f"it shows {told(shows, longest=40)}, which is not made again")
    if refined and (shows or not isinstance(field.get("source"), str) or not isinstance(text, str)):
        raise InputError("its record does not say of which file, and by which chain")
    if "source" in field and not refined:
        raise InputError("it was made from another image, which is not made again")
    if not refined and "seed" not in field:
        raise InputError("its record names no seed")
    seeds = () if refined else _seeds(field["seed"], repeated=shows == "interpolation")
    if len(seeds) > 1 and shows is None:
        raise InputError(f"its record names {len(seeds):,} seeds, and it shows one image")
    prompts = _prompts(field)
    if len(prompts) > 1 and shows is None:
        raise InputError(f"its record names {len(prompts):,} prompts, and it shows one image")
    given = tuple((name, _number(field, name)) for name in _CONDITIONS if name in field)
    return Recipe(
        kind="refined" if refined else shows or "still",
        step=None if refined else int(_number(field, "step")),
        seeds=seeds,
        label=None if refined or field.get("label") is None else str(field["label"]),
        truncation=_number(field, "truncation") if "truncation" in field else 1.0,
        conditions=given,
        chain=None if text in (None, "", "none") else str(text),
        refine_seed=int(_number(field, "refine_seed")) if refined else 0,
        source=field.get("source"),
        frames=int(_number(field, "frames")) if "frames" in field else None,
        prompts=() if refined else prompts,
        negative=None if refined or field.get("negative") is None else text_of(str(field["negative"])),
    )


@contextlib.contextmanager
def unheard(name: str) -> Iterator[None]:
    """Puts what an InputError says about a field of a record into quotes, as it repeats words of a stranger."""
    try:
        yield
    except InputError as error:
        raise InputError(
            f"its record has {PREFIX}{name} of which nothing can be made: {quoted(error, longest=100)}"
        ) from None


def labels_of(text: str | None, class_names: Sequence[str]) -> list[int] | None:
    """Returns the classes that a record names: names joined by ", ", which they may hold too. Raises InputError."""
    if text is None or not class_names:
        return None
    names, left, found = list(map(printable, class_names)), text, list[int]()
    while fitting := [name for name in names if left == name or left.startswith(f"{name}, ")]:
        longest = max(fitting, key=len)
        found.append(names.index(longest))
        left = left[len(longest) + 2 :]
        if not left:
            return found
    raise InputError(f"its record names a class {quoted(left, longest=40)}, which the run does not have")


def safe_chain(text: str | None, pixels: int) -> Chain | None:
    """Reads the chain of a record. Raises InputError for one that a stranger should not have done.

    It may name tables of colors in the current folder only, and make nothing on its way that is much larger than its
    file, of this number of pixels.
    """
    if text is None:
        return None
    with unheard("chain"):
        read = chain(text)
    for path in _tables(read):
        if path != PurePath(path).name:
            raise InputError(
                f"its chain names the file {told(path, longest=80)}; a record names files without their folders"
            )
    if any(math.prod(size) > _LARGER * pixels for size in _sizes(read)):
        raise InputError("its chain makes pictures that are much larger than the file")
    return read


def _sizes(read: Chain) -> Iterator[tuple[int, int]]:
    """Yields the sizes to which a chain resizes."""
    for step in read.steps:
        if step.name == "resize":
            given = dict(step.arguments)
            yield given["height"], given["width"]
        for nested in step.nested:
            yield from _sizes(nested)


def _tables(read: Chain) -> Iterator[str]:
    for step in read.steps:
        if step.name == "lut":
            yield str(dict(step.arguments)["path"])
        for nested in step.nested:
            yield from _tables(nested)


def _seeds(value: Any, *, repeated: bool) -> tuple[int, ...]:
    with unheard("seed"):
        seeds = parse_seeds(str(value), repeated=repeated)
    if len(seeds) > _MOST_IMAGES:
        raise InputError(f"its record names {len(seeds):,} seeds; allowed are {_MOST_IMAGES:,}")
    return tuple(seeds)


def _prompts(field: Mapping[str, Any]) -> tuple[str, ...]:
    if "prompts" not in field:
        return (text_of(str(field["prompt"])),) if field.get("prompt") is not None else ()
    try:
        found = json.loads(str(field["prompts"]))
    except (ValueError, RecursionError):
        found = None
    if not isinstance(found, list) or not all(isinstance(text, str) for text in found) or len(found) > _MOST_IMAGES:
        raise InputError(f"its record has {PREFIX}prompts {told(field['prompts'], longest=40)}, which are none")
    return tuple(found)


def _number(field: Mapping[str, Any], name: str) -> float:
    """Returns a number within the bounds of its flag."""
    value, rules = field.get(name), SAMPLING.get(name, {"at_least": 0, "at_most": 2**53})
    if not isinstance(value, int | float) or not rules["at_least"] <= value <= rules["at_most"]:
        raise InputError(f"its record has {PREFIX}{name} {told(value, longest=40)}, which is none")
    return value
