"""Looks into a trained model's latent space, a GAN's or an autoencoder's (a prior has that of its tokenizer):

    python -m gen.latents encode IN... --workdir DIR --out FILE.npz         images to latents
    python -m gen.latents decode FILE.npz --workdir DIR --out OUT           latents to images
    python -m gen.latents project IN... --workdir DIR --out OUT             the nearest that the model can make
    python -m gen.latents interpolate A B... --workdir DIR --out OUT.webp   from each image to the next
    python -m gen.latents directions [IN...] --workdir DIR --out OUT.png    what changes along each direction
    python -m gen.latents edit IN... --workdir DIR --direction 2 --strength 1.5 --out OUT

IN are image files and folders, brought to the size and channels of the run. OUT is a folder that gets one .png file per
image, or a .png file that gets them all: of project and edit below the given ones. An autoencoder encodes images; a GAN
finds latents by gradient descent, in --steps steps, among all classes unless there is a --label. Project prints the
PSNR of each image and writes them as .json beside the picture, where "difference" is gray if there is none.
Directions are the ones that the first linear map answers to most (SeFa), or principal components (GANSpace); the rows
of the picture are numbered as --direction counts, and show -3 to 3 standard deviations, from --seeds or from IN.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags

from gen import cli, provenance
from gen.cli import arguments
from gen.errors import InputError, nearest
from gen.files import printable
from gen.image_io import load
from gen.outputs import image_writer
from gen.outputs.output_path import check_writable
from gen.report import enlargement, grid, to_uint8

if TYPE_CHECKING:
    from gen.runs.trained_run import TrainedRun
    from gen.sampling.latent_space import Directions, Files, Latents, Space

FLAGS = flags.FlagValues()
cli.define_path("workdir", None, "Folder of the run.", flag_values=FLAGS)
cli.define_path("out", None, "Where results go: a folder, or one file.", flag_values=FLAGS)
flags.DEFINE_string("label", None, "Class of the images, a name or a number.", flag_values=FLAGS)
flags.DEFINE_integer("steps", 300, "Gradients for an image, of a GAN.", 1, 1_000_000, flag_values=FLAGS)
flags.DEFINE_integer(
    "seed", 0, "Of the latents that the descent starts with.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS
)
flags.DEFINE_integer("frames", 24, "Images from one image to the next.", 1, 10_000, flag_values=FLAGS)
flags.DEFINE_enum("method", "closed_form", ("closed_form", "pca"), "Of finding directions.", flag_values=FLAGS)
flags.DEFINE_integer("count", 8, "How many directions.", 1, 1000, flag_values=FLAGS)
flags.DEFINE_string("seeds", "0-2", "Images to show directions on, where no IN is given.", flag_values=FLAGS)
flags.DEFINE_integer("direction", None, "Which direction, from 0.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_float("strength", 1.5, "How far along it, in standard deviations.", -100.0, 100.0, flag_values=FLAGS)
cli.define_path("examples", None, "Images that an autoencoder's directions are measured on.", flag_values=FLAGS)
flags.DEFINE_integer("step", None, "Checkpoint to use; by default the newest.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 64, "Images at once.", 1, 65_536, flag_values=FLAGS)

_REACH, _POINTS = 3.0, 7  # of a strip, in standard deviations and images
_MAX_SHOWN = 4  # images in a strip


class Session(NamedTuple):
    """What every command works with."""

    run: TrainedRun
    space: Space
    label: int | None  # --label
    files: Files
    digest: str  # of the run's config


def main(arguments: Sequence[str]) -> None:
    """Does what the flags and arguments ask for. Raises InputError for what is wrong in them."""
    usage = f"allowed: {', '.join(_COMMANDS)}"
    if not arguments:
        raise InputError(f"no command; {usage}")
    name, *inputs = arguments
    if name not in _COMMANDS:
        raise InputError(f"no command '{name}'{nearest(name, _COMMANDS)}; {usage}")
    command = _COMMANDS[name]
    out = _check(name, command, inputs)
    from gen import config, devices
    from gen.runs import trained_run as runs
    from gen.sampling import latent_space

    mesh = devices.mesh(-1, 1)
    run = runs.load(FLAGS.workdir, step=FLAGS.step, mesh=mesh)
    options: dict[str, Any] = {name: FLAGS[name].value for name in ("steps", "seed", "batch_size")}
    space = latent_space.of_run(run, FLAGS.workdir, mesh=mesh, tell=cli.tell, **options)
    label = _label(run.class_names if space.num_classes else [])
    digest = config.digest(run.config)
    record = provenance.record(config_digest=digest, step=run.step, seed=FLAGS.seed, latents=_text(name))
    files = latent_space.Files(out, space.image_shape, run.class_names, record, load.padding_of(run.data_metadata))
    began = time.monotonic()
    count = command.call(Session(run, space, label, files, digest), inputs)
    made = f"{count:,} image{'' if count == 1 else 's'} of checkpoint {run.step:,}"
    print(f"{made} in {time.monotonic() - began:.1f} s: {printable(out)}")


def encode(session: Session, inputs: Sequence[str]) -> int:
    """Images to latents, in a file."""
    from gen.sampling import latent_space

    files, images = session.files.load(inputs)
    codes = session.space.encode(images, label=session.label)
    latent_space.write(session.files.out, codes, latent_space.names_of(files, "decode"), run=session.digest)
    return len(files)


def decode(session: Session, inputs: Sequence[str]) -> int:
    """Latents to images."""
    from gen.sampling import latent_space
    from gen.sampling.latent_space import figures

    source = Path(inputs[0])
    codes, names = latent_space.read(source, run=session.digest)
    made = session.space.decode(codes)
    sheet = lambda: figures.comparison(made)  # noqa: E731
    session.files.save_all(sheet, made, name="decode", names=names, sources=[source] * len(made), codes=codes)
    return len(made)


def project(session: Session, inputs: Sequence[str]) -> int:
    """The nearest images that the model can make, and how near."""
    from gen.runs.run_folder import write_json
    from gen.sampling.latent_space import figures, names_of

    files, images = session.files.load(inputs)
    codes = session.space.encode(images, label=session.label)
    made = session.space.decode(codes)
    psnr = figures.psnr(images, made)
    for file, value in zip(files, psnr, strict=True):
        print(f"{value:6.2f} dB  {printable(file)}")
    print(f"{np.median(psnr):6.2f} dB  median")
    parts, shows = (images, made, figures.difference(images, made)), ("given", "found", "difference")
    sheet = lambda: figures.comparison(*parts, names=shows)  # noqa: E731
    names = names_of(files, "project")
    picture = session.files.save_all(sheet, made, name="project", names=names, sources=files, codes=codes)
    labels = [None] * len(files) if codes.label is None else [session.run.class_names[label] for label in codes.label]
    rows = zip(files, psnr, labels, strict=True)
    result = {
        "step": session.run.step,
        "median_psnr": float(np.median(psnr)),
        "images": [{"file": str(file), "psnr": float(value), "label": label} for file, value, label in rows],
    }
    write_json(picture.with_suffix(".json"), result)
    return len(files)


def interpolate(session: Session, inputs: Sequence[str]) -> int:
    """From each image to the next."""
    from gen.sampling.latent_space import interpolation

    files, images = session.files.load(inputs)
    if len(files) < 2:
        raise InputError(f"interpolate needs at least two images, and {files[0]} is one")
    ends = session.space.encode(images, label=session.label)
    space = session.space
    way = interpolation(ends, FLAGS.frames, spherical=space.spherical, classes=space.num_classes)
    made = space.decode(way)
    image_writer.check_finite(made, session.files.out)
    if session.files.out.suffix.lower() == ".png":  # a row for each pair
        rows = [made[i : i + FLAGS.frames + 1] for i in range(0, len(made) - 1, FLAGS.frames)]
        frames = [np.concatenate([grid(row, columns=len(row)) for row in rows])]
    else:
        scale = enlargement(*made.shape[1:3])
        frames = list(to_uint8(made).repeat(scale, axis=1).repeat(scale, axis=2))
    session.files.save(session.files.out, frames, sources=files, shows="interpolation")
    return len(made)


def directions(session: Session, inputs: Sequence[str]) -> int:
    """Strips of what changes along each direction."""
    from gen.sampling.latent_space import Latents, figures, moved

    files, known = list[Path](), None
    if inputs:
        files, images = session.files.load(inputs)
        if not session.space.measured or FLAGS.examples is not None:
            files, images = files[:_MAX_SHOWN], images[:_MAX_SHOWN]
        known = session.space.encode(images, label=session.label)
    start = known.take(slice(_MAX_SHOWN)) if known else session.space.drawn(_seeds(), label=session.label)
    found = _directions(session, known, FLAGS.count)
    if len(found.sigma) < FLAGS.count and FLAGS["count"].present:
        cli.say(f"--count={FLAGS.count}: there are {len(found.sigma)} directions")
    steps = np.linspace(-_REACH, _REACH, _POINTS)
    rows = [[moved(start, found, i, step).z for step in steps] for i in range(len(found.sigma))]
    z = np.stack([np.stack(row, axis=1) for row in rows])  # [directions images steps d]
    label = None if start.label is None else np.tile(start.label.repeat(_POINTS), len(found.sigma))
    made = session.space.decode(Latents(z.reshape(-1, z.shape[-1]), label))
    image_writer.check_finite(made, session.files.out)
    picture = figures.strips(made.reshape(*z.shape[:3], *made.shape[1:]))
    out = session.files.out
    path = out if out.suffix else out / "directions.png"
    session.files.save(path, [picture], sources=files, label=session.label, shows="directions")
    return len(made)


def edit(session: Session, inputs: Sequence[str]) -> int:
    """Images moved along a direction."""
    from gen.sampling.latent_space import figures, moved, names_of

    files, images = session.files.load(inputs)
    measured = session.space.measured and FLAGS.examples is None  # on the images themselves
    found = None if measured else _up_to_direction(session, None)  # a mistake is told before minutes of work
    codes = session.space.encode(images, label=session.label)
    after = moved(codes, found or _up_to_direction(session, codes), FLAGS.direction, FLAGS.strength)
    plain, made = session.space.decode(codes), session.space.decode(after)
    moved_by = f"direction {FLAGS.direction}, {FLAGS.strength:+g}"
    sheet = lambda: figures.comparison(images, plain, made, names=("given", "found", moved_by))  # noqa: E731
    names = names_of(files, "edit")
    session.files.save_all(sheet, made, name="edit", names=names, sources=files, codes=codes)
    return len(files)


class Command(NamedTuple):
    """A command: what does it, how many inputs it needs at least and at most, the files that it can write."""

    call: Callable[[Session, Sequence[str]], int]
    least: int
    most: int | None
    suffixes: tuple[str, ...]
    folder: bool  # may write into a folder


_COMMANDS = {
    "encode": Command(encode, 1, None, (".npz",), False),
    "decode": Command(decode, 1, 1, (".png",), True),
    "project": Command(project, 1, None, (".png",), True),
    "interpolate": Command(interpolate, 1, None, (".webp", ".gif", ".png"), False),
    "directions": Command(directions, 0, None, (".png",), True),
    "edit": Command(edit, 1, None, (".png",), True),
}


def _check(name: str, command: Command, inputs: Sequence[str]) -> Path:
    """--out, if all fits together."""
    if len(inputs) < command.least:
        raise InputError(f"{name}: no input; python -m gen.latents --help shows what it needs")
    if command.most is not None and len(inputs) > command.most:
        raise InputError(f"{name}: unexpected argument '{inputs[command.most]}'; it takes one file of latents")
    for flag, what in (("workdir", "the folder of the run"), ("out", "where the result goes")):
        if not FLAGS[flag].value:
            raise InputError(f"--{flag} is missing: {what}")
    if name == "edit" and FLAGS.direction is None:
        raise InputError("--direction is missing: the number of a row in what `directions` shows")
    out = Path(FLAGS.out)
    allowed = " or ".join([*(["a folder"] if command.folder else []), *(f"a {s} file" for s in command.suffixes)])
    if out.suffix.lower() not in (*command.suffixes, *([""] if command.folder else [])):
        raise InputError(f"--out={out}: {name} cannot write that; allowed: {allowed}")
    check_writable(out.parent if out.suffix else out)
    return out


def _text(name: str) -> str:
    """A command with the settings that its result depends on."""
    used = {"interpolate": ("frames",), "directions": ("method", "count"), "edit": ("method", "direction", "strength")}
    settings = [f"--{flag}={FLAGS[flag].value}" for flag in (*used.get(name, ()), "steps")]
    return " ".join([name, *settings])


def _label(class_names: Sequence[str]) -> int | None:
    labels = arguments.parse_labels(FLAGS.label, class_names)
    if labels and len(labels) > 1:
        raise InputError(f"--label={FLAGS.label}: {len(labels)} classes; name one, or leave --label out to try all")
    return labels[0] if labels else None


def _seeds() -> list[int]:
    seeds = arguments.parse_seeds(FLAGS.seeds)
    if len(seeds) > _MAX_SHOWN:
        raise InputError(f"--seeds={FLAGS.seeds}: {len(seeds)} images; a picture shows at most {_MAX_SHOWN}")
    return seeds


def _up_to_direction(session: Session, codes: Latents | None) -> Directions:
    found = _directions(session, codes, FLAGS.direction + 1)
    if FLAGS.direction >= len(found.sigma):
        known = f"allowed: 0-{len(found.sigma) - 1}"
        raise InputError(f"--direction={FLAGS.direction}: there is no such direction; {known}")
    return found


def _directions(session: Session, codes: Latents | None, count: int) -> Directions:
    """Measured on --examples, else on these latents."""
    if FLAGS.examples is not None:
        if not session.space.measured:
            raise InputError("--examples are for autoencoders: the directions of a GAN are those of its weights")
        codes = session.space.encode(session.files.load([FLAGS.examples])[1])
    return session.space.directions(FLAGS.method, count, codes=codes)


if __name__ == "__main__":
    cli.guard(lambda: main(cli.parse(sys.argv, sys.modules["__main__"], FLAGS)))
