"""Do the cheap features that training measures itself by order checkpoints as features of a trained network do?

    python benchmarks/cheap_features.py --workdir runs/fashion_mnist    # a run with --config.keep_checkpoints=100
    python benchmarks/cheap_features.py --smoke                         # a tiny run, untrained networks, no claim

Makes --num_samples samples of every checkpoint of a run, and of its newest one at falling truncation, by which variety
falls and single images do not get worse. Each set is compared with the same 2,000 training images by `pixels`, `random`
and `own`, a network trained on the data (--encoder_steps of --batch_size images; trained first unless the data cache
has it). Prints FD, recall and coverage, and how each of them by cheap features is ranked as by `own` (Spearman).
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
import time

import numpy as np
from scipy.stats import spearmanr

from gen import devices
from gen.config import build, experiment
from gen.data import DatasetSplits, Examples
from gen.evaluation import Comparison, Reference, extract_features, measure, model_images, random_subset
from gen.features import Extractor, parse_extractor, self_supervised_extractor
from gen.features.network_training import DEFAULT, Training
from gen.image_io.pixels import to_uint8
from gen.runs import digests, trained_run
from gen.runs.run_folder import RunFolder
from gen.sampling import by_seed
from gen.training import loop

TRUNCATIONS = (1.0, 0.85, 0.7, 0.5, 0.3)
SHOWN = ("FD", "recall", "coverage")


def sets(workdir: pathlib.Path, source: DatasetSplits, count: int) -> dict[str, dict[str, Examples]]:
    """Samples by name: of the checkpoints, and of the newest at falling truncation."""
    mesh, steps = devices.mesh(-1, 1), digests.steps(RunFolder(workdir).checkpoints)
    made: dict[str, Examples] = {}
    for step in steps:
        run = trained_run.load(workdir, step=step, mesh=mesh)
        made[str(step)] = model_images(run.task, run.ema_params, source, count, mesh=mesh)
    labels, cut = by_seed.drawn_labels(run.task, range(count)), dict[str, Examples]()
    for truncation in TRUNCATIONS:
        options = {"labels": labels, "truncation": truncation, "mesh": mesh}
        images = np.concatenate([*by_seed.images(run.task, run.ema_params, range(count), **options)])
        cut[f"{truncation:g}"] = Examples(to_uint8(images), np.full(count, -1, np.int32))
    return {"checkpoint": made, "truncation": cut}


def numbers(examples: dict[str, Examples], real: Examples, extractor: Extractor) -> dict[str, list[float]]:
    """FD, recall and coverage of each set."""
    features = extract_features(real, extractor, labeled=False)
    against = Reference("", "train", features, features, features.take(np.arange(0)))
    found: dict[str, list[float]] = {name: [] for name in SHOWN}
    for made in examples.values():
        generated = extract_features(made, extractor, labeled=False)
        results = measure(Comparison(generated, against, extractor, replicates=0), groups=("frechet", "neighbors"))
        values = {result.metric.partition("-")[0]: result.value for result in results}
        for name in SHOWN:
            found[name].append(values[name])
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--num_samples", type=int, default=500)
    parser.add_argument("--encoder_steps", type=int, default=DEFAULT.encoder_steps)
    parser.add_argument("--batch_size", type=int, default=DEFAULT.batch_size)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    training = Training(given.encoder_steps, 1, given.batch_size)
    if given.smoke:
        given.workdir, given.num_samples = pathlib.Path(tempfile.mkdtemp()), 12
        training = Training(2, 1, 8)
        config = experiment.load("experiments/shapes.py:smoke")
        config.checkpoint_every = 1
        loop.train(config, given.workdir)
    elif given.workdir is None:
        parser.error("--workdir is missing")
    folder = RunFolder(given.workdir)
    source = build(folder.read_config().data, "data")
    real = random_subset(source.train, 2000)
    extractors = [self_supervised_extractor(source, training=training)]
    extractors += [parse_extractor(name, source) for name in ("random", "pixels")]
    for what, examples in sets(given.workdir, source, given.num_samples).items():
        print(f"\n| features | number | {' | '.join(f'{what} {name}' for name in examples)} | rank | s |")
        print("|" + " --- |" * (len(examples) + 4))
        truth: dict[str, list[float]] = {}
        for extractor in extractors:
            began = time.monotonic()
            found = numbers(examples, real, extractor)
            seconds = (time.monotonic() - began) / len(examples)
            truth = truth or found
            for name, values in found.items():
                rank = "" if found is truth else f"{spearmanr(values, truth[name]).statistic:.2f}"
                shown = " | ".join(f"{value:.3g}" for value in values)
                print(f"| {extractor.name} | {name} | {shown} | {rank} | {seconds:.2f} |", flush=True)


if __name__ == "__main__":
    main()
