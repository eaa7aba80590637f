"""Which caption is it? Classifies images by the bits that a prior needs for them given each caption, without training.

    python benchmarks/zero_shot.py --workdir runs/scenes_prior               # kinds and colors of single objects
    python benchmarks/zero_shot.py --npz fashion.npz --out captioned.npz     # classes as captions, to train on
    python benchmarks/zero_shot.py --npz fashion.npz --workdir RUN           # a prior that was trained on them
    python benchmarks/zero_shot.py --smoke                                   # tiny and untrained, no claim

Prints the share of --number held-out images that have the fewest bits given the caption of their own class, with its
95 % interval, chance, and beside it a classifier that was trained on the same images: of scenes the reader of
benchmarks/scenes.py, of a data set its own extractor. A class is captioned by --template.
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
from gen.config import experiment
from gen.data import npz
from gen.data.outlines import KINDS
from gen.data.scene_world import COLORS
from gen.data.scenes import HELD_OUT_START, render
from gen.features import parse_extractor
from gen.features.scene_reader import trained_reader
from gen.metrics.memorization import clopper_pearson
from gen.npz import read_npz
from gen.runs import trained_run
from gen.sampling.prompts import tokens_for
from gen.training import loop

TEMPLATE = "a photo of a {}"


def bits(run: trained_run.TrainedRun, images: np.ndarray, captions: Sequence[str]) -> np.ndarray:
    """Computes the bits [n k] of images [n h w c] in [0, 1] given each of k captions."""

    def given(fixed: Any, images: jax.Array) -> jax.Array:
        params, row = fixed
        caption = jnp.broadcast_to(row, (len(images), len(row)))
        return run.task.surprisal(params, images, None, caption=caption).sum((1, 2))

    compiled = devices.batched(given, devices.mesh(-1, 1))
    rows = tokens_for(run, captions)
    return np.stack([np.concatenate([*compiled((run.ema_params, row), images)]) for row in rows], axis=1)


def line(name: str, right: np.ndarray, classes: int, classified: np.ndarray) -> str:
    """One row of the table. right, classified: bool [n], by bits and by the classifier."""
    value, other = (clopper_pearson(int(each.sum()), len(each)) for each in (right, classified))
    cells = [f"{each.value:.1%} ({each.low:.1%} to {each.high:.1%})" for each in (value, other)]
    return f"| {name} | {1 / classes:.1%} | {cells[0]} | {cells[1]} |"


def of_scenes(run: trained_run.TrainedRun, number: int, steps: int) -> list[str]:
    """Single objects: by kind ("a star"), and by color given the kind ("a red star")."""
    made = render(HELD_OUT_START + 4 * np.arange(number))
    images = np.asarray(made.image)
    kinds, colors = ([getattr(each.things[0], name) for each in made.scenes] for name in ("kind", "color"))
    found = trained_reader(steps=steps, batch_size=4 if steps < 100 else 64).read(images)
    read = [(things[0].kind, things[0].color) if things else ("", "") for things in found]
    names = list(COLORS)
    by_kind = bits(run, images, [f"a {kind}" for kind in KINDS]).argmin(1)
    by_color = np.empty(number, int)
    for kind in set(kinds):
        mine = np.array([each == kind for each in kinds])
        by_color[mine] = bits(run, images[mine], [f"a {color} {kind}" for color in names]).argmin(1)
    right = np.array([KINDS[guess] == kind for guess, kind in zip(by_kind, kinds, strict=True)])
    colored = np.array([names[guess] == color for guess, color in zip(by_color, colors, strict=True)])
    return [
        line("scenes, kind", right, len(KINDS), np.array([k == r[0] for k, r in zip(kinds, read, strict=True)])),
        line("scenes, color", colored, len(names), np.array([c == r[1] for c, r in zip(colors, read, strict=True)])),
    ]


def of_classes(
    run: trained_run.TrainedRun, file: pathlib.Path, number: int, template: str, *, extractor: str = "own"
) -> list[str]:
    """The classes of a data set, by the template."""
    source = npz(path=str(file), resolution=run.task.shape[0])
    images, labels = source.held_out.images[:number], source.held_out.labels[:number]
    guessed = bits(run, images.astype(np.float32) / 255, captions_of(source.class_names, template)).argmin(1)
    logits = parse_extractor(extractor, source).logits(images)
    classified = np.zeros(len(labels), bool) if logits is None else logits.argmax(1) == labels
    return [line(file.stem, guessed == labels, len(source.class_names), classified)]


def captions_of(names: Sequence[str], template: str) -> list[str]:
    return [template.format(name.lower().replace("_", " ")) for name in names]


def write_captioned(file: pathlib.Path, out: pathlib.Path, template: str) -> None:
    """Copies an .npz of images and labels, with a caption for each image by its class."""
    arrays = read_npz(file, ("x_train", "y_train", "x_test", "y_test", "class_names"))
    texts = np.array(captions_of([str(name) for name in arrays["class_names"]], template))
    captions = {f"captions_{split}": texts[arrays[f"y_{split}"].ravel()] for split in ("train", "test")}
    with out.open("xb") as to:
        np.savez_compressed(to, **arrays, **captions)


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
    if given.out:
        write_captioned(given.npz, given.out, given.template)
        return
    if given.smoke:
        given.number, given.steps = 4, 2
        given.workdir = pathlib.Path(tempfile.mkdtemp()) / "run"
        loop.train(experiment.load("experiments/scenes_prior.py:smoke"), given.workdir)
        given.npz = write_noise(given.workdir.parent / "captioned.npz")
    run = trained_run.load(given.workdir, mesh=devices.mesh(-1, 1))
    print("| images | chance | by bits | by a classifier |\n| --- | --- | --- | --- |")
    rows: list[str] = []
    if given.npz:
        rows += of_classes(run, given.npz, given.number, given.template, extractor="pixels" if given.smoke else "own")
    if given.smoke or not given.npz:
        rows += of_scenes(run, given.number, given.steps)
    print("\n".join(rows))


if __name__ == "__main__":
    main()
