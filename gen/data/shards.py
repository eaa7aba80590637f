"""Splits from the shards of gen.convert: images that need not fit the memory, read as they are asked for."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import numpy as np

from gen.data import audited
from gen.data.dataset import DatasetSplits, Examples
from gen.data.exclusions import kept_of, read_exclusion
from gen.data.layout import plain
from gen.data.shard_index import SPLITS, Index, damaged, read_index
from gen.data.shard_mirror import is_remote, mirrored
from gen.data.stored import Store, StoredCaptions, StoredImages
from gen.errors import InputError
from gen.files import printable

SKIPPED = "skipped.jsonl"
_MOST_SKIPPED = 1000  # that data.json names


def shards(
    path: str | os.PathLike[str],  # the folder that gen.convert wrote, or a copy of it at gs:// or s3://
    *,
    verify: bool = False,  # True: read every shard first, and compare its sha256
    exclude: str | os.PathLike[str] | None = None,  # audit.json of gen.audit on these shards: leave out what it found
    exclude_kinds: tuple[str, ...] | None = None,  # of findings, see docs/data.md; None: the faults
) -> DatasetSplits:
    """Opens a folder of shards. Nothing but labels is read before images are asked for; any order is as fast.

    An address is copied to the cache of this host first, see gen.data.shard_mirror.
    Shards are compared with index.json by size here; what is damaged within raises InputError, with the name of the
    shard, when it is read. The images of the index of an unfinished conversion, a missing shard and a changed one
    raise InputError.
    """
    index = read_index(mirrored(path) if is_remote(path) else path)
    if verify and (faults := list(damaged(index))):
        name, why = faults[0]
        more = f", and {len(faults) - 1:,} more" if len(faults) > 1 else ""
        raise InputError(f"shards: {printable(index.folder / name)}: {why}{more}; convert again")
    excluded = None if exclude is None else read_exclusion(exclude, exclude_kinds)
    counts = {split: sum(shard.images for shard in index.splits[split]) for split in SPLITS}
    kept = kept_of(excluded, exclude, index.digest, counts) if excluded and exclude is not None else {}
    train, held_out = (_examples(index, split, kept.get(split)) for split in SPLITS)
    metadata: dict[str, Any] = {
        "digest": index.digest if excluded is None else _digest_of([index.digest, excluded.digest]),
        "options": {"folder": plain(index.folder.resolve().name), **index.options}
        | ({"exclude": excluded.facts} if excluded else {}),
        "num_train": len(train.images),
        "num_held_out": len(held_out.images),
        "source": f"shards, from {index.source}",
        "skipped": list(_skipped(index.folder)) if index.skipped else [],
    } | ({"captions": index.captions} if index.captions else {})
    if known := audited.recall(index.digest):
        metadata["audit"] = known
    if excluded:
        metadata["excluded"] = excluded.facts | {"images": sum(counts.values()) - sum(map(len, kept.values()))}
        metadata.setdefault("audit", {"digest": excluded.facts["audit"]})
    return DatasetSplits("shards", train, held_out, index.class_names, metadata)


def _digest_of(digests: list[str]) -> str:
    """Returns the sha256 of a set and of what is left out of it."""
    return hashlib.sha256("\0".join(digests).encode()).hexdigest()


def _examples(index: Index, split: str, kept: np.ndarray | None) -> Examples:
    labels, counts = index.labels(split)
    if len(labels) == sum(shard.images for shard in index.splits[split]) and kept is not None:
        labels, counts = labels[kept], None if counts is None else counts[kept]
    store = Store(index, split, kept)
    if len(labels) != len(store):
        raise InputError(f"shards: {printable(index.folder)} has {len(labels):,} labels for {len(store):,} images")
    captions = None if counts is None else StoredCaptions(store, counts)
    return Examples(cast(np.ndarray, StoredImages(store)), labels, captions)


def _skipped(folder: Path) -> Iterator[dict[str, str]]:
    """Yields the first files that could not be read, with reasons."""
    try:
        with (folder / SKIPPED).open(encoding="utf-8") as lines:
            for _, line in zip(range(_MOST_SKIPPED), lines, strict=False):
                entry = json.loads(line)
                yield {"file": str(entry["file"]), "reason": str(entry["reason"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise InputError(f"shards: {printable(folder / SKIPPED)} cannot be read ({printable(error)})") from None
