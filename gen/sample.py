"""Makes images with a trained run, one for each seed: python -m gen.sample --workdir DIR --seeds 0-63 --out OUT

OUT is a folder that gets one file per image, or a .png or .jpg file that gets all images in one grid (the image itself
when there is one). With --interpolate it is a .webp or .gif file, or the folder that gets one. Existing images of gen
are overwritten, others never. The image of seed s is drawn from jax.random.key(s) alone: with the same versions and on
one kind of device it is the same to the bit, whatever the other seeds, the batch size and the number of devices;
elsewhere it is the same up to rounding. With --refine a chain of gen.imaging refines every image, and refinement.html
in the folder, or NAME-refinement.html beside the file, shows it before and after. Every file carries the record of how
it was made, see gen/provenance.py.

A prior, see gen/tasks/prior.py, also answers questions about image files, each seed with another answer:

    python -m gen.sample IN... --complete bottom_half --workdir DIR --seeds 0-4 --out OUT

IN are image files and folders. --complete makes a part of them anew and keeps the rest to the bit; --enlarge makes
images of twice their size; --continue makes the next --frames of a film, of which IN is the last frame or the folder of
its frames. OUT gets NAME-seed0000.png for each answer (of a film all its frames side by side, and the film), in
NAME-variance.png how much the answers differ, in NAME-surprise.png how unusual the model finds them, and
predictions.png, which shows all.
"""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from gen import cli, provenance
from gen.cli.arguments import parse_labels, parse_seeds
from gen.errors import InputError
from gen.files import atomic_write, printable
from gen.outputs import image_writer
from gen.outputs.output_path import OutputPath, check_writable, parse_output
from gen.report import before_and_after, enlargement, grid, to_uint8

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from gen.imaging.chain import Chain
    from gen.runs.trained_run import TrainedRun

FLAGS = flags.FlagValues()
cli.define_path("workdir", None, "Folder of the run.", flag_values=FLAGS)
cli.define_path("out", None, "Where the images go: a folder, or one file.", flag_values=FLAGS)
flags.DEFINE_string(
    "seeds", "0-63", "Which images: 0-63, 3,7,11 or 5, with both ends; of answers 0-4.", flag_values=FLAGS
)
flags.DEFINE_string(
    "label",
    None,
    "Class: a name, a number, several with commas, or all; each is made with every seed.",
    flag_values=FLAGS,
)
cli.define_sampling("truncation", 1.0, "Below 1: more typical, less varied images.", flag_values=FLAGS)
flags.DEFINE_string(
    "refine",
    None,
    "Operators for every image, see docs/imaging.md; by default those of the run's config, none for none.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("grid", False, "Also write all images as one picture, a row per class.", flag_values=FLAGS)
flags.DEFINE_bool("interpolate", False, "Write an animation that moves from each seed to the next.", flag_values=FLAGS)
flags.DEFINE_integer(
    "frames", 24, "Frames from one seed to the next, or to continue a film with.", 1, 10_000, flag_values=FLAGS
)
cli.define_path(
    "complete",
    None,
    "What of IN to make anew: bottom_half, top_half, left_half, right_half, center, border, or a mask file, white "
    "where it is to be made.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("enlarge", False, "Make images of twice the size of IN.", flag_values=FLAGS)
flags.DEFINE_bool("continue", False, "Make the frames that follow IN.", flag_values=FLAGS)
cli.define_sampling(
    "temperature", None, "Of priors: below 1 more probable images, 0 the most probable.", flag_values=FLAGS
)
flags.DEFINE_integer("top_k", None, "Of priors: draw from the k most probable tokens, 0: all.", 0, flag_values=FLAGS)
cli.define_sampling("top_p", None, "Of priors: draw from tokens of this probability.", flag_values=FLAGS)
cli.define_sampling("guidance", None, "Of priors: above 1 more as asked, less varied.", flag_values=FLAGS)
flags.DEFINE_enum(
    "format",
    None,
    image_writer.STILLS + image_writer.ANIMATIONS,
    "png (default) or jpeg; animations webp (default) or gif.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("step", None, "Checkpoint to use; by default the newest.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_integer(
    "batch_size", 64, "Images on their way at once; they do not depend on it.", 1, 65_536, flag_values=FLAGS
)

_MAX_GRID_IMAGES = 4096
_MAX_PAIRS = 64  # images shown before and after refinement
_MAX_ROW = 32  # images in a row of the grid, where a row is a class
_QUESTIONS = ("complete", "enlarge", "continue")
_SETTINGS = ("temperature", "top_k", "top_p", "guidance")  # of priors


def main(inputs: Sequence[str] = ()) -> None:
    """Makes the images that the flags ask for. Raises InputError for what is wrong in them."""
    question = _question(inputs)
    text = "0-4" if question and FLAGS["seeds"].using_default_value else FLAGS.seeds
    seeds = parse_seeds(text, repeated=FLAGS.interpolate)
    if FLAGS.workdir is None:
        raise InputError("--workdir is missing: the folder of the run to sample from")
    if FLAGS.interpolate and FLAGS.grid:
        raise InputError("--interpolate and --grid do not go together; leave one out")
    if FLAGS.interpolate and len(seeds) < 2:
        raise InputError(f"--interpolate needs at least two seeds, and --seeds={FLAGS.seeds} is one")
    post = _chain(FLAGS.refine) if FLAGS.refine else None
    if not (FLAGS.interpolate or question == "continue" or FLAGS["frames"].using_default_value):
        raise InputError(f"--frames={FLAGS.frames} is of --interpolate and --continue; leave it out")
    target = parse_output(FLAGS.out, FLAGS.format, FLAGS.interpolate or question == "continue")
    if question and (target.file or target.format == "jpeg"):
        raise InputError(f"--out={FLAGS.out}: answers are .png files in a folder, and --out must name the folder")
    check_writable(target.folder)
    from gen import devices
    from gen.runs import trained_run as runs

    mesh = devices.mesh(-1, 1)
    run = runs.load(FLAGS.workdir, step=FLAGS.step, mesh=mesh)
    labels = parse_labels(FLAGS.label, run.class_names)
    _check_settings(run)
    began = time.monotonic()
    if question:
        return _answer(run, question, inputs, text, labels, target, mesh)
    if FLAGS.refine is None and run.config.refine:
        post = _chain(run.config.refine)
    write = _write_animation if FLAGS.interpolate else _write_stills
    count = write(run, seeds, labels, target, mesh, post)
    seconds = time.monotonic() - began
    print(f"{count:,} images of checkpoint {run.step:,} in {seconds:.1f} s: {printable(target.file or target.folder)}")


def _question(inputs: Sequence[str]) -> str | None:
    """Which of _QUESTIONS the flags ask about `inputs`, if any. Raises InputError for what does not fit together."""
    asked = [name for name in _QUESTIONS if FLAGS[name].value not in (None, False)]
    if not asked:
        if inputs:
            raise InputError(f"unexpected argument '{inputs[0]}'; images are for --complete, --enlarge or --continue")
        return None
    if not inputs:
        raise InputError(f"--{asked[0]} needs images: python -m gen.sample IN... --{asked[0]} ..., files or folders")
    others = [*asked[1:], *(name for name in ("interpolate", "grid", "refine") if FLAGS[name].value)]
    if others:
        raise InputError(f"--{asked[0]} and --{others[0]} do not go together; leave one out")
    return asked[0]


def _answer(
    run: TrainedRun,
    question: str,
    inputs: Sequence[str],
    seeds: str,
    labels: list[int] | None,
    target: OutputPath,
    mesh: Mesh,
) -> None:
    """Writes the answers to a question about image files."""
    from gen.sampling import conditional

    if labels and len(labels) > 1:
        raise InputError(f"--label={FLAGS.label}: answers are of one class; name one")
    if question == "complete":
        asked = conditional.complete(run, inputs, FLAGS.complete)
    else:
        asked = (
            conditional.enlarge(run, inputs) if question == "enlarge" else conditional.follow(run, inputs, FLAGS.frames)
        )
    settings = conditional.Settings(
        seeds, labels[0] if labels else None, FLAGS.truncation, _settings(), FLAGS.batch_size, mesh
    )
    conditional.write(run, asked, settings, target.folder, format=target.format)


def _settings() -> dict[str, float]:
    """The settings of priors that the flags give."""
    return {name: value for name in _SETTINGS if (value := FLAGS[name].value) is not None}


def _check_settings(run: TrainedRun) -> None:
    """Raises InputError for settings of priors where the run is none."""
    from gen.sampling import conditional

    for name in _settings():
        conditional.prior(run, f"--{name}")


def _chain(text: str) -> Chain | None:
    if text == "none":
        return None
    from gen.imaging.chain import chain

    return chain(text)


def _write_stills(
    run: TrainedRun, seeds: list[int], labels: list[int] | None, target: OutputPath, mesh: Mesh, post: Chain | None
) -> int:
    """Writes one file per image, the grid, or both; returns the number of images."""
    from gen.report.contact_sheet import named_rows
    from gen.sampling import by_seed

    every, rows = (seeds * len(labels), len(labels)) if labels else (seeds, 1)
    count = len(every)
    single = target.file is not None and count == 1 and not FLAGS.grid
    with_grid = (FLAGS.grid or target.file is not None) and not single
    if with_grid and count > _MAX_GRID_IMAGES:
        raise InputError(f"a grid of {count:,} images; allowed are {_MAX_GRID_IMAGES:,}: fewer --seeds, or a folder")
    asked = [label for label in labels for _ in seeds] if labels else None
    nothing: list[int | None] = [None] * count
    known = asked or by_seed.drawn_labels(run.task, every) or nothing
    slugs, named = _slugs(run.class_names), zip(every, asked or nothing, strict=True)
    names = [_name(seed, label, slugs, rows > 1, target.suffix) for seed, label in named]
    sheet = target.file or target.folder / f"grid{target.suffix}"
    image_writer.check(
        [*(target.folder / name for name in names if target.file is None), *([sheet] if with_grid else [])]
    )
    done, began, shown, pairs = 0, time.monotonic(), list[np.ndarray](), list[tuple[np.ndarray, np.ndarray, str]]()
    for images in by_seed.images(run.task, run.ema_params, every, labels=asked, **_options(mesh)):
        here = slice(done, done + len(images))
        if post is not None:
            raw, images = images, by_seed.refine(post, images, every[here])
            stems = [name.stem for name in names[here]]
            pairs += zip(to_uint8(raw), to_uint8(images), stems, strict=True) if len(pairs) < _MAX_PAIRS else ()
        shown += list(to_uint8(images)) if with_grid else ()
        if target.file is None or single:
            for image, seed, label, name in zip(to_uint8(images), every[here], known[here], names[here], strict=True):
                path = target.file or target.folder / name
                record = _record(run, seed, None if label is None else [label], post)
                image_writer.save(path, [image], format=target.format, record=record)
        done += len(images)
        cli.tell(done, count, began)
    if with_grid:
        columns = None if rows == 1 else min(len(seeds), _MAX_ROW)
        picture = np.concatenate([grid(row, columns=columns) for row in np.split(np.stack(shown), rows)])
        if labels and rows > 1:
            picture = named_rows(picture, [run.class_names[label] for label in labels])
        record = _record(run, FLAGS.seeds, labels, post)
        record["gen:shows"] = "grid"  # so that nothing takes it for a sample
        image_writer.save(sheet, [picture], format=target.format, record=record)
    if post is not None:
        atomic_write(target.refinement, before_and_after(pairs[:_MAX_PAIRS], chain=post.record_text, total=count))
    return count


def _write_animation(
    run: TrainedRun, seeds: list[int], labels: list[int] | None, target: OutputPath, mesh: Mesh, post: Chain | None
) -> int:
    """Writes one animation; returns its number of frames."""
    from gen.sampling import by_seed

    if labels and len(labels) > 1:
        raise InputError(f"--label={FLAGS.label}: an interpolation shows one class; name one")
    latents = by_seed.interpolation(run.task, seeds, FLAGS.frames)
    count, began, frames = len(latents), time.monotonic(), []
    path = target.file or target.folder / f"interpolation{target.suffix}"
    image_writer.check([path])
    first = seeds[:1]  # one key: what else it decides stays the same
    options = _options(mesh) | {"labels": labels * count if labels else None, "latents": latents}
    for images in by_seed.images(run.task, run.ema_params, first * count, **options):
        if post is not None:
            images = by_seed.refine(post, images, first * len(images))
        scale = enlargement(*images.shape[1:3])
        frames += list(to_uint8(images).repeat(scale, axis=1).repeat(scale, axis=2))
        cli.tell(len(frames), count, began)
    record = _record(run, FLAGS.seeds, labels or by_seed.drawn_labels(run.task, first), post)
    record["gen:shows"] = "interpolation"
    image_writer.save(path, frames, format=target.format, record=record)
    return count


def _options(mesh: Mesh) -> dict[str, Any]:
    return {
        "truncation": FLAGS.truncation,
        "conditions": {name: np.float32(value) for name, value in _settings().items()},
        "batch_size": FLAGS.batch_size,
        "mesh": mesh,
    }


def _slugs(class_names: Sequence[str]) -> list[str]:
    """A file name for each class: letters, digits, - and _; with its number in front when two would be the same."""
    slugs = [re.sub(r"[^\w-]+", "_", name).strip("_") for name in class_names]
    if "" in slugs or len({slug.lower() for slug in slugs}) < len(slugs):
        return [f"{index:03d}_{slug}".rstrip("_") for index, slug in enumerate(slugs)]
    return slugs


def _name(seed: int, label: int | None, slugs: Sequence[str], folders: bool, suffix: str) -> Path:
    """seed0017.png, seed0017-sandal.png, or sandal/seed0017-sandal.png when several classes are made."""
    if label is None:
        return Path(f"seed{seed:04d}{suffix}")
    name = Path(f"seed{seed:04d}-{slugs[label]}{suffix}")
    return Path(slugs[label]) / name if folders else name


def _record(run: TrainedRun, seed: int | str, labels: Sequence[int] | None, post: Chain | None) -> provenance.Record:
    from gen.config import digest

    named = None if labels is None else ", ".join(run.class_names[label] for label in labels)
    settings = {"truncation": FLAGS.truncation, "refine": None if post is None else post.record_text} | _settings()
    return provenance.record(config_digest=digest(run.config), step=run.step, seed=seed, label=named, **settings)


if __name__ == "__main__":
    cli.guard(lambda: main(cli.parse(sys.argv, sys.modules["__main__"], FLAGS)))
