"""Weights out of files that others made: .npz, .safetensors and .pth by torch.save; no code in them is run."""

from __future__ import annotations

import hashlib
import io
import json
import math
import struct
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.features import torch_file
from gen.files import expand

_SAFETENSORS = {
    **{"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": jnp.bfloat16},
    **{"I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1", "U8": "u1", "BOOL": "?"},
}


class Weights(NamedTuple):
    """What a file held: arrays by name, those of any float type as float32, and the sha256 of the file."""

    tensors: dict[str, np.ndarray]
    digest: str


def read_weights(path: str | Path) -> Weights:
    """The arrays in a file, which is known by its content: .npz, .safetensors, or a state dict by torch.save.

    The digest is that of the very bytes that were read. Nothing in the file is executed: what a state dict does not
    need is refused. Raises InputError, in one line, for what cannot be read.
    """
    try:
        content = expand(path).read_bytes()
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    try:
        tensors = {name: _float32(name, array) for name, array in _read(content)}
    except InputError as error:
        raise InputError(f"{path}: {error}") from None
    except Exception as error:  # zipfile, zlib, lzma, json, struct and numpy have a dozen for bytes that nobody wrote
        reason = " ".join(f"{type(error).__name__}: {error}".split())
        raise InputError(f"{path}: a damaged file: {reason}") from None
    return Weights(tensors, hashlib.sha256(content).hexdigest())


def _read(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    if content.startswith(b"PK\x03\x04"):
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            yield from torch_file.read_zip(archive) if torch_file.is_zip(archive) else _npz(archive)
    elif content.startswith(b"\x80"):
        yield from torch_file.read_stream(io.BytesIO(content))
    elif content[8:9] == b"{":
        yield from _safetensors(content)
    else:
        raise InputError("not weights that can be read; allowed: .npz, .safetensors, .pth by torch.save")


def _float32(name: str, array: np.ndarray) -> np.ndarray:
    if not jnp.issubdtype(array.dtype, jnp.floating):
        return array
    try:
        with np.errstate(over="raise", invalid="ignore"):
            return array.astype(np.float32)
    except FloatingPointError:
        raise InputError(f"{name!r} has numbers beyond those of float32") from None


def _npz(archive: zipfile.ZipFile) -> Iterator[tuple[str, np.ndarray]]:
    for name in archive.namelist():
        if not name.endswith(".npy"):
            raise InputError(f"a zip file with {name!r}, neither .npz nor by torch.save")
        with archive.open(name) as member:
            yield name.removesuffix(".npy"), np.lib.format.read_array(member, allow_pickle=False)


def _safetensors(content: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """The layout of huggingface/safetensors: the header's length as uint64, the header as JSON, the numbers."""
    (length,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + length])
    header.pop("__metadata__", None)
    for name, entry in header.items():
        match entry:
            case {"dtype": str(kind), "shape": [*shape], "data_offsets": [int(start), int(end)]}:
                pass
            case _:
                raise InputError(f"a damaged file: the entry of {name!r}")
        if kind not in _SAFETENSORS:
            raise InputError(f"{name!r} is of type {kind}; allowed: {', '.join(_SAFETENSORS)}")
        dtype = np.dtype(_SAFETENSORS[kind])
        whole = all(type(size) is int and size >= 0 for size in shape)
        fits = 0 <= start <= end <= len(content) - 8 - length
        if not (whole and fits and end - start == math.prod(shape) * dtype.itemsize):
            raise InputError(f"a damaged file: {name!r} does not fit its place")
        yield name, np.frombuffer(content[8 + length + start : 8 + length + end], dtype).reshape(shape)
