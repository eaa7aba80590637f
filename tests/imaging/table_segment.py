"""The operators of gen.imaging.segment, without thresholds and k-means."""

import functools

import jax.numpy as jnp
from table import Row

from gen.imaging import segment
from gen.imaging._operator import check, luma


def levels(x, count=3):
    """Labels [b h w] or [h w] from 0 to `count` by brightness."""
    check("levels", "x", x)
    return jnp.clip(luma(x)[..., 0] * (count + 1), 0, count).astype(jnp.int32)


def tiles(x):
    """Labels of squares of 4 pixels, those of the first row are 0."""
    check("tiles", "x", x)
    rows, columns = (jnp.arange(n) // 4 for n in x.shape[-3:-1])
    return jnp.broadcast_to(rows[:, None] * (columns + 1), x.shape[:-1]).astype(jnp.int32)


def seeds(x):
    """Two markers in opposite corners."""
    check("seeds", "x", x)
    return jnp.zeros(x.shape[:-1], jnp.int32).at[..., -1, -1].set(2).at[..., 0, 0].set(1)


def soft(x):
    check("soft", "x", x)
    return luma(x)


labeled = functools.partial(Row, image=False, half=None)  # returns labels or numbers

OPERATORS = [
    labeled("slic", lambda x: segment.slic(x, 9, iterations=3)),
    labeled(
        "slic",
        lambda x: segment.slic(x, 9, connected=False),
        per_image=lambda x, s: segment.slic(x, 9, compactness=s, connected=False),
        strengths=(0.5, 200.0),
        gray=True,
    ),
    labeled("connected_components", lambda x: segment.connected_components(levels(x))),
    labeled("connected_components", lambda x: segment.connected_components(levels(x, 1), connectivity=4)),
    labeled("connected_components", lambda x: segment.connected_components(levels(x, 1))),
    labeled(
        "remove_small_objects",
        lambda x: segment.remove_small_objects(levels(x), 6),
        per_image=lambda x, s: segment.remove_small_objects(levels(x), s),
        strengths=(3.0, 30.0),
    ),
    labeled("relabel_sequential", lambda x: segment.relabel_sequential(levels(x, 40))),
    labeled("watershed", lambda x: segment.watershed(soft(x), seeds(x))),
    labeled("watershed", lambda x: segment.watershed(soft(x), seeds(x), mask=soft(x) + 0.3)),
    labeled(
        "random_walker",
        lambda x: segment.random_walker(x, seeds(x), 2).probabilities,
        per_image=lambda x, s: segment.random_walker(x, seeds(x), 2, beta=s).probabilities,
        strengths=(10.0, 200.0),
        tolerance=1e-3,
    ),
    labeled(
        "foreground",
        segment.foreground,
        per_image=lambda x, s: segment.foreground(x, smoothness=s),
        strengths=(3.0, 60.0),
        tolerance=1e-2,
    ),
    labeled("foreground", lambda x: segment.foreground(x, box=(0.1, 0.2, 0.9, 0.9)), tolerance=1e-2),
    labeled("foreground", lambda x: segment.foreground(x, mask=soft(x)), tolerance=1e-2, gray=True),
    labeled(
        "chan_vese",
        lambda x: segment.chan_vese(x, steps=5),
        per_image=lambda x, s: segment.chan_vese(x, smoothness=s, steps=5),
        tolerance=1e-3,
    ),
    labeled("find_boundaries", lambda x: segment.find_boundaries(levels(x))),
    labeled("expand_labels", lambda x: segment.expand_labels(levels(x), 2.5)),
    labeled("clear_border", lambda x: segment.clear_border(levels(x), margin=1)),
    labeled("distance_transform", lambda x: segment.distance_transform(soft(x))),
    labeled("region_statistics", lambda x: segment.region_statistics(x, tiles(x), 12)),
    labeled("adapted_rand_error", lambda x: segment.adapted_rand_error(levels(x), tiles(x))),
    labeled("variation_of_information", lambda x: segment.variation_of_information(levels(x), tiles(x))),
    labeled("dice", lambda x: segment.dice(soft(x), jnp.ones_like(soft(x)))),
    labeled("boundary_recall", lambda x: segment.boundary_recall(levels(x), tiles(x), tolerance=1)),
    labeled("explained_variation", lambda x: segment.explained_variation(x, tiles(x), 12)),
    labeled("undersegmentation_error", lambda x: segment.undersegmentation_error(levels(x), tiles(x))),
]
