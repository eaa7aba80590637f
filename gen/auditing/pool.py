"""Looks at many images on all cores, in processes that a file may end without ending the audit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import numpy as np

from gen import workers
from gen.auditing.inspection import Inspected, inspect

Item = TypeVar("Item")
Job = Path | bytes | np.ndarray
CHUNK = 256  # images between two notes in the journal
_FEW = 64  # images that are not worth the start of a process
_EACH = 16  # images sent to a process at once
_MOST_BYTES = 2**28  # of contents that are on their way at once


def inspected(items: Sequence[Item], job: Callable[[Item], Job]) -> Iterator[list[tuple[Item, Inspected]]]:
    """Yields chunks of items with what was found. job: may raise OSError for what is not there."""
    if len(items) <= _FEW:
        yield [(item, _alone(item, job)) for item in items]
        return
    pool = workers.started()
    try:
        for chunk in _chunks(items, job):
            sound = [one for _, one in chunk if not isinstance(one, Inspected)]
            try:
                found = iter(list(pool.map(inspect, sound, chunksize=_EACH)))
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                found = iter(_survived(sound))
                pool = workers.started()
            yield [(item, one if isinstance(one, Inspected) else next(found)) for item, one in chunk]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _chunks(items: Sequence[Item], job: Callable[[Item], Job]) -> Iterator[list[tuple[Item, Job | Inspected]]]:
    """Yields items with their jobs, some hundred at once, of large contents fewer."""
    chunk, size = list[tuple[Item, Job | Inspected]](), 0
    for item in items:
        chunk.append((item, _job(item, job)))
        size += _bytes(chunk[-1][1])
        if len(chunk) >= CHUNK or size >= _MOST_BYTES:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _bytes(job: Job | Inspected) -> int:
    return job.nbytes if isinstance(job, np.ndarray) else len(job) if isinstance(job, bytes) else 0


def _job(item: Item, job: Callable[[Item], Job]) -> Job | Inspected:
    try:
        return job(item)
    except OSError as error:
        return Inspected(error_kind="unreadable", error=error.strerror or str(error), passing=True)


def _alone(item: Item, job: Callable[[Item], Job]) -> Inspected:
    found = _job(item, job)
    return found if isinstance(found, Inspected) else inspect(found)


def _survived(jobs: Sequence[Job]) -> list[Inspected]:
    """Looks at images one of which ends the process that does: at halves of them, until it is alone."""
    with workers.started(1) as pool:
        try:
            return list(pool.map(inspect, jobs, chunksize=len(jobs)))
        except BrokenProcessPool:
            pass
    if len(jobs) == 1:
        return [Inspected(error_kind="unreadable", error="it ends the process that decodes it", passing=True)]
    middle = len(jobs) // 2
    return [*_survived(jobs[:middle]), *_survived(jobs[middle:])]
