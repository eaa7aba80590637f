"""Numbers as colors: dark is 0, bright is high, and each step looks as large as the next; with a scale beneath.

Values are float [h w], not negative; pictures uint8 [H W 3].
"""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from gen.files import printable
from gen.report.pictures import enlargement

# Oklab: lightness in even steps, violet by way of blue and green to yellow, so that gray prints keep the order.
_POINTS = (
    (0.22, 0.05, -0.08),
    (0.40, 0.00, -0.12),
    (0.58, -0.09, -0.02),
    (0.76, -0.13, 0.11),
    (0.94, -0.04, 0.17),
)
_LEAST_WIDTH = 150  # of a scale: its texts need it
_BAR, _FONT = 10, 11


def apply_colormap(values: np.ndarray, *, high: float) -> np.ndarray:
    """Values of any shape [...] as uint8 [... 3]: 0 is the darkest color, `high` and more the brightest."""
    shares = np.clip(np.asarray(values, np.float64) / (high if high > 0 else 1.0), 0.0, 1.0)
    return _table()[np.rint(255 * shares).astype(int)]


def scale(high: float, *, unit: str, width: int = _LEAST_WIDTH) -> np.ndarray:
    """The colors from 0 to `high` as a bar with the numbers at its ends. width: pixels, at least."""
    width = max(width, _LEAST_WIDTH)
    bar = apply_colormap(np.broadcast_to(np.linspace(0, 1, width), (_BAR, width)), high=1.0)
    left, right = text("0"), text(f"{high:.3g}  {unit}")
    labels = np.full((left.shape[0], width, 3), 255, np.uint8)
    labels[:, : left.shape[1]] = left
    labels[:, max(0, width - right.shape[1]) :] = right[:, :width]
    return np.concatenate([bar, labels])


def heat_map(values: np.ndarray, *, unit: str, enlarged: int | None = None) -> np.ndarray:
    """Values as a picture with the scale up to the largest of them. enlarged: pixels per value; None: as `grid`."""
    high, enlarged = float(np.max(values)), enlarged or enlargement(*values.shape)
    picture = apply_colormap(values, high=high).repeat(enlarged, axis=0).repeat(enlarged, axis=1)
    beneath = scale(high, unit=unit, width=picture.shape[1])
    width = beneath.shape[1]
    padded = np.full((picture.shape[0] + 4, width, 3), 255, np.uint8)
    left = (width - picture.shape[1]) // 2
    padded[: picture.shape[0], left : left + picture.shape[1]] = picture
    return np.concatenate([padded, beneath])


def text(line: str) -> np.ndarray:
    """One line of small dark text on white."""
    line, font = printable(line), ImageFont.load_default(_FONT)
    canvas = Image.new("RGB", (max(1, round(font.getlength(line)) + 2), _FONT + 5), "white")
    ImageDraw.Draw(canvas).text((1, 1), line, fill=(40, 40, 40), font=font)
    return np.asarray(canvas)


@functools.cache
def _table() -> np.ndarray:
    """256 colors, uint8 [256 3]."""
    import jax.numpy as jnp

    from gen.imaging.color import oklab_to_rgb

    at = np.linspace(0, len(_POINTS) - 1, 256)
    lab = np.stack([np.interp(at, range(len(_POINTS)), axis) for axis in zip(*_POINTS, strict=True)], -1)
    rgb = np.asarray(oklab_to_rgb(jnp.float32(lab[None])))[0]
    return np.rint(np.clip(rgb, 0, 1) * 255).astype(np.uint8)
