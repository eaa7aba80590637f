"""Reads and writes the files of a run folder, which may come from somebody else. Imports no jax.

WORKDIR/config.json   the Config             WORKDIR/checkpoints/500/    the state at step 500
WORKDIR/data.json     facts about the data   WORKDIR/report.html, metrics.jsonl, previews/: see gen/report
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.config import Config, from_json
from gen.config.values import canonical, require, strict_json
from gen.errors import InputError
from gen.files import atomic_write, printable, read_regular, shown

_FILES = (
    *("config.json", "data.json", "metrics.jsonl", "report.html", "real.png", "refined.png", "best.json"),
    *("training.json", "manifest.json", "MODEL_CARD.md", "DATA_CARD.md"),
)
_FOLDERS = ("checkpoints", "evaluation", "previews", "tensorboard", "profile")  # in which gen writes and deletes
_MOST_BYTES = 64 * 2**20  # of a JSON file that is read
_MOST_LEVELS = 32  # of folders in a run's folders; what reads and removes them goes down level by level
_MOST_PIXELS = 2**14  # of a side
_MOST_CLASSES = 1_000_000
# Of data.json, what is used where a run is opened: name -> its type. All but the first two may be absent.
_FACTS: dict[str, Any] = {
    "image_shape": tuple[int, int, int],
    "num_classes": int,
    "class_names": tuple[str, ...],
    "name": str,
    "digest": str,
    "options": dict[str, Any],
    "num_train": int,
    "num_held_out": int,
    "skipped": dict[str, Any] | tuple[dict[str, Any] | tuple[str, ...] | str, ...],
    "run": str,
    "changes": tuple[dict[str, Any], ...],
}
_DIGEST = "facts_digest"  # in data.json: of all else in it


@dataclass(frozen=True)
class RunFolder:
    """The paths in a run folder, and its checked content."""

    path: Path

    @property
    def config(self) -> Path:
        return self.path / "config.json"

    @property
    def data(self) -> Path:
        return self.path / "data.json"

    @property
    def checkpoints(self) -> Path:
        return self.path / "checkpoints"

    @property
    def best(self) -> Path:
        """Which checkpoint is the best, see gen/runs/best.py."""
        return self.path / "best.json"

    @property
    def weights(self) -> Path:
        return self.path / "model.safetensors"

    @property
    def is_exported(self) -> bool:
        """Whether it is no run, but a model by gen.export, see gen/runs/exported.py."""
        return os.path.lexists(self.weights) and not self.checkpoints.exists()

    def refuse_links(self) -> None:
        """Raises InputError if the folder holds a link, or a device or pipe in place of a file or folder.

        Through a link, a folder from elsewhere could make gen write, delete or show files outside of it. The folder
        itself may be a link. Call this before anything is written.
        """
        for entry in _entries(self.path):
            if entry.is_symlink():
                raise InputError(
                    f"{printable(entry.path)} is a link; a run folder may hold none, as gen would write and delete "
                    "through it: replace it by what it leads to, or remove it"
                )
            if entry.name in (*_FILES, *_FOLDERS) and not (entry.is_file() or entry.is_dir()):
                raise InputError(f"{printable(entry.path)} is no file and no folder; remove it")
            if entry.name in _FOLDERS:
                _refuse_links_below(entry.path)

    def read_config(self) -> Config:
        """Reads the Config, unvalidated. Raises InputError if there is none, or config.json is damaged."""
        path = self._there(self.config)
        try:
            return from_json(read_text(path))
        except InputError as error:
            raise InputError(f"{printable(path)}: {error}") from error

    def read_metadata(self) -> dict[str, Any]:
        """Reads data.json. Raises InputError if there is none, it was edited, or it lacks what a run needs."""
        path = self._there(self.data)
        try:
            facts = strict_json(read_text(path), "it")
            _check_facts(facts)
        except InputError as error:
            raise InputError(f"{printable(path)} is damaged: {error}") from error
        return dict(facts)

    def write_metadata(self, facts: Mapping[str, Any]) -> None:
        """Writes data.json with a digest of its content. Raises OSError."""
        write_json(self.data, signed(facts))

    def _there(self, path: Path) -> Path:
        if not self.path.is_dir():
            raise InputError(f"{printable(self.path)}: there is no such folder")
        if not os.path.lexists(path):
            raise InputError(f"{printable(self.path)} is not a run folder: it has no {path.name}")
        return path


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Writes readable JSON, replacing the file at once."""
    atomic_write(path, to_text(value))


def to_text(value: Mapping[str, Any]) -> str:
    """Returns readable JSON."""
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def signed(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the content of data.json: facts and their digest."""
    return {**facts, _DIGEST: _facts_digest(facts)}


def read_text(path: Path) -> str:
    """Reads the text of a small regular file. Raises InputError for anything else."""
    try:
        return read_regular(path, most=_MOST_BYTES).decode("utf-8")
    except OSError as error:
        raise InputError(f"it cannot be read: {error.strerror or error}") from None
    except UnicodeDecodeError as error:
        raise InputError(f"it is not UTF-8: {error.reason} at byte {error.start}") from None


def _facts_digest(facts: Mapping[str, Any]) -> str:
    text = json.dumps({name: value for name, value in facts.items() if name != _DIGEST}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _check_facts(facts: Any) -> None:
    """Raises InputError, without the path, unless these are the facts of data.json."""
    if not isinstance(facts, dict):
        raise InputError(f"it is {shown(facts)}; it must be a JSON object")
    if ("run" in facts or _DIGEST in facts) and facts.get(_DIGEST) != _facts_digest(facts):
        raise InputError("it was changed after it was written; undo that, or resume the run, which writes it anew")
    for name in ("image_shape", "num_classes"):
        if name not in facts:
            raise InputError(f"it lacks '{name}'")
    for name, kind in _FACTS.items():
        if name in facts:
            require(canonical(facts[name], name), kind, name)
    *sides, channels = facts["image_shape"]
    if not all(1 <= side <= _MOST_PIXELS for side in sides) or channels not in (1, 3):
        raise InputError(
            f"image_shape is {facts['image_shape']}; allowed: sides of 1 to {_MOST_PIXELS:,}, 1 or 3 channels"
        )
    count, names = facts["num_classes"], facts.get("class_names", ())
    if not 0 <= count <= _MOST_CLASSES:
        raise InputError(f"num_classes is {count}; allowed: 0 to {_MOST_CLASSES:,}")
    if names and len(names) != count:
        raise InputError(f"it names {len(names):,} classes, and num_classes is {count:,}")


def _refuse_links_below(folder: str, levels: int = _MOST_LEVELS) -> None:
    if not levels:
        raise InputError(f"{printable(folder)}: more than {_MOST_LEVELS} folders deep, which no run is; remove it")
    for entry in _entries(folder):
        if entry.is_dir(follow_symlinks=False):
            _refuse_links_below(entry.path, levels - 1)
        elif not entry.is_file(follow_symlinks=False):
            what = "a link" if entry.is_symlink() else "no file and no folder"
            raise InputError(f"{printable(entry.path)} is {what}; a run folder may hold none: remove it")


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """Lists a folder; empty if it cannot be read, which its use will report."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
