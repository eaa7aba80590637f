"""Requests to a prior or a flow. Images are float32 [n h w c] in [0, 1]."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from gen import cli
from gen.errors import InputError, nearest
from gen.image_io.pixels import to_uint8
from gen.runs.trained_run import TrainedRun
from gen.tasks.context import Context
from gen.tasks.flow import Flow
from gen.tasks.prior import Prior

Predictor = Prior | Flow  # a task that can be given parts of an image
SETTINGS: dict[str, tuple[type, ...]] = {  # of sampling, by the tasks that know them
    "temperature": (Prior, Flow),
    "top_k": (Prior,),
    "top_p": (Prior,),
    "guidance": (Prior, Flow),
    "steps": (Flow,),
}
# What is to be made: from top, to bottom, from left, to right, in quarters of the sides. "border" is all but "center".
REGIONS = {
    "bottom_half": (2, 4, 0, 4),
    "top_half": (0, 2, 0, 4),
    "left_half": (0, 4, 0, 2),
    "right_half": (0, 4, 2, 4),
    "center": (1, 3, 1, 3),
    "border": (1, 3, 1, 3),
}


class Request(NamedTuple):
    """What a predictor is given, with an entry for each input."""

    names: list[str]  # of the results
    shown: list[np.ndarray]  # uint8 [t h w c]: what is given, as pictures; of a film all frames
    conditions: dict[str, np.ndarray]  # [n ...], of Task.sample
    records: list[dict[str, Any]]  # fields of the records of the results
    frames: int | None = None  # to predict; None: this is no film

    def made(self, index: int) -> np.ndarray | None:
        """Returns where the result of an input is not what was given: bool [h w]; None: everywhere."""
        known = self.conditions.get("known")
        return None if known is None else ~known[index, ..., 0]


def predictor(run: TrainedRun, what: str, *, tasks: tuple[type, ...] = (Prior, Flow)) -> Predictor:
    """Returns the task of a run. Raises InputError, with `what` needs it, unless it is one of `tasks`."""
    if not isinstance(run.task, tasks):
        needed = " or ".join(f"{task.__module__}:{task.__name__}" for task in tasks)
        raise InputError(f"{what} needs a run of {needed}, and this one is of {run.config.task['call']}")
    return cast(Predictor, run.task)


def check_settings(run: TrainedRun, names: Iterable[str], *, prefix: str = "") -> None:
    """Raises InputError unless the task of a run knows these settings of sampling. prefix: of their names in it."""
    for name in names:
        predictor(run, prefix + name, tasks=SETTINGS[name])


def predictor_with_context(run: TrainedRun, what: str, context: Context) -> Predictor:
    """Returns the task of a run that can be given this `context`. Raises InputError."""
    task = predictor(run, what)
    if task.context != context and not (isinstance(task, Flow) and context in task.unlearned_contexts):
        raise InputError(f"{what} needs a run learned with task.context='{context}'; this one has '{task.context}'")
    return task


def hidden_pixels(region: str | np.ndarray, count: int, height: int, width: int) -> np.ndarray:
    """Returns the pixels of a region that are to be made: bool [count height width 1].

    region: a name of REGIONS, or an array [h w] or [n h w]. Raises InputError for any other.
    """
    if not isinstance(region, str):
        if np.shape(region) not in ((height, width), (count, height, width)):
            allowed = f"{[height, width]}, or one for each image"
            raise InputError(f"inpaint: the region has shape {list(np.shape(region))}; allowed: {allowed}")
        return np.broadcast_to(np.asarray(region, bool), (count, height, width))[..., None]
    if region not in REGIONS:
        meant = nearest(region, REGIONS)
        raise InputError(f"inpaint={region}: no such region{meant}; allowed: {', '.join(REGIONS)}, or a mask file")
    top, bottom, left, right = REGIONS[region]
    hidden = np.zeros((count, height, width, 1), bool)
    hidden[:, top * height // 4 : bottom * height // 4, left * width // 4 : right * width // 4] = True
    return hidden != (region == "border")


def inpaint(
    run: TrainedRun, images: np.ndarray, region: str | np.ndarray, *, names: Sequence[str] | None = None
) -> Request:
    """Requests a region of images, see `hidden_pixels`. names: of the results. Raises InputError."""
    task, names = predictor(run, "inpaint"), names or _numbered(images)
    hidden = hidden_pixels(region, *images.shape[:3])
    for name, mask in zip(names, hidden, strict=True):
        if not mask.any():
            raise InputError(f"inpaint: nothing is white in the mask, so nothing of {name} is to be made")
        if mask.all():
            raise InputError(f"inpaint: all of the mask of {name} is white, so nothing is given; sample without it")
    in_order = isinstance(task, Prior) and not (task.region_first_probability or any(task.random_order))
    if in_order and _goes_back(hidden):
        cli.say("learned in raster order alone (task.region_first_probability=0): only what is below is foreseen")
    shown = np.where(hidden, _hatched(task.shape), to_uint8(images))
    conditions, records = {"given": images, "known": ~hidden}, [{"predict": "inpaint"}] * len(names)
    return Request([*names], list(shown[:, None]), conditions, records)


def upscale(run: TrainedRun, images: np.ndarray, *, names: Sequence[str] | None = None) -> Request:
    """Requests images of twice the size of these. names: of the results. Raises InputError."""
    predictor_with_context(run, "upscale", "half_size")
    shown, names = to_uint8(images).repeat(2, axis=1).repeat(2, axis=2), names or _numbered(images)
    return Request([*names], list(shown[:, None]), {"context": images}, [{"predict": "upscale"}] * len(names))


def predict_frames(
    run: TrainedRun, films: Sequence[np.ndarray], frames: int, *, names: Sequence[str] | None = None
) -> Request:
    """Requests the next `frames` of films, each [t h w c]. names: of the results. Raises InputError."""
    predictor_with_context(run, "predict_frames", "previous_frame")
    context, names = np.stack([film[-1] for film in films]), names or _numbered(films)
    records = [{"predict": "predict_frames", "frames": frames}] * len(names)
    return Request([*names], [to_uint8(film) for film in films], {"context": context}, records, frames)


def _numbered(images: Sequence[Any] | np.ndarray) -> list[str]:
    return [f"image{i:04d}" for i in range(len(images))]


def _goes_back(hidden: np.ndarray) -> bool:
    """Returns whether something that is given comes after what is hidden, in raster order."""
    return bool((np.diff(hidden.reshape(len(hidden), -1) * 1) < 0).any())


def halved(images: np.ndarray) -> np.ndarray:
    """Averages each 2 x 2 pixels, as in training."""
    count, height, width, channels = images.shape
    return images.reshape(count, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def _hatched(shape: tuple[int, int, int]) -> np.ndarray:
    """Returns a pattern that stands for the unknown in pictures."""
    rows, columns, _ = np.indices(shape)
    return np.where((rows + columns) // 2 % 2, 150, 200).astype(np.uint8)
