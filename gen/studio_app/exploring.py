"""What a page asks to explore a model: what it is, its images, the ways between them, what they resemble."""

from __future__ import annotations

import dataclasses
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from gen.cli import SAMPLING
from gen.errors import InputError
from gen.image_io.pixels import to_uint8
from gen.runs.run_folder import RunFolder
from gen.sampling import by_seed
from gen.sampling.latent_space.directions import moved
from gen.studio_app.fields import Fields
from gen.studio_app.jobs import Job
from gen.studio_app.states import (
    MOST_IMAGES,
    State,
    arguments,
    command,
    head,
    images_of,
    known_settings,
    lines,
    plain,
    state_of,
)
from gen.studio_app.workspace import Workspace, encoded
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior

_SLIDERS = {
    "truncation": (0, 1.5, 0.05),
    "temperature": (0, 2, 0.05),
    "guidance": (0, 8, 0.1),
    "top_p": (0.05, 1, 0.05),
}
_SLIDERS |= {"top_k": (0, 500, 1), "steps": (1, 64, 1)}
_NEAREST, _CHUNK_BYTES = 6, 2**26


def describe(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Tells what a run is, and what can be done with it."""
    index, opened = workspace.run_of(fields)
    model, task = opened.model, opened.model.run.task
    folder = RunFolder(workspace.runs[index])
    found = {name: folder.path / place for name, place in _PAGES.items() if (folder.path / place).is_file()}
    height, width, channels = model.image_shape
    contexts = {"half_size"} & {getattr(task, "context", ""), *getattr(task, "unlearned_contexts", ())}
    return {
        "name": model.run.name or folder.path.name,
        "runs": [path.name for path in workspace.runs],
        "kind": type(task).__name__,
        "size": [height, width, channels],
        "classes": model.class_names,
        "captions": bool(getattr(task, "max_caption_length", 0) or model.run.data_metadata.get("captions")),
        "step": model.run.step,
        "steps": workspace.steps(index),
        "settings": [
            {"name": n, "low": a, "high": b, "by": c} for n in known_settings(opened) for a, b, c in [_SLIDERS[n]]
        ],
        "can": {
            "sample": bool(task.can_sample),
            "walk": task.can_sample and task.latent_shape is not None,
            "directions": isinstance(task, Gan),
            "inpaint": isinstance(task, Prior | Flow),
            "upscale": bool(contexts),
            "project": isinstance(task, Gan) or bool(task.can_reconstruct),
        },
        "digests": workspace.digests(),
        "pages": {name: workspace.page(path) for name, path in found.items()},
        "out": str(workspace.out),
    }


_PAGES = {"training": "report.html", "evaluation": "evaluation/evaluation.html", "audit": "audit/audit.html"}


def grid(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Makes the images of a state."""
    state = state_of(workspace, fields)
    fields.end()
    made, run = images_of(state, job), state.opened.model.run
    labels = state.settings.each.labels or by_seed.drawn_labels(run.task, state.seeds)
    folder = workspace.runs[state.index]
    return {
        "images": [encoded(image) for image in made],
        "labels": [run.class_names[label] for label in labels] if labels and run.class_names else None,
        "command": command(state, folder),
        "python": lines(state, folder),
        "step": run.step,
    }


def axes(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Makes a table of images: a row for each seed, a column for each value of an axis."""
    axis = fields.choice("axis", ("label", "step", *SAMPLING))
    least = 0 if axis in ("label", "step", "steps") else None
    raw = fields.parts("values", 12)
    values = [one.whole("value", least, 2**53) if least is not None else one.number("value", 0, 1000) for one in raw]
    state = state_of(workspace, fields)
    fields.end()
    if len(state.seeds) * len(values) > MOST_IMAGES:
        raise InputError(f"{len(state.seeds) * len(values)} images; at most {MOST_IMAGES}: fewer seeds or values")
    columns, commands = [], []
    for index, value in enumerate(values):
        changed = plain(state) | {axis: value}
        column = state_of(workspace, Fields(changed | {"seeds": [*state.seeds]}))
        if axis not in ("label", "step") and axis not in known_settings(column.opened):
            raise InputError(f"this model has no {axis}")
        columns.append([encoded(image) for image in images_of(column, job)])
        commands.append(command(column, workspace.runs[column.index], out=f"{axis}-{value}"))
        job.check((index + 1) / len(values))
    return {
        "columns": columns,
        "values": values,
        "command": "\n".join(commands),
        "python": _of_axis(state, axis, values, workspace.runs[state.index]),
    }


def _of_axis(state: State, axis: str, values: list[Any], folder: Path) -> str:
    """The lines of Python that make a table."""
    if axis == "step":
        call = f"load({str(folder)!r}, step=value).sample({arguments(state)})"
        return f"from gen.api import load\n\ncolumns = [{call} for value in {values}]"
    plainly = {"label": None} if axis == "label" else {}
    rest = {name: value for name, value in state.sampling.items() if name != axis}
    given = arguments(dataclasses.replace(state, sampling=rest, **plainly))  # type: ignore[arg-type]
    return f"{head(state, folder)}columns = [model.sample({given}, {axis}=value) for value in {values}]"


def plane(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Makes images at places between three seeds: along u from the first to the second, along v on to the third."""
    points = [(one.number("u", 0, 1), one.number("v", 0, 1)) for one in fields.parts("points", MOST_IMAGES)]
    state = state_of(workspace, fields)
    fields.end()
    if len(state.seeds) != 3:
        raise InputError("a plane is between three seeds")
    a, b, c = by_seed.drawn_latents(state.opened.model.run.task, state.seeds)
    latents = np.stack([by_seed.slerp(by_seed.slerp(a, b, u), c, v) for u, v in points])
    made = images_of(state, job, latents=latents)
    u, v = points[-1]
    folder, first = workspace.runs[state.index], dataclasses.replace(state, seeds=state.seeds[:1])
    python = (
        f"{head(state, folder)}from gen.sampling.by_seed import drawn_latents, slerp\n\n"
        f"a, b, c = drawn_latents(model.run.task, {[*state.seeds]})\n"
        f"latent = slerp(slerp(a, b, {u!r}), c, {v!r})\n"
        f"images = model.sample(latents=latent[None], {arguments(first)})"
    )
    text = command(state, folder, out="way.webp", more=["--interpolate"])
    return {"images": [encoded(image) for image in made], "command": text, "python": python}


def interpolate(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Makes the frames from each seed to the next."""
    frames = fields.whole("frames", 1, 32, 12)
    state = state_of(workspace, fields)
    fields.end()
    if not 2 <= len(state.seeds) <= 5:
        raise InputError("a way goes through 2 to 5 seeds")
    latents = by_seed.interpolation(state.opened.model.run.task, state.seeds, frames)
    made = images_of(state, job, latents=latents)
    folder, first = workspace.runs[state.index], dataclasses.replace(state, seeds=state.seeds[:1])
    text = command(state, folder, out="way.webp", more=["--interpolate", f"--frames={frames}"])
    python = (
        f"{head(state, folder)}from gen.sampling.by_seed import interpolation\n\n"
        f"latents = interpolation(model.run.task, {[*state.seeds]}, {frames})\n"
        f"images = model.sample(latents=latents, {arguments(first)})"
    )
    return {"images": [encoded(image) for image in made], "command": text, "python": python}


def edit(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Moves the image of a seed along directions, each by its strength in standard deviations."""
    strengths = [one.number("strength", -5, 5) for one in fields.parts("strengths", 8)]
    state = state_of(workspace, fields)
    fields.end()
    opened = state.opened
    codes = opened.space.drawn(state.seeds[:1], label=state.label)
    for index, strength in enumerate(strengths[: len(opened.directions.sigma)]):
        codes = moved(codes, opened.directions, index, strength) if strength else codes
    job.check(0.5)
    made = to_uint8(np.clip(opened.space.decode(codes), 0, 1))[0]
    folder, seed = workspace.runs[state.index], state.seeds[0]
    words = ["python", "-m", "gen.latents", "directions", f"--workdir={folder}", f"--seeds={seed}"]
    words += [f"--step={state.step}"] * (state.step is not None)
    label = "" if state.label is None else f", label={state.label}"
    steps = [f"codes = moved(codes, found, {i}, {value!r})\n" for i, value in enumerate(strengths) if value]
    python = (
        f"{head(state, folder)}from gen.sampling.latent_space import moved\n\nspace = model.space()\n"
        f"codes = space.drawn([{seed}]{label})\nfound = space.directions('closed_form', 8)\n"
        f"{''.join(steps)}image = space.decode(codes)"
    )
    return {
        "image": encoded(made),
        "count": len(opened.directions.sigma),
        "command": shlex.join([*words, "--out=directions.png"]),
        "python": python,
    }


def nearest(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Finds the training images that an image is most like, pixel by pixel."""
    state = state_of(workspace, fields)
    fields.end()
    one = dataclasses.replace(state, seeds=state.seeds[:1])
    image = images_of(one, job)[0]
    known = state.opened.training_images
    if known.shape[1:] != image.shape:
        raise InputError("the training images have another shape than the samples")
    flat = image.reshape(-1).astype(np.float32)
    distances, chunk = np.empty(len(known), np.float32), max(1, _CHUNK_BYTES // (4 * flat.size))
    for start in range(0, len(known), chunk):
        part = known[start : start + chunk].reshape(-1, flat.size).astype(np.float32)
        distances[start : start + chunk] = np.sqrt(((part - flat) ** 2).mean(1))
        job.check(start / len(known))
    order = np.argsort(distances, kind="stable")[:_NEAREST]
    return {
        "image": encoded(image),
        "images": [encoded(np.asarray(known[i])) for i in order],
        "distances": [round(float(distances[i]), 2) for i in order],
        "searched": len(known),
        "usual": round(float(np.median(distances)), 2),
    }


__all__ = ["axes", "describe", "edit", "grid", "interpolate", "nearest", "plane"]
