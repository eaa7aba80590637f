"""Parsers of --seeds and --label. Imports no jax."""

from __future__ import annotations

import re
from collections.abc import Sequence

from gen.errors import InputError, nearest
from gen.files import printable

_MAX_SEEDS = 1_000_000


def parse_seeds(text: str, *, repeated: bool = False) -> list[int]:
    """Parses seeds, "5", "0-63" (both ends included), "3,7,11" or "0-3,9". repeated: one may come again.

    Raises InputError.
    """
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if not found:
            raise InputError(f"--seeds={text}: '{part}' is not a seed; allowed: 5, or 0-63, or 3,7,11")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise InputError(f"--seeds={text}: {first} is larger than {last}")
        if last >= 2**32:
            raise InputError(f"--seeds={text}: {last} is too large; the largest seed is {2**32 - 1}")
        if len(seeds) + last - first >= _MAX_SEEDS:
            raise InputError(f"--seeds={text}: more than {_MAX_SEEDS:,} seeds; make them in several parts")
        seeds.extend(range(first, last + 1))
    if not repeated and (again := _first_repeated(seeds)) is not None:
        raise InputError(f"--seeds={text}: seed {again} is named twice, and would make the same image; name each once")
    return seeds


def _first_repeated(values: Sequence[int]) -> int | None:
    seen = set[int]()
    return next((value for value in values if value in seen or seen.add(value)), None)  # type: ignore[func-returns-value]


def parse_labels(text: str | None, class_names: Sequence[str]) -> list[int] | None:
    """Parses a class name, a number, several with commas, or "all" to class numbers; None: None. Raises InputError."""
    if text is None:
        return None
    if not class_names:
        raise InputError(f"--label={text}: this model was learned without classes; leave --label out")
    names, text = list(map(printable, class_names)), printable(text)
    lowered = [name.lower() for name in names]
    if text.lower() == "all":
        return list(range(len(class_names)))
    labels = []
    for part in [text] if text.lower() in lowered else text.split(","):  # a name may hold a comma
        name = part.strip().lower()
        if part.strip() in names:
            labels.append(names.index(part.strip()))
        elif name in lowered:
            labels.append(lowered.index(name))
        elif name.isdecimal() and int(name) < len(class_names):
            labels.append(int(name))
        else:
            known = ", ".join(names[:20]) + (", ..." if len(class_names) > 20 else "")
            meant = nearest(name, lowered)
            raise InputError(
                f"--label={text}: no class '{part.strip()}'{meant}; allowed: all, 0-{len(lowered) - 1}, {known}"
            )
    if (again := _first_repeated(labels)) is not None:
        raise InputError(f"--label={text}: class '{names[again]}' is named twice; name each once")
    return labels
