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
    data = dict(config.data)
    downloads = "download" in arguments(resolve(data["call"], "data")).types and data.get("download", True)
    try:
        source: Any = build({**data, "download": False} if downloads else data, "data")
    except InputError as error:
        if downloads and "set download=True" in str(error):
            yield f"the data are not here yet, and training will download them ({data.get('name', data['call'])})"
            return
        raise
    build_task(config, source.image_shape, source.num_classes, source.caption_length)
    identity.begin(RunFolder(workdir), config, identity.data_metadata(source), accept_changed_data=accept_changed_data)
    height, width, channels = source.image_shape
    yield (
        f"{printable(source.name)}: {len(source.train.images):,} images of {height} x {width} x {channels} to train "
        f"with, {len(source.held_out.images):,} held out, {source.num_classes or 'no'} classes"
    )


def _elsewhere(config: Config, workdir: Path, mounted: bool) -> Iterator[str]:
    named = [*_data_paths(config), *_runs(config)]
    for place, text in named:
        if not os.path.isabs(os.path.expanduser(text)):
            if Path(text).parts[:1] and Path(text).parts[0] in _NOT_COPIED:
                raise InputError(f"{place}={printable(text)} will not be there: {Path(text).parts[0]}/ is not copied")
            if not Path(text).exists():
                raise InputError(f"{place}={printable(text)} does not exist here, so it cannot be copied there")
        elif not mounted:
            raise InputError(f"{place}={printable(text)} will not be there: only the current folder is copied")
        else:
            yield f"{place}={printable(text)} must be in the storage that is mounted there"
    if mounted and not workdir.is_absolute():
        raise InputError(
            f"--workdir {printable(workdir)} is on the disk of that machine, and lost with it; give an absolute path "
            "in the storage that is mounted there"
        )
    if not mounted:
        yield f"--workdir {printable(workdir)} is on the disk of that machine, and lost with it"


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
