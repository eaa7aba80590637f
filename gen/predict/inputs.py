"""Image files that a prior is asked about, and the records of what is made of them."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen import provenance
from gen.config import digest
from gen.errors import InputError
from gen.files import expand, printable
from gen.load import image_files, load_images, load_readable, padding_of
from gen.run import Loaded
from gen.tasks.prior import Prior


def prior(run: Loaded, what: str) -> Prior:
    """The task of a run. Raises InputError, with `what` needs it, unless it is a prior."""
    if not isinstance(run.task, Prior):
        kind = run.config.task["call"]
        raise InputError(f"{what} needs a run of gen.tasks.prior:Prior, and this one is of {kind}")
    return run.task


def named_files(inputs: Sequence[str]) -> list[tuple[str, Path]]:
    """Image files and those in folders, each with its name for results: its place there.

    The suffix is kept where names would be the same without it. Raises InputError for what is missing, and for two
    files of one name.
    """
    roots = [(root, file) for root in map(expand, inputs) for file in image_files([root])]
    places = [file.relative_to(root) if os.path.isdir(root) else Path(file.name) for root, file in roots]
    count = Counter(place.with_suffix("") for place in places)
    found: dict[str, Path] = {}
    for (_, file), place in zip(roots, places, strict=True):
        name = (place if count[place.with_suffix("")] > 1 else place.with_suffix("")).as_posix()
        if name in found:
            both = f"{printable(found[name])} and {printable(file)}"
            raise InputError(f"{both} would both be written to {printable(name)}...; give them apart")
        found[name] = file
    return list(found.items())


def read(run: Loaded, files: Sequence[Path], shape: tuple[int, int, int]) -> np.ndarray:
    """Float32 [n h w c] in [0, 1] of height, width, channels `shape`, brought there as the data of the run was."""
    return load_images(files, shape, padding=padding_of(run.data_facts))


def read_named(
    run: Loaded, named: Sequence[tuple[str, Path]], shape: tuple[int, int, int]
) -> tuple[list[tuple[str, Path]], np.ndarray]:
    """As `read`, but files that cannot be used are left out with a warning each; which are there, and their images.

    Raises InputError when none is.
    """
    kept, images = load_readable([file for _, file in named], shape, padding=padding_of(run.data_facts))
    return [named[index] for index in kept], images


def record(run: Loaded, fields: dict[str, Any]) -> provenance.Record:
    """What made a file, from which checkpoint of which run, with these fields besides; None is left out."""
    return provenance.record(config_digest=digest(run.config), step=run.step, **fields)
