"""What a run is: the Config, its checks and its JSON.

Components (data, task) are specs, see gen/spec.py. Field names are dotted: "task.generator.width". Imports no jax:
the components that a config names are imported only when it is validated or built.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import math
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from gen.errors import InputError, nearest
from gen.files import printable
from gen.spec import build, check, check_name, spec
from gen.values import Spec, canonical, require, shown, strict_json

__all__ = [
    "CHEAP",
    "PROVIDED",
    "Config",
    "MeshConfig",
    "Spec",
    "build",
    "check_resumable",
    "digest",
    "from_json",
    "spec",
    "to_json",
    "validate",
    "validate_stored",
    "variant",
]

# What the program tells a component when it builds it: build(config.task, "task", image_shape=..., ...).
PROVIDED: dict[str, tuple[str, ...]] = {"data": (), "task": ("image_shape", "num_classes", "batch_size")}

CHEAP = ("frechet", "kernel", "neighbours", "memorisation")  # what training measures unless told otherwise


@dataclass
class MeshConfig:
    """Devices along each axis of the mesh; -1: all that are left."""

    data: int = -1  # each holds a share of the batch
    fsdp: int = 1  # each holds a share of the batch and of the parameters


@dataclass
class Config:
    """One run."""

    data: Spec  # -> gen.data.Source
    task: Spec  # -> gen.tasks.Task
    seed: int = 0
    batch_size: int = 64  # images per step, over all devices and processes
    total_images: int = 1_000_000  # training ends when this many real images have been shown
    mirror: bool = False  # flip each real image left-right with probability 1/2
    log_every: int = 50  # steps
    preview_every: int = 500  # steps
    checkpoint_every: int = 1000  # steps
    keep_checkpoints: int = 3
    metrics_every: int = 0  # steps between measurements of samples, see gen.evaluate; 0: none
    metrics: tuple[str, ...] = CHEAP  # groups of gen.quality
    metrics_samples: int = 1000
    best_by: str = ""  # the metric, "FD-own" for one, whose best checkpoint is kept too; "": none
    preview_images: int = 64
    tensorboard: bool = False
    init_from: dict[str, str] = field(default_factory=dict)  # role -> RUN or RUN:ROLE whose weights it starts with
    refine: str = ""  # chain of gen.imaging that previews and gen.sample apply to what the model makes; "": none
    mesh: MeshConfig = field(default_factory=MeshConfig)

    @property
    def total_steps(self) -> int:
        """How many steps show `total_images` real images."""
        return math.ceil(self.total_images / self.batch_size)


_MINIMUM = {
    "batch_size": 1,
    "total_images": 1,
    "log_every": 1,
    "preview_every": 1,
    "checkpoint_every": 1,
    "keep_checkpoints": 1,
    "metrics_every": 0,
    "metrics_samples": 2,
    "preview_images": 1,
    "mesh.fsdp": 1,
}
_MAXIMUM = {"batch_size": 2**20, "preview_images": 2**14}  # beyond, a slip of the keyboard takes the machine's memory
# Fields that came after the first version, and what they were before: they count in a digest only where they differ.
_LATER: dict[str, Any] = {"init_from": {}}
_MAY_CHANGE_ON_RESUME = {
    "total_images",
    "log_every",
    "preview_every",
    "checkpoint_every",
    "keep_checkpoints",
    "metrics_every",
    "metrics",
    "metrics_samples",
    "best_by",
    "preview_images",
    "tensorboard",
    "refine",
    "mesh.data",
    "mesh.fsdp",
}


def validate(config: Config) -> None:
    """Checks every field, each component and its arguments. Raises InputError: field, value, what is allowed."""
    _check_numbers(config)
    for name, provided in PROVIDED.items():
        check(getattr(config, name), name, provided=provided)


def validate_stored(config: Config) -> None:
    """Checks the config of a run that is opened without its data, as `validate` does.

    Of the data only the name is checked, and that without an import: what made it need not be here.
    """
    _check_numbers(config)
    check_name(config.data, "data")
    check(config.task, "task", provided=PROVIDED["task"])


def _check_numbers(config: Config) -> None:
    flat = dict(_leaves(_plain(config)))
    for name, least in _MINIMUM.items():
        if flat[name] < least:
            raise InputError(f"{name} is {flat[name]}; it must be at least {least}")
    for name, most in _MAXIMUM.items():
        if flat[name] > most:
            raise InputError(f"{name} is {flat[name]}; it must be at most {most}")
    if not 0 <= config.seed < 2**32:
        raise InputError(f"seed is {config.seed}; it must be from 0 to {2**32 - 1}")
    if config.best_by and not config.metrics_every:
        raise InputError(
            f"best_by is {shown(config.best_by)}, but nothing is measured: metrics_every is 0; "
            "add --config.metrics_every=STEPS"
        )
    if config.mesh.data < 1 and config.mesh.data != -1:
        raise InputError(f"mesh.data is {config.mesh.data}; it must be at least 1, or -1 for all devices that are left")


def to_json(config: Config) -> str:
    """The config as indented JSON, its digest after its fields. Raises InputError for a value of the wrong type."""
    return json.dumps(_plain(config) | {"digest": digest(config)}, indent=2) + "\n"


def from_json(text: str) -> Config:
    """The config that `to_json` wrote; missing fields get their defaults.

    Raises InputError if `text` is no config, or its digest shows that it was changed after it was written.
    """
    stored = strict_json(text, "the config")
    written = stored.pop("digest", None) if isinstance(stored, dict) else None
    config = _read(Config, stored, "")
    if written is not None and written != (found := digest(config)):
        raise InputError(
            f"the config was changed after it was written: its digest is {found[:12]}, and {printable(written)[:12]} "
            "stands in it; undo the change"
        )
    return config


def digest(config: Config) -> str:
    """SHA-256 over what decides the pixels that a step makes, 64 hexadecimal digits.

    What may change when a run is resumed does not count: pictures of before still match their run.
    """
    decides = {
        name: value
        for name, value in _leaves(_plain(config))
        if name not in _MAY_CHANGE_ON_RESUME and not (name in _LATER and value == _LATER[name])
    }
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_resumable(stored: Config, given: Config) -> None:
    """Raises InputError, with the first field that differs, when `given` would continue the run of `stored` as another.

    How long to train, how often to report and save, and on which devices may change.
    """
    before, after = dict(_leaves(_plain(stored))), dict(_leaves(_plain(given)))
    for name in [*before, *(name for name in after if name not in before)]:
        old, new = (json.dumps(flat[name]) if name in flat else "not set" for flat in (before, after))
        if old != new and name not in _MAY_CHANGE_ON_RESUME:
            raise InputError(
                f"the run folder holds another experiment: {name} is {old} there, {new} here; use another --workdir"
            )


def variant(arg: str, allowed: Iterable[str]) -> str:
    """The variant `arg` of `--config=experiments/x.py:arg`, "" for none. Raises InputError when it is not allowed."""
    allowed = tuple(allowed)
    if arg and arg not in allowed:
        raise InputError(f"no variant '{arg}'{nearest(arg, allowed)}; variants: {', '.join(allowed) or 'none'}")
    return arg


def _plain(config: Any, place: str = "") -> dict[str, Any]:
    """A dataclass as JSON values, each checked against its annotation."""
    plain = {}
    for name, kind in typing.get_type_hints(type(config)).items():
        value, inner = getattr(config, name), f"{place}{name}"
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            if not isinstance(value, kind):
                raise InputError(f"{inner} is {shown(value)}; it must be a {kind.__name__}")
            plain[name] = _plain(value, f"{inner}.")
        else:
            plain[name] = require(canonical(value, inner), kind, inner)
    return plain


def _read(kind: Any, stored: Any, place: str) -> Any:
    hints = typing.get_type_hints(kind)
    if not isinstance(stored, dict):
        raise InputError(f"{place.rstrip('.') or 'the config'} is {shown(stored)}; it must be a JSON object")
    values = {}
    for name, value in stored.items():
        inner = f"{place}{printable(name)}"
        if name not in hints:
            raise InputError(
                f"unknown field '{inner}' in the stored config{nearest(name, hints)}; "
                "was it written by another version of gen?"
            )
        if dataclasses.is_dataclass(hints[name]):
            values[name] = _read(hints[name], value, f"{inner}.")
        else:
            values[name] = require(canonical(value, inner), hints[name], inner)
    missing = [f.name for f in dataclasses.fields(kind) if f.name not in values and f.default is f.default_factory]
    if missing:
        raise InputError(f"the stored config lacks '{place}{missing[0]}'")
    return kind(**values)


def _leaves(value: Any, place: str = "") -> Iterator[tuple[str, Any]]:
    """Dotted name and value of everything in a plain config; a tuple is one value."""
    if isinstance(value, Mapping) and value:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}" if place else name)
    else:
        yield place, value
