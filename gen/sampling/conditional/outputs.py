"""The files of answers: each by itself, how they differ, how unusual they are, and one sheet that shows all."""

from __future__ import annotations

import itertools
import time
from pathlib import Path
from typing import Any

import numpy as np

from gen.cli.arguments import parse_seeds
from gen.files import printable
from gen.outputs import image_writer
from gen.report import enlargement
from gen.report.colormap import apply_colormap, heat_map, scale
from gen.report.contact_sheet import Tile, sheet
from gen.runs.trained_run import TrainedRun
from gen.sampling.conditional.inputs import prior, record
from gen.sampling.conditional.requests import Request
from gen.sampling.conditional.sampling import Settings, bits_of_answers, draw_answers

_HOLD = 4  # times that a frame of a film is shown, at 25 a second
_MAX_SHOWN = 32  # inputs on the sheet
VARIANCE, SURPRISE = "variance", "bits per pixel"


def write(run: TrainedRun, question: Request, settings: Settings, folder: Path, *, format: str) -> None:
    """Answers a question and writes everything into a folder; format: of films, "webp" or "gif". InputError."""
    began, task, seeds = time.monotonic(), prior(run, "a question"), parse_seeds(settings.seeds)
    kinds = ["variance", "surprise", *(f"seed{seed:04d}" for seed in seeds)]
    image_writer.check(folder / f"{name}-{kind}.png" for name in question.names for kind in kinds)
    image_writer.check([folder / "predictions.png"])
    answers = draw_answers(run, task, question, settings)
    surprise = bits_of_answers(run, task, question, answers, settings)
    variance = answers.var(axis=1).mean(-1) / 255**2  # of whole numbers: 0 where all agree
    fields = {
        "label": None if settings.label is None else run.class_names[settings.label],
        "truncation": settings.truncation,
        **settings.conditions,
    }
    for i, name in enumerate(question.names):
        about = question.records[i] | fields
        for seed, answer in zip(seeds, answers[i], strict=True):
            path = folder / f"{name}-seed{seed:04d}"
            _write_answer(path, answer, question.shown[i], format, record(run, {"seed": seed} | about))
        for what, values, unit in (("variance", variance[i], VARIANCE), ("surprise", surprise[i], SURPRISE)):
            about |= {"seed": settings.seeds, "shows": what}
            picture = heat_map(_strip(values), unit=unit, enlarged=enlargement(*values.shape[1:3]))
            _save(folder / f"{name}-{what}.png", picture, record(run, about))
    sources = ",".join(entry["source"] for entry in question.records[:_MAX_SHOWN])
    about = question.records[0] | fields | {"seed": settings.seeds, "source": sources, "shows": "predictions"}
    _save(folder / "predictions.png", _overview(question, seeds, answers, variance, surprise), record(run, about))
    counts = f"{len(seeds)} answer{'s'[: len(seeds) != 1]} to each of {len(question.names):,} inputs"
    print(f"{counts}, by checkpoint {run.step:,}, in {time.monotonic() - began:.1f} s: {printable(folder)}")


def _write_answer(path: Path, answer: np.ndarray, given: np.ndarray, format: str, made: dict[str, Any]) -> None:
    """A still [1 h w c], or the strip of a film's frames, given and made, [t h w c], and the film."""
    if format not in image_writer.ANIMATIONS:
        return _save(path.with_name(f"{path.name}.png"), answer[0], made)
    frames = np.concatenate([given, answer])
    _save(path.with_name(f"{path.name}.png"), _strip(frames), made | {"gen:shows": "strip"})
    enlarged = enlargement(*frames.shape[1:3])
    film = frames.repeat(enlarged, axis=1).repeat(enlarged, axis=2).repeat(_HOLD, axis=0)
    record = made | {"gen:shows": "film"}
    image_writer.save(path.with_name(f"{path.name}.{format}"), list(film), format=format, record=record)


def _overview(
    question: Request, seeds: list[int], answers: np.ndarray, variance: np.ndarray, surprise: np.ndarray
) -> np.ndarray:
    """A row for each input; of films a row for each answer and map. Colors mean the same in all rows."""
    names = question.names[:_MAX_SHOWN]
    high, most = variance[: len(names)].max(), surprise[: len(names)].max()
    rows = list[tuple[str, list[Tile]]]()
    for i, name in enumerate(names):
        shown = [("given", question.shown[i])]
        shown += [(f"seed {seed}", answer) for seed, answer in zip(seeds, answers[i], strict=True)]
        shown += [("mean", np.rint(answers[i].mean(0)).astype(np.uint8))]
        shown += [
            ("variance", apply_colormap(variance[i], high=high)),
            ("surprise", apply_colormap(surprise[i], high=most)),
        ]
        tiles = [[("" if t else what, frame) for t, frame in enumerate(frames)] for what, frames in shown]
        rows += [
            ("" if k else name, row) for k, row in enumerate(tiles if question.frames else [[*itertools.chain(*tiles)]])
        ]
    scales = [scale(high, unit=VARIANCE, width=200), scale(most, unit=SURPRISE, width=200)]
    return sheet(rows, enlarged=enlargement(*answers.shape[3:5]), scales=scales)


def _strip(frames: np.ndarray) -> np.ndarray:
    """[t h w ...] side by side: [h t*w ...]."""
    return np.concatenate(list(frames), axis=1)


def _save(path: Path, picture: np.ndarray, made: dict[str, Any]) -> None:
    image_writer.save(path, [picture], format="png", record=made)
