"""The files that a request to a prior gives: results, how they differ, how unusual they are, one sheet of all."""

from __future__ import annotations

import itertools
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen.outputs import image_writer
from gen.outputs.output_path import OutputPath
from gen.provenance import COMPOSITE, DATA, Record
from gen.provenance.policy import Policy
from gen.report import enlarged, enlargement
from gen.report.colormap import apply_colormap, heat_map, scale
from gen.report.contact_sheet import Tile, sheet
from gen.runs.trained_run import TrainedRun
from gen.sampling.conditional.requests import Request
from gen.sampling.conditional.sampling import bits_of_results, label_of, sample
from gen.sampling.settings import SampleResult, Settings, seeds_text

_HOLD = 4  # times that a frame of a film is shown, at 25 a second
_MAX_SHOWN = 32  # inputs on the sheet
VARIANCE, SURPRISAL = "variance", "bits per pixel"


def write(run: TrainedRun, request: Request, settings: Settings, output: OutputPath, *, policy: Policy) -> SampleResult:
    """Writes what a prior makes of a request into a folder; the format of `output` is that of films. InputError."""
    began, seeds, text, folder = time.monotonic(), settings.seeds, seeds_text(settings.seeds), output.folder
    stems = [f"seed{seed:04d}" for seed in seeds]
    kinds = [f"{name}-{kind}" for name in request.names for kind in ("variance", "surprisal", *stems)]
    image_writer.check([folder / f"{name}.png" for name in [*kinds, "predictions"]], policy)
    results, label = sample(run, request, settings), label_of(settings)
    surprisal = bits_of_results(run, request, results, settings)
    variance = results.var(axis=1).mean(-1) / 255**2  # of whole numbers: 0 where all agree
    fields: dict[str, Any] = {"truncation": settings.truncation, **settings.conditions}
    fields["label"] = None if label is None else run.class_names[label]
    written = list[Path]()

    def save(name: str, frames: Sequence[np.ndarray], record: Record, format: str = "png", **marking: Any) -> None:
        written.append(folder / f"{name}.{format}")
        image_writer.save(written[-1], frames, format=format, record=record, policy=policy, **marking)

    for i, name in enumerate(request.names):
        about = request.records[i] | fields
        for seed, stem, result in zip(seeds, stems, results[i], strict=True):
            record = run.record(seed=seed, **about)
            if request.frames is None:
                save(f"{name}-{stem}", [result[0]], record, region=request.made(i))
                continue
            film, given = np.concatenate([request.shown[i], result]), len(request.shown[i])
            made = np.broadcast_to((np.arange(len(film)) >= given)[:, None, None], film.shape[:3])
            save(f"{name}-{stem}", [_strip(film)], record | {"gen:shows": "strip"}, region=_strip(made))
            shown, made = (enlarged(values).repeat(_HOLD, axis=0) for values in (film, made[..., None]))
            save(f"{name}-{stem}", list(shown), record | {"gen:shows": "film"}, output.format, region=made[..., 0])
        for what, values, unit in (("variance", variance[i], VARIANCE), ("surprisal", surprisal[i], SURPRISAL)):
            picture = heat_map(_strip(values), unit=unit, times=enlargement(*values.shape[1:3]))
            record = run.record(**(about | {"seed": text, "shows": what, "digital_source_type": DATA}))
            save(f"{name}-{what}", [picture], record, mark=False)
    about = request.records[0] | fields | {"seed": text, "shows": "predictions", "digital_source_type": COMPOSITE}
    about["source"] = ",".join(entry["source"] for entry in request.records[:_MAX_SHOWN])
    save("predictions", [_overview(request, seeds, results, variance, surprisal)], run.record(**about))
    return SampleResult(written, len(request.names) * len(seeds), run.step, time.monotonic() - began)


def _overview(
    request: Request, seeds: Sequence[int], results: np.ndarray, variance: np.ndarray, surprisal: np.ndarray
) -> np.ndarray:
    """A row for each input; of films a row for each result and map. Colors mean the same in all rows."""
    names = request.names[:_MAX_SHOWN]
    high, most = variance[: len(names)].max(), surprisal[: len(names)].max()
    rows = list[tuple[str, list[Tile]]]()
    for i, name in enumerate(names):
        shown = [("given", request.shown[i])]
        shown += [(f"seed {seed}", result) for seed, result in zip(seeds, results[i], strict=True)]
        shown += [("mean", np.rint(results[i].mean(0)).astype(np.uint8))]
        shown += [
            ("variance", apply_colormap(variance[i], high=high)),
            ("surprisal", apply_colormap(surprisal[i], high=most)),
        ]
        tiles = [[("" if t else what, frame) for t, frame in enumerate(frames)] for what, frames in shown]
        rows += [
            ("" if k else name, row) for k, row in enumerate(tiles if request.frames else [[*itertools.chain(*tiles)]])
        ]
    scales = [scale(high, unit=VARIANCE, width=200), scale(most, unit=SURPRISAL, width=200)]
    return sheet(rows, scale=enlargement(*results.shape[3:5]), footer=scales)


def _strip(frames: np.ndarray) -> np.ndarray:
    """[t h w ...] side by side: [h t*w ...]."""
    return np.concatenate(list(frames), axis=1)
