"""A function of many files, computed in threads and in order."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from gen.cli import progress_bar

_CHUNK = 256  # results at most that wait to be taken
Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], *, doing: str, unit: str = "images"
) -> Generator[tuple[Item, Result], None, None]:
    """(item, function(item)) in order of the items; `doing` names the progress bar."""
    with progress_bar(len(items), unit, doing=doing) as bar, ThreadPoolExecutor() as pool:
        for begin in range(0, len(items), _CHUNK):
            chunk = items[begin : begin + _CHUNK]
            yield from zip(chunk, pool.map(function, chunk), strict=True)
            bar.update(len(chunk))
