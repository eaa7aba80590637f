"""A memory-mapped array that raises when its file was cut, where reading would end the process (SIGBUS)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from gen.errors import InputError
from gen.files import printable

_COPIED = 2**26  # bytes; a larger slice stays mapped


class Mapped(np.memmap):
    """The array of an .npy file. Indexing copies into memory, unless the result would be large."""

    _path: Path | None = None

    @classmethod
    def of(cls, array: np.memmap, path: Path) -> Mapped:
        """Wraps an array that is mapped from the file at `path`."""
        mapped = array.view(cls)
        mapped._path, mapped._size = path, path.stat().st_size
        return mapped

    def __array_finalize__(self, source: Any) -> None:
        super().__array_finalize__(source)
        self._path, self._size = getattr(source, "_path", None), getattr(source, "_size", 0)

    def __getitem__(self, key: Any) -> Any:
        """Indexes as any array. Raises InputError when the file has become shorter or cannot be reached any more."""
        if self._path is not None:
            check(self._path, self._size)
        found = np.asarray(self)[key]
        if not isinstance(found, np.ndarray) or not found.size:
            return found
        if found.nbytes > _COPIED and found.base is not None:
            mapped = found.view(Mapped)
            mapped._path, mapped._size = self._path, self._size
            return mapped
        return found if found.base is None else found.copy()


def check(path: Path, size: int) -> None:
    """Raises InputError when the file at `path` has fewer bytes than `size`. A removed file stays mapped."""
    try:
        found = path.stat().st_size
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"the data cache {printable(path)} cannot be read any more ({error.strerror})") from None
    if found < size:
        raise InputError(
            f"the data cache {printable(path)} was cut to {found:,} of {size:,} bytes while it was in use; "
            "start again: what is there of it is made anew"
        )
