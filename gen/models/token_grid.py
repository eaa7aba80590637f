"""Positions of tokens on a grid and on a grid of given context, their neighbors, and the input of each step.

A grid is (rows, columns, channels). Positions 0 to G-1 are its cells in raster order (row, column, channel), and G to
P-1 those of the context grid. Tokens are int32 in 0..vocabulary-1; -1 stands for an unknown or absent one.
"""

from __future__ import annotations

import functools
import math

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from gen.models.sequence_layers import Linear

Grid = tuple[int, int, int]

_AROUND = [(i, j) for i in (-1, 0, 1) for j in (-1, 0, 1)]
_NEAR = [*_AROUND, (-2, 0), (0, -2), (0, 2), (2, 0)]


def cells(grid: Grid | None) -> int:
    """Counts the positions of a grid; None has none."""
    return math.prod(grid) if grid else 0


def _cell(grid: Grid) -> np.ndarray:
    """Returns row, column and channel of each position: int [G 3]."""
    return np.stack(np.unravel_index(np.arange(cells(grid)), grid), axis=-1)


@functools.cache
def coordinates(grid: Grid, context: Grid | None) -> np.ndarray:
    """Encodes row, column and channel of each position as ones among zeros: float32 [P+1 s]; context apart.

    The last row, for no position, is zero.
    """
    both = [g for g in (grid, context) if g]
    table = np.zeros((sum(map(cells, both)) + 1, sum(map(sum, both))), np.float32)
    at, offset = 0, 0
    for g in both:
        for axis, length in enumerate(g):
            table[at + np.arange(cells(g)), offset + _cell(g)[:, axis]] = 1.0
            offset += length
        at += cells(g)
    return table


@functools.cache
def neighbors(grid: Grid, context: Grid | None) -> np.ndarray:
    """Lists the positions around each position, always in the same order, P where there is none: int32 [P m].

    They are the 8 cells around it and 4 at distance 2, each with all channels, beginning with its own (cyclically), and
    the other channels of its own cell; for a position of `grid` also the 3 x 3 cells of the context at the same place.
    """
    outside = cells(grid) + cells(context)

    def look(at: np.ndarray, offsets: list[tuple[int, int]], where: Grid, base: int) -> np.ndarray:
        """Returns the positions at `offsets` from cells `at` [q 3] of the grid `where`, which begins at `base`."""
        row, column = (at[:, None, i] + np.array(offsets)[:, i] for i in range(2))
        channel = (at[:, None, 2:] + np.arange(where[2])) % where[2]
        inside = (row >= 0) & (row < where[0]) & (column >= 0) & (column < where[1])
        found = (row * where[1] + column)[..., None] * where[2] + channel + base
        return np.where(inside[..., None], found, outside).reshape(len(at), -1)

    tables = []
    for base, where in ((0, grid), (cells(grid), context)):
        if where:
            itself = _AROUND.index((0, 0)) * where[2]
            tables.append(np.delete(look(_cell(where), _NEAR, where, base), itself, axis=1))
    own = max(table.shape[1] for table in tables)
    table = np.concatenate([np.pad(t, ((0, 0), (0, own - t.shape[1])), constant_values=outside) for t in tables])
    if context:
        same = _cell(grid) * np.array(context) // np.array(grid)
        beyond = look(same, _AROUND, context, cells(grid))
        rest = ((0, cells(context)), (0, 0))
        table = np.concatenate([table, np.pad(beyond, rest, constant_values=outside)], axis=1)
    return table.astype(np.int32)


def causal_neighbors(tokens: jax.Array, positions: jax.Array, grid: Grid, context: Grid | None) -> jax.Array:
    """Gathers what step t of sequences [b n] may know around its position: s_u for u < t, else -1: int32 [b n m]."""
    table, n = jnp.asarray(neighbors(grid, context)), tokens.shape[1]
    time = jnp.arange(n, dtype=jnp.int32)

    def one(tokens: jax.Array, positions: jax.Array) -> jax.Array:
        canvas = jnp.full(len(table) + 1, -1, jnp.int32).at[positions].set(tokens)
        when = jnp.full(len(table) + 1, n, jnp.int32).at[positions].set(time)
        near = table[positions]
        return jnp.where(when[near] < time[:, None], canvas[near], -1)

    return jax.vmap(one)(tokens, positions)


def known_neighbors(canvas: jax.Array, target: jax.Array, grid: Grid, context: Grid | None) -> jax.Array:
    """Gathers what is known around positions `target` [b] on a canvas [b P], where -1 is unknown: int32 [b m]."""
    near = jnp.asarray(neighbors(grid, context))[target]
    return jnp.take_along_axis(jnp.pad(canvas, ((0, 0), (0, 1)), constant_values=-1), near, axis=1)


class TokenEmbedding(nn.Module):
    """The input of each step [b n width]: the token before, its place, the place asked for and what is known around it.

    From token, position and target [b n] (token and position -1: none, at the start) and around [b n m] or None.
    """

    width: int
    vocabulary: int
    grid: Grid
    context: Grid | None

    @nn.compact
    def __call__(self, token: jax.Array, position: jax.Array, target: jax.Array, around: jax.Array | None) -> jax.Array:
        place = jnp.asarray(coordinates(self.grid, self.context))
        places = jnp.concatenate([place[position], place[target]], axis=-1)  # -1 is the last row, of zeros
        x = Linear(self.width, gain=places.shape[-1] ** 0.5, name="place")(places)
        x += self._embed(self.width, "token")(token)
        if around is not None:
            near = self._embed(max(self.width // 8, 1), "near")(around)
            x += Linear(self.width, name="around")(near.reshape(*token.shape, -1))
        return x

    def _embed(self, features: int, name: str) -> nn.Embed:
        """Makes an embedding whose row -1, the last, is for no token."""
        return nn.Embed(self.vocabulary + 1, features, embedding_init=nn.initializers.normal(1.0), name=name)
