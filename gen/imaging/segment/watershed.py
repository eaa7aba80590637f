"""Watershed by image foresting: every pixel goes to the marker that the lowest pass leads to."""

from __future__ import annotations

from collections.abc import Callable

import jax
import jax.numpy as jnp
from jax import lax

from gen.imaging._operator import operator, require_colors
from gen.imaging.segment.components import ends, shifted

_SIDES = ((-1, 0), (0, -1), (0, 1), (1, 0))
Row = tuple[jax.Array, jax.Array]  # the values found so far in a row, and its relief


@operator()
def watershed(x: jax.Array, markers: jax.Array, *, mask: jax.Array | None = None) -> jax.Array:
    """Floods the relief x [b h w 1] from `markers`: labels int32 [b h w], those of the markers.

    markers: int32 [b h w], 0 or less where there is none. A marker keeps its pixels, however high they lie.
    mask: [b h w 1]; what is not above 0.5 is a wall and gets 0, as do NaN, infinity and what no marker can reach.

    A pixel joins the marker from which the highest point of the way, among all ways over sides of pixels, is lowest.
    The rule for ties, the same on every device: it is reached from the lowest of the four pixels beside it, where low
    means first a lower way, then fewer steps since the way last rose, then the order up, left, right, down. So a plain
    is shared between the pixels that flood it at the same time. There are no lines between basins.

    The image foresting transform (Falcao et al. 2004) with FIFO queues, found by sweeps in four directions instead of
    queues. Equals skimage.segmentation.watershed(x, markers, connectivity=1) but for ties.
    """
    require_colors(x, "watershed", allowed=(1,))
    b, h, w, _ = x.shape
    wall = jnp.asarray(jnp.inf, x.dtype)
    open_ = ~jnp.isnan(x[..., 0])  # NaN differs from itself: the sweeps would not end
    relief = jnp.where(open_ if mask is None else open_ & (mask[..., 0] > 0.5), x[..., 0], wall)
    seeds = (markers > 0) & (relief < wall)

    height = _sweep(_pass, jnp.where(seeds, relief, wall), relief)
    beside = {side: shifted(height, *side, wall) for side in _SIDES}
    rises = jnp.any(jnp.stack([beside[side] < height for side in _SIDES]), axis=0)
    far = jnp.asarray(h * w + 1, jnp.int32)
    steps = _sweep(_walk, jnp.where(seeds, 0, jnp.where(rises, 1, far)), height)

    node = jnp.arange(b * h * w, dtype=jnp.int32).reshape(b, h, w)
    parent, lowest, fewest = node, height, steps
    for side, step in zip(_SIDES, (-w, -1, 1, w), strict=True):
        level, count = beside[side], shifted(steps, *side, far)
        better = (level < lowest) | ((level == lowest) & (count < fewest))
        parent = jnp.where(better, node + step, parent)
        lowest, fewest = jnp.where(better, level, lowest), jnp.where(better, count, fewest)
    parent = jnp.where(seeds | (height == wall), node, parent)
    return jnp.where(seeds, markers, 0).reshape(-1)[ends(parent)]


def _pass(before: Row, here: Row) -> jax.Array:
    """The highest point of the best way, if it may come from the row before."""
    return jnp.minimum(here[0], jnp.maximum(before[0], here[1]))


def _walk(before: Row, here: Row) -> jax.Array:
    """Steps at the same level, if they may come from the row before."""
    return jnp.where(before[1] == here[1], jnp.minimum(here[0], before[0] + 1), here[0])


def _sweep(improve: Callable[[Row, Row], jax.Array], found: jax.Array, relief: jax.Array) -> jax.Array:
    """Improves [b h w] from row to row and from column to column, both ways, until nothing changes."""

    def along(found: jax.Array, relief: jax.Array) -> jax.Array:
        """Down and up the first axis."""

        def step(before: Row, here: Row) -> tuple[Row, jax.Array]:
            value = improve(before, here)
            return (value, here[1]), value

        for reverse in (False, True):
            end = -1 if reverse else 0
            found = lax.scan(step, (found[end], relief[end]), (found, relief), reverse=reverse)[1]
        return found

    rows, columns = relief.transpose(1, 2, 0), relief.transpose(2, 1, 0)  # [h w b], [w h b]

    def both(state: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        found, _ = state
        better = along(along(found, rows).transpose(1, 0, 2), columns).transpose(1, 0, 2)
        return better, jnp.any(better != found)

    start = found.transpose(1, 2, 0)
    return lax.while_loop(lambda state: state[1], both, (start, jnp.bool_(True)))[0].transpose(2, 0, 1)
