"""The layout of a folder of images: the class of each file, and which files are held out.

Names are relative to the folder, with slashes. What people and file systems write differently is one: the two ways to
compose an accent (NFC, NFD), and Train, train and TRAIN.
"""

from __future__ import annotations

import json
import logging
import os
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from gen.errors import InputError
from gen.files import printable
from gen.image_io import composed
from gen.image_io.find import is_hidden

TRAIN_FOLDERS = ("train", "training")
HELD_OUT_FOLDERS = ("test", "testing", "val", "valid", "validation", "eval", "held_out", "held-out", "heldout")
LABELS_FILE = "dataset.json"  # of StyleGAN: {"labels": [["00000/img.png", 3], ...]}
_UNREAD = ("metadata.parquet",)  # of Hugging Face's ImageFolder
_MOST_BYTES, _MOST_CLASSES = 2**28, 100_000

log = logging.getLogger(__name__)


class File(NamedTuple):
    """One image file, as the layout has it."""

    name: str
    label: int
    split: str | None  # "train" or "held_out"; None: by the hash of the name


class Layout(NamedTuple):
    """Files with their labels, which count the class names; no names: unlabeled."""

    files: list[File]
    class_names: tuple[str, ...]
    unlisted: list[str]  # names that the file of labels leaves out


def read_layout(root: Path, names: Sequence[str], *, labeled: bool, labels_file: bytes | None = None) -> Layout:
    """Returns splits and classes of the image files `names` in a folder; warns where the layout may not be meant so.

    root: may be an archive, with the content of its `labels_file`.
    Raises InputError for a layout that can be meant in several ways, and a file of labels that cannot be read.
    """
    there = labels_file is not None or (root / LABELS_FILE).is_file()
    listed = _listed_labels(root, labels_file) if there and labeled else None
    if listed is not None:
        return _by_list(root, names, listed)
    splits = _splits(root, names, labeled)
    depth = 0 if splits is None else 1
    parts = [name.split("/") for name in names]
    known = {part[depth]: plain(part[depth]) for part in parts if len(part) > depth + 1}
    classes = [known[part[depth]] if len(part) > depth + 1 else "" for part in parts]
    class_names = tuple(sorted(set(classes)))
    if not labeled or len(class_names) < 2:
        class_names = ()
    elif "" in class_names:
        loose = [name for name, found in zip(names, classes, strict=True) if not found]
        image = next((name for name in loose if not composed(root / name)), None)
        if image is not None:
            raise InputError(
                f"folder: {printable(root)} holds both class folders and images outside them ({printable(image)}): "
                "move them, or set --config.data.labeled=False"
            )
        kept = [name for name in names if name not in set(loose)]  # as gen.sample writes a grid beside them
        return read_layout(root, kept, labeled=labeled)
    else:
        _say_empty(root, depth, set(classes))
    if root.is_dir():
        _say_unread(root, names)
    number = {name: label for label, name in enumerate(class_names)}
    triples = zip(names, classes, splits or [None] * len(names), strict=True)
    return Layout([File(name, number.get(label, 0), split) for name, label, split in triples], class_names, [])


def plain(name: str) -> str:
    """Returns a name as it is stored and printed: accents composed, other bytes and control signs as escapes."""
    return printable(unicodedata.normalize("NFC", name))


def _splits(root: Path, names: Sequence[str], labeled: bool) -> list[str | None] | None:
    """Returns the split of each file where its folder names one; else None.

    One folder of splits alone is looked into, and what is held out goes by names. Raises InputError for folders of both
    splits beside others, which would become classes.
    """
    tops = sorted({name.partition("/")[0] if "/" in name else "" for name in names})
    train = [top for top in tops if top.lower() in TRAIN_FOLDERS]
    held_out = [top for top in tops if top.lower() in HELD_OUT_FOLDERS]
    others = [top or "images" for top in tops if top not in train + held_out]
    if train and held_out and others and labeled:
        raise InputError(
            f"folder: {printable(root)} holds {', '.join(train + held_out)} beside {printable(', '.join(others))}: "
            "splits or classes? Move what is no split, or set --config.data.labeled=False"
        )
    if others or not (train or held_out):
        return None
    if not (train and held_out):
        return [None] * len(names)
    return ["train" if name.partition("/")[0] in train else "held_out" for name in names]


def _say_empty(root: Path, depth: int, classes: set[str]) -> None:
    """Warns about folders in the place of classes that hold no image."""
    here = [root] if depth == 0 else [Path(entry.path) for entry in _folders(root)]
    found = {plain(entry.name) for folder in here for entry in _folders(folder)} - classes
    if found:
        some = ", ".join(sorted(found)[:5]) + (", ..." if len(found) > 5 else "")
        log.warning("folders without an image are no classes: %s", some)


def _folders(root: Path) -> Iterable[os.DirEntry[str]]:
    try:
        with os.scandir(root) as entries:
            return [entry for entry in entries if entry.is_dir() and not is_hidden(entry.name)]
    except OSError:
        return []


def _say_unread(root: Path, names: Sequence[str]) -> None:
    places = {"", *(name.rpartition("/")[0] for name in names)}
    for name in _UNREAD:
        if any((root / place / name).is_file() for place in sorted(places)[:1000]):
            log.warning("%s beside the images is not read: classes come from folders, captions are not learned", name)


def _listed_labels(root: Path, content: bytes | None) -> Any:
    """Returns the entry "labels" of the file of labels; None, with a warning, where it has none."""
    file = root / LABELS_FILE
    try:
        if content is None and file.stat().st_size > _MOST_BYTES:
            raise ValueError(f"larger than {_MOST_BYTES:,} bytes")
        found = json.loads(file.read_bytes() if content is None else content)
    except (OSError, ValueError, RecursionError, MemoryError) as error:
        raise _refused(file, f"cannot be read ({printable(error, longest=100)})") from None
    if not isinstance(found, dict) or "labels" not in found:
        log.warning('%s has no "labels" and is not used: %s', LABELS_FILE, printable(root))
        return None
    return found["labels"] or []  # null: a set without classes, whose folders are none either


def _by_list(root: Path, names: Sequence[str], listed: Any) -> Layout:
    """Takes the labels from StyleGAN's file; its folders 00000, 00001 ... are no classes."""
    if not listed:
        return Layout([File(name, 0, None) for name in names], (), [])
    labels = dict[str, int]()
    for entry in listed if isinstance(listed, list) else [listed]:
        match entry:
            case [str(name), int(label)] if 0 <= label < _MOST_CLASSES and not isinstance(label, bool):
                if labels.setdefault(_listed_name(name), label) != label:
                    raise _refused(root / LABELS_FILE, f"gives {printable(name)} two labels")
            case _:
                allowed = f'["00000/img.png", 3], with labels from 0 to {_MOST_CLASSES - 1:,}'
                raise _refused(root / LABELS_FILE, f"has the entry {printable(entry, longest=80)}; allowed: {allowed}")
    known = [(name, labels.get(_listed_name(name))) for name in names]
    files = [File(name, label, None) for name, label in known if label is not None]
    if not files:
        raise _refused(
            root / LABELS_FILE, f"names none of the {len(names):,} image files, such as {printable(names[0])}"
        )
    unlisted = [name for name, label in known if label is None]
    found = sorted({file.label for file in files})
    if len(found) < 2:
        return Layout([file._replace(label=0) for file in files], (), unlisted)
    number = {label: index for index, label in enumerate(found)}
    return Layout([file._replace(label=number[file.label]) for file in files], tuple(map(str, found)), unlisted)


def _listed_name(name: str) -> str:
    return unicodedata.normalize("NFC", name.replace("\\", "/"))


def _refused(file: Path, why: str) -> InputError:
    return InputError(f"folder: {printable(file)} {why}; --config.data.labeled=False leaves it out")
