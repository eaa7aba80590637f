"""The pictures of benchmarks/watermark.py: photographs, other images from files, and shapes drawn by gen."""

from __future__ import annotations

import functools
import importlib.util
import pathlib
from collections.abc import Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from gen.data.shapes import render
from gen.npz import read_npz

PLACES = {"skimage": ("data/*.png", "data/*.jpg"), "sklearn": ("datasets/images/*.jpg",)}
NO_PHOTOGRAPHS = ("chessboard", "color", "horse", "logo", "microaneurysms", "page", "phantom", "text")
LEAST = 256  # pixels of the short side


def photographs() -> list[np.ndarray]:
    """Those that lie in the packages scikit-image and scikit-learn, uint8 [h w 3]; none where these are missing."""
    return [
        photo for path in _files() if min((photo := np.asarray(Image.open(path).convert("RGB"))).shape[:2]) >= LEAST
    ]


def _files() -> Iterator[pathlib.Path]:
    for package, patterns in PLACES.items():
        spec = importlib.util.find_spec(package)
        for folder in (spec and spec.submodule_search_locations) or ():
            paths = (path for pattern in patterns for path in pathlib.Path(folder).glob(pattern))
            yield from sorted(path for path in paths if not path.name.startswith(NO_PHOTOGRAPHS))


def squares(photos: list[np.ndarray], count: int, side: int) -> np.ndarray:
    """uint8 [count side side 3]: squares out of the photographs in turn, of any size and place, reduced to `side`."""
    draw, made = np.random.default_rng(0), []
    for i in range(count):
        photo = photos[i % len(photos)]
        shortest = min(photo.shape[:2])
        length = int(draw.integers(min(LEAST, shortest), shortest + 1))
        y, x = (int(draw.integers(n - length + 1)) for n in photo.shape[:2])
        made.append(_reduced(photo[y : y + length, x : x + length], side))
    return np.stack(made) if made else np.zeros((0, side, side, 3), np.uint8)


def shapes(count: int, side: int) -> np.ndarray:
    """uint8 [count side side 3], the first scenes of gen.data.shapes."""
    drawn = [np.asarray(render(np.arange(i, i + 16), resolution=side).image) for i in range(0, count, 16)]
    return np.rint(np.concatenate(drawn)[:count] * 255).astype(np.uint8)


def from_file(file: pathlib.Path, count: int, side: int) -> np.ndarray:
    """uint8 [count side side 3] of the array `x` or `x_test` of a .npz file, reduced; fewer where it has fewer."""
    images = _images(file)
    if min(images.shape[1:3]) < side:
        return np.zeros((0, side, side, 3), np.uint8)
    chosen = np.random.default_rng(0).permutation(len(images))[:count]
    return np.stack([_reduced(images[i], side) for i in chosen])


@functools.cache
def _images(file: pathlib.Path) -> np.ndarray:
    (images, *_) = read_npz(file, ("x", "x_test")).values()
    return np.broadcast_to(images, (*images.shape[:3], 3))


def _reduced(image: np.ndarray, side: int) -> np.ndarray:
    return np.asarray(Image.fromarray(image).resize((side, side), Image.Resampling.LANCZOS))


def pictures(count: int, side: int, files: Sequence[pathlib.Path], *, each: bool = False) -> dict[str, np.ndarray]:
    """uint8 [n side side 3] by kind: `count` in all, two fifths photographs, a fifth of the files, the rest shapes.

    each: so many of each kind that has so many.
    """
    photos = photographs()
    found = {"photographs": squares(photos, count if each else count * 2 // 5, side)} if photos else {}
    for file in files:
        found[file.stem] = from_file(file, count if each else count // 5 // len(files), side)
    if each:
        found = {name: images for name, images in found.items() if len(images) == count}
    return found | {"shapes": shapes(count if each else count - sum(map(len, found.values())), side)}


def plain(side: int) -> np.ndarray:
    """uint8 [n side side 3], in which a pattern would be seen first: a sky, the dark, lines on white; and some more."""
    down = np.linspace(0, 1, side)[:, None, None]
    slopes = (np.array([110, 160, 225]) + down * [70, 50, 20], down * [18, 16, 22])
    lines = Image.new("RGB", (1024, 1024), "white")
    draw = ImageDraw.Draw(lines)
    for i in range(5):
        draw.ellipse((160 + 48 * i, 120 + 56 * i, 864 - 36 * i, 920 - 60 * i), outline="black", width=8)
    made = [np.broadcast_to(np.rint(slope), (side, side, 3)).astype(np.uint8) for slope in slopes]
    made.append(_reduced(np.asarray(lines), side))
    for path in _files():
        if path.stem in ("rocket", "china", "astronaut"):
            photo = np.asarray(Image.open(path).convert("RGB"))
            made.append(_reduced(photo[: (least := min(photo.shape[:2])), :least], side))
    return np.concatenate([np.stack(made), shapes(2, side)])


def sheet(before: np.ndarray, after: np.ndarray, *, shown: int = 128, enlarged: int = 256) -> Image.Image:
    """The upper left corners of images, of the marked ones, and 8 times their differences around gray, below each."""
    difference = np.clip(128 + 8 * (after.astype(int) - before), 0, 255).astype(np.uint8)
    rows = [np.concatenate(list(x[:, :shown, :shown]), 1) for x in (before, after, difference)]
    image = Image.fromarray(np.concatenate(rows))
    factor = max(1, enlarged // min(shown, before.shape[1]))
    return image.resize((image.width * factor, image.height * factor), Image.Resampling.NEAREST)
