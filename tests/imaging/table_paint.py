"""Rows of percentile_filter, inpaint, jpeg and kuwahara."""

from __future__ import annotations

import jax.numpy as jnp
from table import Row

from gen.imaging.filters import inpaint, jpeg, kuwahara, percentile_filter


def holed(x):
    """x with a hole in its middle."""
    if x.ndim < 3:
        return inpaint(x, x)  # refused
    shape = (*x.shape[:-1], 1)
    rows, columns = (jnp.arange(n) for n in x.shape[-3:-1])
    middle = (abs(rows - (x.shape[-3] - 1) / 2) < 2.5)[:, None] & (abs(columns - (x.shape[-2] - 1) / 2) < 2.5)
    return inpaint(x, jnp.broadcast_to(middle[..., None].astype(jnp.float32), shape), iterations=40)


OPERATORS = [
    Row("percentile_filter", lambda x: percentile_filter(x, 3, 25), identity=lambda x: percentile_filter(x, 1, 80)),
    Row("percentile_filter", lambda x: percentile_filter(x, 15, 90.0), gray=True),
    # A blocked picture begins at the top left; a step of 1/255 is the least that is kept.
    Row(
        "jpeg",
        lambda x: jpeg(x, 60.0),
        constant=False,
        flips=False,
        per_image=lambda x, s: jpeg(x, 100 * s),
        tolerance=2e-2,  # a coefficient between two steps is decided by the last digit
        half=None,
    ),
    Row("jpeg", lambda x: jpeg(x, 90.0), gray=True, constant=False, flips=False, tolerance=2e-2, half=None),
    # Smaller images are all hole.
    Row("inpaint", holed, identity=lambda x: inpaint(x, jnp.zeros((*x.shape[:-1], 1)))),
    # Which square is the evenest, the last digit may decide.
    Row("kuwahara", lambda x: kuwahara(x, 2), identity=lambda x: kuwahara(x, 0), half=None),
    Row("kuwahara", lambda x: kuwahara(x, 4), gray=True, half=None),
]
