"""Looks at many images on all cores, in processes that a file may end without ending the audit."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import TypeVar

import numpy as np

from gen.auditing.inspection import Inspected, inspect

Item = TypeVar("Item")
Job = Path | bytes | np.ndarray
CHUNK = 256  # images between two notes in the journal
_FEW = 64  # images that are not worth the start of a process
_EACH = 16  # images sent to a process at once


def inspected(items: Sequence[Item], job: Callable[[Item], Job]) -> Iterator[list[tuple[Item, Inspected]]]:
    """Yields chunks of items with what was found. job: may raise OSError for what is not there."""
    if len(items) <= _FEW:
        yield [(item, _alone(item, job)) for item in items]
        return
    pool = _pool()
    try:
        for start in range(0, len(items), CHUNK):
            chunk = items[start : start + CHUNK]
            jobs = [_job(item, job) for item in chunk]
            sound = [one for one in jobs if not isinstance(one, Inspected)]
            try:
                found = iter(list(pool.map(inspect, sound, chunksize=_EACH)))
            except BrokenProcessPool:
                pool.shutdown(wait=False, cancel_futures=True)
                found = iter(_survived(sound))
                pool = _pool()
            yield [
                (item, one if isinstance(one, Inspected) else next(found))
                for item, one in zip(chunk, jobs, strict=True)
            ]
    finally:
        pool.shutdown(wait=False, cancel_futures=True)


def _pool(workers: int | None = None) -> ProcessPoolExecutor:
    # Neither forked, for jax has threads, nor with many threads of numpy's each.
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ.setdefault(name, "1")
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ProcessPoolExecutor(workers or cores, mp_context=multiprocessing.get_context("spawn"))


def _job(item: Item, job: Callable[[Item], Job]) -> Job | Inspected:
    try:
        return job(item)
    except OSError as error:
        return Inspected(error_kind="unreadable", error=error.strerror or str(error))


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
        return [Inspected(error_kind="unreadable", error="it ends the process that decodes it")]
    middle = len(jobs) // 2
    return [*_survived(jobs[:middle]), *_survived(jobs[middle:])]
