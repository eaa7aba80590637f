"""A picture seen as a grid of cells, with its pixels held cell beside cell: what is done to all cells is one vector.

Pixels are [feature, place, image, cell]. Every cell has the same places, in chunks that are summed in registers and in
parts of several chunks; the pixels of a part are spread over the cell. A place where a cell has no pixel counts 0.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

_PARTS, _CHUNK = 4, 16


class Grid(NamedTuple):
    """rows x columns cells over an image [h w]; a cell holds up to `tall` x `wide` pixels."""

    h: int
    w: int
    rows: int
    columns: int

    @classmethod
    def of(cls, h: int, w: int, cells: int) -> Grid:
        side = math.sqrt(h * w / cells)
        rows = min(max(round(h / side), 1), h)
        return cls(h, w, rows, min(max(round(cells / rows), 1), w))

    @property
    def cells(self) -> int:
        return self.rows * self.columns

    @property
    def side(self) -> float:
        return math.sqrt(self.h * self.w / self.cells)

    @property
    def edges(self) -> tuple[np.ndarray, np.ndarray]:
        """The first row of each row of cells, and h; the same for columns."""
        return np.arange(self.rows + 1) * self.h // self.rows, np.arange(self.columns + 1) * self.w // self.columns


class Places(NamedTuple):
    """The order in which the pixels of a cell are held, and where each of them is."""

    grid: Grid
    tall: int
    wide: int
    pieces: list[np.ndarray]  # of each part, row * wide + column in the cell
    chunk: int  # places in a chunk
    share: int  # chunks in a part

    @classmethod
    def of(cls, grid: Grid) -> Places:
        tall, wide = (int(np.diff(edge).max()) for edge in grid.edges)
        parts = _PARTS if tall * wide >= _PARTS * _CHUNK else 1
        chunk = min(_CHUNK, tall * wide)
        order = np.argsort((2 * np.arange(tall)[:, None] + np.arange(wide)).reshape(-1) % parts, kind="stable")
        pieces = np.array_split(order, parts)
        return cls(grid, tall, wide, pieces, chunk, -(-len(pieces[0]) // chunk))

    @property
    def parts(self) -> int:
        return len(self.pieces)

    @property
    def spots(self) -> np.ndarray:
        """For each place, row * wide + column in the cell, or tall * wide, which is no pixel."""
        size, none = self.share * self.chunk, self.tall * self.wide
        return np.concatenate([np.pad(piece, (0, size - len(piece)), constant_values=none) for piece in self.pieces])

    @property
    def drift(self) -> np.ndarray:
        """How far the middle of each part [part 2] is from the middle of the cell."""
        inside = np.stack(np.divmod(np.arange(self.tall * self.wide), self.wide))
        return np.stack([inside[:, piece].mean(1) - inside.mean(1) for piece in self.pieces])

    def positions(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Of each place in each cell, the row [place rows], the column [place columns], is there a pixel [both]?"""
        (tops, lefts), spots = self.grid.edges, self.spots[:, None]
        rows, columns = tops[:-1] + spots // self.wide, lefts[:-1] + spots % self.wide
        real = ((rows < tops[1:]) & (spots < self.tall * self.wide))[:, :, None] & (columns < lefts[1:])[:, None, :]
        return np.minimum(rows, self.grid.h - 1), np.minimum(columns, self.grid.w - 1), real

    def gather(self, plane: jax.Array) -> jax.Array:
        """[b h w] to [place b cell]; any pixel where there is none."""
        rows, columns, _ = self.positions()
        index = jnp.asarray(rows * self.grid.w, jnp.int32)[:, :, None] + jnp.asarray(columns, jnp.int32)[:, None, :]
        image = jnp.arange(len(plane), dtype=jnp.int32)[:, None] * (self.grid.h * self.grid.w)
        return plane.reshape(-1).at[index.reshape(-1, 1, self.grid.cells) + image].get(mode="promise_in_bounds")

    def scatter(self, held: jax.Array) -> jax.Array:
        """[place b cell] to [b h w]."""
        (tops, lefts), spots, (_, b, cells) = self.grid.edges, self.spots, held.shape
        row, column = (np.repeat(np.arange(len(e) - 1), np.diff(e)) for e in (tops, lefts))  # the cell of each pixel
        of_spot = np.zeros(self.tall * self.wide, np.int32)
        of_spot[spots[spots < len(of_spot)]] = np.flatnonzero(spots < len(of_spot))
        table = of_spot.reshape(self.tall, self.wide)
        place = table[(np.arange(self.grid.h) - tops[row])[:, None], np.arange(self.grid.w) - lefts[column]]
        index = jnp.asarray(place * (b * cells) + row[:, None] * self.grid.columns + column, jnp.int32)
        image = jnp.arange(b, dtype=jnp.int32)[:, None, None] * cells
        return held.reshape(-1).at[index + image].get(mode="promise_in_bounds")
