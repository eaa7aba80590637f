"""Splits from an .npz file: x_train uint8 [n h w c] or [n h w], and y_train, x_test, y_test, class_names, captions.

captions_train, also called captions, and captions_test are arrays of texts, [n] or with several for each image [n k],
of which "" is none.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from gen.data.cache import Add, Made, cached
from gen.data.captions import shortened
from gen.data.dataset import DatasetSplits
from gen.data.exclusions import without
from gen.errors import InputError, nearest
from gen.files import expand, printable, sha256
from gen.image_io.fit import Padding, hash_fraction, to_resolution
from gen.npz import npz_names, read_npz, texts

_MOST_CLASSES = 100_000
KEYS = ("x_train", "y_train", "x_test", "y_test", "class_names", "captions_train", "captions_test", "captions")


def npz(
    path: str | os.PathLike[str],
    resolution: int | None = None,  # None: as stored
    *,
    padding: Padding = "zero",  # what surrounds images that are a little smaller than resolution
    limit: int | None = None,  # train on a fixed random choice of this many images; None: on all
    held_out: float = 0.05,  # share of x_train to hold out when there is no x_test
    exclude: str | os.PathLike[str] | None = None,  # audit.json of gen.audit on these data: leave out what it found
    exclude_kinds: tuple[str, ...] | None = None,  # of findings, see docs/data.md; None: the faults
) -> DatasetSplits:
    """Reads the arrays of an .npz file, as numpy.savez writes it; pickled objects are refused.

    Images larger than `resolution` are cropped to their central square and area-averaged; smaller ones are padded
    evenly on all sides, by at most a quarter of their side (28 to 32, say). Without y_train the images are unlabeled.
    Without x_test an image is held out by the sha256 of its pixels, so that identical images stay together. The cache
    goes by the sha256 of the file. Raises InputError for a missing, damaged or unfitting file.
    """
    file = expand(path)
    if (limit is not None and limit < 1) or not 0 < held_out < 1:
        raise InputError(f"npz: limit={limit}, held_out={held_out}: limit must be at least 1, held_out between 0 and 1")
    options = {"file": file.name, "resolution": resolution, "padding": padding, "limit": limit, "held_out": held_out}

    def make(add: Add) -> Made:
        arrays = arrays_of(file, KEYS)
        images, labels = _images(file, arrays, "x_train"), _labels(file, arrays, "y_train", "x_train")
        captions, test_captions = _captions(file, arrays)
        if "x_test" in arrays:
            test = _images(file, arrays, "x_test"), _labels(file, arrays, "y_test", "x_test")
            if test[0].shape[1:] != images.shape[1:]:
                raise InputError(f"npz: {printable(file)}: images of x_train and x_test differ in shape")
        else:
            chosen = _held_out(file, images, held_out)
            test = images[chosen], None if labels is None else labels[chosen]
            images, labels = images[~chosen], None if labels is None else labels[~chosen]
            if captions is not None:
                test_captions = [captions[i] for i in np.flatnonzero(chosen)]
                captions = [captions[i] for i in np.flatnonzero(~chosen)]
        if limit is not None:
            kept = np.sort(np.random.default_rng(0).permutation(len(images))[:limit])
            images, labels = images[kept], None if labels is None else labels[kept]
            captions = None if captions is None else [captions[i] for i in kept]
        class_names = _class_names(file, arrays, labels, test[1])
        if captions is not None and test_captions is None:
            test_captions = [[] for _ in test[0]]
        for split, x, y, given in (("train", images, labels, captions), ("held_out", *test, test_captions)):
            labeled = np.zeros(len(x), np.int32) if y is None or not class_names else y
            try:
                resized = x if resolution is None else to_resolution(x, resolution, padding)
            except ValueError as error:
                raise InputError(f"npz: {printable(file)}: {error}") from error
            add(split, resized, labeled, given if captions is not None else None)
        return class_names, {"source": "arrays of an .npz file", "skipped": []}

    return without(cached("npz", options, make, identity=[sha256_of(file), KEYS]), exclude, exclude_kinds)


def sha256_of(file: Path) -> str:
    """Computes the sha256 of a file. Raises InputError, with the nearest name, when it is no file."""
    if not file.is_file():
        beside = [entry.name for entry in file.parent.glob("*.npz")] if file.parent.is_dir() else []
        raise InputError(f"npz: {printable(file)} is not a file{nearest(file.name, beside)}")
    return sha256(file)


def arrays_of(file: Path, keys: Sequence[str]) -> dict[str, np.ndarray]:
    """Reads those of `keys` that the file holds, x_train among them. Raises InputError for an unusable file."""
    try:
        arrays = read_npz(file, keys)
        found = npz_names(file)
    except InputError as error:
        raise InputError(f"npz: {printable(file)} cannot be read as an .npz file of plain arrays: {error}") from None
    if "x_train" not in arrays:
        held = ", ".join(found[:20]) or "nothing"
        raise InputError(f"npz: {printable(file)} has no x_train; it holds {held}{nearest('x_train', found)}")
    return arrays


def _images(file: Path, arrays: dict[str, np.ndarray], key: str) -> np.ndarray:
    images = arrays[key][..., None] if arrays[key].ndim == 3 else arrays[key]
    if images.dtype != np.uint8 or images.ndim != 4 or images.shape[-1] not in (1, 3) or 0 in images.shape:
        raise InputError(
            f"npz: {printable(file)}: {key} is {arrays[key].dtype} {list(arrays[key].shape)}; "
            "it must be uint8 [n, height, width, 1 or 3] or [n, height, width]"
        )
    return images


def _labels(file: Path, arrays: dict[str, np.ndarray], key: str, images: str) -> np.ndarray | None:
    if "y_train" not in arrays:
        return None
    if key not in arrays:
        raise InputError(f"npz: {printable(file)} has y_train and x_test, but no y_test")
    labels, count = arrays[key], len(arrays[images])
    if not np.issubdtype(labels.dtype, np.integer) or labels.shape not in ((count,), (count, 1)) or labels.min() < 0:
        raise InputError(
            f"npz: {printable(file)}: {key} is {labels.dtype} {list(labels.shape)}; "
            f"it must be {count} integers from 0 on"
        )
    return labels.reshape(-1)


def _captions(file: Path, arrays: dict[str, np.ndarray]) -> tuple[list[list[bytes]] | None, list[list[bytes]] | None]:
    """Returns the captions to learn from and those held out; None without. Raises InputError for those of no images."""
    train = "captions" if "captions" in arrays else "captions_train"
    if train == "captions" and "captions_train" in arrays:
        raise InputError(f"npz: {printable(file)} has captions and captions_train, which both are of x_train: keep one")
    for needed in (train, "x_test"):
        if "captions_test" in arrays and needed not in arrays:
            raise InputError(f"npz: {printable(file)} has captions_test, but no {needed}")
    counts = {train: len(arrays["x_train"]), "captions_test": len(arrays.get("x_test", ()))}
    of_train, of_test = (_texts(file, arrays, key, count) for key, count in counts.items())
    return of_train, of_test


def _texts(file: Path, arrays: dict[str, np.ndarray], key: str, count: int) -> list[list[bytes]] | None:
    """Returns the captions of each image; None without the array. Raises InputError for what is none."""
    if key not in arrays:
        return None
    given = arrays[key]
    if given.dtype.kind != "U" or given.ndim not in (1, 2) or len(given) != count:
        raise InputError(
            f"npz: {printable(file)}: {key} is {given.dtype} {list(given.shape)}; it must be texts, {count} of them or "
            f"[{count}, several]"
        )
    return [shortened(row) for row in given.reshape(count, -1).tolist()]


def _class_names(file: Path, arrays: dict[str, np.ndarray], *labels: np.ndarray | None) -> tuple[str, ...]:
    """Returns the names given, else the numbers up to the largest label; () when unlabeled."""
    if "y_train" not in arrays:
        return ()
    highest = max(int(part.max()) for part in labels if part is not None)
    if highest >= _MOST_CLASSES:
        raise InputError(
            f"npz: {printable(file)}: label {highest:,}: labels number classes from 0 on; "
            f"at most {_MOST_CLASSES:,} classes are possible"
        )
    if "class_names" not in arrays:
        return tuple(map(str, range(highest + 1)))
    names = texts(arrays["class_names"], f"npz: {printable(file)}: class_names")
    if len(names) <= highest:
        raise InputError(
            f"npz: {printable(file)}: label {highest} has no name; class_names has {len(names)}, counted from 0"
        )
    return names


def _held_out(file: Path, images: np.ndarray, share: float) -> np.ndarray:
    positions = np.array([hash_fraction(image.tobytes()) for image in images])
    if len(np.unique(positions)) < 2:
        raise InputError(f"npz: {printable(file)}: x_train needs at least 2 different images, or an x_test beside it")
    return positions <= np.clip(share, positions.min(), np.max(positions[positions < positions.max()]))
