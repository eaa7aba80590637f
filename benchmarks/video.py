"""Does a prior of frames know what comes next? Its next frame against a copy of the last one, on held-out films.

    python benchmarks/video.py --workdir runs/sprites_video
    python benchmarks/video.py --smoke                          # two steps of everything, no claim

Prints and writes to WORKDIR/video.json (EMA weights, the class of the film given, seeds from 0, for held-out pairs
chosen evenly): PSNR of the next frame for a copy of the last one, for one draw, for the mean of the draws, for the best
of them, and for the tokenizer alone, which bounds them all. video.png: last frames, draws, what came next.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import tempfile
from typing import Any

import numpy as np
from prior import batches, compiled, psnr

from gen.config import build, experiment
from gen.report import grid, save_png
from gen.runs import trained_run
from gen.sampling import by_seed
from gen.training import loop

DRAWS = 5


def judge(loaded: trained_run.TrainedRun, count: int, path: pathlib.Path, temperature: float) -> dict[str, float]:
    images, labels, _ = build(loaded.config.data, "data").held_out
    chosen = np.linspace(0, len(images) - 1, min(count, len(images))).astype(int)
    pairs, labels = np.asarray(images[chosen]) / np.float32(255), np.asarray(labels[chosen])
    before, after = np.split(pairs, 2, axis=1)
    task: Any = loaded.task

    def follow(p: Any, k: Any, x: Any, y: Any) -> Any:
        label = {"label": y} if task.num_classes else {}
        return task.sample(p, k, {"context": x, "temperature": temperature} | label)

    follow = compiled(follow)
    drawn = []
    for seed in range(DRAWS):
        keys = by_seed.keys(seed * len(chosen) + np.arange(len(chosen)))
        parts = [follow(loaded.ema_params, keys[p], before[p], labels[p]) for p in batches(len(chosen))]
        drawn.append(np.concatenate([np.asarray(part) for part in parts]))
    answers = np.stack(drawn)
    again = compiled(task.reconstruct)
    bound = np.concatenate([np.asarray(again(loaded.ema_params, after[p])) for p in batches(len(chosen))])
    save_png(path, grid(np.concatenate([before[:16], *answers[:3, :16], after[:16]]), columns=min(16, len(before))))
    each = psnr(answers, after)
    return {
        "pairs": len(chosen),
        "psnr_copy": float(psnr(before, after).mean()),
        "psnr_one_draw": float(each.mean()),
        "psnr_mean_of_draws": float(psnr(answers.mean(0), after).mean()),
        "psnr_best_of_draws": float(each.max(0).mean()),
        "psnr_tokenizer": float(psnr(bound, after).mean()),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--pairs", type=int, default=500)
    parser.add_argument("--temperature", type=float, default=1.0)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.workdir, given.pairs = pathlib.Path(tempfile.mkdtemp()), 8
        assert loop.train(experiment.load("experiments/sprites_video.py:smoke"), given.workdir) == 0
    if given.workdir is None:
        parser.error("--workdir is missing")
    loaded = trained_run.load(given.workdir)
    result = {"images_seen": loaded.step * loaded.config.batch_size}
    result |= judge(loaded, given.pairs, given.workdir / "video.png", given.temperature)  # type: ignore[arg-type]
    trained_run.write_json(given.workdir / "video.json", result)
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
