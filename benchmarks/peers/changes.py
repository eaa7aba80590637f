"""What benchmarks/watermark.py does to pictures between marking and reading; needs nothing but numpy and Pillow."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]  # uint8 [h w 3] to uint8 [h w 3]


def encoded(image: np.ndarray, format: str, quality: int) -> np.ndarray:
    """What is left of it after lossy compression; JPEG with color at half the resolution (4:2:0)."""
    file = io.BytesIO()
    Image.fromarray(image).save(file, format, quality=quality, **({"subsampling": 2} if format == "JPEG" else {}))
    return np.asarray(Image.open(file).convert("RGB"))


def resized(image: np.ndarray, factor: float) -> np.ndarray:
    """Both sides `factor` times as long, bicubic."""
    height, width = (round(factor * n) for n in image.shape[:2])
    return np.asarray(Image.fromarray(image).resize((width, height), Image.Resampling.BICUBIC))


def cropped(image: np.ndarray, draw: np.random.Generator, part: float = 0.75) -> np.ndarray:
    """A part of each side, anywhere."""
    height, width = (round(part * n) for n in image.shape[:2])
    y, x = (int(draw.integers(n - kept + 1)) for n, kept in zip(image.shape[:2], (height, width), strict=True))
    return image[y : y + height, x : x + width]


def _noisy(image: np.ndarray, draw: np.random.Generator) -> np.ndarray:
    return np.clip(np.rint(image + draw.normal(0, 12, image.shape)), 0, 255).astype(np.uint8)


CHANGES: dict[str, Change] = {
    "none": lambda x, draw: x,
    "JPEG 80": lambda x, draw: encoded(x, "JPEG", 80),
    "JPEG 50": lambda x, draw: encoded(x, "JPEG", 50),
    "JPEG 30": lambda x, draw: encoded(x, "JPEG", 30),
    "WebP 60": lambda x, draw: encoded(x, "WEBP", 60),
    "resize 0.75": lambda x, draw: resized(x, 0.75),
    "resize 0.5": lambda x, draw: resized(x, 0.5),
    "noise, sigma 12": _noisy,
    "brightness 1.3": lambda x, draw: np.clip(np.rint(x * 1.3), 0, 255).astype(np.uint8),
    "blur, sigma 1": lambda x, draw: np.asarray(Image.fromarray(x).filter(ImageFilter.GaussianBlur(1))),
    "screenshot": lambda x, draw: encoded(resized(x, 1.37), "JPEG", 80),
    "mirrored": lambda x, draw: x[:, ::-1],
    "crop 0.75": lambda x, draw: cropped(x, draw),
    "crop 0.75, JPEG 80": lambda x, draw: encoded(cropped(x, draw), "JPEG", 80),
}


def changed(images: np.ndarray, name: str) -> list[np.ndarray]:
    """Every image after the change `name`; what is drawn for it depends on its place in the list alone."""
    return [CHANGES[name](image, np.random.default_rng(i)) for i, image in enumerate(images)]
