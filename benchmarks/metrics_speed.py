"""How long do all metrics take, given features? Bars: 60 s in total, 5 s for the distance at d = 2,048.

    python benchmarks/metrics_speed.py            # d = 256; give it two idle cores
    python benchmarks/metrics_speed.py --big      # d = 2,048 too
    python benchmarks/metrics_speed.py --smoke    # few samples, no claim

10,000 generated samples against 10,000 real ones, which are the training set as well, and 10,000 held-out ones: random
features, class logits, captions and images of 32 x 32. Features of real images are made once in life, and what depends
on them alone is not: it is in the total. Intervals are included, extractors and text-image models are not. On a busy
machine look at the seconds of the processor, over all threads: half of them is about what two idle cores need.

Then the Fréchet distance at d = 2,048: from moments, as of stored statistics; and from features, with its interval.
"""

from __future__ import annotations

import argparse
import os
import resource
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from gen.evaluation import GROUPS, Comparison, FeatureSet, Reference, measure
from gen.features.extractor import Extractor, ExtractorOutput
from gen.features.text_image import TextImageModel
from gen.metrics import moments

CLASSES, SIDE, PAIRS = 10, 32, 2000
TOTAL_BAR, FRECHET_BAR, FRECHET_DIMENSIONS = 60.0, 5.0, 2048


def features(rng: np.random.Generator, n: int, d: int) -> np.ndarray:
    """Rectified, of a falling spectrum and unequal directions, float32 [n d]: more like a network's than noise is."""
    mix = np.random.default_rng(0).normal(size=(d, d)).astype(np.float32) / np.float32(np.sqrt(d))
    scale = np.linspace(2, 0.05, d, dtype=np.float32)
    return np.maximum(rng.standard_normal((n, d), dtype=np.float32) @ mix * scale, 0)


def images(rng: np.random.Generator, n: int, d: int) -> FeatureSet:
    labels = rng.integers(0, CLASSES, n).astype(np.int32)
    logits = 3 * np.eye(CLASSES, dtype=np.float32)[labels] + rng.standard_normal((n, CLASSES), dtype=np.float32)
    pixels = rng.integers(0, 256, (n, SIDE, SIDE, 3), dtype=np.uint8)
    captions = np.array([f"number {number} in class {label}" for number, label in enumerate(labels)])
    return FeatureSet(pixels, features(rng, n, d), labels, logits, captions)


def unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)


def suite(n: int, d: int) -> float:
    """Prints the seconds of each group, and returns their sum."""
    rng = np.random.default_rng(1)
    generated, real, held_out = (images(rng, n, d) for _ in range(3))
    reference = Reference("", "train", real, real, held_out, tuple(map(str, range(CLASSES))))
    extractor = Extractor("random", "", "none", lambda x: ExtractorOutput(held_out.features[: len(x)]))
    pairs = np.zeros((min(n, PAIRS), 1, 1, 1), np.float32)  # stand for images on the ways between latents
    see, read = (lambda x: unit(generated.features[: len(x)])), (lambda x: unit(features(rng, len(x), d)))
    comparison = Comparison(
        generated, reference, extractor, text_image=TextImageModel("", see, read), path=(pairs, pairs)
    )
    print(f"\nd = {d:,}, {n:,} against {n:,}\n\n| metrics | seconds | of the processor |\n| --- | --- | --- |")
    total = processor = 0.0
    for name in GROUPS:
        used = time.process_time()
        seconds, results = timed(lambda name=name: measure(comparison, groups=[name]))
        used = time.process_time() - used
        assert results, f"{name} was left out"
        total, processor = total + seconds, processor + used
        shown = ", ".join(result.metric for result in results[:5]) + " ..." * (len(results) > 5)
        print(f"| {name}: {shown} | {seconds:.1f} | {used:.1f} |", flush=True)
    print(f"| all | {total:.1f} | {processor:.1f} |")
    return total


def frechet(n: int, d: int) -> float:
    """Prints the seconds of the distance, and returns those from moments."""
    rng = np.random.default_rng(2)
    generated, real = features(rng, n, d), features(rng, n, d)
    both, (a, b) = timed(lambda: (moments.moments(generated), moments.moments(real)))
    from_moments, _ = timed(lambda: moments.frechet(a, b))
    with_interval, _ = timed(lambda: moments.frechet_distance(generated, b))
    print(f"\nFréchet distance, d = {d:,}, n = {n:,}: {from_moments:.1f} s from moments (which take {both:.1f} s);")
    print(f"{with_interval:.1f} s from features against moments, with an interval")
    return from_moments


def timed(function: Callable[[], Any]) -> tuple[float, Any]:
    began = time.monotonic()
    made = function()
    return time.monotonic() - began, made


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--num_samples", type=int, default=10_000)
    parser.add_argument("--big", action="store_true", help="all metrics at d = 2,048 too")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        suite(200, 16)
        frechet(200, 64)
        return
    print(f"{len(os.sched_getaffinity(0))} cores, load {os.getloadavg()[0]:.1f} at the start")
    total = suite(given.num_samples, 256)
    if given.big:
        suite(given.num_samples, 2048)
    distance = frechet(given.num_samples, FRECHET_DIMENSIONS)
    for name, seconds, bar in (("all at d = 256", total, TOTAL_BAR), ("Fréchet", distance, FRECHET_BAR)):
        print(f"{name}: {seconds:.1f} s, bar {bar:.0f} s: {'met' if seconds <= bar else 'MISSED'}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.1f} GiB")


if __name__ == "__main__":
    main()
