"""Makes images with a trained run, one for each seed: python -m gen.sample --workdir DIR --seeds 0-63 --out OUT

OUT is a folder that gets one file per image, or a .png or .jpg file that gets all images in one grid (the image itself
when there is one). With --interpolate it is a .webp or .gif file, or the folder that gets one. Existing files are
overwritten. The image of seed s is drawn from jax.random.key(s) alone: it is the same, up to rounding, whatever the
other seeds, the batch size and the devices. With --refine a chain of gen.imaging refines every image, and
refinement.html in the folder, or NAME-refinement.html beside the file, shows it before and after. Every file carries
the record of how it was made, see gen/provenance.py.
"""

from __future__ import annotations

import os
import re
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from absl import flags
from PIL import Image

from gen import cli, pictures, provenance
from gen.errors import InputError, nearest
from gen.report import before_and_after, enlargement, grid, replace, to_uint8

if TYPE_CHECKING:
    from jax.sharding import Mesh

    from gen.imaging.chain import Chain
    from gen.run import Loaded

FLAGS = flags.FlagValues()
flags.DEFINE_string("workdir", None, "Folder of the run.", flag_values=FLAGS)
flags.DEFINE_string("out", None, "Where the images go: a folder, or one file.", flag_values=FLAGS)
flags.DEFINE_string("seeds", "0-63", "Which images: 0-63, 3,7,11 or 5; both ends are included.", flag_values=FLAGS)
flags.DEFINE_string(
    "label",
    None,
    "Class: a name, a number, several with commas, or all; each is made with every seed.",
    flag_values=FLAGS,
)
flags.DEFINE_float("truncation", 1.0, "Below 1: more typical, less varied images.", lower_bound=0.0, flag_values=FLAGS)
flags.DEFINE_string(
    "refine",
    None,
    "Operators for every image, see docs/imaging.md; by default those of the run's config, none for none.",
    flag_values=FLAGS,
)
flags.DEFINE_bool("grid", False, "Also write all images as one picture, a row per class.", flag_values=FLAGS)
flags.DEFINE_bool("interpolate", False, "Write an animation that moves from each seed to the next.", flag_values=FLAGS)
flags.DEFINE_integer("frames", 24, "Frames from one seed to the next.", lower_bound=1, flag_values=FLAGS)
flags.DEFINE_enum(
    "format",
    None,
    pictures.STILLS + pictures.ANIMATIONS,
    "png (default) or jpeg; animations webp (default) or gif.",
    flag_values=FLAGS,
)
flags.DEFINE_integer("step", None, "Checkpoint to use; by default the newest.", flag_values=FLAGS)
flags.DEFINE_integer("batch_size", 64, "Images made at once.", lower_bound=1, flag_values=FLAGS)

_SUFFIXES = {".png": "png", ".jpg": "jpeg", ".jpeg": "jpeg", ".webp": "webp", ".gif": "gif"}
_MAX_SEEDS = 1_000_000
_MAX_GRID_IMAGES = 4096
_MAX_PAIRS = 64  # images shown before and after refinement
_MAX_ROW = 32  # images in a row of the grid, where a row is a class


class Target(NamedTuple):
    """Where images go: to `file`, or with names of their own into `folder`; in which format."""

    folder: Path
    file: Path | None
    format: str

    @property
    def suffix(self) -> str:
        return pictures.suffix(self.format)

    @property
    def refinement(self) -> Path:
        """The page that shows the images before and after refinement."""
        return self.folder / (f"{self.file.stem}-refinement.html" if self.file else "refinement.html")


def parse_seeds(text: str) -> list[int]:
    """The seeds in "5", "0-63" (both ends included), "3,7,11" or "0-3,9", in that order. Raises InputError."""
    seeds: list[int] = []
    for part in text.split(","):
        found = re.fullmatch(r"\s*([0-9]+)\s*(?:-\s*([0-9]+)\s*)?", part)
        if not found:
            raise InputError(f"--seeds={text}: '{part}' is not a seed; allowed: 5, or 0-63, or 3,7,11")
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            raise InputError(f"--seeds={text}: {first} is larger than {last}")
        if last >= 2**32:
            raise InputError(f"--seeds={text}: {last} is too large; the largest seed is {2**32 - 1}")
        if len(seeds) + last - first >= _MAX_SEEDS:
            raise InputError(f"--seeds={text}: more than {_MAX_SEEDS:,} seeds; make them in several parts")
        seeds.extend(range(first, last + 1))
    return seeds


def parse_labels(text: str | None, class_names: Sequence[str]) -> list[int] | None:
    """Class numbers for a name, a number, several with commas, or "all"; None when `text` is. Raises InputError."""
    if text is None:
        return None
    if not class_names:
        raise InputError(f"--label={text}: this model was learned without classes; leave --label out")
    lowered = [name.lower() for name in class_names]
    if text.lower() == "all":
        return list(range(len(class_names)))
    labels = []
    for part in [text] if text.lower() in lowered else text.split(","):  # a name may hold a comma
        name = part.strip().lower()
        if name in lowered:
            labels.append(lowered.index(name))
        elif name.isdecimal() and int(name) < len(class_names):
            labels.append(int(name))
        else:
            known = ", ".join(class_names[:20]) + (", ..." if len(class_names) > 20 else "")
            meant = nearest(name, lowered)
            raise InputError(
                f"--label={text}: no class '{part.strip()}'{meant}; allowed: all, 0-{len(lowered) - 1}, {known}"
            )
    return labels


def main() -> None:
    """Makes the images that the flags ask for. Raises InputError for what is wrong in them."""
    seeds = parse_seeds(FLAGS.seeds)
    if FLAGS.workdir is None:
        raise InputError("--workdir is missing: the folder of the run to sample from")
    if FLAGS.interpolate and len(seeds) < 2:
        raise InputError(f"--interpolate needs at least two seeds, and --seeds={FLAGS.seeds} is one")
    post = _chain(FLAGS.refine) if FLAGS.refine else None
    target = _target(FLAGS.out, FLAGS.format, FLAGS.interpolate)
    _writable(target.folder)
    from gen import run as runs
    from gen import sharding

    mesh = sharding.mesh(-1, 1)
    run = runs.load(FLAGS.workdir, step=FLAGS.step, mesh=mesh)
    labels = parse_labels(FLAGS.label, run.class_names)
    if FLAGS.refine is None and run.config.refine:
        post = _chain(run.config.refine)
    began = time.monotonic()
    write = _write_animation if FLAGS.interpolate else _write_stills
    count = write(run, seeds, labels, target, mesh, post)
    seconds = time.monotonic() - began
    print(f"{count:,} images of checkpoint {run.step:,} in {seconds:.1f} s: {target.file or target.folder}")


def _chain(text: str) -> Chain | None:
    if text == "none":
        return None
    from gen.imaging.chain import chain

    return chain(text)


def _write_stills(
    run: Loaded, seeds: list[int], labels: list[int] | None, target: Target, mesh: Mesh, post: Chain | None
) -> int:
    """Writes one file per image, the grid, or both; returns the number of images."""
    from gen import draw

    every, rows = (seeds * len(labels), len(labels)) if labels else (seeds, 1)
    count = len(every)
    single = target.file is not None and count == 1 and not FLAGS.grid
    with_grid = (FLAGS.grid or target.file is not None) and not single
    if with_grid and count > _MAX_GRID_IMAGES:
        raise InputError(f"a grid of {count:,} images; allowed are {_MAX_GRID_IMAGES:,}: fewer --seeds, or a folder")
    asked = [label for label in labels for _ in seeds] if labels else None
    nothing: list[int | None] = [None] * count
    known = asked or draw.drawn_labels(run.task, every) or nothing
    slugs, named = _slugs(run.class_names), zip(every, asked or nothing, strict=True)
    names = [_name(seed, label, slugs, rows > 1, target.suffix) for seed, label in named]
    done, began, shown, pairs = 0, time.monotonic(), list[np.ndarray](), list[tuple[np.ndarray, np.ndarray, str]]()
    for images in draw.images(run.task, run.ema_params, every, labels=asked, **_options(mesh)):
        here = slice(done, done + len(images))
        if post is not None:
            raw, images = images, draw.refine(post, images, every[here])
            stems = [name.stem for name in names[here]]
            pairs += zip(to_uint8(raw), to_uint8(images), stems, strict=True) if len(pairs) < _MAX_PAIRS else ()
        shown += list(to_uint8(images)) if with_grid else ()
        if target.file is None or single:
            for image, seed, label, name in zip(to_uint8(images), every[here], known[here], names[here], strict=True):
                path = target.file or target.folder / name
                record = _record(run, seed, None if label is None else [label], post)
                pictures.save(path, [image], format=target.format, record=record)
        done += len(images)
        cli.tell(done, count, began)
    if with_grid:
        columns = None if rows == 1 else min(len(seeds), _MAX_ROW)
        picture = np.concatenate([grid(row, columns=columns) for row in np.split(np.stack(shown), rows)])
        path = target.file or target.folder / f"grid{target.suffix}"
        pictures.save(path, [picture], format=target.format, record=_record(run, FLAGS.seeds, labels, post))
    if post is not None:
        replace(target.refinement, before_and_after(pairs[:_MAX_PAIRS], chain=str(post)))
    return count


def _write_animation(
    run: Loaded, seeds: list[int], labels: list[int] | None, target: Target, mesh: Mesh, post: Chain | None
) -> int:
    """Writes one animation; returns its number of frames."""
    from gen import draw

    if labels and len(labels) > 1:
        raise InputError(f"--label={FLAGS.label}: an interpolation shows one class; name one")
    latents = draw.interpolation(run.task, seeds, FLAGS.frames)
    count, began, frames = len(latents), time.monotonic(), []
    first = seeds[:1]  # one key: what else it decides stays the same
    options = _options(mesh) | {"labels": labels * count if labels else None, "latents": latents}
    for images in draw.images(run.task, run.ema_params, first * count, **options):
        if post is not None:
            images = draw.refine(post, images, first * len(images))
        scale = enlargement(*images.shape[1:3])
        frames += list(to_uint8(images).repeat(scale, axis=1).repeat(scale, axis=2))
        cli.tell(len(frames), count, began)
    path = target.file or target.folder / f"interpolation{target.suffix}"
    record = _record(run, FLAGS.seeds, labels or draw.drawn_labels(run.task, first), post)
    pictures.save(path, frames, format=target.format, record=record)
    return count


def _options(mesh: Mesh) -> dict[str, Any]:
    return {"truncation": FLAGS.truncation, "batch_size": FLAGS.batch_size, "mesh": mesh}


def _target(out: str | None, format: str | None, interpolate: bool) -> Target:
    """Where to write, from --out and --format. Raises InputError when they do not fit each other or what is made."""
    if not out:
        raise InputError("--out is missing: a folder for the images, or a file for a grid of them")
    path, allowed = Path(out), pictures.ANIMATIONS if interpolate else pictures.STILLS
    by_suffix = _SUFFIXES.get(path.suffix.lower())
    if by_suffix is None and path.suffix.lower() in Image.registered_extensions():
        raise InputError(
            f"--out={out}: cannot write {path.suffix}; allowed: a folder, or a file in {' or '.join(allowed)}"
        )
    if by_suffix and format and by_suffix != format:
        raise InputError(f"--out={out} and --format={format} contradict each other; leave one out")
    chosen = by_suffix or format or allowed[0]
    if chosen not in allowed:
        what = "an animation" if interpolate else "a still image (--interpolate makes animations)"
        raise InputError(f"cannot write {what} as {chosen}; allowed: {' or '.join(allowed)}")
    return Target(path.parent, path, chosen) if by_suffix else Target(path, None, chosen)


def _writable(folder: Path) -> None:
    """Raises InputError unless files can be written into a folder, which is made with the first one."""
    existing = next(path for path in (folder, *folder.parents) if os.path.exists(path))
    if not existing.is_dir():
        raise InputError(f"--out: cannot make the folder {folder}: {existing} is a file")
    if not os.access(existing, os.W_OK | os.X_OK):
        raise InputError(f"--out: the folder {existing} cannot be written to")


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


def _record(run: Loaded, seed: int | str, labels: Sequence[int] | None, post: Chain | None) -> provenance.Record:
    from gen.config import digest

    named = None if labels is None else ", ".join(run.class_names[label] for label in labels)
    truncation = FLAGS.truncation
    refine = None if post is None else str(post)
    return provenance.record(
        config_digest=digest(run.config), step=run.step, seed=seed, label=named, truncation=truncation, refine=refine
    )


if __name__ == "__main__":
    cli.run(main, FLAGS)
