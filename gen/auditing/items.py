"""What is audited: the image files of a folder or archive, or the arrays of a data set, each under a name."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from gen.config import Config
from gen.config.resolve import resolve
from gen.data import DatasetSplits, folder, npz
from gen.data.archive import BadMember, Files, Zip, open_files
from gen.data.caption_files import read_captions
from gen.data.contents import state
from gen.data.folder import held_out_by_name
from gen.data.layout import LABELS_FILE, File, read_layout
from gen.errors import InputError
from gen.files import expand, printable

_HELD_OUT = 0.05  # as gen.data.folder holds out, if nothing else is said


@dataclass(frozen=True)
class Item:
    """One image."""

    name: str  # of the file, below the folder; of arrays "train/000012"
    split: str  # "train" or "held_out"
    label: int | None = None
    captions: tuple[str, ...] | None = None  # None: the set has none
    state: str = ""  # what changes with the content


@dataclass(frozen=True)
class Collection:
    """A set of images to audit. `job(item)` is what `gen.auditing.inspection.inspect` takes."""

    name: str  # for people
    place: str  # what tells it from others: a path, or a digest
    items: list[Item]
    job: Callable[[Item], Path | bytes | np.ndarray]
    class_names: tuple[str, ...] = ()
    named_splits: bool = False  # splits are those of the set, not drawn by names
    ignored: dict[str, int] = field(default_factory=dict)  # files passed over, by suffix or reason
    unmatched: tuple[str, ...] = ()  # captions of no image
    unlisted: tuple[str, ...] = ()  # files without a label where others have one
    root: Path | None = None  # the folder of the files: nothing is written into it
    content: Callable[[], str] = lambda: ""  # computes what tells its content from others', for gen.data.audited
    resolution: int | None = None  # that is trained at, where it is known

    @property
    def place_digest(self) -> str:
        """Tells the place from others without saying where it is."""
        return hashlib.sha256(self.place.encode("utf-8", "surrogateescape")).hexdigest()[:16]

    def picture(self, item: Item) -> Path | bytes | np.ndarray | None:
        """Returns the image for the page; None where it is not there any more."""
        try:
            return self.job(item)
        except (OSError, BadMember):
            return None


def of_path(path: str | os.PathLike[str], *, labeled: bool = True) -> Collection:
    """Collects the images of a folder, a zip archive of one, or an .npz file. Raises InputError."""
    if not os.fspath(path).strip():
        raise InputError("the name of the set to audit is empty")
    place = expand(path)
    if place.suffix.lower() == ".npz":
        return of_splits(npz(place), name=place.name)
    return _of_files(place, labeled=labeled, held_out=_HELD_OUT, caption="auto", resolution=None)


def of_config(config: Config) -> Collection:
    """Collects the images that a config learns from: of a folder its files, else the arrays of its data."""
    from gen.config import build

    data = dict(config.data)
    if resolve(data["call"], "data") is folder:
        if not data.get("path"):
            raise InputError("this config names no images: give --config.data.path=DIR, or --images=DIR instead")
        return _of_files(
            expand(data["path"]),
            labeled=data.get("labeled", True),
            held_out=data.get("held_out", _HELD_OUT),
            caption=data.get("caption", "auto"),
            resolution=data.get("resolution"),
        )
    splits = build(data, "data")
    return of_splits(splits, name=splits.name)


def of_splits(splits: DatasetSplits, *, name: str) -> Collection:
    """Collects the images of a data set."""
    digest = str(splits.metadata.get("digest") or _digest(splits))
    items, parts = list[Item](), {"train": splits.train, "held_out": splits.held_out}
    for split, part in parts.items():
        for i in range(len(part.images)):
            label = int(part.labels[i]) if splits.num_classes else None
            texts = None if part.captions is None else tuple(part.captions.of(i))
            items.append(Item(f"{split}/{i:06}", split, label, texts, digest))

    def job(item: Item) -> np.ndarray:
        return np.asarray(parts[item.split].images[int(item.name.partition("/")[2])])

    resolution, place = max(splits.image_shape[:2]), f"arrays {digest}"
    return Collection(name, place, items, job, splits.class_names, True, resolution=resolution, content=lambda: digest)


def of_arrays(images: np.ndarray, *, name: str = "images") -> Collection:
    """Collects images uint8 [n h w c]."""
    digest = hashlib.sha256(repr(images.shape).encode() + np.ascontiguousarray(images).tobytes()).hexdigest()
    items = [Item(f"{i:06}", "train", state=digest) for i in range(len(images))]
    return Collection(name, f"arrays {digest}", items, lambda item: np.asarray(images[int(item.name)]))


def _of_files(place: Path, *, labeled: bool, held_out: float, caption: str | None, resolution: Any) -> Collection:
    files = open_files(place, "audit")
    listed = files.read(LABELS_FILE) if isinstance(files, Zip) else None
    try:
        layout = read_layout(place, files.names, labeled=labeled, labels_file=listed)
    except InputError:  # a layout that cannot be learned from with classes has images all the same
        layout = read_layout(place, files.names, labeled=False)
    texts = read_captions(place, files.names, files.others(), files.text, column=caption)
    labels = bool(layout.class_names)

    def item(file: File) -> Item:
        split = file.split or ("held_out" if held_out_by_name(file.name, held_out) else "train")
        said = (text.decode("utf-8", "surrogateescape") for text in texts.captions.get(file.name, ()))
        given = tuple(said) if texts.captions else None
        return Item(file.name, split, file.label if labels else None, given, _state(files, place, file.name))

    return Collection(
        printable(place.name or str(place.resolve())),
        f"files {place.resolve()}",
        [item(file) for file in layout.files],
        lambda item: _opened(files, item.name),
        layout.class_names,
        any(file.split for file in layout.files),
        dict(Counter(files.ignored) - texts.files),
        tuple(texts.unmatched),
        tuple(layout.unlisted),
        place if place.is_dir() else None,
        lambda: files.fingerprint([file.name for file in layout.files]),
        resolution,
    )


def _state(files: Files, place: Path, name: str) -> str:
    if place.is_dir():
        found = state(place / name)
        return repr(found) if found else ""  # what cannot be told is looked at again
    return files.fingerprint([name])


def _opened(files: Files, name: str) -> Path | bytes:
    try:
        found = files.open(name)
    except BadMember as error:
        raise OSError(str(error)) from None
    return found if isinstance(found, Path) else found.read()


def _digest(splits: DatasetSplits) -> str:
    hasher = hashlib.sha256()
    for part in (splits.train, splits.held_out):
        hasher.update(np.ascontiguousarray(part.images).data)
    return hasher.hexdigest()
