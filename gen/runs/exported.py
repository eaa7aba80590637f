"""Exported models: folders by gen.export that every program opens in place of a run. Nothing in them is run as code.

OUT/config.json, data.json        as in a run folder
OUT/model.safetensors             the averaged weights, named "role/path/of/the/leaf"
OUT/discriminator.safetensors     those of the adversary, where there was one: projection into a GAN needs it

The metadata of both files, all text, say which step of which run they are of, and hold the digest of their weights.
What differs from the model that config.json describes, in names, types, shapes or digests, is refused.
"""

from __future__ import annotations

import json
import math
import os
import re
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy

from gen import __version__
from gen.errors import InputError
from gen.files import parse_json, printable, read_regular
from gen.runs import leaves

DISCRIMINATOR = "discriminator.safetensors"
_FORMAT = "gen"  # "format" in the metadata, which other libraries set to "pt", "flax" ...
_HEADER = 2**20  # bytes beside the numbers that a file may have, and _ENTRY for each leaf
_ENTRY = 1000
_DIGEST = r"[0-9a-f]{64}"
_METADATA = {"step": r"0|[1-9][0-9]{0,17}", "run": r".{0,300}", "config_digest": _DIGEST, "weights_digest": _DIGEST}
_TYPES = {
    **{"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16", "BOOL": "bool"},
    **{f"{kind}{bits}": f"{name}{bits}" for kind, name in (("I", "int"), ("U", "uint")) for bits in (8, 16, 32, 64)},
}


class Weights(NamedTuple):
    """The content of a file of weights."""

    tree: Any  # role -> weights
    step: int  # of the checkpoint that was exported
    run: str  # name of the folder of its run


def pack(tree: Any, *, step: int, run: str, config_digest: str) -> bytes:
    """Packs weights, role -> tree, as the content of a .safetensors file."""
    host = {name: np.ascontiguousarray(leaf).reshape(np.shape(leaf)) for name, leaf in leaves.named(tree).items()}
    metadata = {
        **{"format": _FORMAT, "version": __version__, "step": str(step), "run": printable(run)},
        **{"config_digest": config_digest, "weights_digest": leaves.weights_digest(host)},
    }
    return _in_order(safetensors.numpy.save(host, metadata))


def _in_order(content: bytes) -> bytes:
    """Sorts the header of a .safetensors file, so that equal weights are equal files: the library's order is random."""
    (length,) = struct.unpack_from("<Q", content)
    header = json.loads(content[8 : 8 + length])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, ensure_ascii=False, separators=(",", ":")).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + content[8 + length :]


def read(path: Path, abstract: Any, *, config_digest: str) -> Weights:
    """Reads weights of the leaves of `abstract`, which may say on which devices.

    Raises InputError, one line, unless the file holds exactly these leaves, undamaged, of a run with this config.
    """
    named = leaves.named(abstract)
    size = sum(math.prod(leaf.shape) * leaf.dtype.itemsize for leaf in named.values())
    try:
        content = read_regular(path, most=size + _HEADER + _ENTRY * len(named))
        metadata, host = _unpacked(content)
        _check(metadata, host, named, config_digest)
    except OSError as error:
        raise InputError(f"{printable(path)}: cannot be read: {error.strerror}") from None
    except InputError as error:
        raise InputError(f"{printable(path)}: {str(error).removeprefix(f'{printable(path)}: ')}") from None
    placed = [leaves.place(host[name], leaf) for name, leaf in named.items()]
    return Weights(jax.tree.unflatten(jax.tree.structure(abstract), placed), int(metadata["step"]), metadata["run"])


def verify(path: Path, *, config_digest: str | None = None) -> None:
    """Compares the weights in a file with their digest, without the model; nothing is put on a device.

    Raises InputError, without the path, unless it is an undamaged file of gen's; of this config, where it is known.
    """
    try:
        metadata, host = _unpacked(read_regular(path, most=os.path.getsize(path)))
    except OSError as error:
        raise InputError(f"cannot be read: {error.strerror}") from None
    _check(metadata, host, host, config_digest or metadata.get("config_digest", ""))


def _unpacked(content: bytes) -> tuple[dict[str, str], dict[str, np.ndarray]]:
    """Returns the metadata and the arrays of a .safetensors file. Raises InputError."""
    try:  # the library checks the header: sizes, shapes, and that the tensors share no bytes and leave none over
        entries = safetensors.deserialize(content)
        (length,) = struct.unpack_from("<Q", content)
        metadata = parse_json(content[8 : 8 + length]).get("__metadata__") or {}
    except (safetensors.SafetensorError, ValueError, struct.error) as error:
        raise InputError(f"a damaged file of weights ({printable(error)})") from None
    host = {}
    for name, entry in entries:
        if (kind := entry["dtype"]) not in _TYPES:
            raise InputError(f"{printable(name)} is of type {printable(kind)}; allowed: {', '.join(_TYPES)}")
        host[name] = np.frombuffer(entry["data"], jnp.dtype(_TYPES[kind])).reshape(entry["shape"])
    return metadata, host


def _check(
    metadata: Mapping[str, str], host: Mapping[str, np.ndarray], named: Mapping[str, Any], config_digest: str
) -> None:
    """Raises InputError unless these are undamaged leaves of these names, types and shapes, of this config."""
    if metadata.get("format") != _FORMAT:
        raise InputError("weights, but not those of a model that gen exported")
    for name, pattern in _METADATA.items():
        if not re.fullmatch(pattern, metadata.get(name, "?\n")):
            raise InputError(f"its {name} is {printable(repr(metadata.get(name)))}, which gen does not write")
    if metadata["config_digest"] != config_digest:
        raise InputError("it belongs to another config.json than the one beside it")
    for name in [*named, *host]:
        here, there = (
            f"{tree[name].dtype}{list(tree[name].shape)}" if name in tree else "absent" for tree in (named, host)
        )
        if here != there:
            raise InputError(f"{printable(name)} is {there} there, but {here} in the model of config.json")
    if leaves.weights_digest(host) != metadata["weights_digest"]:
        raise InputError("its weights were changed after they were exported; export the run again")
