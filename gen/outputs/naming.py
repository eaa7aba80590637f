"""Names results: one name for each input, no two alike, and none in the place of an input."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from gen.errors import InputError
from gen.files import expand, printable

_LONGEST = 255  # bytes of a name that file systems take


class Input(NamedTuple):
    """An image file that a program was given."""

    file: Path
    place: Path  # below the folder that it was found in; its name, if the user named it
    named: bool  # by the user, not found in a folder


def inputs_in(text: str | os.PathLike[str], files: Iterable[Path]) -> list[Input]:
    """Returns the files that were found by `text`, a file or a folder, with their places."""
    root = expand(text)
    if root.is_dir():
        return [Input(file, file.relative_to(root), False) for file in files]
    return [Input(file, Path(file.name), True) for file in files]


def distinct_names(places: Sequence[Path], suffixes: Sequence[str], *, reserved: Iterable[str] = ()) -> list[Path]:
    """Names the result of each input: its place with another suffix, after its own where two would be alike.

    suffixes: of the results. reserved: names that are taken. An input that has the very name of its result keeps it.
    Where that is not enough there is a number, too. Names are alike that differ in upper and lower case alone: some
    file systems take them for one.
    """
    wanted = [_renamed(place, place.stem, suffix) for place, suffix in zip(places, suffixes, strict=True)]
    taken = {folded(Path(name)) for name in reserved}
    count = Counter(map(folded, wanted)) + Counter(taken)
    kept = [new == old or count[folded(new)] == 1 for old, new in zip(places, wanted, strict=True)]
    taken |= {folded(new) for new, keep in zip(wanted, kept, strict=True) if keep}
    for i, (old, suffix) in enumerate(zip(places, suffixes, strict=True)):
        number = 1
        while not kept[i]:
            wanted[i] = _renamed(old, old.name if number == 1 else f"{old.name}-{number}", suffix)
            kept[i], number = folded(wanted[i]) not in taken, number + 1
        taken.add(folded(wanted[i]))
    return wanted


def check_apart(pairs: Iterable[tuple[Path, Path]]) -> None:
    """Raises InputError when two inputs, each with the name of its result, have one and the same name."""
    taken = dict[Path, Path]()
    for source, name in pairs:
        if name in taken:
            both = f"{printable(taken[name])} and {printable(source)}"
            raise InputError(f"{both} would both be written to {printable(name)}; give them apart")
        taken[name] = source


def check_inputs_stay(pairs: Sequence[tuple[Path, Path]], *, out: Path) -> None:
    """Raises InputError when a result would replace an input or a folder. pairs: input, result. out: as named."""
    sources = {source.resolve() for source, _ in pairs}
    for source, target in pairs:
        if target.is_dir():
            raise InputError(f"--out={printable(out)}: {printable(target)} is a folder; name another folder")
        if target.resolve() in sources:
            result = "its own result" if target.resolve() == source.resolve() else f"the result of {printable(source)}"
            replaced = f"the input {printable(target)} would be overwritten by {result}"
            raise InputError(f"--out={printable(out)}: {replaced}; name another place")


def folded(place: Path) -> str:
    """Returns a name as a file system that ignores case compares it."""
    return unicodedata.normalize("NFC", str(place)).casefold()


def _renamed(place: Path, stem: str, suffix: str) -> Path:
    """Renames `place`; a name that would be too long is cut and gets a digest of the whole."""
    encoded = stem.encode("utf-8", "surrogateescape")
    if len(encoded) + len(suffix) > _LONGEST:
        digest = hashlib.sha256(encoded).hexdigest()[:8]
        stem = f"{encoded[: _LONGEST - len(suffix) - 9].decode('utf-8', 'ignore')}-{digest}"
    return place.with_name(stem + suffix)
