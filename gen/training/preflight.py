"""Checks before a run is started whether all that it needs is there, on this machine or on another.

gen.main has validated the config before. Nothing is trained, downloaded or written.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gen.config import Config, build, build_task
from gen.config.resolve import arguments, resolve
from gen.data import shards
from gen.data.shard_index import INDEX, SPLITS, parsed_index
from gen.data.shard_mirror import SCHEMES
from gen.errors import InputError
from gen.files import expand, printable
from gen.runs import identity
from gen.runs.run_folder import RunFolder

PLACES = ("here", "copied", "mounted")
_NOT_COPIED = ("runs", ".venv", ".git")  # by launch.sh


def check(config: Config, workdir: Path, place: str, *, accept_changed_data: bool = False) -> list[str]:
    """Returns the findings, one line each. Raises InputError for what training would refuse.

    place: "here": this machine; data that are there are read. "copied": a machine that gets a copy of the current
    folder and nothing else. "mounted": one that also mounts storage, to which absolute paths lead.
    accept_changed_data: as in gen.training.loop.
    """
    if place == "here":
        return list(_here(config, workdir, accept_changed_data))
    return list(_elsewhere(config, workdir, place == "mounted"))


def _here(config: Config, workdir: Path, accept_changed_data: bool) -> Iterator[str]:
    yield f"{printable(workdir)} can be written"
    for _, run in _runs(config):
        folder = RunFolder(expand(run))
        folder.read_config()
        folder.read_metadata()
    if address := _address(config):
        facts = _remote_facts(address)
        yield f"training will copy what is not here yet of {printable(address)}"
    else:
        data = dict(config.data)
        downloads = "download" in arguments(resolve(data["call"], "data")).types and data.get("download", True)
        try:
            source: Any = build({**data, "download": False} if downloads else data, "data")
        except InputError as error:
            if downloads and "set download=True" in str(error):
                yield f"the data are not here yet, and training will download them ({data.get('name', data['call'])})"
                return
            raise
        facts = identity.data_metadata(source)
    height, width, channels = facts["image_shape"]
    classes = facts["num_classes"]
    build_task(config, (height, width, channels), classes, facts.get("captions", {}).get("length", 0))
    if not (address and config.data.get("exclude")):  # what that leaves out is known when all is here
        identity.begin(RunFolder(workdir), config, facts, accept_changed_data=accept_changed_data)
    yield (
        f"{printable(facts['name'])}: {facts['num_train']:,} images of {height} x {width} x {channels} to train with, "
        f"{facts['num_held_out']:,} held out, {classes or 'no'} classes"
    )


def _elsewhere(config: Config, workdir: Path, mounted: bool) -> Iterator[str]:
    for place, text in [*_data_paths(config), *_runs(config)]:
        said = f"{place}={printable(text)}"
        if place == "data.path" and text == _address(config):
            yield f"{said} must be readable there: each machine copies it"
        elif os.path.isabs(os.path.expanduser(text)):
            if not mounted:
                raise InputError(f"{said} will not be there: only the current folder is copied")
            yield f"{said} must be in the storage that is mounted there"
        else:
            first = Path(os.path.normpath(text)).parts[:1]
            if first == ("..",):
                raise InputError(f"{said} will not be there: only the current folder is copied")
            if first and first[0] in _NOT_COPIED:
                raise InputError(f"{said} will not be there: {first[0]}/ is not copied")
            if not Path(text).exists():
                raise InputError(f"{said} does not exist here, so it cannot be copied there")
    if mounted and not workdir.is_absolute():
        raise InputError(
            f"--workdir {printable(workdir)} is on the disk of that machine, and lost with it; give an absolute path "
            "in the storage that is mounted there"
        )
    if not mounted:
        yield f"--workdir {printable(workdir)} is on the disk of that machine, and lost with it"


def _address(config: Config) -> str:
    """Returns the address of shards in an object storage; "" for other data."""
    path = config.data.get("path")
    is_shards = resolve(config.data["call"], "data") is shards
    return path if is_shards and isinstance(path, str) and path.startswith(SCHEMES) else ""


def _remote_facts(address: str) -> dict[str, Any]:
    """Makes what data.json says of shards from their index alone. Raises InputError."""
    from etils import epath

    try:
        content = (epath.Path(address) / INDEX).read_bytes()
    except Exception as error:  # each storage has its own
        raise InputError(f"shards: {printable(address)}/{INDEX} cannot be read ({printable(error)})") from None
    index = parsed_index(Path(address), content)
    counts = {f"num_{split}": sum(shard.images for shard in index.splits[split]) for split in SPLITS}
    named = {"num_classes": len(index.class_names), "class_names": list(index.class_names)}
    about = {"name": "shards", "digest": index.digest, "captions": index.captions}
    return {"image_shape": list(index.image_shape), **named, **counts, **about}


def _data_paths(config: Config) -> Iterator[tuple[str, str]]:
    """Yields field and value of each argument of the data that is a path."""
    types = arguments(resolve(config.data["call"], "data")).types
    for name, value in config.data.items():
        is_path = os.PathLike in {typing.get_origin(kind) for kind in typing.get_args(types.get(name))}
        if isinstance(value, str) and (is_path or name.endswith("_dir")):
            yield f"data.{name}", value


def _runs(config: Config) -> Iterator[tuple[str, str]]:
    """Yields field and folder of each run that init_from names."""
    for role, run in config.init_from.items():
        yield f"init_from.{role}", run.rpartition(":")[0] or run
