"""Looks at many images on all cores, in processes that a file may end without ending the audit."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from gen.auditing.inspection import Inspected, inspect

Item = TypeVar("Item")
Job = Path | bytes | np.ndarray
CHUNK = 256  # images between two notes in the journal
_FEW = 64  # images that are not worth the start of a process
_EACH = 16  # images sent to a process at once
_MOST_BYTES = 2**28  # of contents that are on their way at once
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def inspected(items: Sequence[Item], job: Callable[[Item], Job]) -> Iterator[list[tuple[Item, Inspected]]]:
    """Yields chunks of items with what was found. job: may raise OSError for what is not there."""
    if len(items) <= _FEW:
        yield [(item, _alone(item, job)) for item in items]
        return
    pool = _pool()
    try:
        for chunk in _chunks(items, job):
            sound = [one for _, one in chunk if not isinstance(one, Inspected)]
            try:
                found = iter(list(pool.map(inspect, sound, chunksize=_EACH)))
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                found = iter(_survived(sound))
                pool = _pool()
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


def _pool(workers: int | None = None) -> ProcessPoolExecutor:
    """Starts processes: not forked, for jax has threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    count = workers or cores
    pool = ProcessPoolExecutor(count, mp_context=multiprocessing.get_context("spawn"))
    with _lean_children():
        for probe in [pool.submit(inspect, np.zeros((1, 1, 1), np.uint8)) for _ in range(count)]:
            probe.result()
    return pool


@contextlib.contextmanager
def _lean_children() -> Iterator[None]:
    """Has processes that are started within do without the program of whoever calls, and without threads of numpy's.

    A script without `if __name__ == "__main__"` would otherwise run again in each of them.
    """
    main = sys.modules["__main__"]
    kept: dict[str, Any] = {name: vars(main).pop(name) for name in ("__file__", "__spec__") if name in vars(main)}
    before = {name: os.environ.get(name) for name in _THREADS}
    main.__spec__ = None
    os.environ.update(dict.fromkeys(_THREADS, "1"))
    try:
        yield
    finally:
        vars(main).update(kept)
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


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
    with _pool(1) as pool:
        try:
            return list(pool.map(inspect, jobs, chunksize=len(jobs)))
        except BrokenProcessPool:
            pass
    if len(jobs) == 1:
        return [Inspected(error_kind="unreadable", error="it ends the process that decodes it", passing=True)]
    middle = len(jobs) // 2
    return [*_survived(jobs[:middle]), *_survived(jobs[middle:])]
