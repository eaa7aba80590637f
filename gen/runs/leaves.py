"""Trees of arrays as leaves by name: those of a checkpoint, and those of a model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gen.errors import InputError
from gen.files import printable
from gen.runs import digests

Leaves = dict[str, Any]  # "params/generator/kernel" -> what the tree holds there


def named(tree: Any) -> Leaves:
    """Names each leaf by its path, in tree order, alike whether fields are attributes or dict keys."""
    paths, _ = jax.tree.flatten_with_path(tree)
    return {jax.tree_util.keystr(path, simple=True, separator="/"): leaf for path, leaf in paths}


def copied(leaf: Any) -> np.ndarray | jax.ShapeDtypeStruct:
    """Copies a leaf to the host, where nothing changes it when it is donated; its form, when no process holds it."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
    values = np.asarray(leaf)
    return values.copy() if jax.default_backend() == "cpu" else values  # on a CPU it is a view, else a copy already


def described(leaf: Any) -> list[Any]:
    """Describes what `copied` returns, or any array that one process holds: [dtype, shape, digest, None of a form]."""
    digest = None
    if not isinstance(leaf, jax.ShapeDtypeStruct):
        values = np.ascontiguousarray(leaf)
        hashed = digests.hasher()
        hashed.update(f"{leaf.dtype}{list(leaf.shape)}".encode())
        hashed.update(values.reshape(-1).view(np.uint8).data)
        digest = hashed.hexdigest()
    return [str(leaf.dtype), list(leaf.shape), digest]


def weights_digest(params: Any) -> str:
    """Returns the digest of weights, a tree of arrays: 64 hexadecimal digits, the same wherever they are stored.

    It is the sha256 of one line for each leaf, `NAME DTYPE[SHAPE] DIGEST`, as in "generator/out/bias float32[3] 5f...",
    in order of the names, where DIGEST is that of `described`: it hashes dtype and shape, then the bytes of the values.
    """
    found = named(params)
    return digest_of(dict(zip(found, digests.in_threads(described, found.values()), strict=True)))


def digest_of(table: Mapping[str, list[Any]]) -> str:
    """Returns the digest of weights, see `weights_digest`, of which these are the descriptions by name."""
    lines = [f"{name} {dtype}{shape} {digest}\n" for name, (dtype, shape, digest) in sorted(table.items())]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def check(directory: Path, stored: Mapping[str, list[Any]], abstract: Leaves, *, whole: bool) -> None:
    """Raises InputError unless a checkpoint holds leaves of these names, types and shapes; whole: and no others."""
    for name, leaf in abstract.items():
        here = f"{leaf.dtype}{list(leaf.shape)}"
        there = "absent" if name not in stored else f"{stored[name][0]}{stored[name][1]}"
        if here != there:
            raise InputError(f"{name} is {there} in the checkpoint {directory}, but {here} in this model")
    left_over = [name for name in stored if name not in abstract]
    if whole and left_over:
        raise InputError(f"{left_over[0]} is in the checkpoint {directory}, but absent in this model")


def parts(stored: Mapping[str, list[Any]], *, most: int) -> Iterator[Leaves]:
    """Yields the leaves that these describe as shapes and types, in parts of at most `most` bytes, or of one leaf.

    Raises CorruptError for what is no type.
    """
    part, size = Leaves(), 0
    for name, (dtype, shape, _) in stored.items():
        try:
            leaf = jax.ShapeDtypeStruct(tuple(shape), jax.numpy.dtype(dtype))
        except TypeError:
            raise digests.CorruptError(printable(f"{name} is of no type that jax has: {dtype!r}")) from None
        if part and size + leaf.size * leaf.dtype.itemsize > most:
            yield part
            part, size = {}, 0
        part[name], size = leaf, size + leaf.size * leaf.dtype.itemsize
    if part:
        yield part


def place(host: np.ndarray, abstract: Any) -> jax.Array:
    """Puts values on the devices that an abstract leaf names, or on the default one."""
    sharding = getattr(abstract, "sharding", None)
    if sharding is None:
        return jax.numpy.asarray(host)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])
