"""Likelihood of sequences, and sampling of sequences, in any order of their cells.

A network is a gen.models.recurrent.Recurrent or has its interface. Its n tokens come by position, int32 [b n]: those of
`grid`, the image, and then those of `context`, all -1 where an image is without. Orders are those of
gen.tasks.token_orders; a sequence begins with its context.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import optax

from gen.devices import constrain, interleave
from gen.models.token_sampling import choose_token, classifier_free_guidance, sample_token
from gen.tasks import token_orders
from gen.tasks.parts import in_parts


def raster(network: Any, count: int) -> jax.Array:
    """Returns the cells in raster order, [count cells]."""
    rows, columns, _ = network.grid
    return jnp.broadcast_to(jnp.arange(rows * columns, dtype=jnp.int32), (count, rows * columns))


def positions(network: Any, cells: jax.Array) -> jax.Array:
    """Returns the position of each step, [b n], with the cells in this order."""
    return token_orders.positions(cells, network.grid[2], math.prod(network.context or (0,)))


def nll(
    network: Any, params: Any, tokens: jax.Array, cells: jax.Array, label: jax.Array | None, *caption: jax.Array
) -> tuple[jax.Array, jax.Array]:
    """Computes -log p of each token of the image, and whether it was the most probable: [b G] each, in this order.

    caption: [b l], for a network that reads them.
    """
    places, length = positions(network, cells), math.prod(network.grid)
    sequence = jnp.take_along_axis(tokens, places, axis=1)

    def of(sequence: jax.Array, *given: Any) -> tuple[jax.Array, jax.Array]:
        logits, wanted = network.apply(params, sequence, *given)[:, -length:], sequence[:, -length:]
        return optax.softmax_cross_entropy_with_integer_labels(logits, wanted), logits.argmax(-1) == wanted

    found: tuple[jax.Array, jax.Array] = in_parts(of, sequence, places, label, *caption)
    return found


def draw(
    network: Any,
    params: Any,
    keys: jax.Array,
    tokens: jax.Array,
    inside: jax.Array,
    label: jax.Array | None,
    *caption: jax.Array,
    unlabeled: jax.Array | None = None,
    guidance: jax.Array | float | None = None,
    noise: jax.Array | None = None,
    settings: Mapping[str, Any],
) -> jax.Array:
    """Samples the tokens of images, [n G]: those in the cells `inside`, bool [n cells], are given, the others drawn.

    Token t of image i is drawn with fold_in(keys[i], t) and the settings of `sample_token`. caption: [n l], and that
    which guidance leads away from, for a network that reads them. guidance: every step is done with the conditions and,
    beside it, without the context and with the labels `unlabeled`; None: once. noise: for
    each token, in this order, standard Gumbel noise [n G v]; None: by the keys.
    """
    n, length, cells = keys.shape[0], math.prod(network.grid), token_orders.first(inside)
    places = positions(network, cells)
    given = jnp.take_along_axis(inside, cells, axis=1).repeat(network.grid[2], axis=1)
    given = jnp.pad(given, ((0, 0), (places.shape[1] - length, 0)), constant_values=True)
    known = jnp.take_along_axis(tokens, places, axis=1)

    sides: Any = (lambda a, b: a) if guidance is None else interleave
    labels = None if label is None else sides(label, unlabeled)

    def step(carry: Any, at: Any) -> tuple[Any, None]:
        state, canvas, token, position = carry
        t, target, known, given, noise = at
        absent = jnp.where(position >= length, -1, token)
        pairs = (canvas, canvas), (token, absent), (position, position), (target, target)
        logits, state = network.apply(params, state, *(sides(*pair) for pair in pairs), labels, method="step")
        if guidance is not None:
            logits = classifier_free_guidance(logits[::2], logits[1::2], guidance)
        if noise is None:
            drawn = jax.vmap(lambda key, row: sample_token(jax.random.fold_in(key, t), row, **settings))(keys, logits)
        else:
            drawn = jax.vmap(lambda g, row: choose_token(g, row, **settings))(noise, logits)
        token = jnp.where(given, known, drawn)
        canvas = jax.vmap(lambda c, i, s: c.at[i].set(s, mode="drop"))(canvas, target, token)
        return (state, canvas, token, target), None

    if caption:
        state = network.apply(params, labels, sides(*caption), method="read")
    else:
        state = network.apply(params, n if guidance is None else 2 * n, method="initialize_carry")
    state = jax.tree.map(constrain, state)
    nothing, empty = (constrain(jnp.full(shape, -1, jnp.int32)) for shape in ((n,), (n, length)))
    if noise is not None:  # the context before the image is given
        noise = jnp.pad(noise.swapaxes(0, 1), ((places.shape[1] - length, 0), (0, 0), (0, 0)))
    steps = jnp.arange(places.shape[1]), places.T, known.T, given.T, noise
    (_, canvas, _, _), _ = jax.lax.scan(step, (state, empty, nothing, nothing), steps)
    return canvas
