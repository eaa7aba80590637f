"""Which caption is it? Classifies images by the bits that a prior needs for them given each caption, without training.

    python benchmarks/zero_shot.py --workdir runs/scenes_prior               # kinds and colors of single objects
    python benchmarks/zero_shot.py --npz fashion.npz --out captioned.npz     # classes as captions, to train on
    python benchmarks/zero_shot.py --npz fashion.npz --workdir RUN           # a prior that was trained on them
    python benchmarks/zero_shot.py --smoke                                   # tiny and untrained, no claim

Prints the share of --number held-out images, drawn at random, that have the fewest bits given the caption of their own
class, with its 95 % interval, chance, and beside it a classifier that was trained on the same images: of scenes the
reader of benchmarks/scenes.py, of a data set its own extractor. A class is captioned by --template.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen import devices
from gen.cli import guard
from gen.config import experiment
from gen.data import npz
from gen.data.npz import arrays_of
from gen.data.outlines import KINDS
from gen.data.scene_world import COLORS
from gen.data.scenes import HELD_OUT_START, render
from gen.errors import InputError
from gen.evaluation import random_subset
from gen.features import parse_extractor
from gen.features.scene_reader import trained_reader
from gen.metrics.memorization import clopper_pearson
from gen.npz import texts
from gen.runs import trained_run
from gen.sampling.prompts import check_prompts, tokens_for
from gen.tasks.prior import Prior
from gen.training import loop

TEMPLATE = "a photo of a {}"


def bits(run: trained_run.TrainedRun, images: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Computes the bits [n k] of images [n h w c] in [0, 1] given each of k captions.

    Raises InputError for a run that cannot say them, and for captions that it cannot read.
    """
    if not isinstance(run.task, Prior) or not run.task.caption_length:
        raise InputError(
            f"{run.name} is no prior that learned captions; allowed: one such as experiments/scenes_prior.py"
        )
    if images.shape[1:] != tuple(run.task.shape):
        raise InputError(f"{run.name} makes images of {run.task.shape}, and these are of {images.shape[1:]}")
    captions = check_prompts(run, captions, name="--template")

    def given(fixed: Any, images: jax.Array) -> jax.Array:
        params, row = fixed
        caption = jnp.broadcast_to(row, (len(images), len(row)))
        return run.task.surprisal(params, images, None, caption=caption).sum((1, 2))

    compiled = devices.batched(given, devices.mesh(-1, 1))
    rows = tokens_for(run, captions)
    return np.stack([np.concatenate([*compiled((run.ema_params, row), images)]) for row in rows], axis=1)


def line(name: str, right: np.ndarray, classes: int, classified: np.ndarray | None) -> str:
    """One row of the table. right, classified: bool [n], by bits and by the classifier; None: there is none."""
    return f"| {name} | {1 / classes:.1%} | {share(right)} | {'' if classified is None else share(classified)} |"


def share(right: np.ndarray) -> str:
    value = clopper_pearson(int(right.sum()), len(right))
    return f"{value.value:.1%} ({value.low:.1%} to {value.high:.1%})"


def of_scenes(run: trained_run.TrainedRun, number: int, steps: int) -> list[str]:
    """Single objects: by kind ("a star"), and by color given the kind ("a red star")."""
    made = render(HELD_OUT_START + 4 * np.arange(number))  # each drawn by itself: the first are as good as any
    images = np.asarray(made.image)
    kinds, colors = ([getattr(each.things[0], name) for each in made.scenes] for name in ("kind", "color"))
    names = list(COLORS)
    by_kind = bits(run, images, [f"a {kind}" for kind in KINDS]).argmin(1)
    found = trained_reader(steps=steps, batch_size=4 if steps < 100 else 64).read(images)
    read = [(things[0].kind, things[0].color) if things else ("", "") for things in found]
    by_color = np.empty(number, int)
    for kind in set(kinds):
        mine = np.array([each == kind for each in kinds])
        by_color[mine] = bits(run, images[mine], [f"a {color} {kind}" for color in names]).argmin(1)
    right = np.array([KINDS[guess] == kind for guess, kind in zip(by_kind, kinds, strict=True)])
    colored = np.array([names[guess] == color for guess, color in zip(by_color, colors, strict=True)])
    return [
        line("scenes, kind", right, len(KINDS), np.array([k == r[0] for k, r in zip(kinds, read, strict=True)])),
        line(
            "scenes, color given the kind",
            colored,
            len(names),
            np.array([c == r[1] for c, r in zip(colors, read, strict=True)]),
        ),
    ]


def of_classes(
    run: trained_run.TrainedRun, file: pathlib.Path, number: int, template: str, *, extractor: str = "own"
) -> list[str]:
    """The classes of a data set, by the template."""
    shape: Any = getattr(run.task, "shape", (None,))
    source = npz(path=str(file), resolution=shape[0])
    if not source.class_names:
        raise InputError(f"{file}: has no y_train, and so no classes to tell")
    chosen = random_subset(source.held_out, number)  # files come in order of their classes, too
    images, labels = chosen.images, chosen.labels
    captions = captions_of(source.class_names, template)
    guessed = bits(run, images.astype(np.float32) / 255, captions).argmin(1)
    logits = parse_extractor(extractor, source).logits(images)
    classified = None if logits is None else logits.argmax(1) == labels
    return [line(file.stem, guessed == labels, len(source.class_names), classified)]


def captions_of(names: Sequence[str], template: str) -> list[str]:
    if "{}" not in template:
        raise InputError(f"--template={template}: has no {{}}, the place of the name of a class")
    return [template.replace("{}", name.lower().replace("_", " ")) for name in names]


def write_captioned(file: pathlib.Path, out: pathlib.Path, template: str) -> None:
    """Copies an .npz of images and labels, with a caption for each image by its class. Raises InputError."""
    arrays = arrays_of(file, ("x_train", "y_train", "x_test", "y_test", "class_names"))
    splits = ["train", *(["test"] if "x_test" in arrays else [])]
    if missing := [key for key in ("class_names", *(f"y_{split}" for split in splits)) if key not in arrays]:
        raise InputError(f"{file} has no {' and no '.join(missing)}, by which captions are made")
    names = np.array(captions_of(texts(arrays["class_names"], f"{file}: class_names"), template))
    labels = {split: arrays[f"y_{split}"].ravel() for split in splits}
    if any(each.dtype.kind not in "iu" or each.min() < 0 or each.max() >= len(names) for each in labels.values()):
        raise InputError(f"{file}: labels must be numbers of the {len(names)} class_names, from 0 on")
    if out.exists():
        raise InputError(f"{out} is there already; name another file")
    with out.open("xb") as to:
        np.savez_compressed(to, **arrays, **{f"captions_{split}": names[each] for split, each in labels.items()})


def write_noise(out: pathlib.Path) -> pathlib.Path:
    """Writes captioned images that show nothing."""
    plain, noise = out.with_name("plain.npz"), np.random.default_rng(0).integers(0, 256, (8, 32, 32, 3), np.uint8)
    images, labels = (
        {f"{axis}_{split}": x for split in ("train", "test")} for axis, x in (("x", noise), ("y", np.arange(8) % 2))
    )
    np.savez(plain, **images, **labels, class_names=np.array(["Shirt", "Boot"]))
    write_captioned(plain, out, TEMPLATE)
    return out


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--npz", type=pathlib.Path, help="x_train, y_train, x_test, y_test, class_names")
    parser.add_argument("--out", type=pathlib.Path, help="file to write with captions, which must not exist")
    parser.add_argument("--template", default=TEMPLATE, help="caption of a class, {} its name")
    parser.add_argument("--number", type=int, default=1000, help="of held-out images")
    parser.add_argument("--steps", type=int, default=3000, help="of the training of the reader of scenes")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.number < 1:
        raise InputError(f"--number={given.number}: allowed: at least 1")
    if given.out:
        if not given.npz:
            raise InputError("--out needs --npz: the file to write with captions")
        write_captioned(given.npz, given.out, given.template)
        return
    if not given.workdir and not given.smoke:
        raise InputError("name a prior that learned captions by --workdir, or --npz and --out to write captions")
    if given.smoke:
        given.number, given.steps = 4, 2
        given.workdir = pathlib.Path(tempfile.mkdtemp()) / "run"
        loop.train(experiment.load("experiments/scenes_prior.py:smoke"), given.workdir)
        given.npz = write_noise(given.workdir.parent / "captioned.npz")
    run = trained_run.load(given.workdir, mesh=devices.mesh(-1, 1))
    rows = ["| images | chance | by bits | by a classifier |", "| --- | --- | --- | --- |"]
    if given.npz:
        rows += of_classes(run, given.npz, given.number, given.template, extractor="pixels" if given.smoke else "own")
    if given.smoke or not given.npz:
        rows += of_scenes(run, given.number, given.steps)
    print("\n".join(rows))


if __name__ == "__main__":
    guard(main)
