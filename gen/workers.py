"""Processes that share a work, one for each core. Imports no jax."""

from __future__ import annotations

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def cores() -> int:
    """Counts the cores that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def started(
    count: int | None = None, *, initializer: Callable[..., None] | None = None, given: tuple[Any, ...] = ()
) -> ProcessPoolExecutor:
    """Starts processes, not forked, for jax has threads. count: None: one for each core.

    They end when this process does, however it ends. initializer: is called with `given` in each of them; locks and
    shared values of "spawn" may be among these.
    """
    count = count or cores()
    context = multiprocessing.get_context("spawn")
    pool = ProcessPoolExecutor(count, mp_context=context, initializer=_begin, initargs=(initializer, given))
    with _lean_children():
        for probe in [pool.submit(os.getpid) for _ in range(count)]:
            probe.result()
    return pool


def _begin(initializer: Callable[..., None] | None, given: tuple[Any, ...]) -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches all: the one who gives the work says what follows
    threading.Thread(target=_end_with_parent, daemon=True).start()
    if initializer:
        initializer(*given)


def _end_with_parent() -> None:
    """Ends this process when its parent was killed: it would wait for work forever."""
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


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
