"""What the loop costs beside its steps: checkpoints, data and log, the first step, the report of a long run.

    python benchmarks/loop.py
    python benchmarks/loop.py --smoke

checkpoint: seconds that saving holds up the loop, of a network with 50 million parameters, their average and the two
moments of Adam (800 MB). loop: the share of the time that a GAN of preset xs does not step, from its log. first step:
seconds from the start of the program to the line of its first step, when its programs were compiled by an earlier run.
report: megabytes of report.html after 100,000 steps with a log line for every tenth and a preview for every 500th.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from gen.report import Report
from gen.runs.checkpoint import Checkpoints
from gen.tasks.state import TrainState


def checkpoint(folder: Path, parameters: int) -> tuple[float, float]:
    """Returns the seconds until `save` returns, the median of five, and those until all is on the disk."""
    leaves = {str(i): jnp.full(parameters // 50, i, jnp.float32) for i in range(50)}
    copy = lambda: {"network": jax.tree.map(jnp.copy, leaves)}  # noqa: E731
    state = TrainState(step=jnp.int32(0), params=copy(), opt_state=({"m": copy(), "v": copy()},), ema_params=copy())
    jax.block_until_ready(state)
    held, whole = [], []
    with Checkpoints(folder, keep=1) as checkpoints:
        for step in range(1, 6):
            began = time.perf_counter()
            checkpoints.save(step, state)
            held.append(time.perf_counter() - began)
            checkpoints.wait()
            whole.append(time.perf_counter() - began)
    return statistics.median(held), statistics.median(whole)


def train(folder: Path, cache: Path, *flags: str) -> float:
    """Trains in a process of its own; returns the seconds until its first line in metrics.jsonl."""
    command = [sys.executable, "-m", "gen.main", f"--workdir={folder}", *flags]
    began, metrics = time.perf_counter(), folder / "metrics.jsonl"
    environment = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while not (metrics.exists() and metrics.stat().st_size) and process.poll() is None:
        time.sleep(0.01)
    first = time.perf_counter() - began
    if process.wait():
        raise SystemExit(f"training ended with {process.returncode}: {' '.join(command)}")
    return first


def outside(folder: Path) -> float:
    """Returns the share of the time that the second half of a run did not step."""
    lines = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    lines = [line for line in lines if "time_data" in line][-(len(lines) // 2) :]
    return statistics.mean(line["time_data"] + line["time_write"] for line in lines)


def report(folder: Path, steps: int) -> float:
    """Returns the megabytes of the report of a long run."""
    folder.mkdir()
    rng, made = np.random.default_rng(0), Report(folder, config_json='{"total_images": 6400000}', data_metadata={})
    lines = [
        {"step": step, "images": 64 * step, "seconds": step / 10} | {f"loss_{i}": rng.normal() for i in range(8)}
        for step in range(10, steps + 1, 10)
    ]
    (folder / "metrics.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))
    made = Report(folder, config_json='{"total_images": 6400000}', data_metadata={})
    for step in range(500, steps + 1, max(500, steps // 200)):
        made.preview(rng.random((64, 32, 32, 3), np.float32), step)
    return made.write_html("finished").stat().st_size / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    small = parser.parse_args().smoke
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        held, whole = checkpoint(root / "checkpoints", 50_000 if small else 50_000_000)
        print(f"checkpoint: holds up the loop {held:.2f} s, is on the disk after {whole:.2f} s", flush=True)
        experiment = "experiments/shapes_gan.py" + (":smoke" if small else "")
        flags = [f"--config={experiment}", "--config.log_every=1" if small else "--config.log_every=10"]
        flags += [] if small else ["--config.total_images=9600", "--config.checkpoint_every=1000"]
        once = [*flags[:1], "--config.log_every=1", *([] if small else ["--config.total_images=64"])]
        if not small:
            cold = train(root / "cold", root / "cache", *once)
            warm = train(root / "warm", root / "cache", *once)
            print(f"first step: {cold:.1f} s, of a program that ran before {warm:.1f} s", flush=True)
        train(root / "run", root / "cache", *flags)
        print(f"loop: {100 * outside(root / 'run'):.1f} % of the time outside the step", flush=True)
        print(f"report: {report(root / 'report', 1000 if small else 100_000):.1f} MB", flush=True)


if __name__ == "__main__":
    main()
