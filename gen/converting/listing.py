"""What is to be converted: a list of images, and how each is read, in whichever process."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import NamedTuple, NoReturn

import numpy as np

from gen.data import npz
from gen.data.archive import Zip, open_files
from gen.data.caption_files import read_captions
from gen.data.contents import state
from gen.data.folder import held_out_position
from gen.data.layout import HELD_OUT_FOLDERS, LABELS_FILE, TRAIN_FOLDERS, plain, read_layout
from gen.data.npz import sha256_of
from gen.errors import InputError
from gen.files import printable

MOST_CLASSES = 100_000
_FLAGS = {
    "folder: ": "convert: ",
    "--config.data.labeled=False": "--nolabeled",
    "--config.data.caption=None": "--caption=none",
}
Picture = Path | bytes | np.ndarray  # a file, the content of one, or the pixels uint8 [h w c]


class Item(NamedTuple):
    """One image to convert."""

    name: str
    split: str  # "train" or "held_out"
    label: int
    captions: tuple[bytes, ...] = ()  # those that are known; `Listing.read` may find more
    place: tuple[int, ...] = ()  # where it lies, as `Listing.read` understands it


Read = Callable[[Item], tuple[Picture, Sequence[bytes]]]  # raises Unreadable or BadMember


@dataclass
class Listing:
    """All images to convert."""

    source: str  # in words
    items: list[Item]
    read: Read  # can be sent to another process, unless `alone`
    identity: str  # tells it from what else may be there under these names
    class_names: tuple[str, ...] = ()
    captioned: bool = False  # whether there are captions, of some images at least
    skipped: list[dict[str, str]] = field(default_factory=list)  # images that are no items, with reasons
    alone: bool = False  # its images lie in the memory of this process
    channels: int | None = None  # of images that are arrays already


@dataclass(frozen=True)
class _OfFolder:
    """Reads files of a folder or an archive."""

    root: Path

    @cached_property
    def _archive(self) -> Zip | None:
        return None if self.root.is_dir() else Zip(self.root, "convert")

    def __getstate__(self) -> dict[str, Path]:
        return {"root": self.root}  # another process opens the archive again

    def __call__(self, item: Item) -> tuple[Picture, Sequence[bytes]]:
        found = self._archive.open(item.name).read() if self._archive else self.root / item.name
        return found, item.captions


def of_folder(root: Path, *, labeled: bool, caption: str | None, held_out: float) -> Listing:
    """Lists a folder of images, or a zip of one, as gen.data.folder reads it. Raises InputError."""
    found = open_files(root, "convert")
    listed = found.read(LABELS_FILE) if isinstance(found, Zip) else None
    with _own_flags():
        layout = read_layout(root, found.names, labeled=labeled, labels_file=listed)
        texts = read_captions(root, found.names, found.others(), found.text, column=caption)
    files = sorted(layout.files, key=lambda file: (held_out_position(file.name), file.name))
    splits = drawn_splits([file.name for file in files], held_out=held_out)
    items = [
        Item(file.name, file.split or split, file.label, tuple(texts.captions.get(file.name, ())))
        for file, split in zip(files, splits, strict=True)
    ]
    unlisted = [{"file": plain(name), "reason": "is not in dataset.json"} for name in layout.unlisted]
    states = [found.fingerprint(found.names)] if isinstance(found, Zip) else (state(root / i.name) for i in items)
    return Listing(
        "files of a folder",
        items,
        _OfFolder(root),
        digest(itertools.chain(states, items)),
        layout.class_names,
        bool(texts.captions),
        unlisted,
    )


@contextlib.contextmanager
def _own_flags() -> Iterator[None]:
    """Has an InputError of gen.data.folder name the flags of this program."""
    try:
        yield
    except InputError as error:
        text = str(error)
        for theirs, ours in _FLAGS.items():
            text = text.replace(theirs, ours)
        raise InputError(text) from None


def of_npz(file: Path, *, resolution: int, held_out: float) -> Listing:
    """Lists the arrays of an .npz file, as gen.data.npz reads it. Raises InputError."""
    splits = npz(file, resolution, held_out=held_out)
    parts = {"train": splits.train, "held_out": splits.held_out}
    items = [
        Item(f"{name}/{i:06}", name, int(label), (), (i,))
        for name, part in parts.items()
        for i, label in enumerate(part.labels)
    ]

    def read(item: Item) -> tuple[Picture, Sequence[bytes]]:
        part, (i,) = parts[item.split], item.place
        texts = part.captions.of(i) if part.captions else ()
        return np.asarray(part.images[i]), [text.encode("utf-8", "surrogateescape") for text in texts]

    captioned = splits.train.captions is not None
    return Listing(
        "arrays of an .npz file",
        items,
        read,
        digest([sha256_of(file)]),
        splits.class_names,
        captioned,
        alone=True,
        channels=splits.image_shape[2],
    )


def drawn_splits(names: Sequence[str], *, held_out: float) -> list[str]:
    """Draws the split of each name by its hash, as gen.data.folder does; both get at least one of two or more."""
    positions = np.array([held_out_position(name) for name in names])
    chosen = positions < held_out
    if len(names) > 1:
        chosen[np.argmin(positions)], chosen[np.argmax(positions)] = True, False
    return ["held_out" if held else "train" for held in chosen]


def named_splits(files: Sequence[Path]) -> list[str | None]:
    """Returns the split that each file is of by the first word of its name, where there are both; else None."""
    words = [file.name.lower().replace("_", "-").replace(".", "-").split("-")[0] for file in files]
    found = ["train" if w in TRAIN_FOLDERS else "held_out" if w in HELD_OUT_FOLDERS else None for w in words]
    return found if set(found) == {"train", "held_out"} else [None] * len(files)


def numbered(labels: Sequence[int | str | None], where: str) -> tuple[list[int], tuple[str, ...]]:
    """Numbers the classes: whole numbers stay as they are, texts in order. -1 stands for None, where others have one.

    Returns labels and names; fewer than two classes are none. Raises InputError for numbers that count no classes.
    """
    known = [label for label in labels if label is not None]
    if all(isinstance(label, int) or label.isdecimal() for label in known):
        numbers = [None if label is None else int(label) for label in labels]
        highest = max((number for number in numbers if number is not None), default=0)
        if min((number for number in numbers if number is not None), default=0) < 0 or highest >= MOST_CLASSES:
            raise InputError(f"{where}: labels must number classes from 0 to {MOST_CLASSES - 1:,}; found {highest:,}")
        names = tuple(map(str, range(highest + 1)))
    else:
        names = tuple(sorted({printable(label, longest=100) for label in known}))
        number_of = {name: number for number, name in enumerate(names)}
        numbers = [None if label is None else number_of[printable(label, longest=100)] for label in labels]
    if len(set(known)) < 2:
        return [0] * len(labels), ()
    return [-1 if number is None else number for number in numbers], names


def labeled_items(
    items: list[Item], labels: Sequence[int | str | None], where: str
) -> tuple[list[Item], tuple[str, ...], list[dict[str, str]]]:
    """Gives items their labels; returns items, class names, and what has no label where others have one."""
    numbers, names = numbered(labels, where)
    kept = [item._replace(label=number) for item, number in zip(items, numbers, strict=True) if number >= 0]
    bare = [item.name for item, number in zip(items, numbers, strict=True) if number < 0]
    return kept, names, [{"file": plain(name), "reason": "has no label"} for name in bare]


def identity_of(files: Sequence[Path]) -> str:
    """Tells files from others by name, size and times."""
    return digest((file.name, state(file)) for file in files)


def digest(facts: Iterable[object]) -> str:
    """Computes the sha256 of what can be shown, one after another: there may be millions."""
    hasher = hashlib.sha256()
    for fact in facts:
        hasher.update(f"{fact!r}\n".encode("utf-8", "surrogateescape"))
    return hasher.hexdigest()


def refuse(file: str | os.PathLike[str], why: str) -> NoReturn:
    """Raises InputError about a file."""
    raise InputError(f"convert: {printable(file)}: {why}") from None
