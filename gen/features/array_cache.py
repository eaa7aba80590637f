"""Keeps arrays in the data cache: they are read back only if they are what was written by this user."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from typing import Any

import flax
import numpy as np
import safetensors.numpy

from gen import processes
from gen.files import atomic_write, cache_home, printable, private_folder

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
        with safetensors.safe_open(private_folder(cache_home()) / f"{name}.safetensors", "numpy") as file:
            arrays = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
            given = (file.metadata() or {}).get("digest")
    except (OSError, safetensors.SafetensorError):
        return None
    return arrays if given == digest(arrays) else None


def write(arrays: Mapping[str, np.ndarray], name: str) -> None:
    """Writes arrays under a name, whole or not at all; a cache that cannot be written costs a warning."""
    dense = {key: np.array(array, order="C") for key, array in arrays.items()}
    content = safetensors.numpy.save(dense, metadata={"digest": digest(arrays)})
    file = cache_home() / f"{name}.safetensors"
    try:
        private_folder(file.parent)
        atomic_write(file, content)
    except OSError as error:
        _log.warning("cannot write %s (%s): it will be made again next time", printable(file), error.strerror or error)


def of_first(find: Callable[[], Arrays | None]) -> Arrays | None:
    """Returns what process 0 finds, in every process: two trainings would be two networks, and caches differ."""

    def packed() -> bytes:
        found = find()
        return b"" if found is None else safetensors.numpy.save({k: np.array(x, order="C") for k, x in found.items()})

    if processes.alone():
        return find()
    content = processes.bytes_of_first(packed)
    return safetensors.numpy.load(content) if content else None


def kept_params(name: str, make: Callable[[], Any]) -> Any:
    """Returns the parameters that were kept under a name, or makes and keeps them. "": they are not kept."""
    stored = read(name) if name else None
    if stored is not None:
        return flax.traverse_util.unflatten_dict(stored, sep="/")
    params = make()
    if name:
        write({key: np.asarray(x) for key, x in flax.traverse_util.flatten_dict(params, sep="/").items()}, name)
    return params


def params_digest(params: Any) -> str:
    """Computes the digest of parameters."""
    return digest({key: np.asarray(x) for key, x in flax.traverse_util.flatten_dict(params, sep="/").items()})
