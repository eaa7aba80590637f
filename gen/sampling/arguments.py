"""Checks seeds, classes and settings of sampling that are given in Python, as the flags are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh

from gen.cli import SAMPLING
from gen.cli.arguments import parse_labels, parse_seeds
from gen.errors import InputError, nearest
from gen.runs.trained_run import TrainedRun
from gen.sampling.conditional.requests import check_settings
from gen.sampling.prompts import check_negative, check_once, check_prompts
from gen.sampling.settings import Settings

Seeds = str | int | Iterable[int]  # as --seeds, "0-63", or numbers
Prompt = str | Sequence[str] | None
Label = str | int | Sequence[str | int] | None  # classes by name or number, or "all"
_RULES: dict[str, dict[str, Any]] = {"batch_size": {"at_least": 1}, "top_k": {"at_least": 0}, **SAMPLING}


def seeds_of(seeds: Seeds) -> list[int]:
    """Returns the numbers of seeds. Raises InputError."""
    if isinstance(seeds, str):
        return parse_seeds(seeds)
    return parse_seeds(",".join(map(str, [seeds] if isinstance(seeds, int | np.integer) else seeds)))


def labels_of(label: Label, class_names: Sequence[str]) -> list[int] | None:
    """Returns the numbers of classes; None: none is given. Raises InputError."""
    if label is None or isinstance(label, str):
        return parse_labels(label, class_names)
    parts = [label] if isinstance(label, int | np.integer) else label
    numbers = [number for part in parts for number in parse_labels(str(part), class_names) or ()]
    return parse_labels(",".join(map(str, numbers)), class_names)  # each once


def label_of(label: Label, class_names: Sequence[str]) -> int | None:
    """Returns the number of one class at most. Raises InputError."""
    labels = labels_of(label, class_names)
    if labels and len(labels) > 1:
        raise InputError(f"label={label}: {len(labels)} classes; name one")
    return labels[0] if labels else None


def settings_of(
    run: TrainedRun,
    seeds: Seeds,
    label: Label,
    sampling: Mapping[str, float],
    *,
    prompt: Prompt = None,
    negative: str | None = None,
    mesh: Mesh,
) -> Settings:
    """Returns settings. sampling: arguments by the names of their flags. Raises InputError."""
    prompts = check_prompts(run, [prompt] if isinstance(prompt, str) else [*(prompt or ())], name="prompt")
    given = {"truncation": 1.0, "batch_size": 64, **sampling}
    for name, value in given.items():
        if name not in _RULES:
            raise InputError(f"no argument '{name}'{nearest(name, _RULES)}; allowed: {', '.join(_RULES)}")
        low, high = _RULES[name].get("at_least", -np.inf), _RULES[name].get("at_most", np.inf)
        if not (isinstance(value, int | float) and low <= value <= high):
            raise InputError(f"{name}={value!r}; it must be a number from {low} to {high}")
    truncation, batch_size = given.pop("truncation"), int(given.pop("batch_size"))
    check_settings(run, given)
    classes = labels_of(label, run.class_names)
    known = bool(prompts or classes or run.class_names)
    negative = check_negative(run, negative, given.get("guidance"), known=known, name="negative")
    settings = Settings(seeds_of(seeds), classes, truncation, given, batch_size, mesh, prompts, negative)
    check_once(settings.each, name="prompt")
    return settings
