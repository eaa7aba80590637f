"""Keeps arrays in the data cache: they are read back only if they are what was written by this user."""

from __future__ import annotations

import hashlib
import io
import logging
from collections.abc import Mapping

import numpy as np

from gen.errors import InputError
from gen.files import atomic_write, cache_home, printable, private_folder
from gen.npz import read_npz

_log = logging.getLogger(__name__)
Arrays = dict[str, np.ndarray]


def digest(arrays: Mapping[str, np.ndarray]) -> str:
    """Computes the sha256 of names, shapes, types and values."""
    hasher = hashlib.sha256()
    for name in sorted(arrays):
        hasher.update(f"{name} {arrays[name].shape} {arrays[name].dtype}".encode())
        hasher.update(np.ascontiguousarray(arrays[name]).tobytes())
    return hasher.hexdigest()


def read(name: str) -> Arrays | None:
    """Reads what `write` wrote under a name; None when it is not there or damaged."""
    try:
        arrays = read_npz(private_folder(cache_home()) / f"{name}.npz")
        given = str(arrays.pop("digest"))
    except (OSError, InputError, KeyError):
        return None
    return arrays if given == digest(arrays) else None


def write(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Writes arrays under a name, whole or not at all; a cache that cannot be written costs a warning."""
    buffer = io.BytesIO()
    np.savez(buffer, **{**arrays, "digest": np.array(digest(arrays))})  # type: ignore[arg-type]
    file = cache_home() / f"{name}.npz"
    try:
        private_folder(file.parent)
        atomic_write(file, buffer.getvalue())
    except OSError as error:
        _log.warning("cannot write %s (%s): it will be made again next time", printable(file), error.strerror or error)
