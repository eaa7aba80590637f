"""Checks the input of every metric, and gives rows in blocks, so that memory stays bounded."""

from __future__ import annotations

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError

BLOCK = 2**21  # numbers in a block of rows: 16 MiB in float64


def checked(x: np.ndarray | jax.Array, name: str, *, least: int = 1) -> np.ndarray:
    """Checks that `x` is a finite array [n d] of at least `least` rows; returns it on the host, in its type.

    name: what to call it in a message. For metrics that upcast block by block (see `rows`); most want `features`.
    """
    array = np.asarray(x)
    if array.ndim != 2 or array.shape[1] < 1:
        raise InputError(f"{name} has shape {array.shape}; it must be features [samples dimensions]")
    if len(array) < least:
        raise InputError(f"{name} has {len(array)} samples; this metric needs at least {least}")
    if not (jnp.issubdtype(array.dtype, jnp.floating) or jnp.issubdtype(array.dtype, jnp.integer)):
        raise InputError(f"{name} is {array.dtype}; features must be real numbers")
    for at in blocks(len(array), array.shape[1]):
        finite = np.isfinite(array[at]).all(axis=1)
        if not finite.all():
            row = at.start + int(np.argmin(finite))
            raise InputError(f"{name} is not finite, first in row {row}; features must be finite numbers")
    return array


def features(x: np.ndarray | jax.Array, name: str, *, least: int = 1) -> np.ndarray:
    """Converts `x` [n d] to finite float64: in float32 distances of features far from 0 drown in rounding."""
    return checked(x, name, least=least).astype(np.float64, copy=False)


def pair(
    generated: np.ndarray | jax.Array, real: np.ndarray | jax.Array, *, least: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Converts `generated` [n d] and `real` [m d] to float64; their dimensions must agree."""
    one, other = features(generated, "generated", least=least), features(real, "real", least=least)
    same_dimensions(one.shape[1], other.shape[1])
    return one, other


def same_dimensions(one: int, other: int, *names: str) -> None:
    """Raises InputError unless two sets have as many dimensions. names: of both, by default generated and real."""
    if one != other:
        first, second = names or ("generated", "real")
        raise InputError(f"{first} has {one} dimensions and {second} {other}; both must come from one extractor")


def images(x: np.ndarray | jax.Array, name: str, *, least: int = 1, smallest: int = 1) -> np.ndarray:
    """Checks images [n h w c], uint8 or float in [0, 1], with sides of at least `smallest`; returns a host array."""
    array = np.asarray(x)
    if array.ndim != 4 or array.shape[-1] not in (1, 3):
        raise InputError(f"{name} has shape {array.shape}; it must be images [n h w c] with 1 or 3 channels")
    if len(array) < least or min(array.shape[1:3]) < smallest:
        raise InputError(
            f"{name} has shape {array.shape}; allowed: at least {least} images of {smallest} pixels a side"
        )
    if array.dtype != np.uint8:
        if not jnp.issubdtype(array.dtype, jnp.floating):
            raise InputError(f"{name} is {array.dtype}; images must be uint8, or floats in [0, 1]")
        for at in blocks(len(array), array[0].size):
            if not (array[at].min() >= 0 and array[at].max() <= 1):  # not for nan either
                raise InputError(f"{name} leaves [0, 1]; images must be uint8, or floats in [0, 1]")
    return array


def unit(x: np.ndarray) -> np.ndarray:
    """Converts checked images to float32 in [0, 1]."""
    return x.astype(np.float32) / np.float32(255) if x.dtype == np.uint8 else x.astype(np.float32)


def blocks(n: int, width: int) -> Iterator[slice]:
    """Yields slices that cover range(n), each of about BLOCK numbers where a row has `width` of them."""
    return slices(n, max(1, BLOCK // width))


def slices(n: int, step: int) -> Iterator[slice]:
    """Yields slices of `step` that cover range(n)."""
    return (slice(start, min(start + step, n)) for start in range(0, n, step))


def rows(x: np.ndarray) -> Iterator[np.ndarray]:
    """Yields the rows of x [n d] in float64 blocks."""
    return (x[at].astype(np.float64) for at in blocks(len(x), x.shape[1]))
