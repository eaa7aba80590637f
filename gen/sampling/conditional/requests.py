"""Requests to a prior, made of image files. Images are float32 [n h w c] in [0, 1]."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from PIL import Image

from gen import cli
from gen.errors import InputError, nearest
from gen.files import printable, sha256
from gen.image_io import Unreadable, open_image
from gen.image_io.load import image_files, load_images
from gen.report import to_uint8
from gen.runs.trained_run import TrainedRun
from gen.sampling.conditional.inputs import named_files, prior, read, read_named
from gen.tasks.prior import Prior

# What is to be made: from top, to bottom, from left, to right, in quarters of the sides. "border" is all but "center".
REGIONS = {
    "bottom_half": (2, 4, 0, 4),
    "top_half": (0, 2, 0, 4),
    "left_half": (0, 4, 0, 2),
    "right_half": (0, 4, 2, 4),
    "center": (1, 3, 1, 3),
    "border": (1, 3, 1, 3),
}


class Request(NamedTuple):
    """What a prior is given, with an entry for each input."""

    names: list[str]  # of the results
    shown: list[np.ndarray]  # uint8 [t h w c]: what is given, as pictures; of a film all frames
    conditions: dict[str, np.ndarray]  # [n ...], of Task.sample
    records: list[dict[str, Any]]  # fields of the records of the results
    frames: int | None = None  # to predict; None: this is no film


def inpaint(run: TrainedRun, inputs: Sequence[str | Path], region: str | Path) -> Request:
    """A request for what is hidden in images. region: a name of REGIONS, or a mask file, white where it is to be made.

    A mask of an image's size is cropped and padded like it, any other is resized to that of the run. Raises InputError.
    """
    task = prior(run, "--inpaint")
    named, given = read_named(run, named_files(inputs), task.shape)
    files = [file for _, file in named]
    hidden = _hidden(str(region), files, task.shape)
    above = (np.diff(hidden.reshape(len(files), -1) * 1) < 0).any()  # something known comes after what is hidden
    if above and not (task.region_first_probability or any(task.random_order)):
        cli.say("learned in raster order alone (task.region_first_probability=0): only what is below is foreseen")
    shown = np.where(hidden, _hatched(task.shape), to_uint8(given))
    mask = {"mask": region} if region in REGIONS else {"mask": Path(region).name, "mask_source": sha256(Path(region))}
    records = [{"predict": "inpaint", **mask, "source": sha256(file)} for file in files]
    return Request([name for name, _ in named], list(shown[:, None]), {"given": given, "known": ~hidden}, records)


def upscale(run: TrainedRun, inputs: Sequence[str | Path]) -> Request:
    """A request for images of twice the size of these; those that have the run's size are halved. InputError."""
    task, named = _with_context(run, "--upscale", "half_size"), named_files(inputs)
    small = np.stack([_halved(run, task, file) for _, file in named])
    shown = to_uint8(small).repeat(2, axis=1).repeat(2, axis=2)
    records = [{"predict": "upscale", "source": sha256(file)} for _, file in named]
    return Request([name for name, _ in named], list(shown[:, None]), {"context": small}, records)


def predict_frames(run: TrainedRun, inputs: Sequence[str | Path], frames: int) -> Request:
    """A request for the next `frames` of films, each its last frame or the folder of its frames. InputError."""
    task = _with_context(run, "--predict_frames", "previous_frame")
    films: dict[str, list[Path]] = {}
    for text in inputs:
        name = Path(text).resolve().name if Path(text).is_dir() else Path(text).stem
        if name in films:
            raise InputError(f"two films are named {name}, the second {text}; give them apart")
        films[name] = sorted(image_files([text]), key=_in_numbers)
    given = [read(run, files, task.shape) for files in films.values()]
    records = [{"predict": "predict_frames", "frames": frames, "source": sha256(f[-1])} for f in films.values()]
    context = np.stack([film[-1] for film in given])
    return Request(list(films), [to_uint8(film) for film in given], {"context": context}, records, frames)


def _with_context(run: TrainedRun, flag: str, context: str) -> Prior:
    task = prior(run, flag)
    if task.context != context:
        raise InputError(f"{flag} needs a prior learned with task.context='{context}'; this one has '{task.context}'")
    return task


def _hidden(what: str, files: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Which pixels are to be made: bool [n h w 1]."""
    height, width, _ = shape
    if what in REGIONS:
        top, bottom, left, right = REGIONS[what]
        hidden = np.zeros((height, width), bool)
        hidden[top * height // 4 : bottom * height // 4, left * width // 4 : right * width // 4] = True
        found = np.broadcast_to(hidden != (what == "border"), (len(files), height, width))[..., None]
    elif Path(what).is_file():
        found = np.stack([_mask(Path(what), file, height, width) for file in files])
    else:
        meant = nearest(what, REGIONS)
        raise InputError(f"--inpaint={what}: no such region{meant}; allowed: {', '.join(REGIONS)}, or a mask file")
    for file, mask in zip(files, found, strict=True):
        if not mask.any():
            raise InputError(f"--inpaint={what}: nothing is white, so nothing of {file} is to be made")
        if mask.all():
            raise InputError(f"--inpaint={what}: all of {file} is white, so nothing is given; leave out --inpaint")
    return found


def _mask(path: Path, file: Path, height: int, width: int) -> np.ndarray:
    """A mask file for an image file: bool [h w 1]."""
    try:
        mask = open_image(path, grayscale=True, background=(0, 0, 0))
    except Unreadable as error:
        raise InputError(f"--inpaint={printable(path)}: cannot be read ({error})") from None
    try:
        size = open_image(file).size
    except Unreadable as error:
        raise InputError(f"{printable(file)}: cannot be read ({error})") from None
    if mask.size == size:
        return load_images([path], (height, width, 1))[0] >= 0.5
    return np.asarray(mask.resize((width, height), Image.Resampling.NEAREST))[..., None] >= 128


def _halved(run: TrainedRun, task: Prior, file: Path) -> np.ndarray:
    """[h w c] of `context_shape`: the mean of each 2 x 2 pixels, as in training, or the image where it is so small."""
    height, width, channels = task.shape
    try:
        (image,) = read(run, [file], task.shape)
    except InputError:
        return read(run, [file], (height // 2, width // 2, channels))[0]
    return image.reshape(height // 2, 2, width // 2, 2, channels).mean((1, 3))


def _hatched(shape: tuple[int, int, int]) -> np.ndarray:
    """What stands for the unknown in pictures."""
    rows, columns, _ = np.indices(shape)
    return np.where((rows + columns) // 2 % 2, 150, 200).astype(np.uint8)


def _in_numbers(path: Path) -> list[tuple[int, str]]:
    """Frame 10 after frame 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]
