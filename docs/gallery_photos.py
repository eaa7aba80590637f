"""The photographs of the gallery, 176 x 132 pixels, from the wheel of scikit-image; some are spoiled on purpose."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import skimage.data
from PIL import Image

from gen.image_io import open_picture

WIDTH, HEIGHT = 176, 132
# File, and the rectangle of it that is shown: left, top, right, bottom.
_FILES = {
    "astronaut": ("astronaut.png", (72, 0, 392, 240)),
    "cat": ("chelsea.png", (64, 10, 432, 286)),
    "coffee": ("coffee.png", (50, 0, 583, 400)),
    "coins": ("coins.png", (0, 48, 340, 303)),
    "lamps": ("rocket.jpg", (352, 344, 462, 427)),
    "moon": ("moon.png", (232, 0, 512, 210)),
    "motorcycle": ("motorcycle_left.png", (40, 0, 707, 500)),
    "page": ("page.png", (0, 0, 176, 132)),
    "retina": ("retina.jpg", (60, 300, 1000, 1005)),
    "rocket": ("rocket.jpg", (40, 0, 609, 427)),
    "stars": ("hubble_deep_field.jpg", (300, 300, 652, 564)),
    "tissue": ("ihc.png", (100, 128, 452, 392)),
}


@functools.cache
def photo(name: str) -> np.ndarray:
    """float32 [132 176 c] in [0, 1]."""
    file, box = _FILES[name]
    pixels = open_picture(Path(skimage.data.__file__).parent / file).pixels
    image = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
    image = image.resize((WIDTH, HEIGHT), Image.Resampling.LANCZOS, box)
    return (np.asarray(image, np.float32) / np.float32(255)).reshape(HEIGHT, WIDTH, -1)


def _noisy(x: np.ndarray, deviation: float) -> np.ndarray:
    noise = np.random.default_rng(0).normal(0, deviation, x.shape)
    return np.clip(x + noise, 0, 1).astype(np.float32)


def _salted(x: np.ndarray) -> np.ndarray:
    draw = np.random.default_rng(0).random(x.shape[:2])[..., None]
    return np.where(draw < 0.05, 0, np.where(draw > 0.95, 1, x)).astype(np.float32)


def _blurred(x: np.ndarray, sigma: float) -> np.ndarray:
    """By a Gaussian, edges reflected."""
    radius = int(np.ceil(4 * sigma))
    taps = np.exp(-0.5 * np.square(np.arange(-radius, radius + 1) / sigma))
    for axis in (0, 1):
        wide = np.pad(x, [(radius, radius) if i == axis else (0, 0) for i in range(3)], mode="reflect")
        n = x.shape[axis]
        x = sum(tap * np.take(wide, range(i, i + n), axis) for i, tap in enumerate(taps / taps.sum()))
    return x.astype(np.float32)


def _light(x: np.ndarray) -> np.ndarray:
    """Display-referred to linear light."""
    return np.where(x <= 0.04045, x / 12.92, ((np.maximum(x, 0.04045) + 0.055) / 1.055) ** 2.4).astype(np.float32)


def display(light: np.ndarray) -> np.ndarray:
    """Linear light to display-referred, clipped."""
    light = np.clip(light, 0, 1)
    curve = 1.055 * np.maximum(light, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(light <= 0.0031308, 12.92 * light, curve).astype(np.float32)


def _drifted(x: np.ndarray) -> np.ndarray:
    """As an upscaler leaves it: colder from left to right, and softer."""
    right = np.linspace(0, 1, x.shape[1], dtype=np.float32)[:, None]
    return np.clip(x * (1 - right * np.float32((0.45, 0.15, -0.1))), 0, 1).astype(np.float32)


def _quarter(x: np.ndarray) -> np.ndarray:
    return x.reshape(HEIGHT // 4, 4, WIDTH // 4, 4, -1).mean((1, 3))


def scratches() -> np.ndarray:
    """A mask [h w 1] of what `_scratched` spoils: lines and a blot."""
    y, x = np.mgrid[:HEIGHT, :WIDTH]
    lines = [abs(y - at - slope * x) < 1.6 for at, slope in ((20, 0.3), (95, -0.4), (60, 0.1), (140, -0.9))]
    return (np.any(lines, axis=0) | ((y - 95) ** 2 + (x - 130) ** 2 < 60)).astype(np.float32)[..., None]


def _scratched(x: np.ndarray) -> np.ndarray:
    return np.where(scratches() > 0, np.float32(1), x)


_MADE: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "backlit": ("astronaut", lambda x: x**2.2),
    "blurred": ("cat", lambda x: _noisy(_blurred(x, 1.5), 0.004)),
    "cast": ("astronaut", lambda x: display(_light(x) * np.float32((0.55, 0.85, 1.3)))),
    "drifted": ("coffee", _drifted),
    "dull": ("motorcycle", lambda x: 0.35 + 0.35 * x),
    "noisy": ("astronaut", lambda x: _noisy(x, 0.08)),
    "noisy dark": ("coffee", lambda x: _noisy(0.4 * x, 0.08)),
    "salted": ("astronaut", _salted),
    "scene": ("coffee", lambda x: 6 * _light(x) ** 1.3),
    "scratched": ("cat", _scratched),
    "soft": ("cat", lambda x: _blurred(x, 0.8)),
    "thumbnail": ("cat", _quarter),
}
LINEAR = {"scene"}  # shown clipped, not as they are
PHOTOS = (*_FILES, *_MADE)
REFERENCES = {"flash": "coffee", "evening": "rocket", "before": "coffee"}


@functools.cache
def before(name: str) -> np.ndarray:
    """The photograph `name` of PHOTOS as it goes into an operator: float32 [h w c]."""
    if name not in _MADE:
        return photo(name)
    source, change = _MADE[name]
    return change(photo(source))


def strokes() -> np.ndarray:
    """Markers int32 [132 176] on the astronaut: 1 on what is around her, 2 on her."""
    marks = np.zeros((HEIGHT, WIDTH), np.int32)
    marks[1:5, 20:150] = 1
    marks[8:70, 12:18] = 1
    marks[10:60, 150:156] = 1
    marks[14:60, 76:82] = marks[26:32, 56:102] = 2
    marks[115:121, 40:120] = 2
    return marks
