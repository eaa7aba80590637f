"""Splits of pairs of frames from the short films in one .npz file: the frame before above the frame after.

x_train, x_test: uint8 [... frames h w c], all axes before the frames count clips; sequence_names: the names of the
last of those axes, which are then the classes.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from gen.data.cache import Add, Made, cached
from gen.data.dataset import DatasetSplits
from gen.data.npz import arrays_of, sha256_of
from gen.errors import InputError
from gen.files import expand, printable
from gen.image_io.fit import to_resolution
from gen.npz import texts


def frame_pairs(path: str | os.PathLike[str], resolution: int | None = None) -> DatasetSplits:
    """Reads all pairs of consecutive frames [2h w c] in the clips of an .npz file.

    resolution: of a frame; larger ones are area-averaged, None: as stored. The class is what is done in the clip, where
    the file has sequence_names. The held-out pairs are those of x_test, which it must have. Raises InputError for a
    missing, damaged or unfitting file.
    """
    file = expand(path)

    def make(add: Add) -> Made:
        arrays = arrays_of(file, ("x_train", "x_test", "sequence_names"))
        given = arrays.get("sequence_names")
        names = () if given is None else texts(given, f"frame_pairs: {printable(file)}: sequence_names")
        for split, key in (("train", "x_train"), ("held_out", "x_test")):
            films = _films(file, arrays, key, len(names))
            for start in range(0, len(films), 256):
                chunk = films[start : start + 256]
                try:
                    add(split, _pairs(chunk, resolution), _labels(start, chunk, len(names)))
                except ValueError as error:
                    raise InputError(f"frame_pairs: {file}: {error}") from error
        return names, {"source": "pairs of frames of the clips in an .npz file", "skipped": []}

    return cached("frame_pairs", {"file": file.name, "resolution": resolution}, make, identity=sha256_of(file))


def _films(file: Path, arrays: dict[str, np.ndarray], key: str, names: int) -> np.ndarray:
    """Returns the clips of a split, uint8 [clips frames h w c], those of all sequences of a subject side by side."""
    if key not in arrays:
        raise InputError(f"frame_pairs: {file} has no {key}: the clips to hold out")
    films = arrays[key]
    fits = films.dtype == np.uint8 and films.ndim >= 5 and films.shape[-1] in (1, 3) and films.shape[-4] > 1
    if not fits or 0 in films.shape:
        raise InputError(
            f"frame_pairs: {file}: {key} is {films.dtype} {list(films.shape)}; "
            "it must be uint8 [clips, at least 2 frames, height, width, 1 or 3]"
        )
    if names and (films.ndim < 6 or films.shape[-5] != names):
        raise InputError(
            f"frame_pairs: {file}: {key} is {list(films.shape)}, but there are {names} sequence_names; "
            f"it must be [..., {names} sequences, frames, height, width, channels]"
        )
    return films.reshape(-1, *films.shape[-4:])


def _pairs(films: np.ndarray, resolution: int | None) -> np.ndarray:
    """Stacks consecutive frames: [n t h w c] to [n*(t-1) 2h w c]."""
    n, t, height, width, channels = films.shape
    frames = films.reshape(-1, height, width, channels)
    frames = frames if resolution is None else to_resolution(frames, resolution, "edge")
    frames = frames.reshape(n, t, *frames.shape[1:])
    return np.concatenate([frames[:, :-1], frames[:, 1:]], axis=2).reshape(-1, 2 * frames.shape[2], *frames.shape[3:])


def _labels(start: int, films: np.ndarray, names: int) -> np.ndarray:
    """Returns the sequence of each pair's clip; clips start at `start`, sequences follow each other."""
    of_clip = np.arange(start, start + len(films)) % max(names, 1)
    return np.repeat(of_clip, films.shape[1] - 1).astype(np.int32)
