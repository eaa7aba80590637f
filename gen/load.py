"""Image files as a model sees them: brought to the height, width and channels of its run, as its data once were."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen.data.decode import TooSmall, to_resolution
from gen.errors import InputError
from gen.files import expand, printable
from gen.image_io import Found, Unreadable, composed, find_images, ignored_line, open_image

log = logging.getLogger(__name__)


def image_files(inputs: Sequence[str | Path]) -> list[Path]:
    """The files that `inputs`, files and folders, name, by `find_images`; a warning counts what was passed over.

    In folders, grids and other pictures that gen composed of images are passed over too, by their record. Raises
    InputError when there is none.
    """
    found, named = find_images(inputs), {expand(text) for text in inputs}
    grids = {path for path in found.files if path not in named and composed(path)}
    ignored = found.ignored | ({"composed by gen (grids and figures)": len(grids)} if grids else {})
    if line := ignored_line(Found(found.files, ignored)):
        log.warning("%s", line)
    files = [path for path in found.files if path not in grids]
    if not files:
        raise InputError(f"{printable(inputs[0])}: no images but those composed by gen")
    return files


def padding_of(data_facts: Mapping[str, Any]) -> str:
    """How the data of a run, by its data.json, brought images to its size that were a little too small."""
    known = "edge" if data_facts.get("name") == "clips" else "zero"
    return str(data_facts.get("options", {}).get("padding", known))


def load_images(paths: Sequence[str | Path], image_shape: tuple[int, int, int], *, padding: str = "zero") -> np.ndarray:
    """Image files as float32 [n h w c] in [0, 1], of height, width and channels `image_shape`.

    Upright, on white, 8 bits a channel, gray where c is 1. Larger images are cropped to their centre and area-averaged;
    those smaller by at most a quarter get a border of zeros or, with padding="edge", of their edge. Raises InputError
    for a file that cannot be read or is too small.
    """
    images = np.empty((len(paths), *image_shape), np.float32)
    for index, path in enumerate(paths):
        images[index] = _load(Path(path), image_shape, padding)
    return images


def load_readable(
    paths: Sequence[Path], image_shape: tuple[int, int, int], *, padding: str = "zero"
) -> tuple[list[int], np.ndarray]:
    """As `load_images`, but what cannot be read or is too small is left out with a warning for each.

    Returns the indices of those that are there, and their images. Raises InputError when none is.
    """
    kept, images = list[int](), list[np.ndarray]()
    for index, path in enumerate(paths):
        try:
            images.append(_load(path, image_shape, padding))
            kept.append(index)
        except InputError as error:
            if len(paths) == 1:
                raise
            log.warning("%s; left out", error)
    if not kept:
        raise InputError(f"none of the {len(paths):,} files can be used; the lines above say why")
    return kept, np.stack(images)


def _load(path: Path, image_shape: tuple[int, int, int], padding: str) -> np.ndarray:
    """One image, float32 [h w c] in [0, 1]."""
    height, width, channels = image_shape
    try:
        image = open_image(path, grayscale=channels == 1)
        return _fitted(image, height, width, padding) / np.float32(255)
    except TooSmall as error:
        allowed = f"{width}x{height} or more, of this run's images"
        raise InputError(f"{printable(path)}: {error}; allowed: {allowed}") from None
    except Unreadable as error:
        raise InputError(f"{printable(path)}: cannot be read ({error})") from None


def _fitted(image: Image.Image, height: int, width: int, padding: str) -> np.ndarray:
    """uint8 [height width c] of an image in mode L or RGB. Raises TooSmall."""
    if height == width:
        pixels = np.asarray(image)
        return to_resolution(pixels.reshape(1, *pixels.shape[:2], -1), height, padding)[0]
    scale = min(image.width / width, image.height / height)
    if scale < 1:
        raise TooSmall(f"is {image.width}x{image.height}")
    left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    return np.asarray(image.resize((width, height), Image.Resampling.BOX, box=box)).reshape(height, width, -1)
