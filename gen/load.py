"""Image files as a model sees them: brought to the height, width and channels of its run, as its data once were."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen.data.decode import TooSmall, open_image, to_resolution
from gen.errors import InputError
from gen.files import expand

_WHITE = (255, 255, 255)


def image_files(inputs: Sequence[str | Path]) -> list[Path]:
    """The files that `inputs`, files and folders, name; folders are searched with their subfolders, in order of names.

    In folders, files and folders whose names begin with a dot are passed over, and what is no image by its name. Raises
    InputError when there is none.
    """
    extensions = {end for end, kind in Image.registered_extensions().items() if kind in Image.OPEN}
    found = list[Path]()
    for text in inputs:
        path = expand(text)
        if not path.exists():
            raise InputError(f"{path}: there is no such file or folder")
        files = [path]
        if path.is_dir():
            files = sorted(
                file
                for file in path.rglob("*")
                if file.suffix.lower() in extensions
                and not any(part.startswith(".") for part in file.relative_to(path).parts)
                and file.is_file()
            )
            if not files:
                raise InputError(f"{path}: no image files in this folder")
        found += files
    return found


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
    height, width, channels = image_shape
    images = np.empty((len(paths), *image_shape), np.float32)
    for index, path in enumerate(paths):
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # remarks about metadata
                image = open_image(Path(path), grayscale=channels == 1, background=_WHITE)
            images[index] = _fitted(image, height, width, padding) / np.float32(255)
        except TooSmall as error:
            raise InputError(f"{path}: {error}; allowed: {width}x{height} or more, of this run's images") from None
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise InputError(f"{path}: cannot be read ({error})") from None
    return images


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
