"""Checkpoints: written in the background, verified before they are used. The only file that imports orbax.

    FOLDER/500/           a complete step; it gets this name by one rename after everything in it is on the disk
    FOLDER/500/DIGESTS    which step of which run it is, a digest of every leaf as it was in memory and of every file as
                          it was written, see gen/runs/digests.py
    FOLDER/saving-500/    a step being written, or what a killed run left; the next save removes it
    FOLDER/deleting-500/  an old step that goes, likewise
    FOLDER/corrupt-500/   a step that failed its digests, or is not of this run, kept for the person to look at

Orbax restores a flipped bit silently, or fails noisily, so it reads a step only after all files have matched their
digests; the leaf digests then show that the values which came back are those that were in memory when they were saved.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import re
import shutil
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import jax
import numpy as np
import orbax.checkpoint as ocp
from jax.experimental import multihost_utils

from gen.devices import return_memory
from gen.errors import InputError
from gen.files import printable
from gen.runs import digests, leaves
from gen.runs.digests import CorruptError, ForeignError, in_threads
from gen.runs.silence import silence_orbax

Tree = TypeVar("Tree")

_MOST_UNFOLDED = 1000  # times the bytes of the files that the values of a step beyond the next may take: zeros do
_PATIENCE = 300_000_000  # seconds: orbax measures by a clock that may be set
_AT_ONCE = 2**30  # bytes of leaves that `verify` reads together

_log = logging.getLogger(__name__)


def _wait_long_for_threads() -> None:
    """Lets the threads of orbax, of a single process, wait for each other as long as for the disk: by the same clock.

    orbax has no option for it. Several processes wait for each other as they did.
    """
    from orbax.checkpoint._src.multihost import multihost

    if jax.process_count() == 1:
        multihost._DEFAULT_BARRIER_TIMEOUT = _PATIENCE


class Checkpoints:
    """The checkpoints of one run: any tree of arrays, by step. A context manager that finishes its writing on exit.

    With several processes the folder is shared by all of them and every process makes the same calls. A leaf that is
    spread over processes has no leaf digest, as no process holds it whole: the file digests guard it. What is restored
    passes whole through the memory of every host.
    """

    def __init__(
        self,
        folder: Path,
        *,
        keep: int = 3,
        identity: Mapping[str, str] | None = None,
        notes: Mapping[str, str] | None = None,
    ) -> None:
        """Opens a folder. keep: how many steps stay; older ones, but for `best`, are deleted. The first save makes it.

        identity: what every step belongs to, by name; it is saved in each, and a step of another is corrupt. notes:
        saved too, but not compared. Raises InputError when `folder` is something else.
        """
        self._folder = folder.absolute()
        self._keep = keep
        self._identity, self._notes = dict(identity or {}), dict(notes or {})
        digests.steps(self._folder)
        _wait_long_for_threads()
        self._writer = ocp.AsyncCheckpointer(ocp.PyTreeCheckpointHandler(), timeout_secs=_PATIENCE)
        self._background = ThreadPoolExecutor(1, thread_name_prefix="checkpoint")
        self._pending: Future[None] | None = None
        self.best: int | None = None  # a step that stays although it is old
        silence_orbax()

    def __enter__(self) -> Checkpoints:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            self.wait()
        finally:
            with contextlib.suppress(Exception):  # of a save, which was raised before
                self._writer.close()
            self._background.shutdown()

    def steps(self) -> list[int]:
        """Lists the steps that were written completely, oldest first; restoring finds out whether they are valid."""
        return digests.steps(self._folder)

    def save(self, step: int, state: Any, *, wait: bool = False) -> None:
        """Saves `state` and returns as soon as its values are copied: it may be donated at once. `wait`: until written.

        A step that exists is not written again. Raises OSError, what could not be saved and why; for the save before
        it is raised here, by `wait` or on exit, and what was written of it is gone.
        """
        self.wait()
        if step not in self.steps():
            named = leaves.named(state)
            copied = leaves.Leaves()
            if jax.process_index() == 0:  # which writes the digests
                copied = dict(zip(named, in_threads(leaves.copied, named.values()), strict=True))
            saving = self._folder / f"saving-{step}"
            try:
                if jax.process_index() == 0:
                    self._folder.mkdir(exist_ok=True)  # the run folder exists, unless somebody removed it
                    self._remove_unfinished()
                self._writer.save(saving, args=ocp.args.PyTreeSave(named), force=True)
            except Exception as error:
                raise self._fault(step, error) from None
            self._pending = self._background.submit(self._commit, step, saving, copied)
        if wait:
            self.wait()

    def wait(self) -> None:
        """Waits until the last save is complete on the disk; raises its OSError."""
        pending, self._pending = self._pending, None
        if pending is not None:
            pending.result()

    def restore(self, abstract_state: Tree, *, step: int | None = None) -> tuple[Tree, int] | None:
        """Restores the newest valid step, or `step`: the state and its step; None when nothing was ever saved.

        `abstract_state` has jax.ShapeDtypeStruct leaves; where they have a sharding, the arrays get it, whatever
        devices they were saved from. Each corrupt step on the way is set aside as corrupt-<step>, with one warning.

        Raises:
          InputError: no step is valid, the asked step is absent or corrupt, or the state has other leaves than the
            checkpoint (the first difference is named).
        """
        self.wait()
        if step is None and not self.steps():
            return None
        return self._newest_valid(abstract_state, step, whole=True)

    def restore_part(self, abstract_part: Tree, *, step: int | None = None) -> tuple[Tree, int]:
        """Restores only the leaves asked for, such as {"ema_params": {"generator": ...}}.

        Changes nothing in the folder, so that it may be used beside a training run. Raises InputError also when there
        is no checkpoint at all.
        """
        return self._newest_valid(abstract_part, step, whole=False)

    def verify(self, step: int) -> None:
        """Compares identity, files and all leaves of a step with its digests, on the host, 1 GiB of leaves at a time.

        Needs no model, puts nothing on a device and changes nothing. Raises CorruptError, ForeignError for a step that
        belongs elsewhere.
        """
        stored, directory = self._stored_leaves(step), self._folder / str(step)
        parts = list(leaves.parts(stored, most=_AT_ONCE))
        written = sum(path.stat().st_size for path in directory.rglob("*") if path.is_file())
        declared = sum(leaf.size * leaf.dtype.itemsize for part in parts for leaf in part.values())
        if declared > max(_AT_ONCE, _MOST_UNFOLDED * written):
            raise CorruptError(f"it declares {declared:,} bytes of values in {written:,} bytes of files")
        for part in parts:
            _restore(directory, stored, part)

    def _commit(self, step: int, saving: Path, copied: leaves.Leaves) -> None:
        """Digests the leaves, and the files when orbax has written them, and names the step; in the background."""
        try:
            try:
                table = dict(zip(copied, in_threads(leaves.described, copied.values()), strict=True))
            finally:
                copied.clear()
                self._writer.wait_until_finished()
            if jax.process_index() == 0:
                self._name(step, saving, table)
            return_memory()
        except Exception as error:  # orbax hands on what tensorstore or its own bookkeeping meet
            raise self._fault(step, error) from None

    def _name(self, step: int, saving: Path, table: dict[str, list]) -> None:
        """Renames what was written to a step, and removes steps that are older than `keep` and not the best."""
        digests.write(saving, step, self._identity | self._notes, table)
        target = self._folder / str(step)
        if os.path.lexists(target):  # a file, for one: no step has this number
            target.rename(self._free_name(step))
        saving.rename(target)
        digests.sync_folder(self._folder)
        earlier = [other for other in self.steps() if other < step and other != self.best]
        for old in earlier[: max(0, len(earlier) + 1 - self._keep)]:
            going = self._folder / f"deleting-{old}"  # at once, for who reads beside this run
            with contextlib.suppress(OSError):  # the new step is safe
                (self._folder / str(old)).rename(going)
                _remove(going)

    def _fault(self, step: int, error: Exception) -> OSError:
        """Describes in one line why a save failed; frees what was written of it, which the report may need."""
        if jax.process_index() == 0:
            self._remove_unfinished()
        found = re.search(r"os_error_code='(\d+)'", str(error))  # tensorstore
        number = error.errno if isinstance(error, OSError) else int(found[1]) if found else None
        reason = os.strerror(number) if number else " ".join(str(error).split())[:200]
        return OSError(number or errno.EIO, f"cannot be saved: {reason}", str(self._folder / str(step)))

    def _remove_unfinished(self) -> None:
        for leftover in (*self._folder.glob("saving-*"), *self._folder.glob("deleting-*")):
            with contextlib.suppress(OSError):
                _remove(leftover)

    def _newest_valid(self, abstract: Tree, step: int | None, *, whole: bool) -> tuple[Tree, int]:
        """Restores a tree and returns it with its step; warns of newer steps that are corrupt, see `_report`.

        Beside a run that keeps one step, the step that was the newest may go while it is read: the folder is listed
        again before it is said that there is none.
        """
        self.wait()
        if step is not None and step not in self.steps():
            there = ", ".join(map(str, self.steps())) or "none yet"
            raise InputError(f"no checkpoint {step} in {self._folder}; allowed: {there}")
        corrupt: dict[int, str] = {}
        while left := [each for each in reversed(self.steps()) if each not in corrupt and step in (None, each)]:
            for candidate in left:
                host, reason = None, "another process could not read it"
                try:
                    host = self._read(candidate, leaves.named(abstract), whole=whole)
                except CorruptError as error:
                    reason = str(error)
                if not _everywhere(host is not None):
                    corrupt[candidate] = reason
                    continue
                self._report(corrupt, candidate, set_aside=whole)
                placed = map(leaves.place, host.values(), jax.tree.leaves(abstract))  # type: ignore[union-attr]
                return jax.tree.unflatten(jax.tree.structure(abstract), placed), candidate
        reasons = "; ".join(f"checkpoint {bad}: {reason}" for bad, reason in corrupt.items())
        raise InputError(f"no valid checkpoint in {self._folder} ({reasons or 'there is none at all'})")

    def _report(self, corrupt: dict[int, str], used: int, *, set_aside: bool) -> None:
        """Warns of each corrupt step that is still there, and sets it aside."""
        for bad, reason in corrupt.items():
            if (self._folder / str(bad)).exists():
                then = f"kept as {self._set_aside(bad)}, going on from" if set_aside else "using"
                _log.warning("checkpoint %d is corrupt (%s): %s checkpoint %d", bad, reason, then, used)

    def _read(self, step: int, abstract: leaves.Leaves, *, whole: bool) -> dict[str, np.ndarray]:
        """Reads and verifies the leaves asked for, on the host; `whole`: these must be all there are.

        Raises CorruptError, or InputError when a valid step of this run holds other leaves than asked for.
        """
        directory, stored = self._folder / str(step), self._stored_leaves(step)
        leaves.check(directory, stored, abstract, whole=whole)
        return _restore(directory, stored, abstract)

    def _stored_leaves(self, step: int) -> dict[str, list]:
        """Returns what a step holds, once its identity and all its files have matched. Raises CorruptError."""
        directory = self._folder / str(step)
        table = digests.read(directory, step)
        for name, value in self._identity.items():
            if (found := table.marks.get(name, value)) != value:
                raise ForeignError(f"it is of another {name}: {printable(found[:12])}, not {value[:12]}")
        digests.check_files(directory, table.files)
        return table.leaves

    def _free_name(self, step: int) -> Path:
        """Finds a path for a step that is set aside."""
        target = self._folder / f"corrupt-{step}"
        while os.path.lexists(target):
            target = target.with_name(f"{target.name}-again")
        return target

    def _set_aside(self, step: int) -> str:
        """Renames a corrupt step, so that it is not counted and its number is free again; returns the new name."""
        target = self._free_name(step)
        if jax.process_count() > 1:
            multihost_utils.sync_global_devices(f"set aside {target.name}")  # nobody renames before all have looked
        if jax.process_index() == 0:
            (self._folder / str(step)).rename(target)
        return target.name


def _everywhere(valid: bool) -> bool:
    """Returns whether it is true in every process."""
    return valid if jax.process_count() == 1 else bool(multihost_utils.process_allgather(np.array(valid)).all())


def _remove(path: Path) -> None:
    """Removes a folder with all that is in it, or a file."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _restore(directory: Path, stored: Mapping[str, list], abstract: leaves.Leaves) -> dict[str, np.ndarray]:
    """Restores the leaves asked for on the host. Raises CorruptError unless they are those that were saved."""
    arguments = {name: ocp.RestoreArgs(restore_type=np.ndarray) for name in abstract}
    try:
        # The bare handler: a Checkpointer would wait for other processes, which may have failed.
        handler = ocp.PyTreeCheckpointHandler()
        _check_sizes(handler.metadata(directory).tree, stored, abstract)
        host = handler.restore(
            directory, args=ocp.args.PyTreeRestore(item=abstract, restore_args=arguments, partial_restore=True)
        )
        found = in_threads(leaves.described, (host[name] for name in abstract))
    except CorruptError:
        raise
    except Exception as error:  # whatever orbax makes of files that were wrong when they were written
        raise CorruptError(printable(f"{type(error).__name__}: {' '.join(str(error).split())}", longest=160)) from None
    for name, described in zip(abstract, found, strict=True):
        if stored[name][2] not in (None, described[2]):
            raise CorruptError(f"{name} differs from what was saved")
    return {name: host[name] for name in abstract}


def _check_sizes(arrays: Mapping[str, Any], stored: Mapping[str, list], abstract: leaves.Leaves) -> None:
    """Raises CorruptError unless arrays have their shapes, and no larger chunks: few bytes may declare terabytes."""
    for name in abstract:
        storage = getattr(arrays[name], "storage", None)  # a number has none
        shape, chunk = list(arrays[name].shape), list(getattr(storage, "chunk_shape", None) or ())
        if shape != stored[name][1]:
            raise CorruptError(printable(f"{name} is stored as {shape}, not {stored[name][1]}"))
        if any(side > max(1, most) for side, most in zip(chunk, shape, strict=False)):
            raise CorruptError(printable(f"{name} {shape} is stored in chunks of {chunk}"))
