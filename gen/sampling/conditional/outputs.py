"""The files that a request gives: results, how they differ, how unusual they are, one sheet of all."""

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
from gen.sampling.conditional.requests import Request, predictor
from gen.sampling.conditional.sampling import bits_of_results, label_of, prompt_of, sample
from gen.sampling.settings import SampleResult, Settings, seeds_text
from gen.tasks.prior import Prior

_HOLD = 4  # times that a frame of a film is shown, at 25 a second
_MAX_SHOWN = 32  # inputs on the sheet
VARIANCE, SURPRISAL = "variance", "bits per pixel"


def write(run: TrainedRun, request: Request, settings: Settings, output: OutputPath, *, policy: Policy) -> SampleResult:
    """Writes what a model makes of a request into a folder; the format of `output` is that of films. InputError."""
    began, seeds, text, folder = time.monotonic(), settings.seeds, seeds_text(settings.seeds), output.folder
    stems = [f"seed{seed:04d}" for seed in seeds]
    # A flow has bits as well, at the price of hundreds of samples an image: gen.score tells them.
    surprisals = ["surprisal"] if isinstance(predictor(run, "a request"), Prior) else []
    kinds = [f"{name}-{kind}" for name in request.names for kind in ("variance", *surprisals, *stems)]
    image_writer.check([folder / f"{name}.png" for name in [*kinds, "predictions"]], policy)
    results, label = sample(run, request, settings), label_of(settings)
    maps = [("variance", results.var(axis=1).mean(-1) / 255**2, VARIANCE)]  # of whole numbers: 0 where all agree
    if surprisals:
        maps.append(("surprisal", bits_of_results(run, request, results, settings), SURPRISAL))
    fields: dict[str, Any] = {"truncation": settings.truncation, **settings.conditions}
    fields["label"] = None if label is None else run.class_names[label]
    fields |= {"prompt": prompt_of(settings), "negative": settings.negative}
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
        for what, values, unit in maps:
            picture = heat_map(_strip(values[i]), unit=unit, times=enlargement(*values.shape[2:4]))
            record = run.record(**(about | {"seed": text, "shows": what, "digital_source_type": DATA}))
            save(f"{name}-{what}", [picture], record, mark=False)
    about = request.records[0] | fields | {"seed": text, "shows": "predictions", "digital_source_type": COMPOSITE}
    about["source"] = ",".join(entry["source"] for entry in request.records[:_MAX_SHOWN])
    save("predictions", [_overview(request, seeds, results, maps)], run.record(**about))
    return SampleResult(written, len(request.names) * len(seeds), run.step, time.monotonic() - began)


def _overview(
    request: Request, seeds: Sequence[int], results: np.ndarray, maps: Sequence[tuple[str, np.ndarray, str]]
) -> np.ndarray:
    """A row for each input; of films a row for each result and map. Colors mean the same in all rows."""
    names = request.names[:_MAX_SHOWN]
    highest = [values[: len(names)].max() for _, values, _ in maps]
    rows = list[tuple[str, list[Tile]]]()
    for i, name in enumerate(names):
        shown = [("given", request.shown[i])]
        shown += [(f"seed {seed}", result) for seed, result in zip(seeds, results[i], strict=True)]
        shown += [("mean", np.rint(results[i].mean(0)).astype(np.uint8))]
        for (what, values, _), high in zip(maps, highest, strict=True):
            shown.append((what, apply_colormap(values[i], high=high)))
        tiles = [[("" if t else what, frame) for t, frame in enumerate(frames)] for what, frames in shown]
        rows += [
            ("" if k else name, row) for k, row in enumerate(tiles if request.frames else [[*itertools.chain(*tiles)]])
        ]
    scales = [scale(high, unit=unit, width=200) for (_, _, unit), high in zip(maps, highest, strict=True)]
    return sheet(rows, scale=enlargement(*results.shape[3:5]), footer=scales)


def _strip(frames: np.ndarray) -> np.ndarray:
    """[t h w ...] side by side: [h t*w ...]."""
    return np.concatenate(list(frames), axis=1)
