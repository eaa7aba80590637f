"""What keeps a small GAN varied? The recipe of experiments/folder.py:gan, and one change at a time, in equal minutes.
And folder.py:cpu, the flow, by the same measure.

    python benchmarks/ablations.py --data emoji.npz --images 40000 --out runs/ablations
    python benchmarks/ablations.py --data emoji.npz --images 40000 --out runs/ablations --only recipe batch_64
    python benchmarks/ablations.py --data emoji.npz --images 400000 --out runs/long --only recipe   # does it collapse?
    python benchmarks/ablations.py --data emoji.npz --images 400000 --out runs/cpu --variant cpu --only recipe noise_0
    python benchmarks/ablations.py --make emoji64_rgba.npz --data emoji.npz    # or nuclei256.npz: as they were measured
    python benchmarks/ablations.py --smoke

FILE.npz has x_train, uint8 [n h w c], 32 pixels a side or more; labels are not used. The recipe sees --images images;
the others as many as they can in the same time, by the ratio of their steps' times, measured in turns. Each training
measures itself --points times: 2,000 samples of the averaged generator against at most 2,000 training images, by their
pixels. The table shows the last measurement, for recall and coverage its share of the best one on the way, and how far
apart the nearest two of 64 samples are (seeds 0 to 63, RMS of pixels), in units of the same of 64 training images, the
median of 100 draws: above 1, no image appears twice (inf: most draws hold two equal images). A run folder for each,
OUT/VARIANT/FILE/NAME, so that what is done is not done again.

--make writes --data: of x with skin_tone_variant (Noto Emoji, RGBA) those that are none, on white, halved to 32 x 32;
of other x (256 x 256, nuclei of Kaggle's Data Science Bowl 2018) their quarters, each reduced to 32 x 32.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import statistics
import sys
import tempfile
import time
from typing import Any

import jax
import numpy as np

from gen import api, devices
from gen.config import Config, build, build_task, experiment, spec
from gen.data import npz
from gen.npz import read_npz
from gen.training import loop

# Changes of the recipes, by name; "former" is what the GAN's was until November 2026, but for its networks.
VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "former": {"task.gamma": (0.5, 0.1), "task.penalty_stride": 4, "batch_size": 64},
    "penalty_stride_4": {"task.penalty_stride": 4},
    "finite_difference": {"task.penalty": "finite_difference"},
    "gamma_falling": {"task.gamma": (0.5, 0.1)},
    "gamma_0.5": {"task.gamma": (0.5, 0.5)},
    "gamma_10": {"task.gamma": (10.0, 10.0)},
    "batch_8": {"batch_size": 8},
    "batch_32": {"batch_size": 32},
    "batch_64": {"batch_size": 64},
    "rate_5e-4": {"task.learning_rate": (5e-4, 1e-4)},
    "rate_2e-3": {"task.learning_rate": (2e-3, 1e-4)},
    "rate_constant": {"task.learning_rate": (1e-3, 1e-3)},
    "beta2_0.99": {"task.beta2": (0.99, 0.99)},
    "ema_1000": {"task.ema_half_life": (0.0, 1_000.0)},
    "ema_20000": {"task.ema_half_life": (0.0, 20_000.0)},
    "no_augmentation": {"task.augmentation": (0.0, 0.0)},
    "augmentation_0.6": {"task.augmentation": (0.0, 0.6)},
    "latent_16": {"task.generator.latent": 16},
    "latent_128": {"task.generator.latent": 128},
    "discriminator_wide": {"task.discriminator.widths": (192, 144, 72, 36)},
    "discriminator_narrow": {"task.discriminator.widths": (96, 64, 32, 16)},
    "one_block": {"task.generator.blocks": 1, "task.discriminator.blocks": 1},
}
FLOW_VARIANTS: dict[str, dict[str, Any]] = {
    "recipe": {},
    "noise_0": {"task.time_logits": (0.0, 1.0)},  # what it was until November 2026
    "noise_1": {"task.time_logits": (1.0, 1.0)},
    "wide": {"task.time_logits": (0.5, 1.3)},
    "batch_16": {"batch_size": 16},
    "batch_64": {"batch_size": 64},
    "rate_5e-4": {"task.learning_rate": (5e-4, 0.0)},
    "rate_2e-3": {"task.learning_rate": (2e-3, 0.0)},
}
SHOWN = ("FD-pixels", "precision", "recall", "coverage")


def config_of(
    data: pathlib.Path, changes: dict[str, Any], images: int, *, variant: str = "gan", tiny: bool = False
) -> Config:
    """Returns the Config of the recipe with changes, its schedules over `images`. tiny: with small networks."""
    config = experiment.load(f"experiments/folder.py:{variant}")
    config.data = spec(npz, path=str(data), resolution=32)
    config.task.conditional = False
    for path, value in changes.items():
        at: Any = config
        *parents, name = path.split(".")
        for parent in parents:
            at = getattr(at, parent)
        setattr(at, name, value)
    if tiny and variant == "cpu":
        config.task.network.widths, config.task.network.blocks = (8,) * 5, 0
    elif tiny:
        for network in (config.task.generator, config.task.discriminator):
            network.widths, network.blocks = (8,) * 4, 0
        config.task.augmentation = (0.0, 0.0)
    config.total_images = config.task.schedule_images = images
    return config


def made_of(file: pathlib.Path) -> np.ndarray:
    """Makes the small images uint8 [n 32 32 3] of a file of emoji or nuclei."""
    arrays = read_npz(file)
    x = arrays["x"]
    if "skin_tone_variant" in arrays:
        x = x[~arrays["skin_tone_variant"]].astype(np.float64)
        opacity = x[..., 3:] / 255
        x = x[..., :3] * opacity + 255 * (1 - opacity)
    else:
        x = x.reshape(-1, 2, 128, 2, 128, 3).swapaxes(2, 3).reshape(-1, 128, 128, 3)
    times = x.shape[1] // 32
    return np.round(x.reshape(-1, 32, times, 32, times, 3).mean((2, 4))).astype(np.uint8)


class Timed:
    """The compiled step of a config, to be timed in turns with others'."""

    def __init__(self, config: Config, source: Any) -> None:
        self.images, mesh = config.batch_size, devices.mesh(-1, 1)
        task = build_task(config, source.image_shape, source.num_classes)
        rows = config.batch_size * task.real_images_per_sample
        some = np.arange(rows) % len(source.train.images)
        self.batch = {"image": source.train.images[:][some], "label": np.zeros(rows, np.int32)}
        options = devices.compiler_options()
        with jax.set_mesh(mesh):
            self.state = task.init(jax.random.key(0))
            self.step = jax.jit(loop.make_step(task, config), compiler_options=options, donate_argnums=0)
            self.mesh = mesh
            self()

    def __call__(self) -> float:
        """Returns images per second of one step."""
        began = time.perf_counter()
        with jax.set_mesh(self.mesh):
            self.state, _ = self.step(self.state, self.batch)
            jax.block_until_ready(self.state)
        return self.images / (time.perf_counter() - began)


def speed(config: Config, recipe: Config, steps: int) -> float:
    """Returns the images that a config sees while the recipe sees one: the median of steps in turns."""
    source = build(recipe.data, "data")
    ours, theirs = Timed(config, source), Timed(recipe, source)
    return statistics.median(ours() / theirs() for _ in range(steps))


def train(config: Config, workdir: pathlib.Path, points: int, samples: int) -> list[dict[str, Any]]:
    """Trains, or goes on; returns the lines of its measurements."""
    config.evaluation.every = -(-config.total_steps // points)  # the last step, always measured, is the last point
    config.evaluation.extractor, config.evaluation.num_samples = "pixels", samples
    config.evaluation.steps = 0  # of a flow as many as it samples with
    if loop.train(config, workdir):
        sys.exit(f"{workdir}: training was stopped; the same command goes on")
    lines = map(json.loads, (workdir / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return [line for line in lines if "recall" in line]


def nearest_pair(images: np.ndarray) -> float:
    """Returns the RMS difference of the two images [n h w c] in [0, 1] that are most alike."""
    flat = images.reshape(len(images), -1).astype(np.float64)
    squared = np.square(flat[:, None] - flat[None]).mean(-1)
    return float(np.sqrt(squared[~np.eye(len(flat), dtype=bool)].min()))


def apart(workdir: pathlib.Path, *, count: int = 64, draws: int = 100) -> float:
    """Returns the distance of the nearest two of `count` samples in units of that of training images."""
    model, rng = api.load(workdir, step="newest"), np.random.default_rng(0)
    real = np.asarray(build(model.run.config.data, "data").train.images) / np.float32(255)
    several = [nearest_pair(real[rng.choice(len(real), count, replace=False)]) for _ in range(draws)]
    with np.errstate(divide="ignore", invalid="ignore"):  # of a set with many copies the median is 0
        return float(np.divide(nearest_pair(np.asarray(model.sample(range(count)))), np.median(several)))


def row(name: str, lines: list[dict[str, Any]], nearest: float) -> str:
    last = lines[-1]
    cells = [f"{last['images']:,}", *(f"{last[metric]:.3g}" for metric in SHOWN)]
    cells += [f"{last[m] / max(max(line[m] for line in lines), 1e-9):.2f}" for m in ("recall", "coverage")]
    cells.append(f"{nearest:.2f}")
    return f"| {name} | " + " | ".join(cells) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path)
    parser.add_argument("--make", type=pathlib.Path, metavar="FILE.npz", help="write --data from this file, no more")
    parser.add_argument("--images", type=int, default=40_000, help="that the recipe sees")
    parser.add_argument("--only", nargs="+", metavar="NAME", help="of the changes; without it all of them")
    parser.add_argument("--variant", default="gan", choices=("gan", "cpu"), help="of experiments/folder.py")
    parser.add_argument("--points", type=int, default=4, help="measurements of each run")
    parser.add_argument("--samples", type=int, default=2000, help="of each measurement")
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/ablations"))
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    steps = 20
    if given.smoke:
        given.out = pathlib.Path(tempfile.mkdtemp())
        given.data = given.out / "noise.npz"
        np.savez(given.data, x_train=np.random.default_rng(0).integers(0, 256, (200, 32, 32, 3), np.uint8))
        given.images, given.points, given.samples, steps = 32, 1, 10, 1
        given.only = ["batch_8" if given.variant == "gan" else "batch_16"]
    if given.data is None:
        parser.error("--data is missing")
    if given.make:
        np.savez(given.data, x_train=made_of(given.make))
        return
    changes = VARIANTS if given.variant == "gan" else FLOW_VARIANTS
    if unknown := sorted({*(given.only or ())} - {*changes}):
        parser.error(f"--only {unknown[0]}: allowed for --variant {given.variant}: {', '.join(changes)}")
    print("| changed | images seen | " + " | ".join(SHOWN) + " | recall / best | coverage / best | nearest pair |")
    print("|" + " --- |" * (len(SHOWN) + 5))
    for name in given.only or changes:
        make = functools.partial(config_of, given.data, variant=given.variant, tiny=given.smoke)
        config, recipe = make(changes[name], given.images), make({}, given.images)
        if changes[name]:
            config = make(changes[name], round(given.images * speed(config, recipe, steps)))
        workdir = given.out / given.variant / given.data.stem / name
        if (workdir / "config.json").exists():  # begun before: with the number of images found then
            stored = json.loads((workdir / "config.json").read_text(encoding="utf-8"))
            config.total_images = config.task.schedule_images = stored["task"]["schedule_images"]
        lines = train(config, workdir, given.points, given.samples)
        print(row(name, lines, apart(workdir)), flush=True)


if __name__ == "__main__":
    main()
