"""Files of images by seed: one for each, a grid, an animation, and the page that shows what a chain did to them."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen import cli
from gen.errors import InputError
from gen.files import atomic_write
from gen.image_io.pixels import to_uint8
from gen.imaging.chain import Chain
from gen.outputs import image_writer
from gen.outputs.output_path import OutputPath
from gen.provenance import Record
from gen.report import before_and_after, enlarged, grid
from gen.report.contact_sheet import named_rows
from gen.runs.trained_run import TrainedRun
from gen.sampling import by_seed
from gen.sampling.settings import SampleResult, Settings, seeds_text

_MAX_GRID_IMAGES = 4096
_MAX_PAIRS = 64  # images shown before and after refinement
_MAX_ROW = 32  # images in a row of the grid, where a row is a class


def write_stills(
    run: TrainedRun, settings: Settings, output: OutputPath, chain: Chain | None, *, with_grid: bool = False
) -> SampleResult:
    """Writes one file per image, all images in one grid, or both. Raises InputError."""
    began, classes = time.monotonic(), settings.labels or ()
    seeds, given = settings.each
    labels = given or by_seed.drawn_labels(run.task, seeds)
    names = names_of(seeds, given, run.class_names, output.suffix, folders=len(classes) > 1)
    if output.file is None:
        paths, sheet = [output.folder / name for name in names], output.folder / f"grid{output.suffix}"
    else:
        paths, sheet = [output.file] * (len(seeds) == 1 and not with_grid), output.file
        with_grid = not paths
    if with_grid and len(seeds) > _MAX_GRID_IMAGES:
        allowed = f"allowed are {_MAX_GRID_IMAGES:,}: fewer --seeds, or a folder"
        raise InputError(f"a grid of {len(seeds):,} images; {allowed}")
    image_writer.check([*paths, *[sheet] * with_grid])
    done, shown, pairs = 0, list[np.ndarray](), list[tuple[np.ndarray, np.ndarray, str]]()
    for before, images in _drawn(run, settings, seeds, chain, labels=labels):
        here = slice(done, done := done + len(images))
        for i, path in enumerate(paths[here], here.start):
            record = _record(run, settings, chain, seeds[i], labels[i : i + 1] if labels else None)
            image_writer.save(path, [images[i - here.start]], format=output.format, record=record)
        if with_grid:
            shown += list(images)
        if chain and len(pairs) < _MAX_PAIRS:
            pairs += zip(before, images, (name.stem for name in names[here]), strict=True)
    if with_grid:
        record = _record(run, settings, chain, seeds_text(settings.seeds), settings.labels)
        picture = _sheet(np.stack(shown), [run.class_names[label] for label in classes])
        image_writer.save(sheet, [picture], format=output.format, record=record | {"gen:shows": "grid"})
        paths.append(sheet)
    if chain:
        page = before_and_after(pairs[:_MAX_PAIRS], chain=chain.record_text, total=len(seeds))
        atomic_write(output.refinement, page)
        paths.append(output.refinement)
    return SampleResult(paths, len(seeds), run.step, time.monotonic() - began)


def write_animation(
    run: TrainedRun, settings: Settings, output: OutputPath, chain: Chain | None, *, frames: int
) -> SampleResult:
    """Writes an animation that moves from each seed to the next in `frames` images. Raises InputError."""
    began, labels = time.monotonic(), settings.labels
    if labels and len(labels) > 1:
        names = ", ".join(run.class_names[label] for label in labels)
        raise InputError(f"--label={names}: an interpolation shows one class; name one")
    latents = by_seed.interpolation(run.task, settings.seeds, frames)
    path = output.file or output.folder / f"interpolation{output.suffix}"
    image_writer.check([path])
    first = settings.seeds[:1]  # one key: what else it decides stays the same
    given = {"labels": [*labels] * len(latents) if labels else None, "latents": latents}
    film = list[np.ndarray]()
    for _, images in _drawn(run, settings, [*first] * len(latents), chain, **given):
        film += list(enlarged(images))
    record = _record(run, settings, chain, seeds_text(settings.seeds), labels or by_seed.drawn_labels(run.task, first))
    image_writer.save(path, film, format=output.format, record=record | {"gen:shows": "interpolation"})
    return SampleResult([path], len(film), run.step, time.monotonic() - began)


def _drawn(
    run: TrainedRun, settings: Settings, seeds: Sequence[int], chain: Chain | None, **given: Any
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields uint8 images [b h w c] before and after the chain. given: labels and latents of `by_seed.images`."""
    done, batches = 0, by_seed.images(run.task, run.ema_params, seeds, **settings.drawing, **given)
    for images in cli.progress(batches, len(seeds), size=len):
        before = after = to_uint8(images)
        if chain:
            after = to_uint8(by_seed.refine(chain, images, seeds[done : done + len(images)]))
        done += len(images)
        yield before, after


def _sheet(images: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Puts all images in one picture; of several classes, each has a row with its name."""
    if len(class_names) < 2:
        return grid(images)
    rows = np.split(images, len(class_names))
    columns = min(len(rows[0]), _MAX_ROW)
    return named_rows(np.concatenate([grid(row, columns=columns) for row in rows]), class_names)


def names_of(
    seeds: Sequence[int], labels: Sequence[int] | None, class_names: Sequence[str], suffix: str, *, folders: bool
) -> list[Path]:
    """Names the files: seed0017.png, with a class seed0017-sandal.png, in folders sandal/seed0017-sandal.png."""
    if labels is None:
        return [Path(f"seed{seed:04d}{suffix}") for seed in seeds]
    slugs = [re.sub(r"[^\w-]+", "_", name).strip("_") for name in class_names]
    if "" in slugs or len({slug.lower() for slug in slugs}) < len(slugs):
        slugs = [f"{index:03d}_{slug}".rstrip("_") for index, slug in enumerate(slugs)]
    pairs = [
        (slugs[label], f"seed{seed:04d}-{slugs[label]}{suffix}") for seed, label in zip(seeds, labels, strict=True)
    ]
    return [Path(slug, name) if folders else Path(name) for slug, name in pairs]


def _record(
    run: TrainedRun, settings: Settings, chain: Chain | None, seed: int | str, labels: Sequence[int] | None
) -> Record:
    label = None if labels is None else ", ".join(run.class_names[label] for label in labels)
    refine = chain.record_text if chain else None
    shared = {"truncation": settings.truncation, "refine": refine, **settings.conditions}
    return run.record(seed=seed, label=label, **shared)
