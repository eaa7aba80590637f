"""Look-up tables of colours: applied, with gradients of picture and table, and read and written as .cube files."""

from __future__ import annotations

import dataclasses
import os
import pathlib
from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from gen.errors import InputError, nearest
from gen.files import expand
from gen.imaging.arrays import colours, operator

__all__ = ["Lut", "apply_lut", "read_cube", "write_cube"]

Triple = tuple[float, float, float]
_INTERPOLATIONS = ("tetrahedral", "trilinear")
# Keywords of a .cube file that stand before numbers, and how many of them.
_SIZES = {"LUT_1D_SIZE": (1, 2, 65536), "LUT_3D_SIZE": (3, 2, 256)}
_NUMBERS = {"DOMAIN_MIN": 3, "DOMAIN_MAX": 3, "LUT_1D_INPUT_RANGE": 2, "LUT_3D_INPUT_RANGE": 2}
_KEYWORDS = ("TITLE", *_SIZES, *_NUMBERS)


@dataclasses.dataclass(frozen=True, eq=False)
class Lut:
    """A table of colours, a JAX tree.

    table: [n 3], a curve for each channel, or [n n n 3], a colour for each red, green, blue (the axes in this order).
    low, high: the red, green, blue that the first and the last entries are for.
    title: what it is called.
    """

    table: jax.Array | np.ndarray
    low: Triple = (0.0, 0.0, 0.0)
    high: Triple = (1.0, 1.0, 1.0)
    title: str = ""


jax.tree_util.register_dataclass(Lut, data_fields=["table", "low", "high"], meta_fields=["title"])


@operator(static=("interpolation",))
def apply_lut(x: jax.Array, table: Lut | jax.Array, *, interpolation: str = "tetrahedral") -> jax.Array:
    """Colour [b h w 3] looked up in a table; what is outside the table's domain counts as its nearest end.

    table: a Lut, or its array [n 3] or [n n n 3] for the domain [0, 1]; one for each image with another axis in front.
    interpolation: in three dimensions: "tetrahedral" (four neighbours; keeps gray axes of the table free of colour
        fringes, as grading programs do) or "trilinear" (eight; as Pillow's Color3DLUT). Curves are linear between
        entries.
    """
    colours(x, "apply_lut")
    if interpolation not in _INTERPOLATIONS:
        allowed = " or ".join(map(repr, _INTERPOLATIONS)) + nearest(str(interpolation), _INTERPOLATIONS)
        raise InputError(f"apply_lut: interpolation={interpolation!r}; allowed: {allowed}")
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


def _parse(place: str, words: list[str], count: int) -> list[float]:
    """`count` finite numbers."""
    try:
        numbers = [float(word) for word in words]
    except ValueError:
        numbers = [float("nan")]
    if len(words) != count or not np.isfinite(numbers).all():
        raise InputError(f"{place}: {' '.join(words)[:60]!r}; allowed: {count} finite numbers")
    return numbers


def _lines(path: pathlib.Path) -> Iterator[tuple[str, list[str]]]:
    """Where each line that says something is, for messages, and its words."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"{path}: not a text file; allowed: a .cube file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from None
    for number, line in enumerate(text.splitlines(), start=1):
        if (words := line.split()) and not words[0].startswith("#"):
            yield f"{path}, line {number}", words


def read_cube(path: str | os.PathLike[str]) -> Lut:
    """The Lut of a .cube file (Adobe "Cube LUT Specification" 1.0, and the input ranges of DaVinci Resolve).

    One table a file, of one or three dimensions, of float32. Raises InputError with the file and the line otherwise.
    """
    file = expand(path)
    known: dict[str, list[float]] = {}
    rows: list[list[float]] = []
    title, dimensions, size, last = "", 0, 0, f"{file}"
    for place, words in _lines(file):
        keyword, last = words[0], place
        if keyword[0] in "+-.0123456789":
            if not size:
                raise InputError(f"{place}: numbers before the size; allowed: {' or '.join(_SIZES)} first")
            rows.append(_parse(place, words, 3))
            if len(rows) > size**dimensions:
                raise InputError(f"{place}: one row too many; allowed: the {size**dimensions} of its size")
            continue
        if keyword not in _KEYWORDS:
            raise InputError(f"{place}: {keyword[:40]!r}; allowed: {', '.join(_KEYWORDS)}{nearest(keyword, _KEYWORDS)}")
        if rows or keyword in known or (keyword in _SIZES and size):
            why = "after the table" if rows else "a second time" if keyword in known else f"after {size} of another"
            raise InputError(f"{place}: {keyword} {why}; allowed: one table, and its keywords once, before its rows")
        if keyword == "TITLE":
            title, known[keyword] = " ".join(words[1:]).strip('"'), []
        elif keyword in _SIZES:
            dimensions, least, most = _SIZES[keyword]
            (number,) = known[keyword] = _parse(place, words[1:], 1)
            if number != int(number) or not least <= number <= most:
                raise InputError(f"{place}: {keyword} {words[1]}; allowed: an integer from {least} to {most}")
            size = int(number)
        else:
            known[keyword] = _parse(place, words[1:], _NUMBERS[keyword])
    if len(rows) != size**dimensions or not size:
        missing = f"{len(rows)} rows; allowed: {size**dimensions}" if size else f"no {' or '.join(_SIZES)}"
        raise InputError(f"{last}: the file ends with {missing}")
    between = known.get(f"LUT_{dimensions}D_INPUT_RANGE", [0.0, 1.0])
    low, high = known.get("DOMAIN_MIN", between[:1] * 3), known.get("DOMAIN_MAX", between[1:] * 3)
    if any(a >= b for a, b in zip(low, high, strict=True)):
        raise InputError(f"{file}: the domain is from {low} to {high}; allowed: each maximum above its minimum")
    table = np.array(rows, np.float32)
    if dimensions == 3:
        table = table.reshape(size, size, size, 3).transpose(2, 1, 0, 3)  # in the file red changes fastest
    return Lut(np.ascontiguousarray(table), (low[0], low[1], low[2]), (high[0], high[1], high[2]), title)


def write_cube(lut: Lut, path: str | os.PathLike[str]) -> None:
    """Writes a .cube file from which read_cube gets the same Lut, to the last digit of its float32 table."""
    table = np.asarray(lut.table, np.float32)
    sizes = table.shape[:-1]
    dimensions, least, most = _SIZES.get(f"LUT_{len(sizes)}D_SIZE", (0, 0, 0))
    if table.shape[-1:] != (3,) or not dimensions or len(set(sizes)) > 1 or not least <= sizes[0] <= most:
        raise InputError(f"write_cube: table has shape {list(table.shape)}; allowed: [n 3] or [n n n 3] with 2 <= n")
    if not np.isfinite(table).all():
        raise InputError(f"write_cube: table has {(~np.isfinite(table)).sum()} values that are NaN or infinite")

    def row(values: np.ndarray | Triple) -> str:
        return " ".join(np.format_float_positional(np.float32(value), trim="0") for value in values)

    head = [f'TITLE "{lut.title}"'] if lut.title else []
    head += [f"LUT_{dimensions}D_SIZE {sizes[0]}", f"DOMAIN_MIN {row(lut.low)}", f"DOMAIN_MAX {row(lut.high)}"]
    rows = table if dimensions == 1 else table.transpose(2, 1, 0, 3).reshape(-1, 3)
    pathlib.Path(path).write_text("\n".join([*head, *map(row, rows)]) + "\n", encoding="utf-8")
