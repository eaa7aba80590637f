"""Numbers as colors: dark is 0, bright is high, and each step looks as large as the next; with a scale beneath.

Values are float [h w], not negative; pictures uint8 [H W 3].
"""

from __future__ import annotations

import functools

import numpy as np

from gen.report.contact_sheet import text
from gen.report.pictures import enlarged

# Oklab: lightness in even steps, violet by way of blue and green to yellow, so that gray prints keep the order.
_POINTS = (
    (0.22, 0.05, -0.08),
    (0.40, 0.00, -0.12),
    (0.58, -0.09, -0.02),
    (0.76, -0.13, 0.11),
    (0.94, -0.04, 0.17),
)
_LEAST_WIDTH = 150  # of a scale: its texts need it
_BAR = 10  # pixels high


def apply_colormap(values: np.ndarray, *, high: float) -> np.ndarray:
    """Maps values of any shape [...] to uint8 [... 3]: 0 is the darkest color, `high` and more the brightest."""
    shares = np.clip(np.asarray(values, np.float64) / (high if high > 0 else 1.0), 0.0, 1.0)
    return _table()[np.rint(255 * shares).astype(int)]


def scale(high: float, *, unit: str, width: int = _LEAST_WIDTH) -> np.ndarray:
    """Draws the colors from 0 to `high` as a bar with the numbers at its ends. width: pixels, at least."""
    width = max(width, _LEAST_WIDTH)
    bar = apply_colormap(np.broadcast_to(np.linspace(0, 1, width), (_BAR, width)), high=1.0)
    left, right = text("0"), text(f"{high:.3g}  {unit}")
    labels = np.full((left.shape[0], width, 3), 255, np.uint8)
    labels[:, : left.shape[1]] = left
    labels[:, max(0, width - right.shape[1]) :] = right[:, :width]
    return np.concatenate([bar, labels])


def heat_map(values: np.ndarray, *, unit: str, times: int | None = None) -> np.ndarray:
    """Draws values as a picture with the scale up to the largest of them. times: pixels per value; None: as `grid`."""
    high = float(np.max(values))
    picture = enlarged(apply_colormap(values, high=high), times=times)
    beneath = scale(high, unit=unit, width=picture.shape[1])
    missing = beneath.shape[1] - picture.shape[1]
    padded = np.pad(picture, ((0, 4), (missing // 2, missing - missing // 2), (0, 0)), constant_values=255)
    return np.concatenate([padded, beneath])


@functools.cache
def _table() -> np.ndarray:
    """Computes 256 colors, uint8 [256 3]."""
    import jax.numpy as jnp

    from gen.imaging.color import oklab_to_rgb

    at = np.linspace(0, len(_POINTS) - 1, 256)
    lab = np.stack([np.interp(at, range(len(_POINTS)), axis) for axis in zip(*_POINTS, strict=True)], -1)
    rgb = np.asarray(oklab_to_rgb(jnp.float32(lab[None])))[0]
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
