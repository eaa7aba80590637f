"""Do class-conditional samples show the class that was asked for? A classifier of the real images is the judge.

    python benchmarks/class_agreement.py --workdir runs/shapes        # judges a run that is there
    python benchmarks/class_agreement.py --workdir NEW --config experiments/shapes.py  # trains it first
    python benchmarks/class_agreement.py --workdir runs/prior --guidance 1 1.5         # of a prior, one after the other
    python benchmarks/class_agreement.py --smoke                          # two steps of everything, no claim

More flags are passed on to gen.main. Prints the judge's accuracy on held-out images (it is the classifier of
gen.features, trained for --steps, or with --judge residual a larger one, whose steps take longer), the agreement of
1,000 samples (all classes equally often, seeds 0 to 999, EMA weights, no truncation) with their labels, in total and by
class, and writes WORKDIR/agreement.json (a list) and agreement.png (of the last): a column for each class, a frame
around what the judge calls otherwise.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from gen import devices
from gen.config import build
from gen.features.classifier import train_classifier, train_judge
from gen.features.network_training import Training
from gen.report import grid, save_png
from gen.runs import trained_run
from gen.sampling import by_seed

RED = (1.0, 0.0, 0.0)


def agreement(
    workdir: pathlib.Path, *, samples: int, steps: int, settings: Sequence[dict[str, float]], residual: bool = False
) -> list[dict[str, Any]]:
    """Judges the best checkpoint of a run, by the same judge for each of the sampler's settings."""
    mesh = devices.mesh(-1, 1)
    loaded = trained_run.load(workdir, mesh=mesh)
    source = build(loaded.config.data, "data")
    if residual:
        judge = train_judge(source, steps=steps, mirror=loaded.config.mirror)
    else:
        judge = train_classifier(source, training=Training(classifier_steps=steps))
    seeds, classes = range(samples), loaded.data_metadata["num_classes"]
    labels = np.arange(samples) % classes
    found = []
    for asked in settings:
        drawn = by_seed.images(loaded.task, loaded.ema_params, seeds, labels=labels, conditions=asked, mesh=mesh)
        images = np.concatenate(list(drawn))
        right = judge.logits(images).argmax(-1) == labels
        result = {
            "step": loaded.step,
            "images": loaded.step * loaded.config.batch_size,
            "samples": samples,
            **asked,
            "judge": "residual" if residual else "small",
            "judge_held_out_accuracy": judge.accuracy,
            "agreement": float(right.mean()),
            "by_class": {name: float(right[labels == k].mean()) for k, name in enumerate(loaded.class_names)},
        }
        found.append(result)
    save_png(workdir / "agreement.png", grid(framed(images, ~right)[: 10 * classes], columns=classes))
    trained_run.write_json(workdir / "agreement.json", found)
    return found


def framed(images: np.ndarray, wrong: np.ndarray) -> np.ndarray:
    """Images [n h w 3], the `wrong` ones in a red frame."""
    images = np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images.copy()
    for image in images[wrong]:
        image[[0, -1]], image[:, [0, -1]] = RED, RED
    return images


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--config")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=2000, help="of the judge's training")
    parser.add_argument("--judge", choices=("small", "residual"), default="small")
    parser.add_argument("--temperature", type=float, help="of a prior")
    parser.add_argument("--guidance", type=float, nargs="+", help="of a prior")
    parser.add_argument("--smoke", action="store_true")
    given, passed_on = parser.parse_known_args()
    if given.smoke:
        given.config, given.samples, given.steps = "experiments/shapes.py:smoke", 16, 2
        given.workdir = pathlib.Path(tempfile.mkdtemp())
    if given.workdir is None:
        parser.error("--workdir is missing")
    if given.config:
        command = [
            sys.executable,
            "-m",
            "gen.main",
            f"--config={given.config}",
            f"--workdir={given.workdir}",
            *passed_on,
        ]
        start = time.monotonic()
        subprocess.run(command, check=True)
        print(f"from command to report: {time.monotonic() - start:.0f} s")
    shared = {} if given.temperature is None else {"temperature": given.temperature}
    settings = [shared | {"guidance": guidance} for guidance in given.guidance or []] or [shared]
    asked = {"samples": given.samples, "steps": given.steps, "residual": given.judge == "residual"}
    print(json.dumps(agreement(given.workdir, settings=settings, **asked), indent=2))


if __name__ == "__main__":
    main()
