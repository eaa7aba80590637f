"""Progress bars, on one line of a terminal, for work of more than five seconds. Imports no jax."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

T = TypeVar("T")


def progress_bar(total: int, unit: str) -> Any:
    """Makes a bar of tqdm, for `with`, that `update` moves; nothing is shown where stderr is no terminal."""
    from tqdm import tqdm

    return tqdm(total=total, unit=f" {unit}", delay=5, disable=None, leave=False, dynamic_ncols=True)


def progress(items: Iterable[T], total: int, *, size: Callable[[T], int] = lambda item: 1) -> Iterator[T]:
    """Yields the items, and shows how many of all images are done. size: how many images an item is."""
    with progress_bar(total, "images") as bar:
        for item in items:
            yield item
            bar.update(size(item))
