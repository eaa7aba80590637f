"""How well does an autoencoder give held-out images back, and how much of its vocabulary does it use?

    python benchmarks/reconstruction.py --workdir runs/fashion_mnist_autoencoder    # judges a run that is there
    python benchmarks/reconstruction.py --workdir A --workdir B --picture both.png  # several in one picture
    python benchmarks/reconstruction.py --smoke                                     # two steps of everything, no claim

Prints, over all held-out images (EMA weights): PSNR in dB, mean and 5 % quantile over images, the share of codes that
are used, their perplexity, and for a Gaussian bottleneck the rate in bits per image. Writes WORKDIR/reconstruction.json
and the picture: held-out images, and below them what each run makes of them.
"""

from __future__ import annotations

import argparse
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen import devices
from gen.config import build, experiment
from gen.report import grid, save_png
from gen.runs import trained_run
from gen.training import loop

SHOWN = 20


def judge(workdir: pathlib.Path, *, batch_size: int = 200) -> tuple[dict[str, Any], np.ndarray, np.ndarray]:
    """Numbers of a run, and some held-out images with their reconstructions, float [n h w c] in [0, 1]."""
    loaded = trained_run.load(workdir)
    task, network = loaded.task, loaded.task.network
    images = np.asarray(build(loaded.config.data, "data").held_out.images) / np.float32(255)

    def encoded(x: jax.Array) -> tuple[jax.Array, Any, dict[str, jax.Array]]:
        code = network.apply(loaded.ema_params["autoencoder"], 2 * x - 1, method="encode")
        return task.reconstruct(loaded.ema_params, x), code.tokens, code.statistics

    encoded = jax.jit(encoded, compiler_options=devices.compiler_options())
    made, counts, bits = [], np.zeros(network.vocabulary, np.int64), []
    for start in range(0, len(images), batch_size):
        part = images[start : start + batch_size]
        again, tokens, statistics = encoded(jnp.asarray(part))
        made.append(np.asarray(again))
        counts += 0 if tokens is None else np.bincount(np.ravel(tokens), minlength=len(counts))
        bits += [float(statistics["rate_bits"])] * len(part) if "rate_bits" in statistics else []
    reconstructed = np.concatenate(made)
    psnr = -10 * np.log10(np.maximum(np.square(reconstructed - images).mean((1, 2, 3)), 1e-10))
    result = {
        "images_seen": loaded.step * loaded.config.batch_size,
        "held_out": len(images),
        "psnr": float(psnr.mean()),
        "psnr_5_percent": float(np.quantile(psnr, 0.05)),
    }
    if len(counts):
        share = counts[counts > 0] / counts.sum()
        result |= {"codes": len(counts), "usage": float((counts > 0).mean())}
        result |= {"perplexity": float(np.exp(-(share * np.log(share)).sum()))}
    if bits:
        result["rate_bits"] = float(np.mean(bits))
    trained_run.write_json(workdir / "reconstruction.json", result)
    return result, images[:SHOWN], reconstructed[:SHOWN]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path, action="append", default=[])
    parser.add_argument("--picture", type=pathlib.Path, help="default: reconstruction.png in the first run's folder")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.workdir = [pathlib.Path(tempfile.mkdtemp())]
        assert loop.train(experiment.load("experiments/fashion_mnist_autoencoder.py:smoke"), given.workdir[0]) == 0
    if not given.workdir:
        parser.error("--workdir is missing")
    rows: list[np.ndarray] = []
    for workdir in given.workdir:
        result, real, made = judge(workdir)
        rows += [made] if rows else [real, made]
        values = (
            f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value:,}" for name, value in result.items()
        )
        print(f"{workdir.name}: {', '.join(values)}")
    save_png(given.picture or given.workdir[0] / "reconstruction.png", grid(np.concatenate(rows), columns=len(rows[0])))


if __name__ == "__main__":
    main()
