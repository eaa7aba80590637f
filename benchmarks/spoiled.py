"""Does it matter what is wrong with the data? A flow of the shapes, learned from clean images, from spoiled ones, and
from spoiled ones without what gen.audit found.

    python benchmarks/spoiled.py --images 60000 --out runs/spoiled
    python benchmarks/spoiled.py --smoke

A fifth of the shapes are spoiled: blurred, noisy, dark, pale, gray, with a border, copied many times, or labeled as
another class. Each run sees --images images; 2,000 samples are compared with clean held-out shapes that no run saw, by
an untrained network, and a classifier of clean shapes says how many are of their class.
"""

from __future__ import annotations

import argparse
import pathlib
import sys
import tempfile

import numpy as np
from PIL import Image, ImageFilter

from gen import api
from gen.audit import AuditOptions, audit
from gen.audit_checks.checks import KINDS
from gen.config import Config, experiment, spec
from gen.data import DatasetSplits, npz, shapes
from gen.features.classifier import train_classifier
from gen.features.network_training import Training
from gen.image_io.pixels import to_uint8
from gen.metrics.memorization import memorization

LEFT_OUT = tuple(kind for kind, about in KINDS.items() if about.severity != "note" and kind != "outlier")


def spoil(images: np.ndarray, labels: np.ndarray, share: float, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Spoils a share of images uint8 [n h w 3], an eighth of it in each way."""
    rng = np.random.default_rng(0)
    images, labels = images.copy(), labels.copy()
    chosen = rng.permutation(len(images))[: round(share * len(images))]
    for number, i in enumerate(chosen):
        image = Image.fromarray(images[i])
        levels = images[i].astype(np.float32)
        match number % 8:
            case 0:
                images[i] = image.filter(ImageFilter.GaussianBlur(2))
            case 1:
                images[i] = np.clip(levels + rng.normal(0, 30, levels.shape), 0, 255)
            case 2:
                images[i] = levels * 0.2
            case 3:
                images[i] = 255 - (255 - levels) * 0.25
            case 4:
                images[i] = np.repeat(np.asarray(image.convert("L"))[..., None], 3, -1)
            case 5:
                images[i, :4] = images[i, -4:] = 0
            case 6:
                images[i], labels[i] = images[chosen[number // 400 * 8]], labels[chosen[number // 400 * 8]]
            case 7:
                labels[i] = (labels[i] + rng.integers(1, classes)) % classes
    return images, labels


def config_of(data: pathlib.Path, images: int, exclude: pathlib.Path | None) -> Config:
    config = experiment.load("experiments/shapes.py")
    left_out = {} if exclude is None else {"exclude": str(exclude), "exclude_kinds": LEFT_OUT}
    config.data = spec(npz, path=str(data), **left_out)
    config.total_images = config.task.schedule_images = images
    config.task.ema_half_life = (0.0, min(10_000.0, images / 8))
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=60_000, help="that each run sees")
    parser.add_argument("--train", type=int, default=10_000, help="images to learn from")
    parser.add_argument("--samples", type=int, default=2000)
    parser.add_argument("--share", type=float, default=0.2)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/spoiled"))
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.out = pathlib.Path(tempfile.mkdtemp())
        given.images, given.train, given.samples = 64, 320, 16
    given.out.mkdir(parents=True, exist_ok=True)
    clean: DatasetSplits = shapes(32, num_train=given.train, num_held_out=max(200, given.samples))
    spoiled, labels = spoil(clean.train.images[:], clean.train.labels[:], given.share, clean.num_classes)
    names = np.array(clean.class_names)
    files = {"clean": (clean.train.images[:], clean.train.labels[:]), "spoiled": (spoiled, labels)}
    held_out = {"x_test": clean.held_out.images[:], "y_test": clean.held_out.labels[:]}
    for name, (x, y) in files.items():
        np.savez(given.out / f"{name}.npz", x_train=x, y_train=y, class_names=names, **held_out)
    found = audit(AuditOptions(images=given.out / "spoiled.npz", out=given.out / "audit", fast=given.smoke))
    wrong = np.zeros(given.train, bool)
    wrong[np.random.default_rng(0).permutation(given.train)[: round(given.share * given.train)]] = True
    left_out = [int(name[6:]) for name in found.exclude(LEFT_OUT) if name.startswith("train/")]
    print(
        f"{len(left_out):,} images left out, {wrong[left_out].sum():,} of the {wrong.sum():,} spoiled", file=sys.stderr
    )
    training = Training(1, 10 if given.smoke else 1000, 128)
    classify = train_classifier(clean, training=training).logits
    real = f"of their class (real: {accuracy(classify, clean):.1%})"
    print(f"| learned from | images | FD-random | recall | {real} | memorized |")
    print("| --- | --- | --- | --- | --- | --- |")
    for title, data, exclude in (
        ("clean images", "clean", None),
        (f"{given.share:.0%} spoiled", "spoiled", None),
        ("spoiled, without what the audit found", "spoiled", given.out / "audit" / "audit.json"),
    ):
        config = config_of(given.out / f"{data}.npz", given.images, exclude)
        if given.smoke:
            config.batch_size, config.preview_images = 8, 8
        model = api.train(config, given.out / title.replace(" ", "_").replace(",", "").replace("%", "_percent"))
        asked = np.arange(given.samples) % clean.num_classes
        made = np.concatenate(
            [
                model.sample(range(i * 100_000, i * 100_000 + int((asked == i).sum())), label=clean.class_names[i])
                for i in range(clean.num_classes)
            ]
        )
        right = classify(made).argmax(-1) == np.sort(asked)
        measured = api.evaluate(made, clean.held_out.images[: given.samples], extractor="random")
        learned = model.data().splits.train.images[:]
        copies = memorization(pixels(made), pixels(learned), pixels(clean.held_out.images[: given.samples]))
        numbers = f"{measured['FD-random']:.2f} | {measured['recall']:.3f} | {right.mean():.1%}"
        print(f"| {title} | {len(learned):,} | {numbers} | {copies.share.value:.1%} |", flush=True)


def pixels(images: np.ndarray) -> np.ndarray:
    """Returns images, uint8 or in [0, 1], as vectors in [0, 1]."""
    return to_uint8(images).reshape(len(images), -1) / np.float32(255)


def accuracy(classify, clean: DatasetSplits) -> float:
    return float((classify(clean.held_out.images[:]).argmax(-1) == clean.held_out.labels).mean())


if __name__ == "__main__":
    main()
