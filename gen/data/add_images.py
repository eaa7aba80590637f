"""Files decoded in threads and added to the splits of a cache, in order, with what was skipped and why."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import numpy as np

from gen.cli import progress_bar
from gen.data.cache import Add
from gen.data.layout import File, plain
from gen.errors import InputError

_CHUNK = 256  # results at most that wait to be taken
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], *, doing: str, unit: str = "images"
) -> Generator[tuple[Item, Result], None, None]:
    """Yields (item, function(item)) in order of the items; `doing` names the progress bar."""
    with progress_bar(len(items), unit, doing=doing) as bar, ThreadPoolExecutor() as pool:
        for begin in range(0, len(items), _CHUNK):
            chunk = items[begin : begin + _CHUNK]
            yield from zip(chunk, pool.map(function, chunk), strict=True)
            bar.update(len(chunk))


def add_images(
    add: Add,
    files: Sequence[File],
    decode: Callable[[File], np.ndarray | str],
    *,
    where: str,
    strict: str = "",
    split_of: Callable[[int, File, Mapping[str, int]], str | None] = lambda number, file, counts: file.split,
    captions: Mapping[str, Sequence[bytes]] | None = None,
) -> list[dict[str, str]]:
    """Adds every readable image to its split; returns the skipped files with reasons.

    decode: the image uint8 [h w c], or the reason why there is none. where: begins each error. strict: not empty, the
    remedy that is named when a file cannot be read. split_of: from number and file, and how many each split has so far.
    captions: by name of the file; None: there are none.
    Raises InputError when a split gets no image.
    """
    counts, skipped = {"train": 0, "held_out": 0}, list[dict[str, str]]()
    with contextlib.closing(in_threads(decode, files, doing="decoding")) as decoded:
        for number, (file, image) in enumerate(decoded):
            if isinstance(image, str):
                if strict:
                    raise InputError(f"{where}/{plain(file.name)}: {image}; {strict}")
                skipped.append({"file": plain(file.name), "reason": image})
                continue
            split = split_of(number, file, counts) or "train"
            add(split, image[None], [file.label], None if captions is None else [captions.get(file.name, ())])
            counts[split] += 1
    if not all(counts.values()):
        why = f" (first skipped: {skipped[0]['file']}: {skipped[0]['reason']})" if skipped else ""
        raise InputError(
            f"{where} has {counts['train']} usable images to train on and {counts['held_out']} to hold out of "
            f"{sum(counts.values()) + len(skipped)}; both need at least one{why}{small_hint(skipped)}"
        )
    return skipped


def small_hint(skipped: Sequence[Mapping[str, str]]) -> str:
    """Names the option that takes images smaller than the resolution, if there are any."""
    small = sum("smaller than resolution" in entry["reason"] for entry in skipped)
    return f"; --config.data.small=enlarge takes the {small} too small" if small else ""
