"""What a page asks about where an image comes from; and what it saves, with records, marks and signatures."""

from __future__ import annotations

import contextlib
import shlex
from pathlib import Path
from typing import Any

import numpy as np

from gen import refining
from gen.errors import InputError
from gen.files import printable
from gen.image_io.pixels import to_uint8
from gen.imaging.chain import chain
from gen.outputs import image_writer
from gen.outputs.image_writer import Still
from gen.outputs.output_path import parse_output
from gen.provenance import PREFIX, text_of
from gen.report import save_png
from gen.sampling.outputs import names_of, with_prompts, write_animation
from gen.sampling.settings import seeds_text
from gen.studio_app.changing import places_of_refined, refining_command, region_at
from gen.studio_app.fields import Fields
from gen.studio_app.jobs import Job
from gen.studio_app.states import images_of, known_settings, state_of
from gen.studio_app.workspace import Workspace
from gen.verification.findings import record_of
from gen.verification.regenerate import Regenerator
from gen.verification.verify_files import KINDS, verify_files


def verify(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Tells what is known about an image, makes it again where its run is open, and gives its state back."""
    number = fields.text("id", 40)
    fields.end()
    kept = workspace.uploads.find(number)
    record = record_of(workspace.parser.parse(kept.path)) or {}
    index = _run_of(workspace, record)
    regenerator = None
    with contextlib.suppress(InputError):
        folder = None if index is None else workspace.runs[index]
        regenerator = Regenerator(folder, workspace.parser, key=workspace.key, originals=workspace.uploads.paths())
    job.check(0.2)
    found = verify_files([kept.path], workspace.parser, key=workspace.key, regenerator=regenerator).verdicts[0]
    again_by = [] if index is None else ["--regenerate", f"--workdir={workspace.runs[index]}"]
    return {
        "name": kept.name,
        "kind": found.kind,
        "title": KINDS[found.kind],
        "text": found.text,
        "problems": [*found.problems],
        "record": {name.removeprefix(PREFIX): value for name, value in record.items()},
        "state": None if index is None else _state(workspace, index, record),
        "command": shlex.join(["python", "-m", "gen.verify", kept.argument, *again_by]),
        "python": f"from gen.api import verify\n\nverify({kept.name!r}).verdicts[0].text",
    }


def _run_of(workspace: Workspace, record: dict[str, Any]) -> int | None:
    """Returns which open run made an image; None: none of them."""
    digest, known = record.get(f"{PREFIX}config_digest"), workspace.digests()
    return known.index(digest) if isinstance(digest, str) and digest in known else None


def _state(workspace: Workspace, index: int, record: dict[str, Any]) -> dict[str, Any] | None:
    """Returns the state of a page that shows the image of a record; None where it names no single seed."""
    field = {name.removeprefix(PREFIX): value for name, value in record.items()}
    if type(field.get("seed")) is not int or type(field.get("step")) is not int:
        return None
    opened = workspace.opened(index, "best")
    names = list(map(printable, opened.model.class_names))
    label = names.index(field["label"]) if field.get("label") in names else None
    state = {"run": index, "step": field["step"], "seeds": [field["seed"]], "label": label}
    state |= {name: text_of(field[name]) for name in ("prompt", "negative") if isinstance(field.get(name), str)}
    state |= {"refine": field["refine"]} if isinstance(field.get("refine"), str) else {}
    state |= {name: field[name] for name in known_settings(opened) if isinstance(field.get(name), int | float)}
    return state


def save(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Saves the images of states, each under its name, with records, marks and signatures."""
    chosen = [state_of(workspace, one) for one in fields.parts("states", 64)]
    fields.end()
    stills, paths = list[Still](), list[str]()
    for index, state in enumerate(chosen):
        images = images_of(state, job)
        seeds, labels, prompts = state.settings.each
        run = state.opened.model.run
        names = with_prompts(names_of(seeds, labels, run.class_names, ".png", folders=False), prompts, folders=False)
        for image, seed, name in zip(images, seeds, names, strict=True):
            path = workspace.place(f"{run.name}-{name.stem}", taken={still.path for still in stills})
            stills.append(Still(path, image, state.record(seed)))
            paths.append(path.name)
        job.check((index + 1) / (len(chosen) + 1))
    image_writer.save_all(iter(stills), format="png", policy=workspace.policy)
    return {"folder": str(workspace.out), "files": paths}


def save_interpolation(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Saves the way from each seed to the next as an animation."""
    frames = fields.whole("frames", 1, 32, 12)
    state = state_of(workspace, fields)
    fields.end()
    path = workspace.place(f"way-{seeds_text(state.seeds)}", suffix=".webp")
    output = parse_output(path, None, True)
    run = state.opened.model.run
    write_animation(run, state.settings, output, state.chain, policy=workspace.policy, frames=frames)
    return {"folder": str(workspace.out), "files": [path.name]}


def save_refined(workspace: Workspace, fields: Fields, job: Job) -> dict[str, Any]:
    """Saves what a chain makes of an image, at its full size."""
    number, text = fields.text("id", 40), fields.text("chain", 10_000)
    at = fields.point("at")
    fields.end()
    kept, masks, post = workspace.uploads.find(number), dict[str, np.ndarray](), chain(text)
    if at is not None:
        small = region_at(kept.pixels, *at)
        masks, post = {"region": small.astype(np.float32)[..., None]}, chain(f"inside('region', {text!r}, feather=2)")
    target, mask = places_of_refined(workspace, kept.name)
    job.check(0.2)
    with _named(workspace, kept.path, target.stem) as source:
        recipe = refining.Recipe(post, 0, {}, masks)
        jobs, _ = refining.jobs_of([source], workspace.out, "png", recipe.made)
        refining.refine_all(recipe, jobs, workspace.policy, preview=None, overwrite=False)
        names = [path.name for path in {one.target: None for one in jobs}]
    if masks:
        save_png(mask, to_uint8(masks["region"]))
    files = [*names, mask.name] if masks else names
    command = refining_command(kept.argument, post, mask if masks else None)
    return {"folder": str(workspace.out), "files": files, "command": command}


@contextlib.contextmanager
def _named(workspace: Workspace, path: Path, stem: str) -> Any:
    """Gives an upload the name that its result gets, for a while."""
    link = path.with_name(f"{stem}{path.suffix}")
    link.write_bytes(path.read_bytes())
    try:
        yield link
    finally:
        link.unlink(missing_ok=True)


__all__ = ["save", "save_interpolation", "save_refined", "verify"]
