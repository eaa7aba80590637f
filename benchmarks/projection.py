"""How near does a GAN come to images that it has never seen?

    python benchmarks/projection.py --workdir runs/shapes_gan                              # judges a run that is there
    python benchmarks/projection.py --workdir NEW --config experiments/shapes_gan.py      # trains it first
    python benchmarks/projection.py --smoke                                               # two steps of everything

More flags are passed on to gen.main. Projects held-out images as `python -m gen.latents project` does, without telling
their class, and prints the PSNR over images (median, quartiles), how often the class found is that of the image, and
the seconds per image. Writes WORKDIR/projection.json and projection.png: images, projections, differences.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any

import numpy as np

from gen import devices
from gen.config import build
from gen.report import save_png
from gen.runs import trained_run
from gen.sampling import latent_space
from gen.sampling.latent_space import figures


def judge(workdir: pathlib.Path, *, images: int, steps: int) -> dict[str, Any]:
    """Numbers of a run; writes projection.json and projection.png into its folder."""
    mesh = devices.mesh(-1, 1)
    loaded = trained_run.load(workdir, mesh=mesh)
    held_out = build(loaded.config.data, "data").held_out
    given = np.asarray(held_out.images[:images]) / np.float32(255)
    space = latent_space.of_run(loaded, workdir, mesh=mesh, steps=steps)
    start = time.monotonic()
    codes = space.encode(given)
    seconds = time.monotonic() - start
    made = space.decode(codes)
    psnr = figures.psnr(given, made)
    lower, median, upper = np.quantile(psnr, (0.25, 0.5, 0.75))
    result = {
        "images": len(given),
        "gradients": steps,
        "psnr_lower_quartile": float(lower),
        "psnr_median": float(median),
        "psnr_upper_quartile": float(upper),
        "seconds_per_image": seconds / len(given),
        "latent_rms": float(np.sqrt(np.square(codes.z).mean())),  # 1 for latents that are drawn
    }
    if codes.label is not None:
        result["class_agreement"] = float((codes.label == held_out.labels[:images]).mean())
    trained_run.write_json(workdir / "projection.json", result)
    save_png(workdir / "projection.png", figures.comparison(given, made, figures.difference(given, made)))
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--config")
    parser.add_argument("--images", type=int, default=64)
    parser.add_argument("--steps", type=int, default=300, help="gradients for an image that is followed to the end")
    parser.add_argument("--smoke", action="store_true")
    given, passed_on = parser.parse_known_args()
    if given.smoke:
        given.config, given.images, given.steps = "experiments/shapes_gan.py:smoke", 2, 2
        given.workdir = pathlib.Path(tempfile.mkdtemp())
    if given.workdir is None:
        parser.error("--workdir is missing")
    if given.config:
        where = [f"--config={given.config}", f"--workdir={given.workdir}"]
        subprocess.run([sys.executable, "-m", "gen.main", *where, *passed_on], check=True)
    print(json.dumps(judge(given.workdir, images=given.images, steps=given.steps), indent=2))


if __name__ == "__main__":
    main()
