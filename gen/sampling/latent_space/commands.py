"""The commands of gen.latents, on image files and the latent space of a run.

A command's arguments, after the session, have the names and meanings of the options of gen.latents.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gen import cli, devices
from gen.cli.arguments import parse_seeds
from gen.config import digest
from gen.errors import InputError
from gen.image_io.load import padding_of
from gen.image_io.pixels import to_uint8
from gen.outputs import image_writer
from gen.provenance.policy import Policy
from gen.report import enlarged, grid
from gen.runs import trained_run
from gen.runs.best import Step
from gen.runs.run_folder import write_json
from gen.runs.trained_run import TrainedRun
from gen.sampling.arguments import label_of
from gen.sampling.latent_space import codes, figures
from gen.sampling.latent_space.adapters import Space, of_run
from gen.sampling.latent_space.codes import Latents
from gen.sampling.latent_space.directions import Directions, interpolation, moved
from gen.sampling.latent_space.outputs import Files, names_of

_REACH, _POINTS = 3.0, 7  # of a strip, in standard deviations and images
_MAX_SHOWN = 4  # images in a strip


class Session(NamedTuple):
    """What every command works with."""

    run: TrainedRun
    space: Space
    label: int | None  # the class of the images; None: what fits best
    files: Files


class LatentsResult(NamedTuple):
    """What was written."""

    num_images: int
    step: int  # of the checkpoint
    psnr: dict[Path, float]  # of `project`: how near each image came, in dB


def open_session(
    out: Path,
    *,
    workdir: str | Path,
    step: Step,
    label: str | None,
    steps: int,
    seed: int,
    batch_size: int,
    text: str,
    policy: Policy,
) -> Session:
    """Loads a run and its latent space. text: the command and its settings, for the records. Raises InputError."""
    mesh = devices.mesh(-1, 1)
    run = trained_run.load(workdir, step=step, mesh=mesh)
    space = of_run(run, workdir, mesh=mesh, batch_size=batch_size, steps=steps, seed=seed)
    number = label_of(label, run.class_names if space.num_classes else [])
    record = run.record(seed=seed, latents=text)
    files = Files(out, space.task.image_shape, run.class_names, record, padding_of(run.data_metadata), policy)
    return Session(run, space, number, files)


def encode(session: Session, inputs: Sequence[str]) -> LatentsResult:
    """Writes the latents of images to a file."""
    files, images = session.files.load(inputs)
    latents = session.space.encode(images, label=session.label)
    codes.write(session.files.out, latents, names_of(files, "decode"), run=digest(session.run.config))
    return LatentsResult(len(files), session.run.step, {})


def decode(session: Session, inputs: Sequence[str]) -> LatentsResult:
    """Writes the images of a file of latents."""
    source = Path(inputs[0])
    latents, names = codes.read(source, run=digest(session.run.config))
    images = session.space.decode(latents)
    sheet = lambda: figures.comparison(images)  # noqa: E731
    session.files.save_all(sheet, images, name="decode", names=names, sources=[source] * len(images), codes=latents)
    return LatentsResult(len(images), session.run.step, {})


def project(session: Session, inputs: Sequence[str]) -> LatentsResult:
    """Writes the nearest images that the model can make, and how near they are."""
    files, images = session.files.load(inputs)
    latents = session.space.encode(images, label=session.label)
    projected = session.space.decode(latents)
    psnr = figures.psnr(images, projected).tolist()
    parts = (images, projected, figures.difference(images, projected))
    sheet = lambda: figures.comparison(*parts, names=("given", "found", "difference"))  # noqa: E731
    names = names_of(files, "project")
    picture = session.files.save_all(sheet, projected, name="project", names=names, sources=files, codes=latents)
    classes = [None] * len(files) if latents.label is None else [session.run.class_names[i] for i in latents.label]
    rows = zip(files, psnr, classes, strict=True)
    images_of = [{"file": str(file), "psnr": value, "label": label} for file, value, label in rows]
    step, median = session.run.step, float(np.median(psnr))
    write_json(picture.with_suffix(".json"), {"step": step, "median_psnr": median, "images": images_of})
    return LatentsResult(len(files), step, dict(zip(files, psnr, strict=True)))


def interpolate(session: Session, inputs: Sequence[str], frames: int) -> LatentsResult:
    """Writes the way from each image to the next: a row of images for each pair, or an animation."""
    files, images = session.files.load(inputs)
    if len(files) < 2:
        raise InputError(f"interpolate needs at least two images, and {files[0]} is one")
    space, out = session.space, session.files.out
    ends = space.encode(images, label=session.label)
    way = space.decode(interpolation(ends, frames, spherical=space.spherical, classes=space.num_classes))
    image_writer.check_finite(way, out)
    if out.suffix.lower() == ".png":
        rows = [way[i : i + frames + 1] for i in range(0, len(way) - 1, frames)]
        pictures = [np.concatenate([grid(row, columns=len(row)) for row in rows])]
    else:
        pictures = list(enlarged(to_uint8(way)))
    session.files.save(out, pictures, sources=files, shows="interpolation")
    return LatentsResult(len(way), session.run.step, {})


def directions(
    session: Session, inputs: Sequence[str], method: str, num_directions: int, seeds: str, examples: str | Path | None
) -> LatentsResult:
    """Writes strips of what changes along each direction: of the first images of `inputs`, else of seeds."""
    shown, files, known = [] if inputs else parse_seeds(seeds), list[Path](), None
    if len(shown) > _MAX_SHOWN:
        raise InputError(f"--seeds={seeds}: {len(shown)} images; a picture shows at most {_MAX_SHOWN}")
    if inputs:
        files, images = session.files.load(inputs)
        if not session.space.measured or examples is not None:
            files, images = files[:_MAX_SHOWN], images[:_MAX_SHOWN]
        known = session.space.encode(images, label=session.label)
    start = known.take(slice(_MAX_SHOWN)) if known else session.space.drawn(shown, label=session.label)
    found = _directions(session, known, method, num_directions, examples)
    if (count := len(found.sigma)) < num_directions:
        cli.say(f"--num_directions={num_directions}: there are {count} directions")
    steps = np.linspace(-_REACH, _REACH, _POINTS)
    rows = [[moved(start, found, i, step).z for step in steps] for i in range(count)]
    z = np.stack([np.stack(row, axis=1) for row in rows])  # [directions images steps d]
    label = None if start.label is None else np.tile(start.label.repeat(_POINTS), count)
    images = session.space.decode(Latents(z.reshape(-1, z.shape[-1]), label))
    image_writer.check_finite(images, session.files.out)
    picture = figures.strips(images.reshape(*z.shape[:3], *images.shape[1:]))
    out = session.files.out
    path = out if out.suffix else out / "directions.png"
    session.files.save(path, [picture], sources=files, label=session.label, shows="directions")
    return LatentsResult(len(images), session.run.step, {})


def edit(
    session: Session,
    inputs: Sequence[str],
    method: str,
    direction: int,
    strength: float,
    examples: str | Path | None,
) -> LatentsResult:
    """Writes images moved along a direction by `strength` standard deviations."""

    def find(latents: Latents | None) -> Directions:
        found = _directions(session, latents, method, direction + 1, examples)
        if direction >= len(found.sigma):
            known = f"allowed: 0-{len(found.sigma) - 1}"
            raise InputError(f"--direction={direction}: there is no such direction; {known}")
        return found

    files, images = session.files.load(inputs)
    measured = session.space.measured and examples is None  # on the images themselves
    found = None if measured else find(None)  # a mistake is told before minutes of work
    latents = session.space.encode(images, label=session.label)
    after = moved(latents, found or find(latents), direction, strength)
    plain, edited = session.space.decode(latents), session.space.decode(after)
    shown = ("given", "found", f"direction {direction}, {strength:+g}")
    sheet = lambda: figures.comparison(images, plain, edited, names=shown)  # noqa: E731
    names = names_of(files, "edit")
    session.files.save_all(sheet, edited, name="edit", names=names, sources=files, codes=latents)
    return LatentsResult(len(files), session.run.step, {})


def _directions(
    session: Session, latents: Latents | None, method: str, count: int, examples: str | Path | None
) -> Directions:
    """At most `count` directions, measured on the examples, else on these latents."""
    if examples is not None:
        if not session.space.measured:
            raise InputError("--examples are for autoencoders: the directions of a GAN are those of its weights")
        latents = session.space.encode(session.files.load([examples])[1])
    return session.space.directions(method, count, codes=latents)
