"""Names what differs where a record does not make the pixels of its file: the config, the weights, one of its fields.

A field is found by trying others: those in other places of the file, the seeds in its name and the first ones, each
class, other chains, other checkpoints of the run. What makes the digest in the record, or the same picture as the file,
is what the field was before it was changed.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence

import numpy as np

from gen import config as configs
from gen.errors import InputError
from gen.files import printable, told
from gen.outputs import encoding
from gen.provenance import PREFIX, Record
from gen.runs.trained_run import TrainedRun
from gen.verification.answers import Parsed
from gen.verification.recipes import Recipe, recipe
from gen.verification.remake import Maker

SAME_PICTURE = 30.0  # dB: a mark or a compression leaves more, another picture less
_SEEDS, _CLASSES, _STEPS = 64, 100, 10  # that are tried
_SLOW = 4.0  # seconds of a chain for an image, compilation included
_MOST_SEARCHES = 16  # files in which fields are looked for
_FIELDS = {"seeds": "seed", "label": "label", "chain": "chain", "step": "checkpoint", "refine_seed": "refine_seed"}


class Differences:
    """Looks for what differs, in a few files at most."""

    def __init__(self, maker: Maker) -> None:
        self._maker, self._left = maker, _MOST_SEARCHES

    def named(self, parsed: Parsed, record: Record, made_by: Recipe, written: Sequence[np.ndarray]) -> str:
        """Returns what differs, in words, if not the run. written: what the record made, before the mark."""
        if same_picture(parsed, written):
            return _nearly(parsed, record, written, self._maker.software)
        if self._maker.seconds > _SLOW:
            return "the record does not make these pixels; in what they differ was not looked for, as its chain is slow"
        if self._left and made_by.kind in ("still", "refined"):
            self._left -= 1
            for other, frames in self._others(parsed, made_by):
                digest = encoding.digest(encoding.as_written(frames, "png"))
                if digest == record.get(PREFIX + "pixels") or same_picture(parsed, frames):
                    return _changed(made_by, other)
            return (
                "the record does not make these pixels: its seed, label, chain or options were changed, or the pixels"
            )
        return "the record does not make these pixels"

    def of_run(self, record: Record, made_by: Recipe) -> str:
        """Returns what of the run differs from the record, in words; "" for nothing."""
        step = made_by.step
        if step is None:  # made by no run
            return ""
        run = self._maker.run(step)
        here, there = configs.digest(run.config), record.get(PREFIX + "config_digest")
        if here != there:
            return f"the run has another config: {_digest(here)} here, {_digest(there)} in the record"
        here, there = run.weights_digest, record.get(PREFIX + "weights_digest")
        if there is None or here == there:
            return next(filter(None, (_differs(record, *about) for about in _about(run))), "")
        for other in self._other_steps(step):
            if self._maker.run(other).weights_digest == there:
                return f"the record says checkpoint {step}, and its weights are those of checkpoint {other}"
        return f"checkpoint {step} has other weights: {_digest(here)} here, {_digest(there)} in the record"

    def _other_steps(self, step: int) -> list[int]:
        return [other for other in self._maker.steps() if other != step][-_STEPS:]

    def _others(self, parsed: Parsed, made_by: Recipe) -> Iterator[tuple[Recipe, list[np.ndarray]]]:
        """Yields recipes that differ in one field, and what they make."""
        tries = [*self._elsewhere(parsed, made_by)]
        if made_by.kind == "refined":
            tries += [made_by._replace(refine_seed=seed) for seed in range(_SEEDS)]
        else:
            run = self._maker.run(made_by.step)
            named = [int(found) for found in re.findall(r"\d{1,9}", parsed.path.stem)]
            tries += [made_by._replace(seeds=(seed,)) for seed in [*named, *range(_SEEDS)]]
            tries += [made_by._replace(label=printable(name)) for name in run.class_names[:_CLASSES]]
            tries += [made_by._replace(chain=None), made_by._replace(chain=run.config.refine or None)]
            tries += [made_by._replace(step=step) for step in self._other_steps(made_by.step or 0)]
        settings = lambda other: str(other._replace(seeds=(), label=None))  # noqa: E731
        for _, group in itertools.groupby([other for other in tries if other != made_by], settings):
            same = list(group)
            try:
                frames = [[image] for image in self._maker.stills(same, parsed)] if made_by.kind == "still" else None
                yield from zip(same, frames or [self._maker.make(other, parsed) for other in same], strict=True)
            except InputError:  # what cannot be made is not what it was
                continue

    def _elsewhere(self, parsed: Parsed, made_by: Recipe) -> Iterator[Recipe]:
        """Yields the recipes of the records in other places, and each of their fields alone."""
        records = [*parsed.records.values(), *filter(None, [parsed.signature.record])]
        for record in records:
            try:
                other = recipe(record)
            except InputError:
                continue
            if other.kind == made_by.kind:
                yield from (made_by._replace(**{name: getattr(other, name)}) for name in _FIELDS)
                yield other


def _about(run: TrainedRun) -> Iterator[tuple[str, str, str | None]]:
    """Yields what a record tells of its run beside the config and the weights: the field, in words, and its value."""
    yield "data_digest", "was trained on other data", run.data_metadata.get("digest")
    yield "experiment", "is of another experiment", run.config.experiment or None


def _differs(record: Record, name: str, how: str, here: str | None) -> str:
    there = record.get(PREFIX + name)
    return (
        ""
        if there == here or None in (here, there)
        else f"the run {how}: {_digest(here)} here, {_digest(there)} in the record"
    )


def same_picture(parsed: Parsed, frames: Sequence[np.ndarray]) -> bool | None:
    """Whether the first frame of a file shows this picture, but for a mark or compression; None: of another size."""
    shown, made = parsed.pixels[0], frames[0]
    if shown.shape != made.shape or shown.dtype != made.dtype:
        return None
    peak = float(np.iinfo(made.dtype).max)
    error = float(np.mean((shown.astype(np.float64) - made) ** 2))
    return error <= peak**2 * 10 ** (-SAME_PICTURE / 10)


def _nearly(parsed: Parsed, record: Record, written: Sequence[np.ndarray], here: str) -> str:
    there = record.get(PREFIX + "software")
    by = f"; it was made by {told(there, longest=200)}, and here is {here}" if there != here else ""
    levels = int(np.abs(parsed.pixels[0].astype(np.int64) - written[0]).max())
    return f"the pixels are nearly those of the record, the mark included within {levels} levels{by}"


def _changed(made_by: Recipe, other: Recipe) -> str:
    changed = [name for name in _FIELDS if getattr(made_by, name) != getattr(other, name)]
    said = [f"{_FIELDS[name]} {_shown(getattr(made_by, name))}" for name in changed]
    true = [f"{_FIELDS[name]} {_shown(getattr(other, name))}" for name in changed]
    return f"the record says {' and '.join(said)}, and the pixels are those of {' and '.join(true)}"


def _shown(value: object) -> str:
    value = value[0] if isinstance(value, tuple) and len(value) == 1 else value
    return "none" if value is None else told(value, longest=80)


def _digest(value: object) -> str:
    return told(printable(value, longest=200)[:12])
