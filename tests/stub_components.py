"""Components that a config can name in tests, once GEN_PACKAGES holds "stub_components"."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gen.data import DatasetSplits, Examples

_NONE = Examples(np.zeros((0, 8, 8, 3), np.uint8), np.zeros(0, np.int32))


@dataclass(frozen=True)
class Files(DatasetSplits):
    options: dict[str, Any] = field(default_factory=dict)


def files(
    path: str | os.PathLike[str],
    resolution: int = 32,
    *,
    background: tuple[int, int, int] = (255, 255, 255),
    grayscale: bool = False,
    limit: int | None = None,
    small: Literal["refuse", "skip"] = "refuse",
    names: tuple[str, ...] = (),
) -> Files:
    options = {"resolution": resolution, "background": background, "names": names, "limit": limit}
    return Files(str(path), _NONE, _NONE, options=options)


@dataclass
class Net:
    width: int = 8
    scale: float = 1.0
    widths: tuple[int, ...] = (8, 16)


class Task:
    def __init__(self, net: Net, gamma: float = 1.0, *, image_shape: tuple[int, int, int], nets: tuple[Net, ...] = ()):
        self.net, self.gamma, self.image_shape, self.nets = net, gamma, image_shape, nets

    def init(self, key: Any) -> None:
        """What makes it a task."""

    class Inner:
        """Inside another: it cannot be named."""


def anything(**options: Any) -> dict[str, Any]:
    return options


def untyped(width=8, activation=None):
    return width, activation


def twin() -> Callable[[], None]:
    """A function whose name leads to another one."""

    @functools.wraps(anything)
    def other() -> None: ...

    return other


borrowed = Path  # a class of another package, under a name of this one
