"""Look-up tables of colors, applied with gradients of picture and table; `cube` reads and writes them as files."""

from __future__ import annotations

import dataclasses
from typing import Literal

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError
from gen.imaging._operator import operator, require_colors

Triple = tuple[float, float, float]
Interpolation = Literal["tetrahedral", "trilinear"]


@dataclasses.dataclass(frozen=True, eq=False)
class Lut:
    """A table of colors, a JAX tree.

    table: [n 3], a curve for each channel, or [n n n 3], a color for each red, green, blue (the axes in this order).
    low, high: the red, green, blue that the first and the last entries are for.
    title: what it is called.
    """

    table: jax.Array | np.ndarray
    low: Triple = (0.0, 0.0, 0.0)
    high: Triple = (1.0, 1.0, 1.0)
    title: str = ""


jax.tree_util.register_dataclass(Lut, data_fields=["table", "low", "high"], meta_fields=["title"])


@operator()
def apply_lut(x: jax.Array, table: Lut | jax.Array, *, interpolation: Interpolation = "tetrahedral") -> jax.Array:
    """Looks up color [b h w 3] in a table; what is outside the table's domain counts as its nearest end.

    table: a Lut, or its array [n 3] or [n n n 3] for the domain [0, 1]; one for each image with another axis in front.
    interpolation: in three dimensions: "tetrahedral" (four neighbors; keeps gray axes of the table free of color
        fringes, as grading programs do) or "trilinear" (eight; as Pillow's Color3DLUT). Curves are linear between
        entries.
    """
    require_colors(x, "apply_lut")
    lut = table if isinstance(table, Lut) else Lut(table)
    entries = jnp.asarray(lut.table, x.dtype)
    shape, batch = entries.shape, x.shape[0]
    sizes = shape[:-1] if len(shape) in (2, 4) else shape[1:-1]
    own = len(shape) in (3, 5)
    cubic = 2 <= len(shape) <= 5 and shape[-1] == 3 and min(sizes) > 1 and len(set(sizes)) == 1
    if not cubic or (own and shape[0] != batch):
        raise InputError(
            f"apply_lut: table has shape {list(shape)}; allowed: [n 3] or [n n n 3] with n of at least 2, "
            f"or those with {batch} in front"
        )
    low, high = jnp.asarray(lut.low, x.dtype), jnp.asarray(lut.high, x.dtype)
    place = jnp.clip((x - low) / (high - low), 0, 1) * (sizes[0] - 1)
    look = {1: _curve}.get(len(sizes), _tetrahedra if interpolation == "tetrahedral" else _cells)
    return jax.vmap(look)(place, entries) if own else look(place, entries)


def _cell(place: jax.Array, size: int) -> tuple[jax.Array, jax.Array]:
    """The entry at or below each place, as int32, and the place above it in [0, 1]."""
    index = jnp.clip(jnp.floor(lax.stop_gradient(place)), 0, size - 2)
    return index.astype(jnp.int32), place - index


def _take(rows: jax.Array, index: jax.Array) -> jax.Array:
    return rows.at[index].get(mode="promise_in_bounds")


def _curve(place: jax.Array, table: jax.Array) -> jax.Array:
    index, f = _cell(place, table.shape[0])
    index = 3 * index + jnp.arange(3, dtype=jnp.int32)
    below, above = _take(table.reshape(-1), index), _take(table.reshape(-1), index + 3)
    return below + f * (above - below)


def _corners(place: jax.Array, table: jax.Array) -> tuple[jax.Array, tuple[int, int, int], list[jax.Array], jax.Array]:
    """Rows [n^3 3], the steps in it of red, green, blue, the fractions [... 1] of each, and each pixel's lowest row."""
    n = table.shape[0]
    index, f = _cell(place, n)
    base = (index[..., 0] * n + index[..., 1]) * n + index[..., 2]
    return table.reshape(-1, 3), (n * n, n, 1), [f[..., i, None] for i in range(3)], base


def _cells(place: jax.Array, table: jax.Array) -> jax.Array:
    rows, steps, fractions, base = _corners(place, table)

    def between(axis: int, at: jax.Array) -> jax.Array:
        if axis == 3:
            return _take(rows, at)
        below, above = between(axis + 1, at), between(axis + 1, at + steps[axis])
        return below + fractions[axis] * (above - below)

    return between(0, base)


def _tetrahedra(place: jax.Array, table: jax.Array) -> jax.Array:
    """From the lowest corner of a cell to the highest in three steps: the axis with the largest fraction first."""
    rows, steps, (r, g, b), base = _corners(place, table)
    most, least = jnp.maximum(jnp.maximum(r, g), b), jnp.minimum(jnp.minimum(r, g), b)
    middle = jnp.maximum(jnp.minimum(r, g), jnp.minimum(jnp.maximum(r, g), b))
    # Where fractions are equal the weight of the corner in doubt is 0.
    first = jnp.where(r >= most, steps[0], jnp.where(g >= most, steps[1], steps[2]))[..., 0]
    last = jnp.where(b <= least, steps[2], jnp.where(g <= least, steps[1], steps[0]))[..., 0]
    c0, c1 = _take(rows, base), _take(rows, base + first)
    c2, c3 = _take(rows, base + sum(steps) - last), _take(rows, base + sum(steps))
    return c0 + most * (c1 - c0) + middle * (c2 - c1) + least * (c3 - c2)
