"""What a folder of shards holds: index.json, written last, names every shard with its count, size and sha256.

Beside NAME.array_record lies NAME.npz with what all images need at once: labels int32 [n] and, with captions,
caption_counts uint16 [n].
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen.cli import progress_bar
from gen.errors import InputError, nearest
from gen.files import expand, parse_json, printable, read_regular
from gen.npz import read_npz

INDEX, FORMAT = "index.json", "gen shards 1"
SPLITS = ("train", "held_out")
SUFFIX = ".array_record"
_LARGEST = 2**28  # bytes of an index
_BLOCK = 2**22


class Shard(NamedTuple):
    """One file of records. Sizes in bytes."""

    name: str  # of the file
    images: int
    size: int
    sha256: str
    labels_sha256: str  # of the file of labels beside it


@dataclass(frozen=True)
class Index:
    """A folder of shards."""

    folder: Path
    image_shape: tuple[int, int, int]  # height, width, channels
    class_names: tuple[str, ...]
    splits: dict[str, tuple[Shard, ...]]  # by name, of SPLITS
    captions: dict[str, Any]  # as gen.data.captions.described, {} without
    source: str
    options: dict[str, Any]
    skipped: int  # images that could not be read

    @property
    def digest(self) -> str:
        """The sha256 of all contents, by those of the shards."""
        parts = [self.image_shape, self.class_names, [[shard.sha256 for shard in self.splits[s]] for s in SPLITS]]
        return hashlib.sha256(repr(parts).encode()).hexdigest()

    def labels(self, split: str) -> tuple[np.ndarray, np.ndarray | None]:
        """Reads labels int32 [n] and, where there are captions, how many each image has, uint16 [n].

        Raises InputError, which names the file, for one that is missing or not as it was written.
        """
        labels, counts = list[np.ndarray](), list[np.ndarray]()
        for shard in self.splits[split]:
            file = labels_file(self.folder / shard.name)
            try:
                content = file.read_bytes()
                if hashlib.sha256(content).hexdigest() != shard.labels_sha256:
                    raise InputError("it has another sha256 than when it was written")
                arrays = read_npz(file)
            except (OSError, InputError) as error:
                raise InputError(f"shards: {printable(file)}: {_reason(error)}; convert again") from None
            labels.append(arrays["labels"])
            counts.append(arrays.get("caption_counts", np.zeros(0, np.uint16)))
        return np.concatenate(labels), np.concatenate(counts) if self.captions else None


def labels_file(shard: Path) -> Path:
    """Returns the file of labels beside a shard."""
    return shard.with_suffix(".npz")


def read_index(path: str | os.PathLike[str]) -> Index:
    """Reads the index of a folder and compares the sizes of the shards. Raises InputError, which names the file."""
    if "://" in os.fspath(path):
        raise InputError(f"shards: {printable(path)} is no folder: mount the storage, and name the folder there")
    folder = expand(path)
    file = folder / INDEX
    if not folder.is_dir():
        beside = os.listdir(folder.parent) if folder.parent.is_dir() else []
        raise InputError(f"shards: {printable(folder)} is not a folder{nearest(folder.name, beside)}")
    if not file.is_file():
        raise InputError(f"shards: {printable(folder)} has no {INDEX}: it is no folder of gen.convert, or not finished")
    try:
        content = read_regular(file, most=_LARGEST)
    except OSError as error:
        raise InputError(f"shards: {printable(file)} cannot be read ({_reason(error)})") from None
    index = parsed_index(folder, content)
    for shard in (shard for split in SPLITS for shard in index.splits[split]):
        check_size(folder, shard)
    return index


def parsed_index(folder: Path, content: bytes) -> Index:
    """Makes the index of a folder of the content of its index.json. Raises InputError."""
    try:
        return _parsed(folder, parse_json(content))
    except (ValueError, KeyError, TypeError) as error:
        raise InputError(f"shards: {printable(folder / INDEX)} cannot be read ({_reason(error)})") from None


def check_size(folder: Path, shard: Shard) -> None:
    """Raises InputError unless a shard is there in its size."""
    try:
        size = (folder / shard.name).stat().st_size
    except OSError as error:
        raise InputError(f"shards: {printable(folder / shard.name)}: {_reason(error)}; convert again") from None
    if size != shard.size:
        raise InputError(
            f"shards: {printable(folder / shard.name)} has {size:,} bytes instead of {shard.size:,}; convert again"
        )


def damaged(index: Index) -> Iterator[tuple[str, str]]:
    """Reads all shards and yields the names of those that are not as they were written, with reasons."""
    shards = [shard for split in SPLITS for shard in index.splits[split]]
    with progress_bar(sum(shard.size for shard in shards), "B", doing="verifying") as bar:
        for shard in shards:
            hasher = hashlib.sha256()
            try:
                with (index.folder / shard.name).open("rb") as file:
                    while block := file.read(_BLOCK):
                        hasher.update(block)
                        bar.update(len(block))
            except OSError as error:
                yield shard.name, _reason(error)
                continue
            if hasher.hexdigest() != shard.sha256:
                yield shard.name, "has another sha256 than when it was written"
    for split in SPLITS:
        try:
            index.labels(split)
        except InputError as error:
            yield f"labels of {split}", str(error)


def _parsed(folder: Path, found: Any) -> Index:
    """Raises ValueError, KeyError or TypeError for what gen.convert did not write."""
    if found["format"] != FORMAT:
        raise ValueError(f"its format is {printable(found['format'], longest=40)}; allowed: {FORMAT}")
    splits = {split: tuple(Shard(**shard) for shard in found["splits"][split]) for split in SPLITS}
    for shard in (shard for split in SPLITS for shard in splits[split]):
        if os.path.basename(shard.name) != shard.name or not shard.name.endswith(SUFFIX) or shard.images < 1:
            raise ValueError(f"it names {printable(shard.name, longest=80)}")
        if type(shard.size) is not int or not 0 <= shard.size < 2**63 or not shard.name.isprintable():
            raise ValueError(f"of {printable(shard.name, longest=80)} it has the size {printable(shard.size)}")
    height, width, channels = map(int, found["image_shape"])
    if not all(splits.values()) or min(height, width, channels) < 1:
        raise ValueError("a split is empty")
    names, captions = tuple(map(str, found["class_names"])), dict(found["captions"])
    facts = str(found["source"]), dict(found["options"]), int(found["skipped"])
    return Index(folder, (height, width, channels), names, splits, captions, *facts)


def _reason(error: Exception) -> str:
    return printable((error.strerror if isinstance(error, OSError) else None) or error, longest=150)
