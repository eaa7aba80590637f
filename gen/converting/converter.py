"""Converts a listing into shards on all cores, goes on where an earlier try ended, and writes the index last."""

from __future__ import annotations

import contextlib
import fcntl
import itertools
import json
import logging
import multiprocessing
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import numpy as np

from gen import workers
from gen.cli import progress_bar
from gen.converting.listing import Listing, digest
from gen.converting.writing import Fit, Job, Written, described, read_written, watch, write_shard
from gen.data.shard_index import FORMAT, INDEX, SPLITS, SUFFIX, Index, labels_file, read_index
from gen.data.shards import SKIPPED
from gen.errors import InputError
from gen.files import atomic_write, parse_json, printable, storage_fault

PLAN = "conversion.json"  # marks a folder as one of ours
MOST_SHARDS = 512  # all of them are open while a model learns; a process may have 1024 files
_SHARD_BYTES, _SHARD_IMAGES, _FEW_SHARDS = 2**30, 2_000, 64
_FEW = 64  # images that are not worth the start of a process
_LOOK_SECONDS = 0.5

log = logging.getLogger(__name__)


def convert(listing: Listing, out: Path, fit: Fit, *, options: Mapping[str, Any], shards: int | None = None) -> Index:
    """Writes the shards that are missing in `out`, then the index. Shows progress.

    options: that the images depend on. shards: of the training images; None: of at most 1 GiB each, but so many that
    all cores have one. Raises InputError for a folder that is not a conversion of the same, unreadable images if
    strict, and a split without an image.
    """
    channels = listing.channels or (1 if fit.grayscale else 3)
    shape = (fit.resolution, fit.resolution, channels)
    counts = {split: sum(item.split == split for item in listing.items) for split in SPLITS}
    shards = shards or max(
        -(-counts["train"] * int(np.prod(shape)) // _SHARD_BYTES),
        min(_FEW_SHARDS, -(-counts["train"] // _SHARD_IMAGES)),
    )
    if shards > MOST_SHARDS:
        raise InputError(f"--shards={shards}; allowed: at most {MOST_SHARDS}")
    with _own(out, digest([listing.identity, fit, dict(options), shards])):
        jobs = _jobs(listing, out, fit, counts, shards)
        for partial in out.glob(".*.partial"):
            partial.unlink(missing_ok=True)
        left = [job for job in jobs if read_written(job.file) is None]
        if left:
            (out / INDEX).unlink(missing_ok=True)
        images = sum(len(job.items) for job in left)
        with progress_bar(len(listing.items), doing="converting", done=len(listing.items) - images) as bar:
            if listing.alone or images <= _FEW or len(left) < 2:
                for job in left:
                    write_shard(job)
                    bar.update(len(job.items))
            else:
                _on_all_cores(left, bar)
        return _finish(listing, jobs, out, shape, options)


@contextlib.contextmanager
def _own(out: Path, identity: str) -> Iterator[None]:
    """Makes the folder, or finds it to be a conversion of the same; no other process works in it meanwhile."""
    plan = out / PLAN
    try:
        out.mkdir(parents=True, exist_ok=True)
        if not plan.exists():
            if any(out.iterdir()):
                raise InputError(f"--out={printable(out)} is not empty, and no folder of gen.convert; name another")
            atomic_write(plan, json.dumps({"format": FORMAT, "identity": identity}))
        try:
            found = parse_json(plan.read_bytes())["identity"]
        except (ValueError, KeyError, TypeError):
            found = None
        if found != identity:
            raise InputError(
                f"--out={printable(out)} holds a conversion of other images, or by other options; name another"
            )
        with plan.open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"--out={printable(out)}: another process converts into it") from None
            except OSError:  # a file system without locks
                pass
            yield
    except OSError as error:
        raise InputError(f"convert: {storage_fault(error)}") from error


def _jobs(listing: Listing, out: Path, fit: Fit, counts: Mapping[str, int], shards: int) -> list[Job]:
    """Divides the images of each split, in their order."""
    jobs = list[Job]()
    for split in SPLITS:
        items = [item for item in listing.items if item.split == split]
        number = shards if split == "train" else -(-shards * counts[split] // max(counts["train"], 1))
        number = max(1, min(number, len(items), MOST_SHARDS))
        ends = [len(items) * i // number for i in range(number + 1)]
        for i, (begin, end) in enumerate(itertools.pairwise(ends)):
            file = out / f"{split}-{i:05}-of-{number:05}{SUFFIX}"
            jobs.append(Job(file, items[begin:end], listing.read, fit, listing.captioned))
    return [job for job in jobs if job.items]


def _on_all_cores(jobs: Sequence[Job], bar: Any) -> None:
    count = min(workers.cores(), len(jobs))
    done = multiprocessing.get_context("spawn").Value("q", 0)
    pool = workers.started(count, initializer=watch, given=(done,))
    waiting, running, shown = iter(jobs), set[Future[None]](), 0
    try:
        running |= {pool.submit(write_shard, job) for job in itertools.islice(waiting, count + 1)}
        while running:
            ended, running = wait(running, timeout=_LOOK_SECONDS, return_when=FIRST_COMPLETED)
            for future in ended:
                future.result()
            running |= {pool.submit(write_shard, job) for job in itertools.islice(waiting, len(ended))}
            now = done.value
            bar.update(now - shown)
            shown = now
    except BrokenProcessPool:
        raise InputError(
            "convert: a process ended in the middle, for want of memory or by an image that ends its decoder; the same "
            "command goes on with the shards that are missing"
        ) from None
    finally:
        done.get_obj().value = -(2**62)  # not by the lock, which a process that died may hold
        pool.shutdown(cancel_futures=True)


def _finish(
    listing: Listing, jobs: Sequence[Job], out: Path, shape: tuple[int, int, int], options: Mapping[str, Any]
) -> Index:
    """Writes the list of what was left out, then the index."""
    found = {job.file: read_written(job.file) for job in jobs}
    if missing := [file for file, written in found.items() if written is None]:
        raise InputError(f"convert: {printable(missing[0])} is gone; the same command makes it again")
    of_split: dict[str, list[Written]] = {
        split: [written for file, written in found.items() if written and file.name.startswith(f"{split}-")]
        for split in SPLITS
    }
    skipped = [*listing.skipped, *(entry for written in found.values() if written for entry in written.skipped)]
    kept = {split: [written for written in of_split[split] if written.shard.images] for split in SPLITS}
    if not all(kept.values()):
        first = f" (first: {skipped[0]['file']}: {skipped[0]['reason']})" if skipped else ""
        raise InputError(
            f"convert: {sum(w.shard.images for w in kept['train'])} images to train on and "
            f"{sum(w.shard.images for w in kept['held_out'])} to hold out; both need at least one; {len(skipped):,} "
            f"cannot be used{first}{_small_hint(skipped)}"
        )
    for written in (w for w in found.values() if w and not w.shard.images):
        log.warning("no image of %s can be used", written.shard.name)
    index = {
        "format": FORMAT,
        "source": listing.source,
        "options": dict(options),
        "image_shape": shape,
        "class_names": listing.class_names,
        "captions": described(kept["train"]),
        "skipped": len(skipped),
        "splits": {split: [written.shard._asdict() for written in kept[split]] for split in SPLITS},
    }
    atomic_write(out / SKIPPED, "".join(json.dumps(entry) + "\n" for entry in skipped))
    atomic_write(out / INDEX, json.dumps(index, indent=1))
    if skipped:
        log.warning(
            "%s of %s images cannot be used (first: %s: %s) and are left out; %s lists them%s",
            f"{len(skipped):,}",
            f"{len(listing.items) + len(listing.skipped):,}",
            skipped[0]["file"],
            skipped[0]["reason"],
            printable(out / SKIPPED),
            _small_hint(skipped),
        )
    return read_index(out)


def _small_hint(skipped: Sequence[Mapping[str, str]]) -> str:
    small = sum("smaller than resolution" in entry["reason"] for entry in skipped)
    return f"; --small=enlarge takes the {small:,} too small" if small else ""


def size_of(index: Index) -> int:
    """Counts the bytes of all shards and what lies beside them."""
    shards = [index.folder / shard.name for split in SPLITS for shard in index.splits[split]]
    return sum(os.path.getsize(file) for shard in shards for file in (shard, labels_file(shard)))
