"""Makes requests to a prior or a flow of image files."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen import provenance
from gen.errors import InputError
from gen.files import printable, sha256
from gen.image_io import Unreadable, open_image
from gen.image_io.load import image_files, load_images, load_readable, padding_of
from gen.outputs.naming import check_apart, distinct_names, inputs_in
from gen.runs.trained_run import TrainedRun
from gen.sampling.conditional.requests import (
    REGIONS,
    Request,
    halved,
    inpaint,
    predict_frames,
    predictor,
    predictor_with_context,
    upscale,
)


def named_files(inputs: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """Finds image files, each with a name for its results, see `distinct_names`. Raises InputError."""
    given = [file for text in inputs for file in inputs_in(text, image_files([text]))]
    places = [file.place for file in given]
    names = distinct_names(places, [""] * len(places))
    check_apart((file.file, file.place) for file in given)
    return [(name.as_posix(), file.file) for name, file in zip(names, given, strict=True)]


def read(run: TrainedRun, files: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Reads files as float32 [n h w c] in [0, 1] of height, width, channels `shape`, as the data of the run was."""
    return load_images(files, shape, padding=padding_of(run.data_metadata))


def read_named(
    run: TrainedRun, named: Sequence[tuple[str, Path]], shape: tuple[int, int, int]
) -> tuple[list[tuple[str, Path]], np.ndarray]:
    """Reads as `read`, but leaves out files that cannot be used, with a warning; returns the rest, and their images.

    Raises InputError when none is.
    """
    kept, images = load_readable([file for _, file in named], shape, padding=padding_of(run.data_metadata))
    return [named[index] for index in kept], images


def inpaint_files(run: TrainedRun, inputs: Sequence[str | Path], region: str | Path) -> Request:
    """Requests what is hidden in images. region: a name of REGIONS, or a mask file, white where it is to be made.

    A mask of an image's size is cropped and padded like it, any other is resized to that of the run. Raises InputError.
    """
    height, width, _ = shape = predictor(run, "--inpaint").shape
    named, given = read_named(run, named_files(inputs), shape)
    about: dict[str, Any] = {"mask": region}
    what: str | np.ndarray = str(region)
    if what not in REGIONS and Path(region).is_file():
        what = np.stack([_mask(Path(region), file, height, width) for _, file in named])
        about = {"mask": Path(region).name, "mask_source": sha256(region)}
    request = inpaint(run, given, what, names=[name for name, _ in named])
    return _with_sources(request, [file for _, file in named], kept=True, **about)


def upscale_files(run: TrainedRun, inputs: Sequence[str | Path]) -> Request:
    """Requests images of twice the size of these; those that have the run's size are halved. InputError."""
    predictor_with_context(run, "--upscale", "half_size")
    named = named_files(inputs)
    small = np.concatenate([_halved(run, file) for _, file in named])
    return _with_sources(upscale(run, small, names=[name for name, _ in named]), [file for _, file in named])


def predict_frames_files(run: TrainedRun, inputs: Sequence[str | Path], frames: int) -> Request:
    """Requests the next `frames` of films, each its last frame or the folder of its frames. InputError."""
    shape = predictor_with_context(run, "--predict_frames", "previous_frame").shape
    films: dict[str, list[Path]] = {}
    for text in inputs:
        name = Path(text).resolve().name if Path(text).is_dir() else Path(text).stem
        if name in films:
            raise InputError(f"two films are named {name}, the second {text}; give them apart")
        films[name] = sorted(image_files([text]), key=_in_numbers)
    request = predict_frames(run, [read(run, files, shape) for files in films.values()], frames, names=list(films))
    return _with_sources(request, [files[-1] for files in films.values()], kept=True)


def _with_sources(request: Request, files: Sequence[Path], *, kept: bool = False, **about: Any) -> Request:
    """Enters the files into the records. kept: the results hold pixels of theirs, which a camera may have made."""
    records = []
    for fields, file in zip(request.records, files, strict=True):
        source_type = provenance.TRAINED
        if kept:
            source_type = provenance.changed(provenance.read(file), provenance.claimed_source_type(file))
        records.append(fields | about | {"source": sha256(file), "digital_source_type": source_type})
    return request._replace(records=records)


def _mask(path: Path, file: Path, height: int, width: int) -> np.ndarray:
    """Reads a mask file for an image file: bool [h w]."""
    try:
        mask = open_image(path, grayscale=True, background=(0, 0, 0))
    except Unreadable as error:
        raise InputError(f"--inpaint={printable(path)}: cannot be read ({error})") from None
    try:
        size = open_image(file).size
    except Unreadable as error:
        raise InputError(f"{printable(file)}: cannot be read ({error})") from None
    if mask.size == size:
        return load_images([path], (height, width, 1))[0, ..., 0] >= 0.5
    return np.asarray(mask.resize((width, height), Image.Resampling.NEAREST)) >= 128


def _halved(run: TrainedRun, file: Path) -> np.ndarray:
    """Reads an image at half the run's size, or halves one: [1 h w c]."""
    height, width, channels = predictor(run, "--upscale").shape
    try:
        return halved(read(run, [file], (height, width, channels)))
    except InputError:
        return read(run, [file], (height // 2, width // 2, channels))


def _in_numbers(path: Path) -> list[tuple[int, str]]:
    """Returns a key that sorts frame 10 after frame 9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", str(path))]
