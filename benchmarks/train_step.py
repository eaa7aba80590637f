"""How fast is a training step? gen against the same networks and losses in PyTorch, in turns, on the same machine.

    python benchmarks/train_step.py                                   # preset xs, batch 64, penalties on every image
    python benchmarks/train_step.py --preset s --batch_size 512       # made for a GPU
    python benchmarks/train_step.py --penalty_stride 4                 # both penalize a quarter of the batch
    python benchmarks/train_step.py --penalty finite_difference       # without second derivatives
    python benchmarks/train_step.py --smoke                           # two steps of a tiny network, no claim

A step is what gen.training.loop runs: discriminator with RpGAN, R1, R2, generator against fresh images, Adam, EMA.
Before anything is timed, a narrow form of the networks is run with the same parameters in both, in float32: images,
logits, losses, penalties, every gradient and every updated parameter must agree, else there is no comparison (exit 1).
The peer is eager (torch.compile cannot differentiate twice) and gets its fastest memory layout and formulation by
trial. Each framework has a process of its own, with all cores that this one may use, and they work in turns: each of
--pairs times about two seconds of one and of the other, in alternating order. `taskset -c 0,1` gives both two cores.
Without PyTorch the numbers of gen are printed alone.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import math
import multiprocessing
import os
import resource
import statistics
import sys
import time
from multiprocessing.connection import Connection
from typing import Any

TOLERANCE = 1e-4  # relative, in float32
TOLERANCE_DIFFERENCE = 2e-3  # the same with finite differences: of logits nearly equal rounding leaves fewer digits
TOLERANCE_BFLOAT16 = 5e-2  # of images and logits
BURST_SECONDS = 2.0  # how long one framework works before it is the other's turn
CLASSES = 10


@dataclasses.dataclass(frozen=True)
class Settings:
    """What to measure."""

    preset: str
    batch_size: int
    penalty_stride: int
    penalty: str = "exact"
    tiny: bool = False  # narrow networks

    def task(self, **networks: Any) -> Any:
        """The gen.tasks.gan.Gan, its two networks with the fields `networks` instead of the preset's."""
        from gen.models.r3gan import PRESETS, Discriminator, Generator, Preset
        from gen.tasks.gan import Gan

        preset = PRESETS[self.preset].replace(**networks)
        if self.tiny:
            preset = Preset(*map(_narrow, preset))
        generator = Generator(**preset.generator)
        return Gan(
            generator=generator,
            discriminator=Discriminator(**preset.discriminator),
            schedule_images=1_000_000,
            penalty_stride=self.penalty_stride,
            penalty=self.penalty,
            image_shape=(generator.resolution, generator.resolution, 3),
            num_classes=CLASSES,
            batch_size=self.batch_size,
        )


def _narrow(fields: dict[str, Any]) -> dict[str, Any]:
    """The network with its widest stage 16 channels wide."""
    widths, group_size = fields["widths"], fields.get("group_size", 16)
    return fields | {"widths": tuple(16 * w // max(widths) for w in widths), "group_size": group_size and 4}


def real_images(task: Any) -> tuple[Any, Any]:
    """What one step takes: random uint8 images [n h w c] and int32 labels [n]."""
    import numpy as np

    generator, n = np.random.default_rng(0), task.batch_size * task.real_images_per_sample
    images = generator.integers(0, 256, (n, *task.image_shape), dtype=np.uint8)
    return images, generator.integers(0, CLASSES, n).astype(np.int32)


def resident() -> int:
    """The most memory that this process has held so far, in bytes."""
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


class GenSide:
    """The compiled step of gen.training.loop on the first device, on images that are already there."""

    def __init__(self, settings: Settings) -> None:
        import jax

        from gen import devices
        from gen.config import Config, spec
        from gen.data import shapes
        from gen.tasks.gan import Gan
        from gen.training.loop import compile_step

        jax.config.update("jax_enable_compilation_cache", False)
        devices.tune_allocator()
        task, self.baseline = settings.task(), resident()
        # Of the config only the seed and `mirror` are used.
        config = Config(data=spec(shapes), task=spec(Gan), batch_size=settings.batch_size)
        self.device = jax.devices()[0]
        mesh = devices.mesh(1, 1, devices=[self.device])
        image, label = real_images(task)
        with jax.set_mesh(mesh):
            abstract = jax.eval_shape(task.init, jax.random.key(0))
            place = devices.state_sharding(mesh, abstract)
            self.state = jax.jit(task.init, out_shardings=place)(jax.random.key(0))
            self.batch = jax.device_put({"image": image, "label": label}, devices.batch_sharding(mesh))
            start = time.perf_counter()
            self.step = compile_step(task, config, mesh, self.state, self.batch)
            compiling = f"{time.perf_counter() - start:.1f} s"
        sizes = {role: sum(leaf.size for leaf in jax.tree.leaves(tree)) for role, tree in abstract.params.items()}
        self.facts = {
            "name": f"gen, jax {jax.__version__}",
            "device": self.device.device_kind if self.device.platform != "cpu" else "cpu",
            "platform": self.device.platform,
            "parameters": ", ".join(f"{role} {size / 1e6:.2f}M" for role, size in sizes.items()),
            "compiling": f"{compiling}, {self.peak() / 1e6:.0f} MB",
            "operations": (self.step.cost_analysis() or {}).get("flops", math.nan),  # of a step
        }

    def run(self, steps: int) -> float:
        """Seconds that `steps` steps take."""
        import jax

        start = time.perf_counter()
        for _ in range(steps):
            self.state, metrics = self.step(self.state, self.batch)
        jax.block_until_ready((self.state, metrics))
        return time.perf_counter() - start

    def peak(self) -> int:
        """Bytes at the worst moment, compilation included: of the device, or on a CPU above what the imports took."""
        if self.device.platform == "cpu":
            return resident() - self.baseline
        return self.device.memory_stats()["peak_bytes_in_use"]


class TorchSide:
    """The peer's step on images that are already on the device. `way`: an index of peers.r3gan_torch.WAYS."""

    def __init__(self, settings: Settings, way: int, device: str) -> None:
        import jax
        import numpy as np
        import torch
        from peers import r3gan_torch

        from gen import devices

        devices.tune_allocator()
        torch.set_num_threads(len(os.sched_getaffinity(0)))
        torch.set_float32_matmul_precision("high")  # TF32 where there is such a thing, as jax does by default
        torch.backends.cudnn.allow_tf32 = torch.backends.cudnn.benchmark = True
        task, self.device = settings.task(), device
        shapes = jax.eval_shape(lambda: task.init(jax.random.key(0)).params)
        self.baseline = resident()
        draw = np.random.default_rng(0).standard_normal
        params = jax.tree.map(lambda leaf: draw(leaf.shape, np.float32) * math.prod(leaf.shape[:-1]) ** -0.5, shapes)
        chosen = r3gan_torch.WAYS[way]
        self.step = r3gan_torch.Step(task, params, chosen, device)
        image, label = (torch.from_numpy(array).to(device) for array in real_images(task))
        self.batch = (chosen.place(image.permute(0, 3, 1, 2)), label)
        self.facts = {"name": f"torch {torch.__version__} eager", "way": str(chosen), "compiling": "none"}

    def run(self, steps: int) -> float:
        """Seconds that `steps` steps take."""
        import torch

        start = time.perf_counter()
        for _ in range(steps):
            self.step(*self.batch)
        if self.device == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def peak(self) -> int:
        """As `GenSide.peak`."""
        import torch

        return torch.cuda.max_memory_allocated() if self.device == "cuda" else resident() - self.baseline


def prove_equal(connection: Connection, settings: Settings, way: int, device: str) -> None:
    """Sends what differs most, as (relative difference, name): in float32, and in bfloat16 (None: not used)."""
    from peers import equality, r3gan_torch

    small = dataclasses.replace(settings, tiny=True, batch_size=2 * settings.penalty_stride)
    exact, chosen = small.task(bfloat16_from=None), r3gan_torch.WAYS[way]
    found = equality.differences_forward(exact, *real_images(exact), chosen, device)
    found |= equality.differences(exact, *real_images(exact), chosen, device)
    rough = None
    if small.task().generator.bfloat16_from is not None:
        rough = equality.differences_forward(small.task(), *real_images(exact), chosen, device)
    connection.send([kind and max((d, name) for name, d in kind.items()) for kind in (found, rough)])


def try_ways(connection: Connection, settings: Settings, device: str) -> None:
    """Sends the index of the peer's fastest way."""
    from peers import r3gan_torch

    def seconds(way: int) -> float:
        side = TorchSide(settings, way, device)
        side.run(1)
        return min(side.run(1) for _ in range(2))

    connection.send(min(range(len(r3gan_torch.WAYS)), key=seconds))


def serve(connection: Connection, side: type, *arguments: Any) -> None:
    """Builds `side` and sends its facts; then for each number of steps that arrives runs them and sends the time."""
    worker = side(*arguments)
    connection.send(worker.facts)
    with contextlib.suppress(EOFError):  # the other end has given up
        while steps := connection.recv():
            connection.send(worker.run(steps))
        connection.send(worker.peak())


class Process:
    """A function in a fresh process, and the line to it."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        context.Process(target=function, args=(theirs, *arguments), daemon=True).start()
        theirs.close()

    def receive(self) -> Any:
        """The next thing it sends. Exits when it died; it has then printed why."""
        try:
            return self._connection.recv()
        except EOFError:
            sys.exit(1)

    def ask(self, question: Any) -> Any:
        self._connection.send(question)
        return self.receive()


def why_no_peer(platform: str) -> str:
    """Why there is no PyTorch on this device; empty when there is."""
    if importlib.util.find_spec("torch") is None:
        return "PyTorch is not installed"
    import torch

    usable = platform == "cpu" or (platform in ("gpu", "cuda") and torch.cuda.is_available())
    return "" if usable else f"this PyTorch cannot use the {platform} that jax uses"


def take_turns(sides: list[Process], batch_size: int, pairs: int, steps: int | None) -> list[list[float]]:
    """Images per second, [side][pair]: each turn is `steps` steps (None: BURST_SECONDS), and who begins alternates."""
    for side in sides:
        side.ask(1 if steps else 3)
    steps = steps or math.ceil(BURST_SECONDS / statistics.mean(side.ask(1) for side in sides))
    speeds: list[list[float]] = [[] for _ in sides]
    for pair in range(pairs):
        turns = list(zip(sides, speeds, strict=True))
        for side, found in turns if pair % 2 == 0 else reversed(turns):
            found.append(steps * batch_size / side.ask(steps))
    return speeds


def table(facts: list[dict[str, str]], speeds: list[list[float]], peaks: list[int]) -> str:
    """A column for each framework: images/s as the median and range of the turns, what compiling takes, peak memory."""
    rows = [
        ["", *(fact["name"] for fact in facts)],
        ["images/s", *(f"{statistics.median(found):.1f} ({min(found):.1f} to {max(found):.1f})" for found in speeds)],
        ["compiling", *(fact["compiling"] for fact in facts)],
        ["peak memory", *(f"{peak / 1e6:.0f} MB" for peak in peaks)],
    ]
    return "\n".join("".join(f"{cell:<28}" for cell in row).rstrip() for row in rows)


def find_peer(settings: Settings, device: str) -> tuple[Process, dict[str, str]]:
    """The peer in its fastest way, proven equal, and its facts. Exits when it is not equal."""
    way = 0 if settings.tiny else Process(try_ways, settings, device).receive()
    exact, rough = Process(prove_equal, settings, way, device).receive()
    tolerance = TOLERANCE if settings.penalty == "exact" else TOLERANCE_DIFFERENCE
    for kind, worst, allowed in (("", exact, tolerance), (" in bfloat16", rough, TOLERANCE_BFLOAT16)):
        if worst and worst[0] > allowed:
            sys.exit(
                f"no comparison: the networks are not equal{kind}: {worst[1]} differs by {worst[0]:.0e}, relatively"
            )
        if worst:
            print(f"equal networks{kind}: max relative difference {worst[0]:.0e} ({worst[1]})")
    peer = Process(serve, TorchSide, settings, way, device)
    return peer, peer.receive()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", default="xs", help="of gen.models.r3gan.PRESETS")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--penalty_stride", type=int, default=1, help="penalize every k-th image of the batch")
    parser.add_argument("--penalty", default="exact", choices=["exact", "finite_difference"])
    parser.add_argument("--pairs", type=int, default=10, help="turns of each framework")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    settings = Settings(given.preset, given.batch_size, given.penalty_stride, given.penalty, tiny=given.smoke)
    if given.smoke:
        settings = dataclasses.replace(settings, batch_size=2 * given.penalty_stride)
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # the peer needs room on the same device
    load = os.getloadavg()[0]

    gen = Process(serve, GenSide, settings)
    sides, facts = [gen], [gen.receive()]
    platform = facts[0]["platform"]
    cores = len(os.sched_getaffinity(0))
    print(f"{facts[0]['device']}, {cores} CPU cores for each framework, load average before {load:.1f}")
    print(f"preset {given.preset}, batch {settings.batch_size}, penalty_stride {given.penalty_stride}, {given.penalty}")
    print(f"parameters: {facts[0]['parameters']}")
    absent = why_no_peer(platform)
    if not absent:
        peer, fact = find_peer(settings, "cpu" if platform == "cpu" else "cuda")
        sides, facts = [gen, peer], [facts[0], fact]
        print(f"the peer's fastest way: {fact['way']}")
    speeds = take_turns(sides, settings.batch_size, 1 if given.smoke else given.pairs, 1 if given.smoke else None)
    print("\n" + table(facts, speeds, [side.ask(0) for side in sides]) + "\n")
    if absent or given.smoke:
        print(f"no comparison: {absent or 'smoke test, the numbers mean nothing'}")
        return
    ratios = [ours / theirs for ours, theirs in zip(*speeds, strict=True)]
    spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
    print(f"gen / PyTorch: {statistics.median(ratios):.2f} (median of {len(ratios)} pairs, {spread})")


if __name__ == "__main__":
    main()
