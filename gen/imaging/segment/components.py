"""Connected components, found over the whole batch as one graph, and operations on labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator
from gen.imaging._segment_sum import pack

Links = dict[tuple[int, int], jax.Array]  # by offset (rows, columns): is a node joined to the one at that offset?


class Components(NamedTuple):
    """labels int32 [b h w] from 1 to n, in the order of their first pixels, row by row, 0 for none; count int32 [b]."""

    labels: jax.Array
    count: jax.Array  # type: ignore[assignment]


@operator()
def connected_components(labels: jax.Array, *, connectivity: Literal[4, 8] = 8) -> Components:
    """Numbers the connected pieces of equal label; labels of 0 or less belong to no piece.

    labels: int32 [b h w], or a mask as 0 and 1, which is faster.
    connectivity: 4 joins pixels that share a side, 8 also those that share a corner.

    Every root is hooked to the lowest root beside its nodes, then paths are made four times shorter, until nothing
    changes: about log(pixels) rounds for any shape (Allegretti et al. 2020, "Optimized Block-Based Algorithms to Label
    Connected Components on GPUs", which contracts the 2x2 blocks of a mask in the same way).
    Equals skimage.measure.label(labels, background=0, connectivity=2 (8) or 1 (4)), the numbers too.
    """
    if connectivity == 4:
        return _pixels(labels, 4)
    return lax.cond(_any(labels > 1), lambda labels: _pixels(labels, 8), _blocks, labels)


@operator()
def remove_small_objects(labels: jax.Array, size: Any) -> jax.Array:
    """Removes small pieces of labels [b h w]: what is connected (8) in fewer than `size` pixels becomes 0.

    size: pixels, one number or one for each image. Equals skimage.morphology.remove_small_objects where every label is
    one piece.
    """
    pieces = connected_components(labels).labels
    size = jnp.asarray(size)
    kept = piece_areas(pieces) >= (size[:, None] if size.ndim else size)
    return jnp.where(look_up(kept, pieces), labels, 0)


@operator()
def relabel_sequential(labels: jax.Array) -> Components:
    """Renumbers regions [b h w] from 1 to n, in the order of the old numbers; 0 and less become 0.

    Equals skimage.segmentation.relabel_sequential. Fast for labels that do not exceed the number of pixels.
    """
    flat = jnp.maximum(labels, 0).reshape(labels.shape[0], -1)
    count, new = lax.cond(jnp.max(flat) <= flat.shape[1], _rank_by_presence, _rank_by_sorting, flat)
    return Components(new.reshape(labels.shape), count)


def piece_areas(pieces: jax.Array) -> jax.Array:
    """Counts the pixels of each piece, int32 [b h*w+1]; pieces [b h w] are numbers from 0 to h*w."""
    b, n = pieces.shape[0], pieces[0].size
    return jnp.zeros((b, n + 1), jnp.int32).at[jnp.arange(b)[:, None], pieces.reshape(b, n)].add(1)


def look_up(table: jax.Array, labels: jax.Array) -> jax.Array:
    """Looks up labels [b h w] in a table [b n ...] of each image: [b h w ...]."""
    rows = jnp.arange(labels.shape[0])[:, None, None]
    return table[rows, labels]


def shifted(array: jax.Array, rows: int, columns: int, fill: Any) -> jax.Array:
    """Shifts an array [b h w]: array[b, y + rows, x + columns], `fill` beyond its edge."""
    value = jnp.asarray(fill, array.dtype)
    return lax.pad(array, value, ((0, 0, 0), (-rows, rows, 0), (-columns, columns, 0)))


def neighbors(array: jax.Array, fill: Any) -> Callable[[int, int], jax.Array]:
    """As `shifted`, by up to one row and column, for use in loops: padded once, so that the slices are fast."""
    _, h, w = array.shape
    padded = jnp.pad(array, ((0, 0), (1, 1), (1, 1)), constant_values=fill)
    padded = lax.optimization_barrier(padded)
    return lambda rows, columns: padded[:, 1 + rows : 1 + rows + h, 1 + columns : 1 + columns + w]


def ends(node: jax.Array) -> jax.Array:
    """Follows each way from node to node to its end; nodes are indices of the flattened array."""
    follow = lambda node: node.reshape(-1).at[node].get(mode="promise_in_bounds")  # noqa: E731
    moving = lambda pair: jnp.any(pair[0] != pair[1])  # noqa: E731
    return lax.while_loop(moving, lambda pair: (pair[1], follow(pair[1])), (node, follow(node)))[0]


def equal_neighbors(labels: jax.Array, connectivity: int) -> Links:
    """Links pixels of equal positive label to the neighbors that come later row by row."""
    offsets = ((0, 1), (1, 0)) if connectivity == 4 else ((0, 1), (1, 0), (1, 1), (1, -1))
    return {offset: (labels == shifted(labels, *offset, 0)) & (labels > 0) for offset in offsets}


# -- The graph. A node has for a key the position of a pixel, (row over the whole batch) << bits | column.


def _pixels(labels: jax.Array, connectivity: int) -> Components:
    """Every pixel is a node."""
    keys, bits = _keys(*labels.shape)
    roots = _roots(keys, equal_neighbors(labels, connectivity), bits, 0)
    return _number(roots, (roots == keys) & (labels > 0), labels > 0, bits, 0)


def _blocks(labels: jax.Array) -> Components:
    """Every 2x2 block of a mask is a node, for all of its set pixels touch; its key is the first of them."""
    _, h, w = labels.shape
    mask = jnp.pad(labels > 0, ((0, 0), (0, h % 2), (0, w % 2)))
    quarters = tuple(mask[:, y::2, x::2] for y in (0, 1) for x in (0, 1))
    north_west, north_east, south_west, south_east = lax.optimization_barrier(quarters)
    north, west = north_west | north_east, north_west | south_west
    links = {
        (0, 1): (north_east | south_east) & shifted(west, 0, 1, False),
        (1, 0): (south_west | south_east) & shifted(north, 1, 0, False),
        (1, 1): south_east & shifted(north_west, 1, 1, False),
        (1, -1): south_west & shifted(north_east, 1, -1, False),
    }
    keys, bits = _keys(*mask.shape)
    low = ~north & (south_west | south_east)
    right = jnp.where(low, ~south_west, north & ~north_west)
    keys = keys[:, ::2, ::2] + (low.astype(jnp.int32) << bits) + right
    roots = _roots(keys, links, bits, 1)
    found = _number(roots, (roots == keys) & (north | low), mask, bits, 1)
    return Components(found.labels[:, :h, :w], found.count)


def _keys(b: int, h: int, w: int) -> tuple[jax.Array, int]:
    bits = max(w - 1, 1).bit_length()
    rows = jnp.arange(b * h, dtype=jnp.int32).reshape(b, h, 1) << bits
    return rows | jnp.arange(w, dtype=jnp.int32), bits


def _roots(keys: jax.Array, links: Links, bits: int, shift: int) -> jax.Array:
    """The lowest key of the piece that each node belongs to. A node spans 2**shift pixels each way."""
    width = keys.shape[2]
    last = jnp.iinfo(jnp.int32).max
    sides = lax.optimization_barrier(
        dict(links) | {(-dy, -dx): shifted(link, -dy, -dx, False) for (dy, dx), link in links.items()}
    )

    def node(key: jax.Array) -> jax.Array:
        return (key >> (bits + shift)) * width + ((key & ((1 << bits) - 1)) >> shift)

    def jump(roots: jax.Array, times: int) -> jax.Array:
        step = lambda _, roots: roots.reshape(-1).at[node(roots)].get(mode="promise_in_bounds")  # noqa: E731
        return lax.fori_loop(0, times, step, roots)  # in a row XLA:CPU would compute each again for each look-up

    def lowest(roots: jax.Array) -> jax.Array:
        """The lowest root of a node and of its neighbors; nothing changes once all of a piece have the same."""
        found, near = roots, neighbors(roots, last)
        for offset, link in sides.items():
            found = jnp.minimum(found, jnp.where(link, near(*offset), last))
        return found

    def hook(pair: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        roots, lower = pair
        beside = jnp.where(lower < roots, node(roots), roots.size).reshape(-1)  # most are inside: nothing to write
        roots = roots.reshape(-1).at[beside].min(lower.reshape(-1), mode="drop").reshape(roots.shape)
        roots = jump(roots, 2)
        return roots, lowest(roots)

    roots = jump(lowest(keys), 4)
    return lax.while_loop(lambda pair: _any(pair[0] != pair[1]), hook, (roots, lowest(roots)))[0]


def _any(marks: jax.Array) -> jax.Array:
    """Whether there is a mark in [b h w]: by columns first, which is faster on XLA:CPU than all at once."""
    return jnp.any(lax.optimization_barrier(jnp.any(marks, axis=1)))


def _number(roots: jax.Array, first: jax.Array, mask: jax.Array, bits: int, shift: int) -> Components:
    """Pieces numbered row by row; `first` marks the nodes that are roots, `mask` [b h w] the pixels in a piece."""
    b, rows, columns = roots.shape
    if shift:  # the roots in the upper rows of a row of blocks come before those in its lower rows
        low = (roots >> bits) & 1 == 1
        first = jnp.stack([first & ~low, first & low], axis=2)
    words, before = _words(first.reshape(b, -1))
    start = jnp.arange(b, dtype=jnp.int32)[:, None, None] * (rows << shift)
    place = ((roots >> bits) - start) * columns + ((roots & ((1 << bits) - 1)) >> shift)
    numbers = lax.optimization_barrier(_rank(words, before, place.reshape(b, -1)).reshape(roots.shape) + 1)
    for axis in (1, 2) if shift else ():
        numbers = jnp.repeat(numbers, 2, axis=axis)
    count = before[:, -1] + lax.population_count(words[:, -1]).astype(jnp.int32)
    return Components(jnp.where(mask, numbers, 0), count)


# -- Ranks among marks [b n]: 32 marks are a word, so that the running sum is short.


def _words(marks: jax.Array) -> tuple[jax.Array, jax.Array]:
    """The words uint32 [b m], and how many marks come before each."""
    words = pack(marks)
    ones = lax.population_count(words).astype(jnp.int32)
    return words, jnp.cumsum(ones, axis=1) - ones


def _rank(words: jax.Array, before: jax.Array, places: jax.Array) -> jax.Array:
    """How many marks come before `places` [b k]."""
    b, m = words.shape
    index = (places >> 5) + m * jnp.arange(b, dtype=jnp.int32)[:, None]
    word, rank = (table.reshape(-1).at[index].get(mode="promise_in_bounds") for table in (words, before))
    lower = (jnp.uint32(1) << (places & 31).astype(jnp.uint32)) - 1
    return rank + lax.population_count(word & lower).astype(jnp.int32)


def _rank_by_presence(flat: jax.Array) -> tuple[jax.Array, jax.Array]:
    b, n = flat.shape
    present = jnp.zeros((b, n + 1), bool).at[jnp.arange(b)[:, None], flat].set(True).at[:, 0].set(False)
    words, before = _words(present)
    new = jnp.where(flat > 0, _rank(words, before, flat) + 1, 0)
    return jnp.sum(present, axis=1, dtype=jnp.int32), new


def _rank_by_sorting(flat: jax.Array) -> tuple[jax.Array, jax.Array]:
    b, n = flat.shape
    places = jnp.broadcast_to(jnp.arange(n, dtype=jnp.int32), (b, n))
    values, places = lax.sort((flat, places), num_keys=1)
    ranks = jnp.cumsum((values != jnp.pad(values[:, :-1], ((0, 0), (1, 0)))).astype(jnp.int32), axis=1)
    return ranks[:, -1], jnp.zeros_like(flat).at[jnp.arange(b)[:, None], places].set(ranks)
