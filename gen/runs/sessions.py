"""What trained a run, session by session: WORKDIR/training.json. Imports no jax.

A run is trained in one go, or resumed on other machines; each session that came to its end has an entry. One that was
killed has none.
"""

from __future__ import annotations

import dataclasses
import typing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.config.values import canonical, require, strict_json
from gen.errors import InputError
from gen.files import printable
from gen.runs.run_folder import RunFolder, read_text, write_json

_MOST = 1000  # entries that are kept, the newest


@dataclass(frozen=True, kw_only=True)
class Session:
    """One session of training."""

    first_step: int  # that it began after
    last_step: int
    devices: str  # "8 x NVIDIA H200"
    software: str  # "gen 0.1.0, jax 0.10.2, ..."
    command: str  # "": it was called from Python
    ended: str  # ISO date and time, UTC
    status: str  # "finished", "interrupted", "stopped: ..."


def read(folder: RunFolder) -> list[Session]:
    """Reads the sessions of a run, oldest first; none where none is recorded. Raises InputError for a damaged file."""
    path = _path(folder)
    if not path.is_file():
        return []
    try:
        found = strict_json(read_text(path), "it")
        if not isinstance(found, dict) or not isinstance(found.get("sessions"), list):
            raise InputError("it holds no sessions")
        return [_session(entry, f"session {number}") for number, entry in enumerate(found["sessions"], 1)]
    except InputError as error:
        raise InputError(f"{printable(path)} is damaged: {error}") from None


def append(folder: RunFolder, session: Session) -> None:
    """Adds a session; those of steps that were trained anew, and a damaged file, are replaced. Raises OSError."""
    try:
        known = [earlier for earlier in read(folder) if earlier.first_step < session.first_step]
    except InputError:
        known = []
    entries = [dataclasses.asdict(each) for each in [*known, session][-_MOST:]]
    write_json(_path(folder), {"sessions": entries})


def _path(folder: RunFolder) -> Path:
    return folder.path / "training.json"


def _session(entry: Any, place: str) -> Session:
    hints = typing.get_type_hints(Session)
    if not isinstance(entry, dict) or set(entry) != set(hints):
        raise InputError(f"{place} has not the fields {', '.join(hints)}")
    values: dict[str, Any] = {}
    for name, kind in hints.items():
        value = require(canonical(entry[name], place), kind, f"{place}.{name}")
        values[name] = printable(value) if kind is str else value
    return Session(**values)
