"""Files of images by seed: one for each, a grid, an animation, and the page that shows what a chain did to them."""

from __future__ import annotations

import re
import time
from collections import deque
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen import cli, processes
from gen.errors import InputError
from gen.files import atomic_write
from gen.image_io.pixels import to_uint8
from gen.imaging.chain import Chain
from gen.outputs import image_writer
from gen.outputs.image_writer import Still
from gen.outputs.output_path import OutputPath
from gen.provenance import Record, json_text
from gen.provenance.policy import Policy
from gen.report import before_and_after, enlarged, grid
from gen.report.contact_sheet import named_rows
from gen.runs.trained_run import TrainedRun
from gen.sampling import by_seed
from gen.sampling.prompts import captions_for, slugs, tokens_for
from gen.sampling.settings import DRAWN, SampleResult, Settings, seeds_text

_MAX_GRID_IMAGES = 4096
_MAX_PAIRS = 64  # images shown before and after refinement
_MAX_ROW = 32  # images in a row of the grid, where a row is a class


def write_stills(
    run: TrainedRun,
    settings: Settings,
    output: OutputPath,
    chain: Chain | None,
    *,
    policy: Policy,
    with_grid: bool = False,
) -> SampleResult:
    """Writes one file per image, all images in one grid, or both. Raises InputError."""
    began, classes, prompts = time.monotonic(), settings.labels or (), settings.prompts
    seeds, given, texts = settings.each
    labels = given if given and DRAWN not in given else by_seed.drawn_labels(run.task, seeds)
    if given and labels:
        labels = [drawn if label == DRAWN else label for label, drawn in zip(given, labels, strict=True)]
    names = names_of(seeds, given, run.class_names, output.suffix, folders=len(classes) > 1)
    names = with_prompts(names, texts, folders=len(prompts) > 1)
    if output.file is None:
        paths, sheet = [output.folder / name for name in names], output.folder / f"grid{output.suffix}"
    else:
        paths, sheet = [output.file] * (len(seeds) == 1 and not with_grid), output.file
        with_grid = not paths
    if with_grid and len(seeds) > _MAX_GRID_IMAGES:
        allowed = f"allowed are {_MAX_GRID_IMAGES:,}: fewer --seeds, or a folder"
        raise InputError(f"a grid of {len(seeds):,} images; {allowed}")
    image_writer.check([*paths, *[sheet] * with_grid], policy)
    shown, pairs, class_names = list[np.ndarray](), list[tuple[np.ndarray, np.ndarray, Record, str]](), run.class_names

    def stills() -> Iterator[Still]:
        """Yields the images with their files, if each has one; keeps those to show on grid and page."""
        captions = captions_for(run, texts, settings.negative, len(seeds))
        drawn = _drawn(run, settings, seeds, chain, labels=labels, captions=captions)
        for i, (before, image) in enumerate(pair for batch in drawn for pair in zip(*batch, strict=True)):
            of_class = [class_names[labels[i]]] if labels else None
            record = record_of(run, settings, chain, seeds[i], of_class, prompts=texts[i : i + 1] if texts else ())
            if with_grid:
                shown.append(image)
            if chain and len(pairs) < _MAX_PAIRS:
                pairs.append((before, image, record, names[i].stem))
            yield Still(paths[i] if output.file is None else output.file, image, record)

    if paths:
        shape = None if chain else tuple(run.data_metadata["image_shape"])
        image_writer.save_all(stills(), format=output.format, policy=policy, shape=shape)
    else:
        deque(stills(), maxlen=0)
    if with_grid:
        shown_classes = [class_names[label] for label in classes]
        record = record_of(run, settings, chain, seeds_text(settings.seeds), shown_classes, prompts=prompts)
        record |= {"gen:shows": "grid"}
        picture = sheet_of(np.stack(shown), row_names(prompts, shown_classes))
        image_writer.save(sheet, [picture], format=output.format, record=record, policy=policy)
        paths.append(sheet)
    if chain and processes.writes():
        atomic_write(output.refinement, _page(pairs, chain, len(seeds), policy))
        paths.append(output.refinement)
    return SampleResult(paths, len(seeds), run.step, time.monotonic() - began)


def write_animation(
    run: TrainedRun, settings: Settings, output: OutputPath, chain: Chain | None, *, policy: Policy, frames: int
) -> SampleResult:
    """Writes an animation that moves from each seed to the next in `frames` images. Raises InputError."""
    began, labels = time.monotonic(), settings.labels
    if labels and len(labels) > 1:
        names = ", ".join(run.class_names[label] for label in labels)
        raise InputError(f"--label={names}: an interpolation shows one class; name one")
    if len(settings.prompts) > 2:
        raise InputError("--interpolate moves from one prompt to one other; give at most two")
    path = output.file or output.folder / f"interpolation{output.suffix}"
    image_writer.check([path], policy)
    film = interpolation_frames(run, settings, chain, frames=frames)
    shown = [run.class_names[label] for label in labels or by_seed.drawn_labels(run.task, settings.seeds[:1]) or ()]
    record = record_of(run, settings, chain, seeds_text(settings.seeds), shown, prompts=settings.prompts)
    record |= {"gen:shows": "interpolation", "gen:frames": frames}
    image_writer.save(path, film, format=output.format, record=record, policy=policy)
    return SampleResult([path], len(film), run.step, time.monotonic() - began)


def interpolation_frames(run: TrainedRun, settings: Settings, chain: Chain | None, *, frames: int) -> list[np.ndarray]:
    """Makes the frames of an animation that moves from each seed to the next in `frames` images, uint8 [h w c]."""
    latents = by_seed.interpolation(run.task, settings.seeds, frames)
    first = settings.seeds[:1]  # one key: what else it decides stays the same
    given: dict[str, Any] = {"latents": latents}
    given["labels"] = [*settings.labels] * len(latents) if settings.labels else None
    film, count = list[np.ndarray](), len(latents)
    captions = captions_for(run, [*settings.prompts[:1]] * count, settings.negative, count)
    if len(settings.prompts) == 2:  # from the first to the second
        captions["caption"] = np.tile(tokens_for(run, settings.prompts), (count, 1, 1))
        captions["caption_mix"] = np.linspace(0, 1, count, dtype=np.float32)
    given["captions"] = captions
    for _, images in _drawn(run, settings, [*first] * len(latents), chain, **given):
        film += list(enlarged(images))
    return film


def _drawn(
    run: TrainedRun, settings: Settings, seeds: Sequence[int], chain: Chain | None, **given: Any
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yields uint8 images [b h w c] before and after the chain. given: labels, latents, captions of `images`."""
    done, batches = 0, by_seed.images(run.task, run.ema_params, seeds, **settings.drawing, **given)
    for images in cli.progress(batches, len(seeds), size=len):
        before = after = to_uint8(images)
        if chain and processes.writes():
            after = to_uint8(by_seed.refine(chain, images, seeds[done : done + len(images)]))
        done += len(images)
        yield before, after


def row_names(prompts: Sequence[str], class_names: Sequence[str]) -> list[str]:
    """Names the rows of a sheet: every prompt with every class; [] where there are neither."""
    return [f"{prompt} {name}".strip() for prompt in prompts or ("",) for name in class_names or ("",)]


def sheet_of(images: np.ndarray, class_names: Sequence[str]) -> np.ndarray:
    """Puts all images in one picture; of several classes, each has a row with its name."""
    if len(class_names) < 2 or len(images) % len(class_names):
        return grid(images)
    rows = np.split(images, len(class_names))
    columns = min(len(rows[0]), _MAX_ROW)
    return named_rows(np.concatenate([grid(row, columns=columns) for row in rows]), class_names)


def _page(pairs: Sequence[tuple[np.ndarray, np.ndarray, Record, str]], chain: Chain, total: int, policy: Policy) -> str:
    """Renders the page of images before and after the chain, whose pictures are marked as files are."""
    shown = [enlarged(image) for before, after, *_ in pairs for image in (before, after)]
    records = list[Record]()
    for _, _, record, _ in pairs:
        plain = {key: value for key, value in record.items() if key != "gen:refine"}
        records += [plain | {"gen:shows": "before refinement"}, record | {"gen:shows": "after refinement"}]
    pictures = image_writer.encode_all(shown, records, format="png", policy=policy)
    each = zip(pictures[::2], pictures[1::2], (name for *_, name in pairs), strict=True)
    return before_and_after(list(each), chain=chain.record_text, total=total)


def names_of(
    seeds: Sequence[int], labels: Sequence[int] | None, class_names: Sequence[str], suffix: str, *, folders: bool
) -> list[Path]:
    """Names the files: seed0017.png, with a class seed0017-sandal.png, in folders sandal/seed0017-sandal.png."""
    plain = [Path(f"seed{seed:04d}{suffix}") for seed in seeds]
    if labels is None:
        return plain
    slugs = [re.sub(r"[^\w-]+", "_", name).strip("_") for name in class_names]
    if "" in slugs or len({slug.lower() for slug in slugs}) < len(slugs):
        slugs = [f"{index:03d}_{slug}".rstrip("_") for index, slug in enumerate(slugs)]
    names = list[Path]()
    for name, label in zip(plain, labels, strict=True):
        if label != DRAWN:
            name = name.with_stem(f"{name.stem}-{slugs[label]}")
            name = Path(slugs[label], name) if folders else name
        names.append(name)
    return names


def with_prompts(names: Sequence[Path], prompts: Sequence[str] | None, *, folders: bool) -> list[Path]:
    """Adds the prompt of each to names of files: seed0017-a_red_star.png, in folders a_red_star/seed0017.png."""
    if prompts is None:
        return [*names]
    distinct = [*dict.fromkeys(prompts)]
    slug_of = dict(zip(distinct, slugs(distinct), strict=True))
    if folders:
        return [Path(slug_of[prompt], name) for name, prompt in zip(names, prompts, strict=True)]
    return [
        name.with_name(f"{name.stem}-{slug_of[prompt]}{name.suffix}")
        for name, prompt in zip(names, prompts, strict=True)
    ]


def record_of(
    run: TrainedRun,
    settings: Settings,
    chain: Chain | None,
    seed: int | str,
    class_names: Sequence[str] | None,
    *,
    prompts: Sequence[str] = (),
) -> Record:
    """Makes the record of an image, or of a picture of several: of a seed, or of several as text."""
    label = ", ".join(class_names) if class_names else None
    refine = chain.record_text if chain else None
    shared = {"truncation": settings.truncation, "refine": refine, **settings.conditions}
    several = json_text(list(prompts)) if len(prompts) > 1 else None
    shared |= {"prompt": prompts[0] if len(prompts) == 1 else None, "prompts": several, "negative": settings.negative}
    return run.record(seed=seed, label=label, **shared)
