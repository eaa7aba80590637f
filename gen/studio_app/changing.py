"""What a page asks to do with an image that was handed over: complete it, project it, refine it, find out about it."""

from __future__ import annotations

import dataclasses
import inspect
import shlex
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gen.errors import InputError
from gen.image_io import Unreadable, open_image, open_picture, opening
from gen.image_io.pixels import to_uint8
from gen.imaging import bounds, segment
from gen.imaging.catalog import OPERATORS, choices
from gen.imaging.chain import Chain, chain
from gen.outputs import image_writer
from gen.refining.original import refine as refined
from gen.report.colormap import apply_colormap
from gen.sampling import conditional
from gen.sampling.conditional.requests import REGIONS
from gen.sampling.conditional.sampling import bits_of_results
from gen.sampling.latent_space.figures import psnr
from gen.studio_app.fields import Fields
from gen.studio_app.jobs import Job
from gen.studio_app.states import State, arguments, command, head, images_of, state_of
from gen.studio_app.uploads import decoded, on_white
from gen.studio_app.workspace import Workspace, encoded
from gen.tasks.prior import Prior

_SHOWN = 768  # largest side of a picture on the page
_SEGMENTED = 192  # largest side of the picture that regions are found in
_LARGEST_MASK = 2**22  # pixels
_STEPS = 3e10  # that a chain may take, see `bounds.budget`
_PRESETS = {
    "Crisper": "unsharp_mask(1, 0.6)",
    "Softer": "gaussian(1)",
    "Warm print": "white_balance('gray_world')|sepia(0.35)",
    "Clean": "bilateral(5)|unsharp_mask(1, 0.5)",
    "Vivid": "vibrance(0.5)",
}


def upload(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Keeps an image that is handed over."""
    name = fields.text("name", 300, "image")
    content = decoded(fields.text("content", 2**26))
    fields.end()
    return _shown(workspace, workspace.uploads.add(content, name))


def take(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Keeps the image of a state as an upload: the very file that would be saved."""
    state = state_of(workspace, fields)
    fields.end()
    image = images_of(state, job)[0]
    record = state.record(state.seeds[0])
    content = image_writer.encode([image], format="png", record=record, policy=workspace.policy)
    return _shown(workspace, workspace.uploads.add(content, f"seed{state.seeds[0]:04d}.png"))


def _shown(workspace: Workspace, number: str) -> dict[str, Any]:
    kept = workspace.uploads.find(number)
    return {
        "id": number,
        "name": kept.name,
        "size": [kept.height, kept.width],
        "image": encoded(_small(kept.pixels, _SHOWN)),
    }


def _small(pixels: np.ndarray, side: int) -> np.ndarray:
    largest = max(pixels.shape[:2])
    if largest <= side:
        return pixels
    height, width = (max(1, round(length * side / largest)) for length in pixels.shape[:2])
    flat = pixels[..., 0] if pixels.ndim == 3 and pixels.shape[-1] == 1 else pixels
    reduced = np.asarray(Image.fromarray(flat).resize((width, height), Image.Resampling.BOX))
    return reduced.reshape(height, width, *pixels.shape[2:])


def inpaint(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Makes a part of an image anew, each seed in another way; with where the answers differ, and how unusual it is."""
    number = fields.text("id", 40)
    region, painted = fields.choice("region", [*REGIONS], None), decoded(fields.text("mask", 2**22, ""))
    state = state_of(workspace, fields)
    fields.end()
    opened = state.opened
    given = workspace.given(opened, number)
    what: Any = region or _mask(painted, given.shape[1:3])
    request = conditional.inpaint(opened.model.run, given, what)
    flag, shown = f"--inpaint={region or 'mask.png'}", repr(region) if region else "mask"
    return _results(workspace, state, request, number, flag, shown, job)


def upscale(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Makes an image of twice the size of a halved or small one."""
    number = fields.text("id", 40)
    state = state_of(workspace, fields)
    fields.end()
    opened = state.opened
    height, width, channels = opened.model.image_shape
    try:
        small = conditional.halved(workspace.given(opened, number))
    except InputError:
        small = workspace.given(opened, number, (height // 2, width // 2, channels))
    request = conditional.upscale(opened.model.run, small)
    return _results(workspace, state, request, number, "--upscale", "", job)


def _results(
    workspace: Workspace, state: State, request: Any, number: str, flag: str, region: str, job: Job
) -> dict[str, Any]:
    run, settings = state.opened.model.run, state.settings
    opened = state.opened.model
    made = conditional.sample(run, request, settings, programs=opened.programs, seen=job.check)[0, :, 0]  # [m h w c]
    variance = made.astype(np.float32).var(0).mean(-1)
    maps = {"variance": apply_colormap(variance, high=float(variance.max()))}
    if isinstance(run.task, Prior):
        values = bits_of_results(run, request, made[None, :, None], settings)[0, 0]
        maps["surprisal"] = apply_colormap(values, high=float(values.max()))
    folder, name = workspace.runs[state.index], workspace.uploads.find(number).argument
    call = f"model.{'inpaint' if region else 'upscale'}(photo{', ' + region if region else ''}, "
    return {
        "given": encoded(request.shown[0][0]),
        "images": [encoded(image) for image in made],
        "maps": {what: encoded(picture) for what, picture in maps.items()},
        "command": command(state, folder, out="results", more=[flag], inputs=[name]),
        "python": f"{head(state, folder)}images = {call}{arguments(state, refined=False)})",
    }


def _mask(content: bytes, size: tuple[int, int]) -> np.ndarray:
    """Reads a painted mask, white where it is to be made: bool [h w]. Raises InputError."""
    if not content:
        raise InputError("paint over what is to be made anew, or choose a region")
    try:
        with opening(content) as opened:
            if opened.width * opened.height > _LARGEST_MASK:
                raise InputError("the mask is too large")
        found = open_image(content, grayscale=True, background=(0, 0, 0))
    except Unreadable as error:
        raise InputError(f"the mask cannot be read: {error}") from None
    return np.asarray(found.resize(size[::-1], Image.Resampling.BOX)) >= 64


def project(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Finds the image nearest to a given one that the model can make."""
    number = fields.text("id", 40)
    state = state_of(workspace, fields)
    fields.end()
    model = state.opened.model
    given = workspace.given(state.opened, number)
    found = model.project(given, label=state.label_text, steps=150)
    folder, name = workspace.runs[state.index], workspace.uploads.find(number).argument
    words = ["python", "-m", "gen.latents", "project", name, f"--workdir={folder}", "--steps=150"]
    words += [f"--step={state.step}"] * (state.step is not None)
    words += [f"--label={state.label_text}"] * (state.label is not None)
    words.append("--out=projected")
    label_given = "" if state.label is None else f", label={state.label_text!r}"
    return {
        "given": encoded(to_uint8(given)[0]),
        "images": [encoded(to_uint8(np.clip(found, 0, 1))[0])],
        "psnr": round(float(psnr(given, found)[0]), 1),
        "command": shlex.join(words),
        "python": f"{head(state, folder)}images = model.project(photo, steps=150{label_given})",
    }


def operators(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Lists the operators of chains with what they take, for forms; and presets."""
    fields.end()
    found = []
    for name, function in sorted(OPERATORS.items()):
        taken = bounds.arguments(function).values()
        if any(argument.array or argument.function for argument in taken):
            continue  # which need more than numbers and texts
        texts = choices(name)
        each = [
            {
                "name": argument.name,
                "default": argument.default if isinstance(argument.default, int | float | str | bool) else None,
                "required": argument.required,
                "kind": argument.kind.__name__ if argument.kind else "number",
                "choices": list(map(str, argument.choices)) or None,
                "help": texts.get(argument.name) or str(argument.numbers or ""),
            }
            for argument in taken
        ]
        found.append({"name": name, "about": (inspect.getdoc(function) or "").splitlines()[0], "arguments": each})
    return {"operators": found, "presets": _PRESETS}


def refine(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Applies a chain to an image, within a region if one is given; shown at most _SHOWN pixels a side."""
    number, text = fields.text("id", 40), fields.text("chain", 10_000)
    at = fields.point("at")
    fields.end()
    kept = workspace.uploads.find(number)
    post = chain(text)
    image = _small(kept.pixels, _SHOWN)
    picture, whole = open_picture(kept.path), max(kept.height, kept.width) <= _SHOWN
    if not whole:
        alpha = None if picture.alpha is None else _small(_eight(picture.alpha), _SHOWN)
        picture = dataclasses.replace(picture, pixels=_small(_eight(picture.pixels), _SHOWN), alpha=alpha)
    given: dict[str, Any] = {"seed": 0, "references": {}, "masks": {}}
    if at is not None:
        given["masks"] = {"region": region_at(image, *at).astype(np.float32)[..., None]}
        post = chain(f"inside('region', {text!r}, feather=2)")
    job.check(0.1)
    with bounds.budget(_STEPS):
        made = refined(post, picture, **given)
    after, (_, mask) = on_white(made), places_of_refined(workspace, kept.name)
    python = f"from gen.api import chain\n\nimages = chain({str(post)!r})(images" + (", region=mask)" if at else ")")
    return {
        "before": encoded(image),
        "after": encoded(after),
        "size": [*after.shape[:2]],
        "reduced": not whole,
        "command": refining_command(kept.argument, post, None if at is None else mask),
        "python": python,
    }


def places_of_refined(workspace: Workspace, name: str) -> tuple[Path, Path]:
    """Returns where what is made of an image of this name will be saved, and where the mask of its region."""
    target = workspace.place(f"{Path(name).stem[:80]}-refined")
    return target, workspace.place(f"{target.stem}-region")


def refining_command(name: str, post: Chain, mask: Path | None) -> str:
    """Returns the line that makes it of the file `name`, in the folder of the mask."""
    masks = [] if mask is None else [f"--mask=region={mask.name}"]
    return shlex.join(["python", "-m", "gen.refine", name, *masks, f"--chain={post}", "--out=refined"])


def _eight(values: np.ndarray) -> np.ndarray:
    return values if values.dtype == np.uint8 else (values >> 8).astype(np.uint8)


def find_region(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Finds the region under a point, x and y in [0, 1]: of one color, and in one piece."""
    number, x, y = fields.text("id", 40), fields.number("x", 0, 1), fields.number("y", 0, 1)
    fields.end()
    image = _small(workspace.uploads.find(number).pixels, _SHOWN)
    mask = region_at(image, x, y)
    overlay = np.zeros((*mask.shape, 4), np.uint8)
    overlay[mask] = (255, 120, 0, 130)
    return {"overlay": encoded(overlay), "share": round(float(mask.mean()), 4)}


def region_at(image: np.ndarray, x: float, y: float) -> np.ndarray:
    """Returns the region under a point of an image: bool [h w]."""
    import jax.numpy as jnp

    small = _small(image, _SEGMENTED)
    labels = segment.kmeans(jnp.asarray(small[None], jnp.float32) / 255, 5).labels
    pieces = np.asarray(segment.connected_components(labels, connectivity=4).labels)[0]
    height, width = pieces.shape
    here = pieces == pieces[min(height - 1, int(y * height)), min(width - 1, int(x * width))]
    full = Image.fromarray(here.astype(np.uint8) * 255).resize(image.shape[1::-1], Image.Resampling.NEAREST)
    return np.asarray(full) >= 128


__all__ = ["find_region", "inpaint", "operators", "project", "refine", "take", "upload", "upscale"]
