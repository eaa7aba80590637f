"""Orders in which the cells of a token grid are learned or drawn: raster, any permutation, or a given region first.

A cell is a row and a column, with all its channels; cells are numbered in raster order. An order is a permutation of
them, int32 [b cells]. Positions, int32 [b n], are those of gen.models.token_grid.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp

from gen.devices import constrain


class Orders(NamedTuple):
    """Orders drawn for a batch."""

    cells: jax.Array  # int32 [b cells]
    given: jax.Array  # bool [b cells]: is this step's cell in the region that comes first? In no other order
    random: jax.Array  # bool [b]: any permutation
    region: jax.Array  # bool [b]: a region first


def draw(
    key: jax.Array, count: int, rows: int, columns: int, *, random: jax.Array | float, region_first_probability: float
) -> Orders:
    """Draws the orders of `count` images: with probability `random` any permutation, else with
    `region_first_probability` a random region first, else raster.
    """
    keys = jax.random.split(key, 4)
    noise = constrain(jax.random.uniform(keys[0], (count, rows * columns)))
    shuffled = constrain(jax.random.bernoulli(keys[1], random, (count,)))
    region = constrain(jax.random.bernoulli(keys[2], region_first_probability, (count,))) & ~shuffled
    inside = constrain(regions(keys[3], count, rows, columns)) & region[:, None]
    cells = jnp.where(shuffled[:, None], jnp.argsort(noise), first(inside)).astype(jnp.int32)
    return Orders(cells, jnp.take_along_axis(inside, cells, axis=1), shuffled, region)


def first(inside: jax.Array) -> jax.Array:
    """Orders the cells where `inside` [b cells] is true before the others, both in raster order: int32 [b cells]."""
    return jnp.argsort(~inside, axis=-1, stable=True).astype(jnp.int32)


def positions(cells: jax.Array, channels: int, context: int) -> jax.Array:
    """Returns the positions [b n] of an order [b cells]: `context` positions first, then each cell's channels."""
    b, count = cells.shape
    grid = (cells[:, :, None] * channels + jnp.arange(channels)).reshape(b, -1)
    before = count * channels + jnp.arange(context)
    return jnp.concatenate([jnp.broadcast_to(before, (b, context)), grid], axis=1).astype(jnp.int32)


def regions(key: jax.Array, count: int, rows: int, columns: int) -> jax.Array:
    """Draws regions, bool [count cells], of random size and each kind as often.

    Kinds: half planes in eight directions, boxes or all but a box, scattered cells.
    """
    keys = jax.random.split(key, 6)
    share = jax.random.uniform(keys[0], (count, 1, 1))
    y, x = ((jnp.arange(n) + 0.5) / n for n in (rows, columns))
    y, x = y[:, None], x[None, :]

    turn = jax.random.randint(keys[1], (count, 1, 1), 0, 8) * (jnp.pi / 4)
    sine, cosine = jnp.sin(turn), jnp.cos(turn)
    across = ((y - 0.5) * sine + (x - 0.5) * cosine) / (jnp.abs(sine) + jnp.abs(cosine)) + 0.5  # in 0..1
    half = across < share

    low, high = jnp.sort(jax.random.uniform(keys[2], (2, count, 2, 1, 1)), axis=0)
    box = (y >= low[:, 0]) & (y < high[:, 0]) & (x >= low[:, 1]) & (x < high[:, 1])
    box ^= jax.random.bernoulli(keys[3], 0.5, (count, 1, 1))

    scattered = jax.random.uniform(keys[4], (count, rows, columns)) < share
    kind = jax.random.randint(keys[5], (count, 1, 1), 0, 3)
    return jnp.where(kind == 0, half, jnp.where(kind == 1, box, scattered)).reshape(count, -1)
