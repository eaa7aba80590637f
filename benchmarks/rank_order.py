"""Does each number move the way its docstring says when images are spoiled in known ways?

    python benchmarks/rank_order.py --data fashion_mnist.npz --resolution 32    # as docs/metrics.md shows
    python benchmarks/rank_order.py --data shapes              # drawn by gen
    python benchmarks/rank_order.py --run runs/shapes_gan          # along the checkpoints that a run kept
    python benchmarks/rank_order.py --smoke                    # few images, pixels for features, no claim

The first two put held-out real images in the place of samples: as they are; blurred; with noise; some classes dropped;
some replaced by training images. Each set has as many images. A part of the held-out images is kept apart: it says how
near new images are to training images. Features are those of the own extractor, which is trained first if need be.

A row for each metric, and in each cell its value for the three degrees. An arrow is the way its docstring says: it went
that way at every degree, and further at last than its own interval. In brackets: at last, not at every degree. ✗: it
did not. Without a mark: nothing is said of it, and nobody should rely on it. --json writes the values.
"""

from __future__ import annotations

import argparse
import dataclasses
import itertools
import json
import pathlib
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np

from gen import devices
from gen.config import build
from gen.data import DatasetSplits, Examples, npz, shapes
from gen.evaluation import (
    GROUPS,
    Comparison,
    FeatureSet,
    MetricResult,
    Reference,
    extract_features,
    measure,
    model_images,
    reference,
)
from gen.features import Extractor, pixels, self_supervised_extractor
from gen.imaging.filters import gaussian
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints

BLURS = (0.5, 1.0, 2.0)  # sigma, pixels
NOISES = (0.05, 0.1, 0.2)  # standard deviation where white is 1
DROPPED = (0.2, 0.5, 0.8)  # of the classes
COPIES = (0.02, 0.1, 0.5)  # of the images
UP, DOWN = 1, -1

# What the docstrings in gen/metrics say: metrics that react to something, what, and which way they then go. The
# extractor is left out of their names here.
_SAID: list[tuple[tuple[str, ...], dict[str, int]]] = [
    (("FD", "FD-infinite", "KD", "MMD", "MIND"), {"blur": UP, "noise": UP, "dropped": UP}),
    (("FD-class, mean", "SWD-32", "SWD-16"), {"blur": UP, "noise": UP}),
    (("precision", "density", "class-agreement"), {"blur": DOWN, "noise": DOWN}),
    (("recall", "coverage", "Vendi-q1", "Vendi-q2", "modes-covered"), {"dropped": DOWN}),
    (("modes-divergence",), {"dropped": UP}),
    (("IS",), {"blur": DOWN, "noise": DOWN, "dropped": DOWN}),
    (("MS-SSIM",), {"noise": DOWN}),
    (("memorized",), {"copies": UP}),
    (("memorized-p", "C_T", "AuthPct"), {"copies": DOWN}),
]
SAID = {metric: said for metrics, said in _SAID for metric in metrics}
Results = dict[str, MetricResult]


class Setting(NamedTuple):
    """What all cells share. pool: held-out images that take the place of samples."""

    reference: Reference
    extractor: Extractor
    pool: FeatureSet
    metrics: Sequence[str]

    def results(self, generated: FeatureSet) -> Results:
        """Measures a set of images: results by name without the extractor; distances within classes as their mean."""
        named, within = Results(), list[MetricResult]()
        for result in measure(Comparison(generated, self.reference, self.extractor), groups=self.metrics):
            name = result.metric.replace(f"-{self.extractor.name}", "")
            if name.startswith("FD-class-"):
                within.append(result)
            else:
                named[name] = result
        if within:
            mean = float(np.mean([result.value for result in within]))
            named["FD-class, mean"] = dataclasses.replace(within[0], value=mean, low=None, high=None)
        return named


def setting(
    source: DatasetSplits, extractor: Extractor, metrics: Sequence[str], *, apart: int, references: int
) -> Setting:
    """Divides the held-out images: `apart` of them say how near new images are, the rest is the pool."""
    whole = reference(source, extractor)
    order = np.random.default_rng(0).permutation(len(whole.held_out))
    real = whole.real.take(np.arange(min(references, len(whole.real))))
    kept = dataclasses.replace(whole, real=real, held_out=whole.held_out.take(order[:apart]))
    return Setting(kept, extractor, whole.held_out.take(order[apart:]), metrics)


def spoiled(given: Setting, images: int) -> dict[str, list[tuple[str, Callable[[], FeatureSet]]]]:
    """The columns of the table: for each way to spoil images, and each degree, its name and what makes the set."""
    pool, train, rng = given.pool, given.reference.train, np.random.default_rng(1)
    assert pool.labels is not None, "images without classes cannot be dropped by class"
    classes = len(given.reference.class_names)
    falling = rng.permutation(classes)
    counts = [round(share * classes) for share in DROPPED]
    left = [np.flatnonzero(~np.isin(pool.labels, falling[:count])) for count in counts]
    n = min(images, *map(len, left))
    plain = pool.take(np.arange(n))

    def changed(function: Callable[[np.ndarray], np.ndarray]) -> Callable[[], FeatureSet]:
        made = lambda: to_uint8(function(plain.images / np.float32(255)))  # noqa: E731
        return lambda: extract_features(Examples(made(), plain.labels), given.extractor, labeled=True)

    def with_copies(share: float) -> FeatureSet:
        count = round(share * n)
        copies = train.take(np.random.default_rng(2).permutation(len(train))[:count])
        return joined(copies, plain.take(np.arange(count, n)))

    def noisy(deviation: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: x + np.random.default_rng(3).normal(0, deviation, x.shape)

    def blurred(sigma: float) -> Callable[[np.ndarray], np.ndarray]:
        return lambda x: np.asarray(gaussian(jnp.asarray(x), sigma))

    return {
        "held out": [("as they are", lambda: plain)],
        "blur": [(f"sigma {sigma:g}", changed(blurred(sigma))) for sigma in BLURS],
        "noise": [(f"sd {deviation:g}", changed(noisy(deviation))) for deviation in NOISES],
        "dropped": [
            (f"{count} of {classes}", lambda at=at: pool.take(at[:n])) for count, at in zip(counts, left, strict=True)
        ],
        "copies": [(f"{share:.0%}", lambda share=share: with_copies(share)) for share in COPIES],
    }


def joined(a: FeatureSet, b: FeatureSet) -> FeatureSet:
    """Both sets as one."""
    pairs = ((getattr(a, each.name), getattr(b, each.name)) for each in dataclasses.fields(FeatureSet))
    return FeatureSet(*(None if x is None or y is None else np.concatenate([x, y]) for x, y in pairs))


def to_uint8(x: np.ndarray) -> np.ndarray:
    return np.round(np.clip(x, 0, 1) * 255).astype(np.uint8)


def mark(results: Sequence[MetricResult], sign: int) -> str:
    """Whether values went up (sign 1) or down (-1): an arrow, an arrow in brackets, or ✗; see the top."""
    first, values = results[0], [result.value for result in results]
    reach = 0.0 if first.low is None or first.high is None else (first.high - first.low) / 2
    if not sign * (values[-1] - values[0]) > reach:
        return "✗"
    arrow = "↑" if sign > 0 else "↓"
    return arrow if all(sign * (b - a) >= 0 for a, b in itertools.pairwise(values)) else f"({arrow})"


def number(value: float) -> str:
    return f"{value:.1e}" if 0 < abs(value) < 1e-3 else f"{value:.3g}"


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    print("| " + " | ".join(heads) + " |\n|" + " --- |" * len(heads))
    print("\n".join("| " + " | ".join(row) + " |" for row in rows), flush=True)


def by_spoiling(given: Setting, images: int) -> dict[str, Any]:
    """Measures every set and prints the table."""
    every = dict[str, list[Results]]()
    columns, began = spoiled(given, images), time.monotonic()
    for way, degrees in columns.items():
        sets = [make() for _, make in degrees]
        every[way] = [given.results(each) for each in sets]
        print(f"{way}: {time.monotonic() - began:.0f} s", flush=True)
    (plain,) = every.pop("held out")
    heads = [f"{way}: {', '.join(name for name, _ in columns[way])}" for way in every]
    rows, marks = [], list[str]()
    for metric, first in plain.items():
        cells = [metric, number(first.value)]
        for way, found in every.items():
            results = [each[metric] for each in found if metric in each]
            said = SAID.get(metric, {}).get(way)
            marks += [mark([first, *results], said)] if said else []
            cells.append(", ".join(number(result.value) for result in results) + (f" {marks[-1]}" if said else ""))
        rows.append(cells)
    size = next(iter(plain.values())).num_samples
    print(f"\n{size:,} images a set, {len(given.reference.real):,} real, {len(given.reference.train):,} to copy from")
    print_table(["metric", "held out", *heads], rows)
    right, part = (sum(each in some for each in marks) for some in (("↑", "↓"), ("(↑)", "(↓)")))
    print(f"\n{len(marks)} statements: {right} hold at every degree, {part} at the last, {marks.count('✗')} do not")
    every["held out"] = [plain]
    return {
        way: [{name: dataclasses.asdict(c) for name, c in each.items()} for each in found]
        for way, found in every.items()
    }


def along(workdir: pathlib.Path, given: Setting, source: DatasetSplits, images: int) -> dict[str, Any]:
    """Measures samples of every checkpoint of a run, and prints whether the last are better than the first."""
    with Checkpoints(trained_run.RunFolder(workdir).checkpoints) as checkpoints:
        steps = checkpoints.steps()
    mesh, every = devices.mesh(-1, 1), dict[int, Results]()
    for step in steps:
        loaded = trained_run.load(workdir, step=step, mesh=mesh)
        made = model_images(loaded.task, loaded.ema_params, source, images, mesh=mesh)
        every[step] = given.results(extract_features(made, given.extractor, labeled=bool(source.num_classes)))
        print(f"step {step:,} measured", flush=True)
    rows = []
    for metric in every[steps[-1]]:
        results = [every[step][metric] for step in steps if metric in every[step]]
        sign = {"lower": DOWN, "higher": UP, "neither": 0}[results[0].better]
        rows.append([metric, *(number(result.value) for result in results), mark(results, sign) if sign else ""])
    print(f"\n{images:,} samples of each checkpoint; the arrow is the way to better")
    print_table(["metric", *(f"step {step:,}" for step in steps), ""], rows)
    return {str(step): {name: dataclasses.asdict(c) for name, c in each.items()} for step, each in every.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", default="shapes", help="an .npz file, or shapes")
    parser.add_argument("--resolution", type=int, help="of the .npz file's images; default: as stored")
    parser.add_argument("--run", type=pathlib.Path, help="a run whose checkpoints are compared instead; its own data")
    parser.add_argument("--images", type=int, default=2000, help="in a set, fewer where classes are small")
    parser.add_argument("--num_references", type=int, default=5000, help="real images to compare with")
    parser.add_argument("--apart", type=int, default=1000, help="held-out images that tell how near new images are")
    parser.add_argument("--metrics", default=",".join(GROUPS))
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    metrics = given.metrics.split(",")
    if given.smoke:
        source, extractor = shapes(32, num_train=400, num_held_out=400), pixels(8)
        given.images, given.apart, metrics = 60, 150, ["frechet", "memorization", "vendi"]
    else:
        if given.run:
            source = build(trained_run.load(given.run).config.data, "data")
        else:
            wide = given.data == "shapes"
            source = shapes(32, num_held_out=10_000) if wide else npz(given.data, given.resolution)
        began = time.monotonic()
        extractor = self_supervised_extractor(source)
        print(f"extractor {extractor.digest[:12]} in {time.monotonic() - began:.0f} s; accuracy {extractor.accuracy}")
    shared = setting(source, extractor, metrics, apart=given.apart, references=given.num_references)
    found = along(given.run, shared, source, given.images) if given.run else by_spoiling(shared, given.images)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
