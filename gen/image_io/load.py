"""Loads image files for a model, at the height, width and channels of its run, as its data were."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen.errors import InputError
from gen.files import expand, printable
from gen.image_io import Found, Unreadable, composed, find_images, ignored_line, open_image
from gen.image_io.fit import Padding, TooSmall, center_crop_resize, to_resolution

_MOST_SAID = 3  # reasons in a line

log = logging.getLogger(__name__)


def image_files(inputs: Sequence[str | Path]) -> list[Path]:
    """Finds files as `find_images` does; a warning counts what was passed over.

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


def padding_of(data_metadata: Mapping[str, Any]) -> Padding:
    """Returns the padding of images that are a little too small in the data of a run, by its data.json."""
    known = "edge" if data_metadata.get("name") == "frame_pairs" else "zero"
    return "edge" if data_metadata.get("options", {}).get("padding", known) == "edge" else "zero"


def load_images(
    paths: Sequence[str | Path], image_shape: tuple[int, int, int], *, padding: Padding = "zero"
) -> np.ndarray:
    """Loads image files as float32 [n h w c] in [0, 1], of height, width and channels `image_shape`.

    Upright, on white, 8 bits a channel, gray where c is 1. Larger images are cropped to their center and area-averaged;
    those smaller by at most a quarter get a border of zeros or, with padding="edge", of their edge. Raises InputError
    for a file that cannot be read or is too small.
    """
    images = np.empty((len(paths), *image_shape), np.float32)
    for index, path in enumerate(paths):
        try:
            images[index] = _load(Path(path), image_shape, padding)
        except Unreadable as error:
            raise InputError(f"{printable(path)}: {error}") from None
    return images


def load_readable(
    paths: Sequence[Path], image_shape: tuple[int, int, int], *, padding: Padding = "zero"
) -> tuple[list[int], np.ndarray]:
    """Loads as `load_images`, but leaves out what cannot be read or is too small, with one warning.

    Returns the indices of those that are there, and their images. Raises InputError when none is.
    """
    kept, images, left_out = list[int](), list[np.ndarray](), dict[Path, str]()
    for index, path in enumerate(paths):
        try:
            images.append(_load(path, image_shape, padding))
            kept.append(index)
        except Unreadable as error:
            left_out[path] = str(error)
    if line := left_out_line(left_out, len(paths)):
        log.warning("%s", line)
    return kept, np.stack(images)


def left_out_line(left_out: Mapping[Path, str], count: int) -> str:
    """Returns a line about the files, of `count`, that cannot be used, with the reasons; "" for none.

    Raises InputError with it when that are all.
    """
    reasons = [f"{printable(path)}: {reason}" for path, reason in left_out.items()]
    more = f"; and {len(reasons) - _MOST_SAID:,} more" if len(reasons) > _MOST_SAID else ""
    said = "; ".join(reasons[:_MOST_SAID]) + more
    if len(reasons) == count:
        raise InputError(said if count == 1 else f"none of the {count:,} files can be used: {said}")
    return f"{len(reasons):,} of {count:,} files left out: {said}" if reasons else ""


def _load(path: Path, image_shape: tuple[int, int, int], padding: Padding) -> np.ndarray:
    """Loads one image, float32 [h w c] in [0, 1]."""
    height, width, channels = image_shape
    try:
        image = open_image(path, grayscale=channels == 1)
        if height != width:
            return center_crop_resize(image, height, width) / np.float32(255)
        pixels = np.asarray(image).reshape(1, image.height, image.width, -1)
        return to_resolution(pixels, height, padding)[0] / np.float32(255)
    except TooSmall as error:
        raise Unreadable(f"{error}; allowed: {width}x{height} or more, of this run's images") from None
    except Unreadable as error:
        raise Unreadable(f"cannot be read ({error})") from None
