"""Reads weights from files of others: .npz, .safetensors and .pth by torch.save; no code in them is run."""

from __future__ import annotations

import hashlib
import io
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
import safetensors

from gen.errors import InputError
from gen.features import state_dict
from gen.files import expand, printable, read_regular
from gen.npz import read_npz

_MOST = 2**36  # bytes of a file of weights
_LONGEST_NAME = 1000
_SAFETENSORS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": jnp.bfloat16},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}


class Weights(NamedTuple):
    """The content of a file: arrays by name, those of any float type as float32, and the sha256 of the file."""

    tensors: dict[str, np.ndarray]
    digest: str


def read_weights(path: str | Path) -> Weights:
    """Reads the arrays of a file, which is known by its content: .npz, .safetensors, or a state dict by torch.save.

    The digest is that of the very bytes that were read. Nothing in the file is executed: what a state dict does not
    need is refused. Raises InputError, in one line, for what cannot be read.
    """
    try:
        content = read_regular(expand(path), most=_MOST)
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror}") from None
    try:
        tensors = {_name(name): _float32(name, array) for name, array in _read(content)}
    except InputError as error:
        raise InputError(f"{printable(path)}: {printable(error)}") from None
    except MemoryError:
        raise InputError(f"{printable(path)}: does not fit into the memory of this machine") from None
    except Exception as error:  # zipfile, zlib, lzma, json, struct and numpy have a dozen for bytes that nobody wrote
        reason = printable(f"{type(error).__name__}: {error}")
        raise InputError(f"{printable(path)}: a damaged file: {reason}") from None
    return Weights(tensors, hashlib.sha256(content).hexdigest())


def _read(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            is_torch = state_dict.is_zip(archive)
            if is_torch:
                yield from state_dict.read_zip(archive)
        if not is_torch:
            yield from read_npz(io.BytesIO(content)).items()
    elif content.startswith(b"\x80"):
        yield from state_dict.read_stream(io.BytesIO(content))
    elif content[8:9] == b"{":
        yield from _safetensors(content)
    else:
        raise InputError("not weights that can be read; allowed: .npz, .safetensors, .pth by torch.save")


def _float32(name: str, array: np.ndarray) -> np.ndarray:
    if array.dtype.kind in "SU":
        raise InputError(f"{name!r} is text, no weights")
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    try:
        with np.errstate(over="raise", invalid="ignore"):
            return array.astype(np.float32)
    except FloatingPointError:
        raise InputError(f"{name!r} has numbers beyond those of float32") from None


def _name(name: str) -> str:
    if len(name) > _LONGEST_NAME:
        raise InputError(f"a name of {len(name):,} characters, {name[:40]!r}...")
    return name


def _safetensors(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """The library checks the header: sizes, shapes, and that the tensors share no bytes and leave none over."""
    for name, entry in safetensors.deserialize(content):
        if (kind := entry["dtype"]) not in _SAFETENSORS:
            raise InputError(f"{name!r} is of type {kind}; allowed: {', '.join(_SAFETENSORS)}")
        yield name, np.frombuffer(entry["data"], _SAFETENSORS[kind]).reshape(entry["shape"])
