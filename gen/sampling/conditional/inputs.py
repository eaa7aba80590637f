"""Image files that a prior gets."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gen.errors import InputError
from gen.image_io.load import image_files, load_images, load_readable, padding_of
from gen.outputs.naming import check_apart, distinct_names, inputs_in
from gen.runs.trained_run import TrainedRun
from gen.tasks.prior import Prior


def prior(run: TrainedRun, what: str) -> Prior:
    """The task of a run. Raises InputError, with `what` needs it, unless it is a prior."""
    if not isinstance(run.task, Prior):
        kind = run.config.task["call"]
        raise InputError(f"{what} needs a run of gen.tasks.prior:Prior, and this one is of {kind}")
    return run.task


def named_files(inputs: Sequence[str | Path]) -> list[tuple[str, Path]]:
    """Image files and those in folders, each with its name for results, see `distinct_names`. Raises InputError."""
    given = [file for text in inputs for file in inputs_in(text, image_files([text]))]
    places = [file.place for file in given]
    names = distinct_names(places, [""] * len(places))
    check_apart((file.file, file.place) for file in given)
    return [(name.as_posix(), file.file) for name, file in zip(names, given, strict=True)]


def read(run: TrainedRun, files: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Float32 [n h w c] in [0, 1] of height, width, channels `shape`, brought there as the data of the run was."""
    return load_images(files, shape, padding=padding_of(run.data_metadata))


def read_named(
    run: TrainedRun, named: Sequence[tuple[str, Path]], shape: tuple[int, int, int]
) -> tuple[list[tuple[str, Path]], np.ndarray]:
    """As `read`, but files that cannot be used are left out with a warning each; which are there, and their images.

    Raises InputError when none is.
    """
    kept, images = load_readable([file for _, file in named], shape, padding=padding_of(run.data_metadata))
    return [named[index] for index in kept], images
