"""Makes images again, as gen.sample and gen.refine make them, many with the same settings at once."""

from __future__ import annotations

import contextlib
import functools
import math
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import jax
import numpy as np

from gen import devices
from gen.errors import InputError
from gen.files import expand, sha256
from gen.image_io import Picture
from gen.image_io.pixels import to_uint8
from gen.imaging import bounds
from gen.provenance import software
from gen.refining.original import refine
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.runs.trained_run import RunFolder, TrainedRun
from gen.sampling import by_seed
from gen.sampling.outputs import interpolation_frames, row_names, sheet_of
from gen.sampling.prompts import captions_for, check_prompts
from gen.sampling.settings import Settings
from gen.verification.answers import Parsed
from gen.verification.parse import Parser
from gen.verification.recipes import Recipe, labels_of, safe_chain, unheard

_BATCH = 64  # images on their way at once
_STEPS, _STEPS_OF_FILE = 1e10, 3e11  # of a chain, for an image of the model (of which eight go at once), and a file
_MOST_FRAMES, _SHORT, _MERGED = 10_000, 256, 8


class Maker:
    """The checkpoints of one run folder, None: of none, and files that may have been refined, which `parser` reads."""

    def __init__(self, workdir: Path | None, parser: Parser, originals: Sequence[Path] = ()) -> None:
        self._parser = parser
        self._folder, self._mesh = RunFolder(expand(workdir)) if workdir else None, devices.mesh(-1, 1)
        self._originals = dict(filter(None, map(_with_digest, originals)))
        self.run = functools.lru_cache(maxsize=2)(self._run)
        if self._folder:
            self.run(None)  # a folder that is no run is refused before any file is read
        self.seconds = 0.0  # that a chain took for an image which was made last
        self.software = software(jax.devices()[0].device_kind)

    def _run(self, step: int | None) -> TrainedRun:
        """Loads a checkpoint; None: the newest. Raises InputError."""
        assert self._folder, "no folder of a run is given"
        return trained_run.load(self._folder.path, step="newest" if step is None else step, mesh=self._mesh)

    def lacks(self, recipe: Recipe) -> str:
        """Returns what is not given that the recipe needs, in words; "" for nothing."""
        if recipe.kind == "refined":
            given = (recipe.source or "") in self._originals
            return "" if given else "the file that was refined is not among the files, nor given by --original"
        return "" if self._folder else "the folder of its run is not given by --workdir"

    def steps(self) -> list[int]:
        """Lists the checkpoints."""
        if self._folder is None:
            return []
        with Checkpoints(self._folder.checkpoints) as checkpoints:
            return checkpoints.steps()

    def stills(self, recipes: Sequence[Recipe], like: Parsed) -> list[np.ndarray]:
        """Makes one image of each recipe, which differ in seeds and labels alone: uint8 [h w c]. Raises InputError.

        like: the file, or one of the files, that they are compared with; what is much larger is not made.
        """
        first, seeds = recipes[0], [recipe.seeds[0] for recipe in recipes]
        run = self.run(first.step)
        labels = self._labels(run, recipes)
        options = self._settings(first, seeds, None).drawing
        prompts = [prompt for recipe in recipes for prompt in recipe.prompts]
        self._check_prompts(run, [*prompts, *([first.negative] if first.negative is not None else [])])
        captions = captions_for(run, prompts, first.negative, len(seeds))
        images = np.concatenate(
            [*by_seed.images(run.task, run.ema_params, seeds, labels=labels, captions=captions, **options)]
        )
        self.seconds = 0.0
        if (post := safe_chain(first.chain, math.prod(like.sides))) is None:
            return list(to_uint8(images))
        with self._timed(len(seeds)):
            return list(to_uint8(by_seed.refine(post, images, seeds)))

    def make(self, recipe: Recipe, like: Parsed) -> list[np.ndarray]:
        """Makes one image, a grid, or the frames of an animation, to compare with this file: [h w c] each.

        Raises InputError.
        """
        if recipe.kind == "still":
            return self.stills([recipe], like)
        if recipe.kind == "refined":
            return self._refined(recipe, like)
        run = self.run(recipe.step)
        labels = labels_of(recipe.label, run.class_names)
        if recipe.kind == "grid":
            settings = self._settings(recipe, recipe.seeds, labels)
            seeds, given, texts = settings.each
            if len(seeds) * math.prod(run.data_metadata["image_shape"][:2]) > math.prod(like.sides):
                raise InputError(f"its record names {len(seeds):,} images, for which the file is too small")
            each = [run.class_names[label] for label in given] if given else [None] * len(seeds)
            tiles = [recipe._replace(seeds=(s,), label=c) for s, c in zip(seeds, each, strict=True)]
            if texts:
                tiles = [tile._replace(prompts=(text,)) for tile, text in zip(tiles, texts, strict=True)]
            images = self.stills(tiles, like)
            classes = [run.class_names[label] for label in labels or ()]
            return [sheet_of(np.stack(images), row_names(recipe.prompts, classes))]
        if labels == by_seed.drawn_labels(run.task, recipe.seeds[:1]):
            labels = None  # as it was made then, though the record names it
        settings = self._settings(recipe, recipe.seeds, labels)
        self._check_prompts(run, recipe.prompts)
        count, post = _frames_each(recipe, like.frames), safe_chain(recipe.chain, math.prod(like.sides))
        with unheard("refine"), bounds.budget(_STEPS):
            return interpolation_frames(run, settings, post, frames=count)

    def _labels(self, run: TrainedRun, recipes: Sequence[Recipe]) -> list[int] | None:
        """Returns the class of each image: that of the record, or drawn from the seed."""
        named = [labels_of(recipe.label, run.class_names) for recipe in recipes]
        drawn = by_seed.drawn_labels(run.task, [recipe.seeds[0] for recipe in recipes])
        if drawn is None:
            return None
        return [label[0] if label else other for label, other in zip(named, drawn, strict=True)]

    def _refined(self, recipe: Recipe, like: Parsed) -> list[np.ndarray]:
        path = self._originals[recipe.source or ""]
        post = safe_chain(recipe.chain, math.prod(like.sides))
        if post is None:
            raise InputError("its record names no chain")
        parsed = self._parser.parse(path, frames=like.frames, whole=True)
        if parsed.error:
            raise InputError(f"the file that was refined cannot be read ({parsed.error})")
        given: dict[str, Any] = {"seed": recipe.refine_seed, "references": {}, "masks": {}}
        with self._timed(1, _STEPS_OF_FILE):
            return [refine(post, _picture(image), **given) for image in parsed.pixels]

    @contextlib.contextmanager
    def _timed(self, images: int, steps: float = _STEPS) -> Iterator[None]:
        """Bounds what a chain of a stranger takes for an image, and measures it."""
        began = time.monotonic()
        with unheard("refine"), bounds.budget(steps):
            yield
        self.seconds = (time.monotonic() - began) / images

    def _settings(self, recipe: Recipe, seeds: Sequence[int], labels: list[int] | None) -> Settings:
        conditions = dict(recipe.conditions)
        texts = recipe.prompts, recipe.negative
        return Settings(seeds, labels, recipe.truncation, conditions, _BATCH, self._mesh, *texts)

    def _check_prompts(self, run: TrainedRun, prompts: Sequence[str]) -> None:
        with unheard("prompt"):
            check_prompts(run, prompts, strange=False)


def _with_digest(path: Path) -> tuple[str, Path] | None:
    try:
        return (sha256(path), path) if path.is_file() else None
    except OSError:  # which has a verdict of its own
        return None


def _frames_each(recipe: Recipe, frames: int) -> int:
    """Returns how many frames lead from one seed to the next. frames: of the file. Raises InputError."""
    pairs = len(recipe.seeds) - 1
    each = recipe.frames or (frames - 1) // max(1, pairs)
    most = min(_MOST_FRAMES, max(_SHORT, _MERGED * frames))  # equal frames are one in some files
    if pairs < 1 or not 1 <= each * pairs <= most:
        raise InputError(f"{frames} frames are none from {len(recipe.seeds)} seeds")
    return each


def _picture(image: np.ndarray) -> Picture:
    """Takes alpha out of an image [h w c]."""
    deep = image.shape[-1] in (2, 4)
    pixels, alpha = (image[..., :-1], image[..., -1]) if deep else (image, None)
    return Picture(pixels, alpha, format="", frames=1, frame=0, duration=None, icc_profile=None, metadata={})
