"""Flags that say which processes work together. Imports no jax."""

from __future__ import annotations

from dataclasses import dataclass

from gen.cli.flags import Options, option


@dataclass(frozen=True, kw_only=True)
class MemberOptions(Options):
    """Options of a program that several processes may run together, see gen/processes.py."""

    coordinator: str | None = option(
        None, "HOST:PORT of process 0, where several work together", group="Several processes"
    )
    num_processes: int | None = option(None, "How many there are")
    process_id: int | None = option(None, "Which one this is, from 0")
