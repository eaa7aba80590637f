"""One queue of jobs and one thread that does them, as there is one device: with progress, and stopped when asked."""

from __future__ import annotations

import itertools
import logging
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeVar

from gen.errors import InputError

T = TypeVar("T")
MOST_WAITING, _MOST_KEPT = 64, 128
_PATIENCE = 15.0  # seconds after which a job that nobody asks for is stopped: its page was closed

_log = logging.getLogger(__name__)


class Stopped(Exception):
    """The job is to end."""


class Busy(Exception):
    """Too many jobs wait."""


class Job:
    """Something to be done: `state` is waiting, running, done, failed or stopped."""

    def __init__(self, number: int, call: Callable[[Job], Any]) -> None:
        self.number, self.state, self.share, self.result, self.error = number, "waiting", 0.0, None, ""
        self._call, self._asked, self._stop = call, time.monotonic(), threading.Event()

    def stop(self) -> None:
        """Asks it to end, which it does at the next batch."""
        self._stop.set()

    def is_asked_for(self) -> None:
        """Notes that somebody still waits for it."""
        self._asked = time.monotonic()

    def check(self, share: float | None = None) -> None:
        """Notes how much is done. Raises Stopped where it is to end."""
        if share is not None:
            self.share = share
        if self._stop.is_set() or time.monotonic() - self._asked > _PATIENCE:
            raise Stopped

    def each(self, parts: Iterable[T], total: int) -> Iterator[T]:
        """Yields parts, and notes the progress after each."""
        for index, part in enumerate(parts):
            self.check(min(1.0, (index + 1) / max(1, total)))
            yield part

    @property
    def ended(self) -> bool:
        return self.state in ("done", "failed", "stopped")

    def run(self) -> None:
        """Does it; an unknown error is logged, and told without its details."""
        self.state = "running"
        state, error, result = "done", "", None
        try:
            self.check()
            result = self._call(self)
        except Stopped:
            state = "stopped"
        except InputError as refused:
            state, error = "failed", str(refused)
        except MemoryError:
            state, error = "failed", "there is not enough memory for this"
        except OSError as refused:
            state, error = "failed", f"{refused.strerror or 'a file cannot be read or written'}"
        except Exception:
            _log.exception("a job of the studio failed")
            state, error = "failed", "this failed by a mistake in gen; the terminal shows more"
        self.result, self.error, self.state = result, error, state


class Jobs:
    """Does jobs in their order, in a thread of its own."""

    def __init__(self) -> None:
        self._numbers, self._known = itertools.count(1), OrderedDict[int, Job]()
        self._waiting, self._changed = deque[Job](), threading.Condition()
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="studio", daemon=True)
        self._thread.start()

    def add(self, call: Callable[[Job], Any]) -> Job:
        """Adds a job. Raises Busy where too many wait."""
        with self._changed:
            if len(self._waiting) >= MOST_WAITING:
                raise Busy
            job = Job(next(self._numbers), call)
            self._known[job.number] = job
            for number in [n for n, known in self._known.items() if known.ended][: len(self._known) - _MOST_KEPT]:
                del self._known[number]
            self._waiting.append(job)
            self._changed.notify()
            return job

    def find(self, number: int) -> Job | None:
        """Returns a job that is known."""
        with self._changed:
            return self._known.get(number)

    def forget(self, job: Job) -> None:
        """Frees the result of a job that was handed over."""
        with self._changed:
            self._known.pop(job.number, None)

    def close(self) -> None:
        """Stops what runs and what waits."""
        with self._changed:
            self._closed = True
            for job in self._known.values():
                job.stop()
            self._changed.notify()
        self._thread.join(timeout=10)

    def _work(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._waiting or self._closed)
                if self._closed:
                    return
                job = self._waiting.popleft()
            job.run()
