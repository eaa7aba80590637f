"""Do exported models make the images of their runs? By every file of gen.export, for every family of models.

    python benchmarks/export.py                  # untrained models of four experiments
    python benchmarks/export.py RUN...           # these runs
    python benchmarks/export.py --smoke          # one small model
    python benchmarks/export.py --json FILE      # also writes what it prints

Exports each run into a temporary folder and compares, for --images images at once and for one alone, the images of the
folder opened by gen, of model.jaxexport and, where jax2onnx and onnxruntime are installed (docs/export.md), of
model.onnx with those of the run. Prints the largest difference of a pixel in [0, 1], the milliseconds for an image
without compiling, the sizes of the files and the time of the export. Exit code 1 where the folder differs from the run
at all, or a sampler by more than 1e-4; model.onnx computes in float32 what the run computes in bfloat16, and is
compared with that.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import pathlib
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import jax
import numpy as np
import safetensors.numpy

from gen import api
from gen.config import build, build_task
from gen.config.experiment import load
from gen.publishing import export, flow_steps, onnx_export, sampler
from gen.runs import identity
from gen.runs.checkpoint import Checkpoints
from gen.runs.run_folder import RunFolder
from gen.tasks.flow import Flow

ROOT = pathlib.Path(__file__).resolve().parents[1]
EXPERIMENTS = ("shapes_gan", "celeba_vae", "shapes_autoencoder", "fashion_mnist_prior")
TOLERANCE = 1e-4

Make = Callable[[dict[str, np.ndarray]], np.ndarray]


def untrained(name: str, folder: pathlib.Path) -> pathlib.Path:
    """Makes the run of an experiment's smallest form, with weights a little away from the start."""
    config = load(str(ROOT / "experiments" / f"{name}.py") + ":smoke")
    place, source = RunFolder(folder / name), build(config.data, "data")
    begun = identity.begin(place, config, identity.data_metadata(source))
    identity.write(place, config, begun)
    task = build_task(config, source.image_shape, source.num_classes)
    rng = np.random.default_rng(0)
    stir = lambda leaf: leaf + (0.05 * rng.normal(size=leaf.shape)).astype(leaf.dtype)  # noqa: E731
    state = jax.jit(task.init)(jax.random.key(0))
    with Checkpoints(place.checkpoints, identity=begun.identity, notes=begun.notes) as checkpoints:
        checkpoints.save(1, state.replace(ema_params=jax.tree.map(stir, state.ema_params)), wait=True)
    return place.path


def samplers(out: pathlib.Path, run: Any) -> Iterator[tuple[str, Make, Any]]:
    """Yields the samplers in a folder: name of the file, function of inputs, and the run that it must be equal to."""
    program = jax.export.deserialize(bytearray((out / "model.jaxexport").read_bytes()))
    weights = safetensors.numpy.load_file(out / "model.safetensors")
    compiled = jax.jit(program.call)
    yield "model.jaxexport", lambda inputs: np.asarray(compiled(weights, inputs)), run
    if (out / "model.onnx").exists():
        import onnxruntime

        session = onnxruntime.InferenceSession(out / "model.onnx", providers=["CPUExecutionProvider"])
        names = [given.name for given in session.get_inputs()]
        in_float32 = onnx_export.in_float32(run)

        def evaluate(inputs: Mapping[str, np.ndarray]) -> np.ndarray:
            return np.asarray(session.run(None, {name: inputs[name] for name in names})[0])

        steps = isinstance(run.task, Flow)
        yield "model.onnx", lambda x: flow_steps.images(evaluate, run.task, x) if steps else evaluate(x), in_float32


def measured(make: Make, inputs: dict[str, np.ndarray]) -> tuple[np.ndarray, float]:
    """Returns images, and the milliseconds that each took the second time."""
    make(inputs)
    began = time.perf_counter()
    images = make(inputs)
    return images, 1000 * (time.perf_counter() - began) / len(images)


def compared(workdir: pathlib.Path, count: int) -> Iterator[dict[str, Any]]:
    """Yields a row for each file that makes images of a run."""
    onnx = all(importlib.util.find_spec(name) for name in ("jax2onnx", "onnxruntime"))
    with tempfile.TemporaryDirectory() as scratch:
        out, began = pathlib.Path(scratch) / "out", time.perf_counter()
        original = api.load(workdir)
        export.export(workdir, out, onnx=onnx and onnx_export.refusal(original.run.task) is None)
        seconds, model = time.perf_counter() - began, api.load(out)
        if original.run.task.can_sample:
            difference = float(np.abs(model.sample(range(count)) - original.sample(range(count))).max())
            yield {"file": "model.safetensors", "difference": difference, "allowed": 0.0, "ms": None}
        for name, make, run in samplers(out, original.run):
            of, weights = sampler.of_run(run), sampler.flat(run.ema_params)
            wanted = jax.jit(of.function)
            inputs, rows, times = of.draw(range(count)), [], []
            if "context" in of.inputs:
                inputs["context"] = np.full((count, *(of.inputs["context"].shape or ())), 0.5, np.float32)
            for size in (count, 1):
                part = {n: v[:size] if of.inputs[n].shape is not None else v for n, v in inputs.items()}
                images, each = measured(make, part)
                rows.append(float(np.abs(images - np.asarray(wanted(weights, part))).max()))
                times.append(each)
            yield {"file": name, "difference": max(rows), "allowed": TOLERANCE, "ms": times[0]}
        sizes = {path.name: path.stat().st_size for path in out.iterdir() if path.name[0] != "."}
        yield {"file": "all", "difference": 0.0, "allowed": 0.0, "ms": None, "seconds": seconds, "bytes": sizes}


def main() -> int:
    """Prints the table; 1 where something differs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("runs", nargs="*", type=pathlib.Path)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--json", type=pathlib.Path)
    parser.add_argument("--smoke", action="store_true")
    options = parser.parse_args()
    if importlib.util.find_spec("jax2onnx") is None:
        print("no jax2onnx in this environment: model.onnx is left out (docs/export.md)")
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as scratch:
        names = EXPERIMENTS[1:2] if options.smoke else EXPERIMENTS
        runs = options.runs or [untrained(name, pathlib.Path(scratch)) for name in names]
        print(f"{'run':<24} {'file':<20} {'difference':>10} {'ms/image':>9}")
        for run in runs:
            for row in compared(run, 4 if options.smoke else options.images):
                rows.append({"run": run.name} | row)
                if row["file"] == "all":
                    sizes = ", ".join(f"{name} {size / 1e3:,.0f} kB" for name, size in sorted(row["bytes"].items()))
                    print(f"{run.name:<24} exported in {row['seconds']:.1f} s: {sizes}")
                else:
                    ms = "" if row["ms"] is None else f"{row['ms']:.2f}"
                    print(f"{run.name:<24} {row['file']:<20} {row['difference']:>10.1e} {ms:>9}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    return int(any(not row["difference"] <= row["allowed"] for row in rows))


if __name__ == "__main__":
    sys.exit(main())
