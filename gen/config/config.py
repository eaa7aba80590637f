"""The Config of a run, its checks, its JSON and its digest.

Components (data, task) are specs, see gen/config/spec.py. Field names are dotted: "task.generator.width". Imports no
jax: components are imported only when a config is validated or built.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import math
import typing
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from gen.config.resolve import check_name
from gen.config.spec import call_of, check
from gen.config.values import Spec, canonical, require, strict_json
from gen.errors import InputError, nearest
from gen.files import printable, shown

# What the program tells a component when it builds it: build(config.task, "task", image_shape=..., ...).
PROVIDED: dict[str, tuple[str, ...]] = {
    "data": (),
    "task": ("image_shape", "num_classes", "batch_size", "caption_length"),
}

# The groups of metrics in gen.evaluation.metric_suite, here for checks that import no jax.
# fmt: off
MetricGroup = Literal[
    "frechet", "frechet_infinite", "kernel", "rbf", "mind", "neighbors", "memorization",
    "spectrum", "vendi", "score", "classes", "captions", "path", "sliced", "ms_ssim",
]
# fmt: on
FAST: tuple[MetricGroup, ...] = ("frechet", "kernel", "neighbors", "memorization", "spectrum")  # of --metrics=fast
CHEAP: tuple[MetricGroup, ...] = ("frechet", "neighbors")  # what training measures


def _field(default: Any, **rules: Any) -> Any:
    """Declares a field with rules in its metadata, all optional.

    at_least, at_most: bounds, both included. may_change: it may change when a run is resumed, and the digest omits it.
    later: it was added after the first version, and the digest omits it where it is empty.
    """
    return field(default=default, metadata=rules)


@dataclass
class MeshConfig:
    """Devices along each axis of the mesh; -1: all that are left."""

    data: int = _field(-1, may_change=True)  # each holds a share of the batch
    fsdp: int = _field(1, at_least=1, may_change=True)  # each holds a share of the batch and of the parameters


@dataclass
class EvaluationConfig:
    """Measurements of samples during training, with the numbers of gen.evaluate, and which checkpoint is the best."""

    every: int = _field(-1, at_least=-1, may_change=True)  # steps between them; -1: as 3 % of the time allow; 0: none
    extractor: Literal["random", "pixels", "own"] = _field("random", may_change=True)  # own: trained first, in minutes
    metrics: tuple[MetricGroup, ...] = _field(CHEAP, may_change=True)  # groups
    num_samples: int = _field(300, at_least=2, may_change=True)  # images to draw for a measurement
    steps: int = _field(5, at_least=0, may_change=True)  # of drawing them by a flow; 0: as many as gen.sample takes
    best_metric: str = _field("FD", may_change=True)  # the checkpoint that is best by it is kept and used; "": none


@dataclass
class Config:
    """One run."""

    data: Spec  # -> gen.data.DatasetSplits
    task: Spec  # -> gen.tasks.Task
    seed: int = _field(0, at_least=0, at_most=2**32 - 1)  # of weights, batches and noise
    # The upper bounds here and of previews: beyond, a slip of the keyboard takes the machine's memory.
    batch_size: int = _field(64, at_least=1, at_most=2**20)  # images per step, over all devices and processes
    total_images: int = _field(1_000_000, at_least=1, may_change=True)  # real images shown when training ends
    accumulate: int = _field(1, at_least=1, may_change=True)  # parts that a step takes one by one: less memory
    mirror: bool = False  # flip each real image left-right with probability 1/2
    log_every: int = _field(50, at_least=1, may_change=True)  # steps between lines of the log
    preview_every: int = _field(500, at_least=1, may_change=True)  # steps between sheets of samples
    checkpoint_every: int = _field(1000, at_least=1, may_change=True)  # steps between checkpoints
    keep_checkpoints: int = _field(3, at_least=1, may_change=True)  # the newest so many, beside the best
    max_skipped: int = _field(10, at_least=0, may_change=True)  # steps in a row that may fail to be finite
    max_step_seconds: float = _field(1800.0, at_least=0.0, may_change=True)  # a longer step ends the run; 0: none does
    preview_images: int = _field(64, at_least=1, at_most=2**14, may_change=True)  # on a sheet
    tensorboard: bool = _field(False, may_change=True)  # write events for it, too
    init_from: dict[str, str] = field(
        default_factory=dict, metadata={"later": True}
    )  # role -> RUN[:ROLE] to start from
    refine: str = _field("", may_change=True)  # chain of gen.imaging on what previews and gen.sample make; "": none
    experiment: str = _field("", may_change=True)  # FILE:VARIANT that this comes from, without folder and .py
    evaluation: EvaluationConfig = field(default_factory=EvaluationConfig)
    mesh: MeshConfig = field(default_factory=MeshConfig)

    @property
    def total_steps(self) -> int:
        """The number of steps that show `total_images` real images."""
        return math.ceil(self.total_images / self.batch_size)


def validate(config: Config, *, with_data: bool = True) -> None:
    """Checks every field, each component and its arguments. Raises InputError: field, value, what is allowed.

    with_data=False is for stored runs, which open without their data: it checks only the name of the data component,
    and imports nothing for it.
    """
    flat = flattened(config)
    for name, rules in _rules(Config).items():
        low, high = rules.get("at_least", -math.inf), rules.get("at_most", math.inf)
        if (rules.keys() & {"at_least", "at_most"}) and not low <= flat[name] <= high:
            raise InputError(f"{name} is {flat[name]}; it must be {allowed(rules)}")
    if config.evaluation.best_metric not in ("", EvaluationConfig.best_metric) and not config.evaluation.every:
        raise InputError(
            f"evaluation.best_metric is {shown(config.evaluation.best_metric)}, but nothing is measured: "
            "evaluation.every is 0; add --config.evaluation.every=STEPS"
        )
    if config.mesh.data < 1 and config.mesh.data != -1:
        raise InputError(f"mesh.data is {config.mesh.data}; it must be at least 1, or -1 for all devices that are left")
    if with_data:
        check(config.data, "data", provided=PROVIDED["data"])
    else:
        check_name(call_of(config.data, "data"), "data", "data")
    check(config.task, "task", provided=PROVIDED["task"])


def to_json(config: Config) -> str:
    """Writes a config as indented JSON that ends in its digest. Raises InputError for a value of the wrong type."""
    return json.dumps({**dataclasses.asdict(config), "digest": digest(config)}, indent=2) + "\n"


def from_json(text: str) -> Config:
    """Reads the config that `to_json` wrote; missing fields get their defaults.

    Raises InputError if `text` is no config, or its digest shows that it was edited.
    """
    stored = strict_json(text, "the config")
    written = stored.pop("digest", None) if isinstance(stored, dict) else None
    config: Config = _read(Config, stored, "")
    if written not in (None, found := digest(config)):
        raise InputError(
            f"the config was changed after it was written: its digest is {found[:12]}, and {printable(written)[:12]} "
            "stands in it; undo the change"
        )
    return config


def digest(config: Config) -> str:
    """Hashes all fields that decide the result of a step: SHA-256, 64 hexadecimal digits.

    Omits the fields that may change when a run is resumed, so that earlier images still match their run.
    """
    decides = flattened(config)
    for name, rules in _rules(Config).items():
        if rules.get("may_change") or (rules.get("later") and decides.get(name) == {}):
            del decides[name]
    text = json.dumps(decides, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def check_resumable(stored: Config, given: Config) -> None:
    """Raises InputError, with the first field that differs, unless `given` may resume the run of `stored`.

    The length of training, the intervals of reports and checkpoints, and the devices may change.
    """
    before, after = flattened(stored), flattened(given)
    for name in before | after:
        old, new = (json.dumps(flat[name]) if name in flat else "not set" for flat in (before, after))
        if old != new and not _rules(Config).get(name, {}).get("may_change"):
            raise InputError(
                f"the run folder holds another experiment: {name} is {old} there, {new} here; use another --workdir"
            )


def allowed(rules: Mapping[str, Any]) -> str:
    """Describes the bounds of a field in words; "" for none."""
    low, high = rules.get("at_least"), rules.get("at_most")
    if None not in (low, high):
        return f"from {low} to {high}"
    return f"at least {low}" if low is not None else ""


def variant(arg: str, allowed: Iterable[str]) -> str:
    """Returns the variant of `--config=experiments/x.py:arg`, "" for none. Raises InputError unless it is allowed."""
    allowed = tuple(allowed)
    if arg and arg not in allowed:
        raise InputError(f"no variant '{arg}'{nearest(arg, allowed)}; variants: {', '.join(allowed) or 'none'}")
    return arg


@functools.cache
def _rules(kind: type, place: str = "") -> dict[str, Mapping[str, Any]]:
    """Maps the dotted name of each field to its rules, nested dataclasses included."""
    hints = typing.get_type_hints(kind)
    found: dict[str, Mapping[str, Any]] = {}
    for inner in dataclasses.fields(kind):
        name = f"{place}{inner.name}"
        nested = dataclasses.is_dataclass(hints[inner.name])
        found |= _rules(hints[inner.name], f"{name}.") if nested else {name: inner.metadata}
    return found


def _read(kind: Any, stored: Any, place: str) -> Any:
    """Converts the JSON values of a dataclass back, each checked against its annotation."""
    if not isinstance(stored, dict):
        raise InputError(f"{place.rstrip('.') or 'the config'} is {shown(stored)}; it must be a JSON object")
    hints, values = typing.get_type_hints(kind), {}
    for name, value in stored.items():
        inner = f"{place}{printable(name)}"
        if name not in hints:
            raise InputError(
                f"unknown field '{inner}' in the stored config{nearest(name, hints)}; "
                "was it written by another version of gen?"
            )
        nested = dataclasses.is_dataclass(hints[name])
        values[name] = _read(hints[name], value, f"{inner}.") if nested else _checked(value, hints[name], inner)
    missing = [f.name for f in dataclasses.fields(kind) if f.name not in values and f.default is f.default_factory]
    if missing:
        raise InputError(f"the stored config lacks '{place}{missing[0]}'")
    return kind(**values)


def _checked(value: Any, kind: Any, name: str) -> Any:
    return require(canonical(value, name), kind, name)


def flattened(config: Any, place: str = "") -> dict[str, Any]:
    """Maps the dotted name of each value in a config to its JSON value, checked against its annotation."""
    flat: dict[str, Any] = {}
    for name, kind in typing.get_type_hints(type(config)).items():
        value, inner = getattr(config, name), f"{place}{name}"
        if isinstance(kind, type) and dataclasses.is_dataclass(kind):
            if type(value) is not kind:
                raise InputError(f"{inner} is {shown(value)}; it must be of class {kind.__name__}")
            flat |= flattened(value, f"{inner}.")
        else:
            flat |= _leaves(_checked(value, kind, inner), inner)
    return flat


def _leaves(value: Any, place: str) -> Iterator[tuple[str, Any]]:
    """Yields dotted names and values of all in a JSON value; a tuple is one value, and so is an empty dict."""
    if not value or not isinstance(value, Mapping):
        yield place, value
    else:
        for name, inner in value.items():
            yield from _leaves(inner, f"{place}.{name}")
