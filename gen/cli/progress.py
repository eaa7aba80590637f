"""Progress bars, on one line of a terminal, for work of more than five seconds. Imports no jax."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")
_LEAST_SECONDS = 5.0
_BYTES = {"unit": "B", "unit_scale": True, "unit_divisor": 1024}


def progress_bar(total: int | None, unit: str = "images", *, doing: str = "", done: int = 0) -> Any:
    """Makes a bar of tqdm, for `with`, that `update` moves; nothing is shown where stderr is no terminal.

    total: None when it is not known. unit: "B" is shown as MiB and GiB. done: what an earlier try left.
    """
    from tqdm import tqdm

    tqdm.monitor_interval = 0  # no thread of its own
    units = _BYTES if unit == "B" else {"unit": f" {unit}"}
    shown = {"desc": doing or None, "delay": _LEAST_SECONDS, "disable": None, "leave": False, "dynamic_ncols": True}
    return tqdm(total=total, initial=done, miniters=1, **units, **shown)


def progress(
    items: Iterable[T], total: int, *, size: Callable[[T], int] = lambda item: 1, doing: str = ""
) -> Iterator[T]:
    """Yields the items, and shows how many of all images are done. size: how many images an item is."""
    with progress_bar(total, doing=doing) as bar:
        for item in items:
            yield item
            bar.update(size(item))


def clear_bars() -> None:
    """Takes bars off the screen, where a line is to be printed; each comes back with its next update."""
    library = sys.modules.get("tqdm")
    for bar in list(library.tqdm._instances) if library else ():
        bar.clear()
