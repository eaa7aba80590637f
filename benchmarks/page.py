"""Does the page of an export make the images of gen? In headless Chromium, for many seeds, against jax.

    python -m gen.export RUN OUT --page
    python benchmarks/page.py OUT                # 64 seeds
    python benchmarks/page.py OUT --seeds 8 --json FILE
    python benchmarks/page.py OUT --steps 50 --guidance 3    # of a flow, instead of its own
    python benchmarks/page.py --smoke            # only starts: a page needs what gen does not install

Prints the largest and the mean difference of the values that the page computes from those of jax, in levels of 255; how
many of the bytes that it shows and saves differ from those of gen, and by how many levels; the largest difference of
the latents; whether all drawn classes are those of gen; the milliseconds for an image; and, for scale, how far jax is
from itself where it makes images one at a time. Exit code 1 where a value differs by more than a thousandth of a level,
times the guidance of a flow, or a class differs. Needs playwright and Chromium, as the tests of pages.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import pathlib
import sys
from typing import Any

import jax
import numpy as np

from gen.image_io.pixels import to_uint8
from gen.publishing import onnx_export, sampler
from gen.publishing.page import tolerance
from gen.runs import trained_run
from gen.tasks.flow import Flow

ROOT = pathlib.Path(__file__).resolve().parents[1]
MAKE = """async ([seeds, settings]) => {
  const made = await import("./generator.js");
  const model = await made.open();
  await made.make(model, { seed: 0, ...settings });
  const images = [], began = performance.now();
  for (const seed of seeds) images.push(await made.make(model, { seed, ...settings }));
  const ms = (performance.now() - began) / seeds.length;
  return {
    ms,
    values: images.map((image) => Array.from(image)),
    bytes: images.map((image) => Array.from(made.toBytes(image))),
    latents: seeds.map((seed) => Array.from(made.latentOf(model.about, { seed }))),
    labels: seeds.map((seed) => made.labelOf(model.about, seed, null)),
  };
}"""


def compared(folder: pathlib.Path, seeds: list[int], settings: dict[str, Any]) -> dict[str, Any]:
    """Compares the images of a page with those of its folder by jax, in float32. settings: of a flow."""
    sys.path.insert(0, str(ROOT / "tests"))
    from browser import HOST, chromium, page_served

    with chromium() as browser, page_served(browser, folder) as (page, told):
        page.goto(f"{HOST}page.json")  # of the same host, and nothing else is drawn there
        made = page.evaluate(MAKE, [seeds, settings])
        assert told.nothing()
    run = onnx_export.in_float32(trained_run.load(folder))
    if settings:
        run = dataclasses.replace(run, task=dataclasses.replace(run.task, **settings))
    of = sampler.of_run(run)
    drawn = of.draw(seeds)
    weights, compiled = sampler.flat(run.ema_params), jax.jit(of.function)
    wanted = np.asarray(compiled(weights, drawn))
    rows = ({name: x[i : i + 1] if np.ndim(x) else x for name, x in drawn.items()} for i in range(min(len(seeds), 16)))
    alone = np.concatenate([compiled(weights, row) for row in rows])
    values = np.asarray(made["values"], np.float32).reshape(wanted.shape)
    off = np.abs(np.float64(values) - wanted) * 255
    levels = np.abs(np.asarray(made["bytes"]).reshape(wanted.shape) - to_uint8(wanted).astype(int))
    return {
        "images": len(seeds),
        "largest_levels": float(off.max()),
        "mean_levels": float(off.mean()),
        "other_bytes": int((levels > 0).sum()),
        "bytes": int(levels.size),
        "most_levels": int(levels.max()),
        "latents": float(np.abs(np.asarray(made["latents"], np.float32) - drawn["latent"]).max()),
        "allowed_levels": tolerance(run.task),
        "labels": made["labels"] == [*np.asarray(drawn.get("label", [None] * len(seeds))).tolist()],
        "ms": made["ms"],
        "jax_levels": float(255 * np.abs(alone - wanted[: len(alone)]).max()),
    }


def main() -> int:
    """Prints what was found; 1 where the page is too far from jax."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=pathlib.Path, nargs="?")
    parser.add_argument("--seeds", type=int, default=64)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--steps", type=int)
    parser.add_argument("--guidance", type=float)
    options = parser.parse_args()
    if options.folder is None:
        print("nothing to compare: name a folder by gen.export --page")
        return int(not options.smoke)
    settings = {name: value for name in ("steps", "guidance") if (value := getattr(options, name)) is not None}
    if settings and not isinstance(trained_run.load(options.folder).task, Flow):
        print(f"--{next(iter(settings))} is of flows, and this model is none", file=sys.stderr)
        return 2
    found = compared(options.folder, list(range(options.seeds)), settings)
    for name, value in found.items():
        print(f"{name:<16} {value if isinstance(value, int) else f'{value:.3g}'}")
    if options.json:
        options.json.write_text(json.dumps(found, indent=1))
    return int(not found["largest_levels"] <= found["allowed_levels"] or not found["labels"])


if __name__ == "__main__":
    sys.exit(main())
