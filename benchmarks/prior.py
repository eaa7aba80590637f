"""What has a prior learned? Bits against tables, completions of hidden halves, and what it finds unusual.

    python benchmarks/prior.py --workdir runs/fashion_mnist_prior                        # bits and completions
    python benchmarks/prior.py --workdir runs/fashion_mnist_prior --unusual mnist.npz    # and x_test of another set
    python benchmarks/prior.py --smoke                                                   # two steps of all, no claim

Prints and writes to WORKDIR/prior.json (EMA weights):
- bits per token of all held-out images, with and without their class, beside a unigram and a bigram table (raster
  order, add-one smoothing, the bigram backing off to the unigram) that count the tokens of the training images;
- completions of held-out images whose lower half is hidden, five draws each without the class: PSNR of the hidden half
  for the best of five, one draw, the mean of the five, and the mean training image; how often the given half is
  unchanged, and how often a classifier of the real images (gen.features) finds the class of the original;
- area under the ROC curve of total bits, images of the other set against held-out ones (1: all of them cost more), and
  of their ratio to a background, the bits by the unigram table, which cancels how much there is in an image (Ren et al.
  2019, section 3); and of what gen.score --background_samples=1000 gives, whose table counts the model's own draws.
completion.png shows given halves, the five answers, and the original.
"""

from __future__ import annotations

import argparse
import json
import math
import pathlib
import tempfile
from typing import Any

import jax
import numpy as np

from gen import devices
from gen.config import build, experiment
from gen.data import DatasetSplits, npz
from gen.features.classifier import Trained, train_classifier
from gen.features.network_training import Training
from gen.report import grid, save_png
from gen.runs import trained_run
from gen.sampling import by_seed
from gen.sampling.conditional.background import background_bits
from gen.tasks.tokens import Tokenizer
from gen.training import loop

DRAWS = 5


def batches(count: int, size: int = 100) -> list[slice]:
    return [slice(start, min(start + size, count)) for start in range(0, count, size)]


def compiled(function: Any) -> Any:
    return jax.jit(function, compiler_options=devices.compiler_options())


def total_bits(loaded: trained_run.TrainedRun, images: np.ndarray, labels: np.ndarray | None) -> np.ndarray:
    """The length in bits of the exact code of each image's tokens, [n]."""
    task = loaded.task
    score = compiled(lambda p, x, y: task.surprisal(p, x, y).sum((1, 2)))  # type: ignore[attr-defined]
    of = lambda part: None if labels is None else labels[part]  # noqa: E731
    parts = [score(loaded.ema_params, images[part], of(part)) for part in batches(len(images))]
    return np.concatenate([np.asarray(part) for part in parts])


def tokens(loaded: trained_run.TrainedRun, images: np.ndarray) -> np.ndarray:
    """int [n t] in raster order, of float images."""
    encode = compiled(Tokenizer(loaded.task.tokenizer).encode)  # type: ignore[attr-defined]
    return np.concatenate([np.asarray(encode(loaded.ema_params, images[part])) for part in batches(len(images), 500)])


def unigram_table(train: np.ndarray, vocabulary: int) -> np.ndarray:
    """The probability of each token by its count in `train`, plus one."""
    counts = np.bincount(train.ravel(), minlength=vocabulary) + 1.0
    return np.asarray(counts / counts.sum())


def tables(train: np.ndarray, test: np.ndarray, vocabulary: int) -> dict[str, float]:
    """Bits per token of two tables that count `train`."""
    unigram = unigram_table(train, vocabulary)
    pairs = np.bincount(vocabulary * train[:, :-1].ravel() + train[:, 1:].ravel(), minlength=vocabulary**2)
    pairs = pairs.reshape(vocabulary, vocabulary) + 32 * unigram  # as if each row had seen 32 tokens of the unigram
    bigram = pairs / pairs.sum(1, keepdims=True)
    first = -np.log2(unigram[test[:, 0]])
    rest = -np.log2(bigram[test[:, :-1], test[:, 1:]])
    return {
        "unigram": float(-np.log2(unigram[test]).mean()),
        "bigram": float((first.sum() + rest.sum()) / test.size),
    }


def likelihood(
    loaded: trained_run.TrainedRun, source: DatasetSplits, train: np.ndarray, limit: int
) -> dict[str, float]:
    images, labels = (np.asarray(a[:limit]) for a in source.held_out[:2])
    images = images / np.float32(255)
    test = tokens(loaded, images)
    bits = total_bits(loaded, images, None)
    result = {"bits_per_token": float(bits.mean() / test.shape[1])}
    result["bits_per_dimension"] = float(bits.mean() / images[0].size)
    if loaded.task.num_classes:  # type: ignore[attr-defined]
        result["bits_per_token_with_class"] = float(total_bits(loaded, images, labels).mean() / test.shape[1])
    return result | tables(train, test, loaded.task.network.vocabulary)  # type: ignore[attr-defined]


def unusual(
    loaded: trained_run.TrainedRun,
    source: DatasetSplits,
    train: np.ndarray,
    path: pathlib.Path,
    limit: int,
    draws: int = 1000,
) -> dict[str, float]:
    """How well bits tell the images of another set from held-out ones."""
    other = npz(path, source.image_shape[0]).held_out.images[:limit]
    pair = [np.asarray(a) / np.float32(255) for a in (other, source.held_out.images[:limit])]
    bits = [total_bits(loaded, images, None) for images in pair]
    table = unigram_table(train, loaded.task.network.vocabulary)  # type: ignore[attr-defined]
    background = [-np.log2(table[tokens(loaded, images)]).sum(1) for images in pair]
    by_draws = background_bits(loaded, loaded.task, np.concatenate(pair), draws, mesh=devices.mesh(-1, 1))  # type: ignore[arg-type]
    drawn = np.split(by_draws, [len(pair[0])])
    ratio, scored = ([a - b for a, b in zip(bits, table_bits, strict=True)] for table_bits in (background, drawn))
    return {
        "bits_unusual": float(bits[0].mean()),
        "bits_usual": float(bits[1].mean()),
        "area_under_curve": area_under_curve(*bits),
        "area_under_curve_of_ratio": area_under_curve(*ratio),
        "area_under_curve_of_score_background": area_under_curve(*scored),
    }


def psnr(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return -10 * np.log10(np.maximum(np.square(a - b).mean((-3, -2, -1)), 1e-10))


def completion(
    loaded: trained_run.TrainedRun,
    source: DatasetSplits,
    judge: Trained | None,
    count: int,
    path: pathlib.Path,
    temperature: float,
) -> dict[str, float]:
    """Hides the lower half of `count` held-out images, and has them completed."""
    images, labels = (np.asarray(a[:count]) for a in source.held_out[:2])
    images = images / np.float32(255)
    half = images.shape[1] // 2
    known = np.zeros((1, *images.shape[1:3], 1), bool)
    known[:, :half] = True
    settings = {"temperature": temperature}
    complete = compiled(lambda p, k, x, m: loaded.task.sample(p, k, {"given": x, "known": m} | settings))
    answers = []
    for seed in range(DRAWS):
        keys = by_seed.keys(seed * count + np.arange(count))
        parts = [
            complete(loaded.ema_params, keys[part], images[part], known.repeat(len(images[part]), 0))
            for part in batches(count)
        ]
        made = np.concatenate([np.asarray(part) for part in parts])
        answers.append(np.where(known, images, made))  # as gen.sample does: what is given stays to the bit
    drawn = np.stack(answers)
    mean = np.asarray(source.train.images[:5000]).mean(0) / 255
    hidden = images[:, half:]
    each = psnr(drawn[:, :, half:], hidden)
    result = {
        "completed": count,
        **settings,
        "psnr_best_of_five": float(each.max(0).mean()),
        "psnr_one_draw": float(each.mean()),
        "psnr_mean_of_five": float(psnr(drawn[:, :, half:].mean(0), hidden).mean()),
        "psnr_mean_image": float(psnr(np.broadcast_to(mean[half:], hidden.shape), hidden).mean()),
        "best_of_five_beats_mean_image": float(
            (each.max(0) > psnr(np.broadcast_to(mean[half:], hidden.shape), hidden)).mean()
        ),
        "given_unchanged": float((drawn[:, :, :half] == images[:, :half]).all((0, 2, 3, 4)).mean()),
    }
    if judge is not None:
        found = judge.logits(drawn.reshape(-1, *images.shape[1:])).argmax(-1).reshape(DRAWS, count)
        result["class_agrees"] = float((found == labels).mean())
        result["judge_on_originals"] = float((judge.logits(images).argmax(-1) == labels).mean())
    shown = slice(0, 16)
    given = np.where(known, images, 0.5)[shown]
    save_png(path, grid(np.concatenate([given, *drawn[:, shown], images[shown]]), columns=len(given)))
    return result


def area_under_curve(unusual: np.ndarray, usual: np.ndarray) -> float:
    """How probably an unusual image costs more bits than a usual one (Mann and Whitney 1947), ties counting half."""
    usual = np.sort(usual)
    below, up_to = (np.searchsorted(usual, unusual, side=side) for side in ("left", "right"))
    return float((below + up_to).mean() / (2 * len(usual)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--unusual", type=pathlib.Path, help="an .npz file with x_test")
    parser.add_argument("--limit", type=int, default=10_000, help="held-out images for the bits")
    parser.add_argument("--completions", type=int, default=200, help="held-out images to complete")
    parser.add_argument("--temperature", type=float, nargs="+", default=[1.0], help="of the completions")
    parser.add_argument("--steps", type=int, default=6000, help="of the classifier's training")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.workdir = pathlib.Path(tempfile.mkdtemp())
        assert loop.train(experiment.load("experiments/fashion_mnist_prior.py:smoke"), given.workdir) == 0
        given.limit, given.completions, given.steps = 8, 4, 2
    if given.workdir is None:
        parser.error("--workdir is missing")
    loaded = trained_run.load(given.workdir)
    source = build(loaded.config.data, "data")
    result: dict[str, Any] = {"images_seen": loaded.step * loaded.config.batch_size}
    train = tokens(loaded, np.asarray(source.train.images[: 6 * given.limit]) / np.float32(255))
    result |= likelihood(loaded, source, train, given.limit)
    if given.unusual:
        result |= unusual(loaded, source, train, given.unusual, given.limit)
    assert all(math.isfinite(value) for value in result.values())
    if given.completions:
        judge = (
            train_classifier(source, training=Training(classifier_steps=given.steps)) if source.num_classes else None
        )
        path = given.workdir / "completion.png"  # of the last temperature
        found = [completion(loaded, source, judge, given.completions, path, t) for t in given.temperature]
        assert all(math.isfinite(value) for each in found for value in each.values())
        result["completions"] = found
    trained_run.write_json(given.workdir / "prior.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
