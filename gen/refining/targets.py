"""Where the results of gen.refine go: one name for each input, no two alike, none that of an input."""

from __future__ import annotations

import hashlib
import os
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gen import pictures, provenance, written
from gen.errors import InputError
from gen.files import expand, printable
from gen.image_io import find_images, ignored_line

PROGRAM = "gen.refine"
_SAME = {".jpg": "jpeg", ".jpeg": "jpeg", ".jpe": "jpeg", ".webp": "webp", ".gif": "gif"}  # all others become png
_LONGEST = 255  # bytes of a name that file systems take


class Job(NamedTuple):
    """A file to refine."""

    source: Path
    target: Path
    format: str
    named: bool  # by the user, not found in a folder


class _File(NamedTuple):
    source: Path
    place: Path  # in its folder, and below the folder of the results
    named: bool


def jobs_of(
    inputs: Sequence[str], out: Path, format: str, is_result: Callable[[provenance.Record], bool]
) -> tuple[list[Job], list[str]]:
    """Each file to refine once, with where its result goes; and lines about what was passed over.

    format: png, jpeg, webp, gif, or same. is_result: of this chain, by a record. Results that stand in `out` already
    are passed over. Raises InputError, before anything is written, when there is nothing to refine, and for names that
    cannot be kept apart.
    """
    if not inputs:
        raise InputError("no images: name files or folders, python -m gen.refine photos --chain ... --out DIR")
    files, results = list[_File](), list[_File]()
    lines = list[str]()
    once = {os.path.abspath(file.source): file for file in _files(inputs, lines)}.values()
    for file in {(file.source.resolve(), file.place): file for file in once}.values():  # by a link, too
        there = file.source.resolve().is_relative_to(out.resolve()) and _made_before(file.source, is_result)
        (results if there else files).append(file)
    if not files:  # somebody who names results alone wants them
        files, results = [file for file in results if file.named], []
    if not files:
        raise InputError(f"--out={printable(out)}: all images there are results of gen.refine; nothing is left to do")
    if results:
        lines.append(f"{len(results):,} results of gen.refine in {printable(out)} are not refined again")
    formats = [_SAME.get(file.place.suffix.lower(), "png") if format == "same" else format for file in files]
    places = _apart([file.place for file in files], formats)
    jobs = [Job(f.source, out / place, kind, f.named) for f, place, kind in zip(files, places, formats, strict=True)]
    _check(jobs, out)
    return jobs, lines


def preview_path(out: Path, jobs: Sequence[Job]) -> Path:
    """Where before and after go: preview.png, with a number where that is a result or an input."""
    taken = {_folded(path.resolve()) for job in jobs for path in (job.source, job.target)}
    names = (f"preview{'' if i == 1 else f'-{i}'}.png" for i in range(1, len(taken) + 2))
    return next(out / name for name in names if _folded((out / name).resolve()) not in taken)


def _files(inputs: Sequence[str], lines: list[str]) -> Iterator[_File]:
    for text in inputs:
        root, found = expand(text), find_images([text])
        if line := ignored_line(found):
            lines.append(f"{printable(root)}: {line}")
        for file in found.files:
            inner = root.is_dir()
            yield _File(file, file.relative_to(root) if inner else Path(file.name), not inner)


def _made_before(file: Path, is_result: Callable[[provenance.Record], bool]) -> bool:
    if written.by(file) == PROGRAM:
        return True
    try:
        return any(map(is_result, provenance.read_all(file).values()))
    except InputError:
        return False


def _apart(places: Sequence[Path], formats: Sequence[str]) -> list[Path]:
    """The names of results: those of the inputs with another suffix, after the input's own where two would be alike.

    An input that has the very name of its result keeps it. Where that is not enough there is a number, too. Names are
    alike that differ in upper and lower case alone: some file systems take them for one.
    """
    wanted = [_renamed(place, place.stem, kind) for place, kind in zip(places, formats, strict=True)]
    count = Counter(map(_folded, wanted))
    kept = [new == old or count[_folded(new)] == 1 for old, new in zip(places, wanted, strict=True)]
    taken = {_folded(new) for new, keep in zip(wanted, kept, strict=True) if keep}
    for i, (old, kind) in enumerate(zip(places, formats, strict=True)):
        number = 1
        while not kept[i]:
            wanted[i] = _renamed(old, old.name if number == 1 else f"{old.name}-{number}", kind)
            kept[i], number = _folded(wanted[i]) not in taken, number + 1
        taken.add(_folded(wanted[i]))
    return wanted


def _folded(place: Path) -> str:
    return unicodedata.normalize("NFC", str(place)).casefold()


def _renamed(place: Path, stem: str, format: str) -> Path:
    """`place` under another name; one that would be too long is cut and gets a digest of what it was."""
    suffix = (
        place.suffix if _SAME.get(place.suffix.lower()) == format and stem == place.stem else pictures.suffix(format)
    )
    encoded = stem.encode("utf-8", "surrogateescape")
    if len(encoded) + len(suffix) > _LONGEST:
        digest = hashlib.sha256(encoded).hexdigest()[:8]
        stem = f"{encoded[: _LONGEST - len(suffix) - 9].decode('utf-8', 'ignore')}-{digest}"
    return place.with_name(stem + suffix)


def _check(jobs: Sequence[Job], out: Path) -> None:
    """Raises InputError for a result in the place of an input, of another result, or of a folder."""
    sources = {job.source.resolve() for job in jobs}
    taken = dict[Path, Path]()
    for source, target, *_ in jobs:
        if target.is_dir():
            raise InputError(f"--out={printable(out)}: {printable(target)} is a folder; name another folder")
        if target.resolve() in sources:
            result = "its own result" if target.resolve() == source.resolve() else f"the result of {printable(source)}"
            raise InputError(
                f"--out={printable(out)}: the input {printable(target)} would be overwritten by {result}; "
                "name another folder"
            )
        if target in taken:
            both = f"{printable(taken[target])} and {printable(source)}"
            raise InputError(f"{both} would both be written to {printable(target)}; refine them apart")
        taken[target] = source
