"""Is a GAN that saw 200 images caught copying them, and one that saw 60,000 not?

    python benchmarks/memorization.py --data fashion_mnist.npz --honest runs/fashion_mnist
    python benchmarks/memorization.py --data F.npz --honest runs/fashion_mnist --copier runs/few
    python benchmarks/memorization.py --smoke            # two steps of everything, pixels for features, no claim

Trains the GAN of experiments/fashion_mnist.py on a fixed random choice of 200 training images (--few) for --images
images, in the folder --copier: again, the same command finds it there. Then both runs, that one and --honest, make as
many samples, and each set is compared with its own training images and with all held-out images, by one extractor: the
own one of the whole data set. Prints the share of samples nearer to a training image than nearly all held-out images
are, what an honest model would have, the p-value, and two older statistics, C_T and AuthPct. A p-value below 1e-6
counts as caught, one above 0.01 as honest. Writes COPIER/nearest.png: samples beside their nearest training images.
"""

from __future__ import annotations

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import NamedTuple

import numpy as np

from gen import devices
from gen.config import build
from gen.data import npz
from gen.evaluation import Comparison, MetricResult, extract_features, measure, model_images, reference
from gen.evaluation.figures import nearest
from gen.features import Extractor, pixels, self_supervised_extractor
from gen.report import save_png
from gen.runs import trained_run

CAUGHT, HONEST = 1e-6, 0.01
EXPERIMENT = "experiments/fashion_mnist.py"


class Found(NamedTuple):
    """What was found of a run: how many images it was trained on and shown, its results, and pairs to look at."""

    name: str
    training_images: int
    images_seen: int
    results: dict[str, MetricResult]
    picture: np.ndarray


def train(config: str, workdir: pathlib.Path, *options: str) -> None:
    command = [sys.executable, "-m", "gen.main", f"--config={config}", f"--workdir={workdir}", *options]
    began = time.monotonic()
    subprocess.run(command, check=True)
    print(f"{workdir}: trained, or found trained, in {time.monotonic() - began:.0f} s", flush=True)


def examined(workdir: pathlib.Path, extractor: Extractor, samples: int) -> Found:
    """A run's samples against its training images."""
    mesh = devices.mesh(-1, 1)
    loaded = trained_run.load(workdir, mesh=mesh)
    source = build(loaded.config.data, "data")
    made = model_images(loaded.task, loaded.ema_params, source, samples, mesh=mesh)
    generated = extract_features(made, extractor, labeled=bool(source.num_classes))
    comparison = Comparison(generated, reference(source, extractor), extractor)
    results = {result.metric: result for result in measure(comparison, groups=["memorization"])}
    seen = loaded.step * loaded.config.batch_size
    return Found(workdir.name, len(source.train.images), seen, results, nearest(comparison))


def row(found: Found) -> str:
    share, p = found.results["memorized"], found.results["memorized-p"]
    verdict = "caught" if p.value < CAUGHT else "honest" if p.value > HONEST else "in doubt"
    cells = [found.name, f"{found.training_images:,}", f"{found.images_seen:,}", f"{share.num_samples:,}"]
    cells += [f"{share.value:.2%}", f"{share.settings['expected']:.2%}", f"{p.value:.2g}", verdict]
    older = [f"{found.results[name].value:.3g}" if name in found.results else "" for name in ("C_T", "AuthPct")]
    return "| " + " | ".join([*cells, *older]) + " |"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="an .npz file: x_train, y_train, x_test, y_test")
    parser.add_argument("--honest", type=pathlib.Path, help="a run on all of it")
    parser.add_argument("--copier", type=pathlib.Path, help="where the run on few images is, or shall be")
    parser.add_argument("--few", type=int, default=200, help="training images")
    parser.add_argument("--images", type=int, default=60_000, help="that it is shown")
    parser.add_argument("--num_samples", type=int, default=3000)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    copier = given.copier or pathlib.Path(tempfile.mkdtemp()) / f"few_{given.few}"
    if given.smoke:
        train(f"{EXPERIMENT}:smoke", copier, "--config.data.num_held_out=120")
        runs, extractor, given.num_samples = [copier], pixels(8), 20
    elif given.data is None:
        parser.error("--data is missing")
    else:
        data = [f"--config.data.path={given.data.resolve()}", f"--config.data.limit={given.few}"]
        size = [f"--config.total_images={given.images}", f"--config.task.schedule_images={given.images}"]
        train(f"{EXPERIMENT}:npz", copier, *data, *size)
        runs, extractor = (
            [copier, *([given.honest] if given.honest else [])],
            self_supervised_extractor(npz(given.data, 32)),
        )
    found = [examined(workdir, extractor, given.num_samples) for workdir in runs]
    print("| run | training images | images seen | samples | memorized | expected | p | | C_T | AuthPct |")
    print("|" + " --- |" * 10)
    print("\n".join(map(row, found)))
    save_png(copier / "nearest.png", found[0].picture)


if __name__ == "__main__":
    main()
