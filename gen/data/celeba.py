"""The aligned faces of CelebA from a folder or a zip file, as they come: no TensorFlow Datasets, nothing unpacked."""

from __future__ import annotations

import os
from functools import partial
from pathlib import PurePosixPath

import numpy as np

from gen.data.add_images import add_images
from gen.data.archive import BadMember, Files, open_files
from gen.data.cache import Add, Made, cached
from gen.data.dataset import DatasetSplits
from gen.data.exclusions import without
from gen.data.layout import File
from gen.errors import InputError, nearest
from gen.files import printable
from gen.image_io.fit import TooSmall, center_crop_resize, hash_fraction
from gen.image_io.open import Unreadable, open_image

# The official split, by the number in the name: the last of train and of validation, and of all.
_LAST_TRAIN, _LAST_VALIDATION, _ALL = 162_770, 182_637, 202_599
_TRAIN, _VALIDATION, _TEST = 0, 1, 2  # in list_eval_partition


def celeba(
    path: str | os.PathLike[str],  # img_align_celeba, or img_align_celeba.zip
    resolution: int,
    *,
    label: str | None = None,  # one of the 40 attributes, e.g. "Smiling", as two classes; needs list_attr_celeba
    held_out: float = 0.05,  # share of the images; unused where the official split is known
    exclude: str | os.PathLike[str] | None = None,  # audit.json of gen.audit on these data: leave out what it found
    exclude_kinds: tuple[str, ...] | None = None,  # of findings, see docs/data.md; None: the faults
) -> DatasetSplits:
    """Reads the aligned JPEGs in a folder or in a zip file, which is not unpacked.

    list_attr_celeba and list_eval_partition (.txt, or .csv as Kaggle has them) are found among the images and beside
    the folder or file. The split is the official one (train, and test to hold out) when the partition is there or all
    202,599 images are; else an image is held out by the sha256 of its name. The central square is area-averaged to
    `resolution`. Images that cannot be read are listed in metadata["skipped"]. Raises InputError when that leaves too
    little, when the attribute is not known, and for images smaller than `resolution`.
    """
    if resolution < 1 or not 0 < held_out < 1:
        raise InputError(
            f"celeba: resolution={resolution}, held_out={held_out}: at least 1, and between 0 and 1, are allowed"
        )
    files = open_files(path, "celeba")
    labels = None if label is None else _attribute(files, label, path)
    parts = _parts(files, held_out)
    options = {"resolution": resolution, "label": label, "held_out": held_out}
    identity = [files.fingerprint(files.names), sorted(parts.items()), labels and sorted(labels.items())]
    class_names = () if label is None else (f"not {label}", label)

    def make(add: Add) -> Made:
        known = labels or {}
        listed = [File(n, known.get(_key(n), 0), parts[_key(n)]) for n in files.names if _key(n) in parts]
        decode = partial(_decode, files, labels, resolution)
        skipped = add_images(add, listed, decode, where=f"celeba: {printable(path)}")
        return class_names, {"source": "aligned images of CelebA", "skipped": skipped}

    return without(cached("celeba", options, make, identity=identity), exclude, exclude_kinds)


def _decode(files: Files, labels: dict[str, int] | None, resolution: int, file: File) -> np.ndarray | str:
    """Returns the image uint8 [h w 3], or the reason why there is none."""
    if labels is not None and _key(file.name) not in labels:
        return "it is not in list_attr_celeba"
    try:
        return center_crop_resize(open_image(files.open(file.name)), resolution)
    except TooSmall as error:
        name = printable(file.name)
        raise InputError(f"celeba: {name} {error}: choose a smaller --config.data.resolution") from error
    except (Unreadable, BadMember) as error:
        return printable(error)


def _key(name: str) -> str:
    """Returns the name of an image in the lists: its number, without folder and format."""
    return PurePosixPath(name).stem


def _parts(files: Files, held_out: float) -> dict[str, str]:
    """Maps keys to "train" or "held_out"; an image of the validation part is in neither, when there is a test part."""
    keys = sorted({_key(name) for name in files.names})
    if len(keys) != len(files.names):
        raise InputError("celeba: two images have one name, so that the lists would not tell them apart")
    _, rows = _table(files, "list_eval_partition")
    if not rows and len(keys) == _ALL and all(key.isdecimal() for key in keys):
        rows = {key: [(int(key) > _LAST_TRAIN) + (int(key) > _LAST_VALIDATION)] for key in keys}
    part = {key: rows[key][0] for key in keys if rows.get(key)}
    aside = next((number for number in (_TEST, _VALIDATION) if number in part.values()), None)
    if aside is None or _TRAIN not in part.values():  # no list, or one for other images
        chosen = sorted(keys, key=lambda key: hash_fraction(os.fsencode(key)))
        count = max(1, sum(hash_fraction(os.fsencode(key)) < held_out for key in keys))
        return {key: "held_out" if index < count else "train" for index, key in enumerate(chosen)}
    return {
        key: "held_out" if number == aside else "train" for key, number in part.items() if number in (_TRAIN, aside)
    }


def _attribute(files: Files, label: str, path: str | os.PathLike[str]) -> dict[str, int]:
    """Maps keys to 1 where the attribute is there, else 0."""
    heading, rows = _table(files, "list_attr_celeba")
    if not rows:
        raise InputError(
            f"celeba: label={label!r} needs list_attr_celeba.txt (or .csv) in or beside {printable(path)}; "
            "without label no list is needed"
        )
    if label not in heading:
        raise InputError(
            f"celeba: no attribute is called {label!r}{nearest(label, heading)}; there are: {', '.join(heading)}"
        )
    column = heading.index(label)
    return {key: int(row[column] > 0) for key, row in rows.items()}


def _table(files: Files, name: str) -> tuple[list[str], dict[str, list[int]]]:
    """Reads heading and rows by key of a list, in words or as Kaggle's .csv; both empty without one."""
    content = next((found for suffix in (".txt", ".csv") if (found := files.beside(name + suffix)) is not None), b"")
    heading: list[str] = []
    rows: dict[str, list[int]] = {}
    for number, line in enumerate(content.decode("utf-8", "replace").splitlines(), 1):
        words = line.replace(",", " ").split()
        if not words or (number == 1 and len(words) == 1 and words[0].isdecimal()):  # the count of rows
            continue
        if not heading and not rows and "." not in words[0]:
            heading = words[1:] if words[0] == "image_id" else words
            continue
        try:
            rows[_key(words[0])] = [int(word) for word in words[1:]]
        except ValueError:
            rows.clear()
        if len(words) < 2 or not rows or (heading and len(words) != len(heading) + 1):
            raise InputError(
                f"celeba: line {number} of {name} is no image with its numbers: {printable(line, longest=80)}"
            )
    return heading, rows
