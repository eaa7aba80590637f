"""Tells whether a folder holds the same run: the same config and the same data. Imports no jax.

Every checkpoint is marked with three texts, see gen/runs/digests.py:

    run      drawn once, for the first checkpoint; also in data.json
    config   the digest of the config; also in config.json and data.json
    data     the digest of the training data; a change must be accepted, and data.json records it
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import secrets
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from gen.config import Config, check_resumable, digest, to_json
from gen.errors import InputError
from gen.files import atomic_write, printable, set_aside
from gen.runs import digests
from gen.runs.run_folder import RunFolder

if TYPE_CHECKING:
    from gen.data import DatasetSplits

Facts = dict[str, Any]  # data.json

# The entries of data.json that identify the data; a difference in an earlier one is more telling.
_DATA = ("class_names", "num_classes", "image_shape", "num_train", "num_held_out", "name", "digest")
_log = logging.getLogger(__name__)


class Begun(NamedTuple):
    """A run that may train in a folder. Nothing has been written yet."""

    facts: Facts  # what data.json will hold
    identity: dict[str, str]  # what its checkpoints must be marked with
    notes: dict[str, str]  # what new ones are marked with besides
    faults: dict[Path, str]  # files of the folder that cannot be used, and why


def marks_of(config: Config, facts: Mapping[str, Any]) -> dict[str, str]:
    """Returns the marks that checkpoints of this config and data.json must have."""
    return {"run": str(facts.get("run", "unknown")), "config": digest(config)}


def check_folder(folder: RunFolder, config: Config) -> None:
    """Raises InputError if a run folder holds links, an exported model, or checkpoints of another config, or cannot be
    written.

    Without a valid config.json, `begin` compares with the checkpoints.
    """
    folder.refuse_links()
    if folder.is_exported:
        raise InputError(
            f"--workdir {printable(folder.path)} is an exported model, which cannot be trained on; use another "
            "--workdir, and --config.init_from to start with its weights"
        )
    there = next(path for path in (folder.path, *folder.path.absolute().parents) if path.exists())
    try:
        with tempfile.TemporaryFile(dir=there):
            pass
    except OSError as error:
        raise InputError(f"cannot write to --workdir {folder.path}: {error.strerror or error}") from error
    if digests.steps(folder.checkpoints):
        try:
            stored = folder.read_config()
        except InputError:
            return
        check_resumable(stored, config)


def begin(folder: RunFolder, config: Config, facts: Facts, *, accept_changed_data: bool = False) -> Begun:
    """Identifies the run in a folder. facts: the content of data.json for the data at hand.

    Raises InputError if there are checkpoints of other data, unless that is accepted, or neither they nor config.json
    tell their config.
    """
    saved = digests.steps(folder.checkpoints)
    marks = digests.newest_marks(folder.checkpoints)
    stored, faults = _stored(folder, bool(saved))
    if folder.config in faults and saved and "config" not in marks:
        raise InputError(f"{faults[folder.config]}, nor do the checkpoints say of which config they are")
    facts, known = json.loads(json.dumps(facts)), {}
    if saved:
        known = stored or ({"data": marks["data"]} if "data" in marks else {})
    changes = list(known.get("changes", []))
    if known and (changed := _changed(known, facts)):
        if not accept_changed_data:
            raise InputError(
                f"the data of {printable(folder.path)} changed: {_told(changed)}; use another --workdir, or go on with "
                "the data as they are now by --accept_changed_data"
            )
        was, now = ({name: pair[index] for name, pair in changed.items()} for index in (0, 1))
        changes.append({"after_step": saved[-1], "was": was, "is": now})
    run = str(known.get("run") or (saved and marks.get("run")) or secrets.token_hex(16))
    facts |= {"run": run, "config_digest": digest(config)} | ({"changes": changes} if changes else {})
    return Begun(facts, marks_of(config, facts), {"data": data_digest(facts)}, faults)


def write(folder: RunFolder, config: Config, begun: Begun) -> None:
    """Writes config.json and data.json. Damaged files are kept beside them, with one warning each. Raises OSError."""
    folder.path.mkdir(parents=True, exist_ok=True)
    for path, why in begun.faults.items():
        kept = f"; kept as {set_aside(path).name}" if os.path.lexists(path) else ""
        _log.warning("%s%s; written anew", why, kept)
    atomic_write(folder.config, to_json(config))
    folder.write_metadata(begun.facts)


def data_metadata(source: DatasetSplits) -> dict[str, Any]:
    """Describes the data for data.json: enough to sample without them, and to recognize them."""
    return {
        "name": source.name,
        "image_shape": list(source.image_shape),
        "num_classes": source.num_classes,
        "class_names": list(source.class_names),
        "num_train": len(source.train.images),
        "num_held_out": len(source.held_out.images),
    } | dict(source.metadata)


def data_digest(facts: Mapping[str, Any]) -> str:
    """Hashes what data.json records of the training data."""
    text = json.dumps({name: facts.get(name) for name in _DATA}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def _stored(folder: RunFolder, saved: bool) -> tuple[Facts, dict[Path, str]]:
    """Reads data.json, {} if it cannot be used, and lists the faults of it and of config.json."""
    facts: Facts = {}
    faults: dict[Path, str] = {}
    for path, read in ((folder.config, folder.read_config), (folder.data, folder.read_metadata)):
        if not os.path.lexists(path):
            if saved:
                faults[path] = f"{printable(path)} is missing"
            continue
        try:
            found = read()
        except InputError as error:
            faults[path] = str(error)
        else:
            facts = found if isinstance(found, dict) else facts
    return facts, faults


def _changed(known: Mapping[str, Any], facts: Facts) -> dict[str, tuple[Any, Any]]:
    """Lists what differs: name -> (before, now)."""
    if "data" in known:  # of a checkpoint
        now = data_digest(facts)
        return {} if known["data"] == now else {"data": (known["data"], now)}
    return {name: (known.get(name), facts.get(name)) for name in _DATA if known.get(name) != facts.get(name)}


def _told(changed: Mapping[str, tuple[Any, Any]]) -> str:
    """Describes the differences; the digest, which tells a person nothing, only where it is the only one."""
    names = [name for name in changed if name != "digest"] or ["digest"]
    return ", ".join(_difference(name, *changed[name]) for name in names)


def _difference(name: str, was: Any, now: Any) -> str:
    if name == "class_names" and isinstance(was, list) and isinstance(now, list):
        index = next((i for i, pair in enumerate(zip(was, now, strict=False)) if pair[0] != pair[1]), None)
        if index is not None:
            name, was, now = f"class {index}", was[index], now[index]
    name = {"digest": "the digest of images and labels", "data": "the digest of all facts"}.get(name, name)
    shown = [printable(json.dumps(value, ensure_ascii=False), longest=80) for value in (was, now)]
    return f"{name} was {shown[0]}, is {shown[1]}"
