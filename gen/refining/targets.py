"""Finds the inputs of gen.refine, and the place of each result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gen import provenance
from gen.errors import InputError
from gen.files import expand, printable
from gen.image_io import find_images, ignored_line
from gen.outputs import encoding, manifest
from gen.outputs.naming import Input, check_apart, check_inputs_stay, distinct_names, folded, inputs_in


class Job(NamedTuple):
    """A file to refine."""

    source: Path
    target: Path
    format: str
    named: bool  # by the user, not found in a folder


def jobs_of(
    inputs: Sequence[str | Path], out: Path, format: str, is_result: Callable[[provenance.Record], bool]
) -> tuple[list[Job], list[str]]:
    """Returns each file to refine once, with the place of its result; and lines about what was passed over.

    format: png, jpeg, webp, gif, or same. is_result: of this chain, by a record. Results that stand in `out` already
    are passed over. Raises InputError, before anything is written, when there is nothing to refine, and for names that
    cannot be kept apart.
    """
    if not inputs:
        raise InputError("no images: name files or folders, python -m gen.refine photos --chain ... --out DIR")
    files, results = list[Input](), list[Input]()
    lines = list[str]()
    once = {os.path.abspath(given.file): given for given in _files(inputs, lines)}.values()
    for file in {(given.file.resolve(), given.place): given for given in once}.values():  # by a link, too
        there = file.file.resolve().is_relative_to(out.resolve()) and _made_before(file.file, is_result)
        (results if there else files).append(file)
    if not files:  # somebody who names results alone wants them
        files, results = [file for file in results if file.named], []
    if not files:
        raise InputError(f"--out={printable(out)}: all images there are results of gen.refine; nothing is left to do")
    if results:
        lines.append(f"{len(results):,} results of gen.refine in {printable(out)} are not refined again")
    formats = [encoding.FORMATS.get(file.place.suffix.lower(), "png") if format == "same" else format for file in files]
    suffixes = [_suffix(file.place, kind) for file, kind in zip(files, formats, strict=True)]
    names = distinct_names([file.place for file in files], suffixes)
    jobs = [Job(f.file, out / name, kind, f.named) for f, name, kind in zip(files, names, formats, strict=True)]
    pairs = [(job.source, job.target) for job in jobs]
    check_inputs_stay(pairs, out=out)
    check_apart(pairs)
    return jobs, lines


def preview_path(out: Path, jobs: Sequence[Job]) -> Path:
    """Names the picture of before and after: preview.png, with a number where that is a result or an input."""
    taken = {folded(path.resolve()) for job in jobs for path in (job.source, job.target)}
    names = (f"preview{'' if i == 1 else f'-{i}'}.png" for i in range(1, len(taken) + 2))
    return next(out / name for name in names if folded((out / name).resolve()) not in taken)


def _files(inputs: Sequence[str | Path], lines: list[str]) -> Iterator[Input]:
    for text in inputs:
        found = find_images([text])
        if line := ignored_line(found):
            lines.append(f"{printable(expand(text))}: {line}")
        yield from inputs_in(text, found.files)


def _suffix(place: Path, format: str) -> str:
    kept = format != "png" and encoding.FORMATS.get(place.suffix.lower()) == format
    return place.suffix if kept else encoding.suffix(format)


def _made_before(file: Path, is_result: Callable[[provenance.Record], bool]) -> bool:
    return manifest.wrote(file) or any(map(is_result, records_of(file).values()))


def records_of(file: Path) -> dict[str, provenance.Record]:
    """Reads the records of an image file; none where it cannot be read."""
    try:
        return provenance.read_all(file)
    except InputError:
        return {}
