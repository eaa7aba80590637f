"""Locks a run folder for one training: WORKDIR/.lock names the process. Reading a run needs no lock.

The kernel holds the lock (flock) while its process lives: it outlives no crash, whatever process has that number now.
Between machines flock may not reach, so the holder renews the file's time, and another host's lock is watched for a
while: a sign of life refuses, none takes the folder over.
"""

from __future__ import annotations

import contextlib
import datetime
import errno
import fcntl
import json
import os
import re
import shutil
import socket
import stat
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any

from gen.errors import InputError
from gen.files import parse_json, printable

RENEW_SECONDS = 20.0
WATCH_SECONDS = 90.0  # of another host's lock; network file systems show what is new up to 60 s late
_MOST_BYTES = 4096
_PARTIAL = re.compile(
    r"\.(config\.json|data\.json|best\.json|training\.json|metrics\.jsonl|report\.html|real\.png|refined\.png|\d+\.png"
    r"|manifest\.json|MODEL_CARD\.md|DATA_CARD\.md)"
    r"(\.[0-9a-f]{12})?\.partial"
)


class RunLock:
    """Makes a run folder, holds its lock, and removes what an earlier process left half written.

    At the end it removes the lock, and the folders that it made, where they are empty.
    """

    def __init__(self, workdir: Path, *, holds: bool = True) -> None:
        """Names the folder. holds: False does nothing; of several processes only the first one holds the lock."""
        self._workdir = workdir.absolute()
        self._path = self._workdir / ".lock"
        self._holds = holds
        self._file: int | None = None
        self._made: list[Path] = []
        self._released = threading.Event()

    def __enter__(self) -> RunLock:
        """Raises InputError when another process trains here; OSError when the folder cannot be made."""
        if self._holds:
            self._made = [path for path in (self._workdir, *self._workdir.parents) if not path.exists()]
            try:
                self._workdir.mkdir(parents=True, exist_ok=True)
                self._take()
            except BaseException:
                self.release()
                raise
            threading.Thread(target=self._renew, daemon=True, name="lock").start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.release()

    def release(self) -> None:
        """Gives the lock back; the second call does nothing."""
        self._released.set()
        file, self._file = self._file, None
        made, self._made = self._made, []
        with contextlib.suppress(OSError):
            if file is not None:
                if _is_named(file, self._path):
                    self._path.unlink()
                else:  # the folder was removed; a checkpoint that was being written made it anew
                    made = [self._workdir / "checkpoints", self._workdir]
                os.close(file)
        with contextlib.suppress(OSError):  # not empty
            for path in made:
                path.rmdir()

    def _take(self) -> None:
        watched = None
        while self._file is None:
            file = _open(self._path)
            try:
                local = _flock(file)
                holder = _read(file)
                if local is False or (local is None and _alive(holder)):
                    raise InputError(f"{self._name} is in use: {_who(holder)}; wait for it, or use another --workdir")
                foreign = holder.get("host", socket.gethostname()) != socket.gethostname()
                if foreign and watched is None:
                    self._watch(file, holder)
                    watched = holder
                elif foreign and watched != holder:
                    raise InputError(f"{self._name} is in use: {_who(holder)}; use another --workdir")
                elif _is_named(file, self._path):  # else its holder has just removed it: again
                    self._file, file = file, -1
                    remove_leftovers(self._workdir)  # before the first write: the disk may be full of them
                    try:
                        _write(self._file)
                    except OSError as error:  # which names no file
                        raise OSError(error.errno, error.strerror, str(self._path)) from None
            finally:
                if file >= 0:
                    os.close(file)

    def _watch(self, file: int, holder: dict[str, Any]) -> None:
        """Waits for a sign of life of another host. Raises InputError when there is one."""
        print(
            f"gen: {self._name} is locked by another host: {_who(holder)}. Waiting {WATCH_SECONDS:.0f} s for a sign of "
            f"life; if that process is gone, rm {printable(self._path)} ends the wait",
            file=sys.stderr,
            flush=True,
        )
        before, until = os.fstat(file).st_mtime_ns, time.monotonic() + WATCH_SECONDS
        while time.monotonic() < until:
            time.sleep(min(1.0, RENEW_SECONDS))
            try:
                now = _open(self._path, create=False)  # opening it anew makes a network file system look
            except FileNotFoundError:
                return
            renewed = os.fstat(now).st_mtime_ns != before
            os.close(now)
            if renewed:
                raise InputError(
                    f"{self._name} is in use: {_who(holder)}, and is alive; stop it there, or use another --workdir"
                )

    def _renew(self) -> None:
        while not self._released.wait(RENEW_SECONDS):
            with contextlib.suppress(OSError, TypeError):  # TypeError: released just now
                os.utime(self._file)  # type: ignore[arg-type]

    @property
    def _name(self) -> str:
        return printable(self._workdir)


def remove_leftovers(workdir: Path) -> None:
    """Removes what a killed process left: an unfinished checkpoint, partial files of gen's own names.

    Follows no links. Only the holder of the lock may call it.
    """
    for folder in (workdir, workdir / "previews"):
        for path in _entries(folder):
            if _PARTIAL.fullmatch(path.name) and stat.S_ISREG(path.lstat().st_mode):
                with contextlib.suppress(OSError):
                    path.unlink()
    for path in _entries(workdir / "checkpoints"):
        if path.name.startswith(("saving-", "deleting-")) and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)


def _entries(folder: Path) -> list[Path]:
    try:
        return [] if folder.is_symlink() else list(folder.iterdir())
    except OSError:
        return []


def _open(path: Path, *, create: bool = True) -> int:
    """Opens the regular file `path`, through no link; NONBLOCK, as a FIFO would wait for its other end."""
    flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK | (os.O_CREAT if create else 0)
    try:
        file = os.open(path, flags, 0o644)
    except OSError as error:
        if error.errno == errno.ELOOP:
            raise InputError(f"{printable(path)} is a link; remove it") from None
        raise
    if not stat.S_ISREG(os.fstat(file).st_mode):
        os.close(file)
        raise InputError(f"{printable(path)} is no regular file; remove it")
    return file


def _flock(file: int) -> bool | None:
    """Takes the lock: False when a process holds it, None when this file system knows no locks."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return None
    return True


def _is_named(file: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(file), path.lstat())
    except FileNotFoundError:
        return False


def _write(file: int) -> None:
    holder = {
        "host": socket.gethostname(),
        "pid": os.getpid(),
        "process_start": _start(os.getpid()),
        "since": datetime.datetime.now().astimezone().isoformat(timespec="seconds"),
    }
    os.ftruncate(file, 0)
    os.pwrite(file, json.dumps(holder).encode() + b"\n", 0)
    os.fsync(file)


def _read(file: int) -> dict[str, Any]:
    """Reads the holder of the lock; {} when nothing can be understood."""
    try:
        holder = parse_json(os.pread(file, _MOST_BYTES, 0))
        return {"pid": int(holder["pid"])} | {name: str(holder[name]) for name in ("host", "process_start", "since")}
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return {}


def _who(holder: dict[str, Any]) -> str:
    if not holder:
        return "another process trains there"
    host, since = printable(holder["host"]), printable(holder["since"])
    return f"process {holder['pid']} on {host} trains there since {since}"


def _alive(holder: dict[str, Any]) -> bool:
    """Returns whether the holder is a process of this host that runs, and not another one that got its number."""
    if holder.get("host") != socket.gethostname():
        return False
    try:
        os.kill(holder["pid"], 0)
    except ProcessLookupError:
        return False
    except (OSError, OverflowError):
        pass
    return _start(holder["pid"]) == holder.get("process_start")


def _start(pid: int) -> str:
    """Returns when a process started, in clock ticks since the machine did; "" where that cannot be known."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19]
    except (OSError, IndexError):
        return ""
