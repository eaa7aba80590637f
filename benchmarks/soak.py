"""Does a run survive? Trains a tiny model in a folder, under random faults, and compares it with one that had none.

    python benchmarks/soak.py --minutes 30       # kills, signals, flipped bytes, full disks, unreadable images
    python benchmarks/soak.py --kills 20         # twenty kills at random times
    python benchmarks/soak.py --smoke

Each start is `python -m gen.main`, the same command. After a fault the next start must go on from a step that was
verified; at the end every leaf of the last checkpoint must have the digest of the run without faults, and metrics.jsonl
every line once. A full disk is tried where a small file system can be mounted (as root on Linux). Memory and open files
of the process are read while it trains, and their slopes printed.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import pathlib
import random
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

import numpy as np
from PIL import Image

from gen.data.shapes import shapes
from gen.runs import digests

EXPERIMENT = '''"""Small networks on a folder of small images."""

from gen.config import Config, spec
from gen.data import folder
from gen.models.r3gan import Discriminator, Generator
from gen.tasks.gan import Gan


def get_config(arg=""):
    network = dict(widths=(16, 8), blocks=1, expansion=1.0, group_size=None, patch=2, embedding=8, bfloat16_from=None)
    return Config(
        data=spec(folder, path="{images}", resolution=16),
        task=spec(
            Gan,
            generator=spec(Generator, **network, latent=8),
            discriminator=spec(Discriminator, **network),
            schedule_images=40_000,
        ),
        batch_size=8,
        total_images={total},
        log_every=5,
        checkpoint_every=20,
        preview_every=1000,
        preview_images=8,
    )
'''
FREE = 48  # MB of the file system that is filled


class Soak:
    """A run that is disturbed."""

    def __init__(self, home: pathlib.Path, steps: int, seed: int) -> None:
        self.home, self.steps, self.random = home, steps, random.Random(seed)
        self.images, self.run = home / "images", home / "disk" / "run"
        self.experiment = home / "soak_experiment.py"
        self.counts, self.problems = Counter[str](), list[str]()
        self.memory, self.files = list[tuple[float, float]](), list[tuple[float, float]]()
        self.images.mkdir()
        source = shapes(16, num_train=64, num_held_out=8)
        for number, image in enumerate(source.train.images[:]):
            Image.fromarray(image).save(self.images / f"{number:03}.png")
        self.experiment.write_text(EXPERIMENT.format(images=self.images, total=8 * steps))
        self.mounted = self._mount(home / "disk")

    def _mount(self, place: pathlib.Path) -> bool:
        place.mkdir()
        command = ["mount", "-t", "tmpfs", "-o", f"size={FREE}m", "soak", str(place)]
        try:
            return subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            return False

    def close(self) -> None:
        if self.mounted:
            subprocess.run(["umount", str(self.home / "disk")], check=False)

    def start(self, run: pathlib.Path) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "gen.main", f"--config={self.experiment}", f"--workdir={run}"]
        environment = {**os.environ, "GEN_CACHE": str(self.home / "cache"), "JAX_NUM_CPU_DEVICES": "1"}
        return subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env=environment)

    def whole(self) -> pathlib.Path:
        """Trains without a fault, and reads what the process takes."""
        run = self.home / "whole"
        program, began, lines = self.start(run), time.monotonic(), list[str]()
        assert program.stderr is not None
        for line in program.stderr:
            lines.append(line)
            if line.startswith("step "):
                self._watch(program.pid, began)
        assert program.wait() == 0, lines
        return run

    def disturb(self, kinds: list[str]) -> bool:
        """Starts, does one thing to it at a random time, and checks how it ended. Returns whether the run is done."""
        kind = self.random.choice(kinds)
        before = digests.steps(self.run / "checkpoints")
        program, after = self.start(self.run), self.random.uniform(0, min(4, self.steps / 400))
        lines, began, trained = list[str](), time.monotonic(), 0.0
        assert program.stderr is not None
        if kind == "none":
            after = float("inf")
        fills, done = self.home / "disk" / "ballast", False
        for line in program.stderr:
            lines.append(line)
            if line.startswith("step ") and not trained:
                trained = time.monotonic()
            if trained and not done and time.monotonic() - trained > after:
                done = True
                if kind == "term":
                    program.terminate()
                elif kind == "full":
                    with contextlib.suppress(OSError), fills.open("wb") as file:
                        while True:
                            file.write(bytes(2**16))
                elif kind == "image":
                    (self.images / f"broken{len(self.problems)}.png").write_bytes(b"\x89PNG broken")
                    program.kill()
                else:
                    program.kill()
        code = program.wait()
        fills.unlink(missing_ok=True)
        self.counts[kind if done else "none"] += 1
        allowed = {"term": {143, 0}, "full": {74, 0}, "none": {0}}.get(kind if done else "none", {-signal.SIGKILL, 0})
        if code not in allowed:
            self.problems.append(f"{kind}: exit code {code}: {''.join(lines[-5:])}")
        if any("Traceback" in line for line in lines):
            self.problems.append(f"{kind}: {''.join(lines[-15:])}")
        saved = digests.steps(self.run / "checkpoints")
        if before and (not saved or max(saved) < max(before)):
            self.problems.append(f"{kind}: checkpoint {max(before)} is gone: {saved}")
        if kind == "flip" and done and len(saved) > 1:
            self._flip(self.run / "checkpoints" / str(max(saved)))
        print(f"{time.monotonic() - began:5.1f} s  {kind if done else 'none':5}  {code:4}  {saved}", file=sys.stderr)
        return code == 0

    def _flip(self, step: pathlib.Path) -> None:
        """Changes a byte of the newest checkpoint: the next start must notice, and take the one before."""
        file = self.random.choice(sorted(path for path in step.rglob("*") if path.is_file() and path.stat().st_size))
        content = bytearray(file.read_bytes())
        content[self.random.randrange(len(content))] ^= 1 << self.random.randrange(8)
        file.write_bytes(content)
        program = self.start(self.run)
        assert program.stderr is not None
        for line in program.stderr:
            if line.startswith("step "):
                break
        program.kill()
        program.wait()
        if not list((self.run / "checkpoints").glob(f"corrupt-{step.name}*")):
            self.problems.append(f"a flipped byte of {file.relative_to(self.run)} was not noticed")

    def _watch(self, pid: int, began: float) -> None:
        with contextlib.suppress(OSError, IndexError, ValueError):
            pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
            self.memory.append((time.monotonic() - began, pages * os.sysconf("SC_PAGE_SIZE") / 2**20))
            self.files.append((time.monotonic() - began, len(os.listdir(f"/proc/{pid}/fd"))))

    def compare(self, whole: pathlib.Path) -> None:
        """Compares the last checkpoint and the log with those of the run without faults."""
        tables = [digests.read(run / "checkpoints" / str(self.steps), self.steps) for run in (self.run, whole)]
        different = [name for name in tables[0].leaves if tables[0].leaves[name] != tables[1].leaves[name]]
        if different or tables[0].leaves.keys() != tables[1].leaves.keys():
            self.problems.append(f"{len(different)} leaves of the last checkpoint differ, first {different[:1]}")
        logged = [
            [
                {
                    k: v
                    for k, v in json.loads(line).items()
                    if not any(word in k for word in ("second", "time", "memory", "mfu"))
                }
                for line in text
            ]
            for text in ((run / "metrics.jsonl").read_text().splitlines() for run in (self.run, whole))
        ]
        at = [[line["step"] for line in lines] for lines in logged]
        every = list(range(5, self.steps + 1, 5))
        if [step for step in at[0] if step % 5 == 0] != every or sorted(set(at[0])) != at[0]:
            self.problems.append("lines of metrics.jsonl are lost, doubled or out of order")
        by_step = [{line["step"]: line for line in lines} for lines in logged]
        whole_windows = [b for a, b in zip(at[0], at[0][1:], strict=False) if b - a == 5 and b % 5 == 0]
        if any(by_step[0][step] != by_step[1][step] for step in whole_windows if not measured(by_step, step)):
            self.problems.append("numbers of metrics.jsonl differ")


def measured(by_step: list[dict[int, dict[str, float]]], step: int) -> bool:
    """Returns whether a run measured itself then, which its clock decides."""
    return any(name.startswith("FD-") for lines in by_step for name in lines[step])


def slope(points: list[tuple[float, float]]) -> float:
    """The growth a minute, of values over seconds, in the last two thirds."""
    late = np.array(points[len(points) // 3 :])
    return float(60 * np.polyfit(late[:, 0], late[:, 1], 1)[0]) if len(late) > 10 else 0.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--kills", type=int, help="so many kills, and nothing else")
    parser.add_argument("--steps", type=int, default=2000, help="of the run")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.kills, given.steps = 1, 40
    with tempfile.TemporaryDirectory() as place:
        soak = Soak(pathlib.Path(place), given.steps, given.seed)
        try:
            kinds = ["kill"] if given.kills else ["kill", "term", "flip", "image", *(["full"] if soak.mounted else [])]
            whole, ends = soak.whole(), time.monotonic() + 60 * given.minutes
            done = False
            while not done and (soak.counts["kill"] < given.kills if given.kills else time.monotonic() < ends):
                done = soak.disturb(kinds)
            if not done:
                soak.disturb(["none"])
            soak.compare(whole)
        finally:
            soak.close()
    print(f"{sum(soak.counts.values())} starts: {', '.join(f'{n} {kind}' for kind, n in soak.counts.items())}")
    print(f"memory grows by {slope(soak.memory):.1f} MB a minute, open files by {slope(soak.files):.2f}")
    for problem in soak.problems:
        print(f"PROBLEM: {problem}")
    print("the last state is that of the run without faults" if not soak.problems else "FAILED")
    return 1 if soak.problems else 0


if __name__ == "__main__":
    sys.exit(main())
