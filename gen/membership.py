"""Which processes belong together: by flags, by the environment, or as jax finds out on a cluster."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from typing import NamedTuple

from gen.cli import MemberOptions
from gen.errors import InputError

VARIABLES = ("JAX_COORDINATOR_ADDRESS", "JAX_NUM_PROCESSES", "JAX_PROCESS_ID")
FLAGS = ("--coordinator", "--num_processes", "--process_id")


class Membership(NamedTuple):
    """What a process knows about the processes it belongs to; None: jax finds out."""

    coordinator: str | None = None  # HOST:PORT of process 0
    num_processes: int | None = None
    process_id: int | None = None  # of this one, from 0
    local_devices: tuple[int, ...] | None = None


def membership(
    environ: Mapping[str, str],
    *,
    coordinator: str | None = None,
    num_processes: int | None = None,
    process_id: int | None = None,
) -> Membership | None:
    """Returns which processes belong together; None: this one is alone. Raises InputError for half an answer.

    By the arguments; else by JAX_COORDINATOR_ADDRESS, JAX_NUM_PROCESSES and JAX_PROCESS_ID; else as jax finds out,
    where there are several tasks in a Slurm step or several hosts of a TPU slice, or GEN_DISTRIBUTED is 1.

    In a Slurm step with one task a node a process has all GPUs of its node; jax by itself would give it one of them.
    """
    devices = _local_devices(environ)
    if (coordinator, num_processes, process_id) != (None, None, None):
        return _checked(FLAGS, coordinator, num_processes, process_id, devices)
    tasks = int(environ.get("SLURM_STEP_NUM_TASKS") or 1)
    detected = tasks > 1 or "," in environ.get("TPU_WORKER_HOSTNAMES", "") or environ.get("GEN_DISTRIBUTED") == "1"
    given = [environ.get(name) or None for name in VARIABLES]
    if given[1] or given[2] or (given[0] and not detected):
        count, index = (_number(name, text) for name, text in zip(VARIABLES[1:], given[1:], strict=True))
        return _checked(VARIABLES, given[0], count, index, devices)
    return Membership(coordinator=given[0], local_devices=devices) if detected else None


def membership_of(options: MemberOptions) -> Membership | None:
    """Returns `membership` by the flags of a program and the environment of this process. Raises InputError."""
    given = {"coordinator": options.coordinator, "num_processes": options.num_processes}
    return membership(os.environ, **given, process_id=options.process_id)  # type: ignore[arg-type]


def _number(name: str, text: str | None) -> int | None:
    if text is None:
        return None
    if not text.isdecimal():
        raise InputError(f"{name} is {text!r}; allowed: a whole number")
    return int(text)


def _checked(
    names: tuple[str, ...],
    coordinator: str | None,
    count: int | None,
    index: int | None,
    devices: tuple[int, ...] | None,
) -> Membership:
    values = dict(zip(names, (coordinator, count, index), strict=True))
    if coordinator is None or count is None or index is None:
        there, missing = ([name for name in names if (values[name] is None) == gone] for gone in (False, True))
        raise InputError(f"{' and '.join(there)} without {' and '.join(missing)}: several processes need all three")
    host, _, port = coordinator.rpartition(":")
    if not host or not port.isdecimal() or not 0 < int(port) < 2**16:
        raise InputError(f"{names[0]} is {coordinator!r}; allowed: HOST:PORT of process 0, such as 10.0.0.1:1234")
    if count < 1:
        raise InputError(f"{names[1]} is {count}; allowed: 1 or more")
    if not 0 <= index < count:
        raise InputError(f"{names[2]} is {index}; allowed: 0 to {count - 1}, for {count} processes")
    return Membership(coordinator, count, index, devices)


def _local_devices(environ: Mapping[str, str]) -> tuple[int, ...] | None:
    """Returns the GPUs of this process, where the environment says so: all of a node that has a single task."""
    if environ.get("JAX_LOCAL_DEVICE_IDS") or "SLURM_STEP_NUM_TASKS" not in environ:
        return None  # jax reads the first by itself
    if set(re.findall(r"(\d+)(?:\(x\d+\))?", environ.get("SLURM_STEP_TASKS_PER_NODE", ""))) != {"1"}:
        return None
    if visible := environ.get("CUDA_VISIBLE_DEVICES"):
        return tuple(range(len(visible.split(","))))
    gpus = environ.get("SLURM_GPUS_ON_NODE", "")
    return tuple(range(int(gpus))) if gpus.isdecimal() and int(gpus) else None
