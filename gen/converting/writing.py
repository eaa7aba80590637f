"""Writes shards: each by one process, under a temporary name until it is whole."""

from __future__ import annotations

import io
import json
import os
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen.converting.listing import Item, Picture, Read
from gen.data.archive import BadMember
from gen.data.captions import described_by
from gen.data.layout import plain
from gen.data.records import pack
from gen.data.shard_index import Shard, labels_file
from gen.errors import InputError
from gen.files import atomic_write, printable, sha256
from gen.image_io import Unreadable, open_image
from gen.image_io.fit import Small, TooSmall, center_crop_resize
from gen.npz import read_npz

_OPTIONS = "group_size:1,uncompressed"  # every image is found and read by itself
_OFTEN = 32  # images between two looks at the progress


class Fit(NamedTuple):
    """How images become those of the shards."""

    resolution: int
    grayscale: bool
    small: Small
    strict: bool


class Job(NamedTuple):
    """One shard to write."""

    file: Path
    items: Sequence[Item]
    read: Read
    fit: Fit
    captioned: bool


class Written(NamedTuple):
    """What is known of a shard that was written; an empty one has no file of records."""

    shard: Shard
    skipped: list[dict[str, str]]
    sizes: np.ndarray  # bytes of all captions, int32 [m]
    counts: np.ndarray  # captions of each image
    used: np.ndarray  # bytes that captions hold, bool [256]


_done: Any = None  # images that all processes have read, where somebody watches


def watch(done: Any) -> None:
    """Counts the images that this process reads in a shared value; a negative one ends what it does."""
    global _done
    _done = done


def write_shard(job: Job) -> None:
    """Writes a shard and what is known of it. Raises InputError for an unreadable image if strict; OSError."""
    from array_record.python.array_record_module import ArrayRecordWriter

    partial = job.file.with_name(f".{job.file.name}.{secrets.token_hex(6)}.partial")
    labels, captions, skipped = list[int](), list[Sequence[bytes]](), list[dict[str, str]]()
    try:
        writer = ArrayRecordWriter(str(partial), _OPTIONS)
        for number, item in enumerate(job.items, 1):
            try:
                picture, texts = job.read(item)
                writer.write(pack(_fitted(picture, job.fit), item.label, captions=texts))
            except (Unreadable, BadMember, TooSmall) as error:
                if job.fit.strict or (job.fit.small == "refuse" and isinstance(error, TooSmall)):
                    raise InputError(f"convert: {plain(item.name)}: {error}") from None
                skipped.append({"file": plain(item.name), "reason": str(error)})
            else:
                labels.append(item.label)
                captions.append(texts)
            if number % _OFTEN == 0 or number == len(job.items):
                _count(number % _OFTEN or _OFTEN)
        writer.close()
        _publish(job, partial, labels, captions, skipped)
    except RuntimeError as error:  # of the writer, for a full disk, say
        raise InputError(f"cannot write {printable(job.file)}: {printable(error)}") from None
    finally:
        partial.unlink(missing_ok=True)


def _count(images: int) -> None:
    if _done is not None:
        with _done.get_lock():
            if _done.value < 0:
                raise InputError("convert: another process has ended the conversion")
            _done.value += images


def _fitted(picture: Picture, fit: Fit) -> np.ndarray:
    if isinstance(picture, np.ndarray):
        return picture
    image = open_image(picture, grayscale=fit.grayscale, single=True)
    return center_crop_resize(image, fit.resolution, enlarge=fit.small == "enlarge")


def _publish(
    job: Job, partial: Path, labels: list[int], captions: list[Sequence[bytes]], skipped: list[dict[str, str]]
) -> None:
    """Renames the whole shard, then writes what is known of it: what has both is done."""
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    about = {"images": len(labels), "size": partial.stat().st_size, "sha256": sha256(partial), "skipped": skipped}
    flat = [text for texts in captions for text in texts]
    arrays: dict[str, Any] = {"labels": np.array(labels, np.int32)}
    arrays["about"] = np.frombuffer(json.dumps(about).encode(), np.uint8)
    if job.captioned:
        arrays["caption_counts"] = np.array([len(texts) for texts in captions], np.uint16)
        arrays["caption_sizes"] = np.array([len(text) for text in flat], np.int32)
        arrays["caption_bytes"] = np.isin(np.arange(256), np.frombuffer(b"".join(flat), np.uint8))
    content = io.BytesIO()
    np.savez(content, allow_pickle=False, **arrays)
    os.replace(partial, job.file)
    atomic_write(labels_file(job.file), content.getvalue())


def read_written(file: Path) -> Written | None:
    """Reads what is known of a shard; None for one that is not there, or not whole."""
    beside = labels_file(file)
    try:
        arrays: Mapping[str, np.ndarray] = read_npz(beside)
        about = json.loads(arrays["about"].tobytes())
        if file.stat().st_size != about["size"]:
            return None
        shard = Shard(file.name, about["images"], about["size"], about["sha256"], sha256(beside))
        none = np.zeros(0, np.int32)
        return Written(
            shard,
            about["skipped"],
            arrays.get("caption_sizes", none),
            arrays.get("caption_counts", none),
            arrays.get("caption_bytes", np.zeros(256, bool)),
        )
    except (InputError, OSError, ValueError, KeyError, TypeError):
        return None


def described(shards: Sequence[Written]) -> dict[str, Any]:
    """Describes captions as gen.data.captions.described does; {} where there are none."""
    sizes = np.concatenate([shard.sizes for shard in shards])
    with_some = sum(int((shard.counts > 0).sum()) for shard in shards)
    return described_by(sizes, with_some, bytes(np.flatnonzero(np.any([s.used for s in shards], axis=0)).tolist()))
