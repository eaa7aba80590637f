"""How fast are images read from shards, beside the same images in memory, and how much memory does that take?

    python benchmarks/shards.py                        # 20,000 images of 64 x 64: converting, formats, loader, training
    python benchmarks/shards.py --records 10000000     # memory with the records of ten million images (of 4 x 4 pixels)
    python benchmarks/shards.py --smoke                # few images, no claim

loader: images a second of gen.data.loader.DeviceLoader alone, which asks for the next batch while one is used, and here
is used by nobody. training: the same while the flow of experiments/shards.py:cpu learns; bar: 0.9 of the images in
memory. Both take turns, --rounds times; medians. memory: what VmHWM of a process that reads batches has more than that
of one that opens nothing; bar: 300 MB. hosts: the rows that 1, 2 and 8 hosts read, put together, are the same batch.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from gen import devices
from gen.config import build_task, experiment
from gen.convert import ConvertOptions, convert
from gen.converting import converter
from gen.converting.listing import Item, Listing
from gen.converting.writing import Fit
from gen.data import BatchSampler, DatasetSplits, Examples, shapes, shards
from gen.data.loader import DeviceLoader
from gen.training.loop import compile_step

ROOT = Path(__file__).resolve().parent.parent
SIDE, KINDS = 64, 2000  # pixels; different pictures
LEAST_SHARE, MOST_BYTES = 0.9, 300e6


def pictures(count: int) -> np.ndarray:
    """Draws images of shapes, uint8 [n h w c]."""
    return np.asarray(shapes(resolution=SIDE, num_train=count, num_held_out=8).train.images)


def in_turns(calls: dict[str, Callable[[], float]], rounds: int) -> dict[str, float]:
    """Calls each in alternating order; returns the medians."""
    found: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(rounds):
        for name in list(calls)[:: 1 if number % 2 else -1]:
            found[name].append(calls[name]())
    return {name: statistics.median(values) for name, values in found.items()}


def converting(place: Path, images: np.ndarray, count: int) -> None:
    """Prints how fast JPEG files of 256 x 256 become shards."""
    folder = place / "jpegs"
    folder.mkdir()
    for i in range(count):
        Image.fromarray(images[i % len(images)]).resize((256, 256)).save(folder / f"{i:06}.jpg", quality=90)
    began = time.perf_counter()
    convert(ConvertOptions(inputs=[folder], out=place / "from_jpegs", resolution=SIDE, shards=8))
    seconds = time.perf_counter() - began
    print(f"converting: {count / seconds:,.0f} images/s of JPEG files of 256 x 256, on {os.cpu_count()} cores")


def formats(images: np.ndarray) -> None:
    """Prints how fast one core makes arrays of raw pixels and of PNG."""
    encoded = []
    for image in images[:500]:
        content = io.BytesIO()
        Image.fromarray(image).save(content, "png")
        encoded.append(content.getvalue())
    raw = [image.tobytes() for image in images[:500]]
    ways: dict[str, Callable[[], Any]] = {
        "PNG": lambda: [np.asarray(Image.open(io.BytesIO(content))) for content in encoded],
        "raw": lambda: [np.frombuffer(content, np.uint8).reshape(images.shape[1:]).copy() for content in raw],
    }

    def rate(make: Callable[[], Any]) -> float:
        began = time.perf_counter()
        made = make()
        return len(made) / (time.perf_counter() - began)

    rates = in_turns({name: (lambda make=make: rate(make)) for name, make in ways.items()}, 5)
    sizes = {"PNG": np.mean([len(e) for e in encoded]), "raw": len(raw[0])}
    told = ", ".join(f"{name} {rates[name]:,.0f} images/s of {sizes[name]:,.0f} bytes" for name in ways)
    print(f"formats, one core, without reading: {told}")


def stored(place: Path, images: np.ndarray, count: int, side: int) -> DatasetSplits:
    """Converts `count` images that are arrays already."""

    def read(item: Item) -> tuple[np.ndarray, tuple[bytes, ...]]:
        return images[item.place[0] % len(images)], ()

    items = [Item(str(i), "held_out" if i < 8 else "train", i % 8, (), (i,)) for i in range(count)]
    names = tuple(map(str, range(8)))
    listing = Listing("arrays", items, read, f"{count} {side}", names, alone=True, channels=3)
    converter.convert(listing, place, Fit(side, False, "skip", False), options={})
    return shards(place)


def loader_rates(sources: dict[str, DatasetSplits], batch: int, rounds: int, steps: int) -> dict[str, float]:
    """Measures loaders that nobody waits with."""
    mesh = devices.mesh(-1, 1)
    loaders = {n: DeviceLoader(BatchSampler(s.train, batch), mesh, device_bytes=0) for n, s in sources.items()}
    at = dict.fromkeys(loaders, 0)

    def run(name: str) -> float:
        began = time.perf_counter()
        for _ in range(steps):
            jax.block_until_ready(loaders[name](at[name])["image"])
            at[name] += 1
        return steps * batch / (time.perf_counter() - began)

    return in_turns({name: (lambda name=name: run(name)) for name in loaders}, rounds)


def training_rates(
    sources: dict[str, DatasetSplits], batch: int, rounds: int, steps: int, *, smoke: bool
) -> dict[str, float]:
    """Measures training of the flow of experiments/shards.py:cpu, whose step each source feeds in turns."""
    config = experiment.load(f"{ROOT / 'experiments' / 'shards.py'}:cpu")
    config.batch_size = batch
    if smoke:
        config.task.network.widths = tuple(16 for _ in config.task.network.widths)
    source, mesh = sources["memory"], devices.mesh(-1, 1)
    task = build_task(config, source.image_shape, source.num_classes, 0)
    loaders = {n: DeviceLoader(BatchSampler(s.train, batch), mesh, device_bytes=0) for n, s in sources.items()}
    with jax.set_mesh(mesh):
        place = devices.state_sharding(mesh, jax.eval_shape(task.init, jax.random.key(0)))
        state = jax.jit(task.init, out_shardings=place)(jax.random.key(0))
        step = compile_step(task, config, mesh, state, loaders["memory"](0))
        at = dict.fromkeys(loaders, 0)

        def run(name: str) -> float:
            nonlocal state
            began = time.perf_counter()
            for _ in range(steps):
                state, metrics = step(state, loaders[name](at[name]))
                at[name] += 1
            jax.block_until_ready((state, metrics))
            return steps * batch / (time.perf_counter() - began)

        return in_turns({name: (lambda name=name: run(name)) for name in loaders}, rounds)


def order(source: DatasetSplits, hosts: int) -> str:
    """Digests the batches that so many hosts read together, over two epochs."""
    sampler, hasher = BatchSampler(source.train, 64, 3), hashlib.sha256()
    for step in range(0, 2 * len(source.train.images) // 64, max(1, len(source.train.images) // 640)):
        shares = [sampler.batch(step, rows=slice(h * 64 // hosts, (h + 1) * 64 // hosts)) for h in range(hosts)]
        hasher.update(b"".join(share["image"].tobytes() for share in shares))
        hasher.update(b"".join(share["label"].tobytes() for share in shares))
    return hasher.hexdigest()


def peak(path: str, batch: int, steps: int) -> None:
    """Prints VmHWM in bytes of this process after some batches, over an epoch's end; of empty `path`, without data."""
    mesh = devices.mesh(-1, 1)
    if path:
        source = shards(path)
        side, count = source.image_shape[0], len(source.train.images)
        loader = DeviceLoader(BatchSampler(source.train, batch), mesh, device_bytes=0)
    else:
        side, few = SIDE, np.zeros((batch, SIDE, SIDE, 3), np.uint8)
        loader = DeviceLoader(BatchSampler(Examples(few, np.zeros(batch, np.int32)), batch), mesh, device_bytes=0)
        count = batch
    last = count // batch - steps // 2  # so that the order of the next epoch is drawn as well
    for step in range(max(0, last), max(0, last) + steps):
        jax.block_until_ready(loader(step)["image"].sum())
    print(side, next(int(x.split()[1]) * 1024 for x in open("/proc/self/status") if x.startswith("VmHWM")))  # noqa: SIM115


def memory(path: Path, batch: int, steps: int) -> float:
    """Measures how many bytes the shards need in a process of their own."""
    found = []
    for place in ("", str(path)):
        command = [sys.executable, __file__, "--peak", place, "--batch_size", str(batch), "--steps", str(steps)]
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        found.append(int(done.stdout.split()[1]))
    return found[1] - found[0]


def lines(arguments: argparse.Namespace, place: Path) -> Iterator[str]:
    """Measures, and says what was found."""
    smoke = arguments.smoke
    if arguments.records:
        tiny = np.random.default_rng(0).integers(0, 256, (1000, 4, 4, 3), np.uint8)
        began = time.perf_counter()
        source = stored(place / "many", tiny, arguments.records, 4)
        yield f"{len(source.train.images):,} records written in {time.perf_counter() - began:.0f} s"
        began = time.perf_counter()
        sampler = BatchSampler(shards(place / "many").train, arguments.batch_size)
        opened = time.perf_counter()
        sampler.indices(0)
        drawn = time.perf_counter()
        yield f"opened in {opened - began:.2f} s, the order of an epoch drawn in {drawn - opened:.2f} s"
        extra = memory(place / "many", arguments.batch_size, arguments.steps)
        yield f"memory: {extra / 1e6:,.0f} MB; bar: {MOST_BYTES / 1e6:.0f} MB: {_told(extra <= MOST_BYTES)}"
        return
    kinds = pictures(64 if smoke else KINDS)
    converting(place, kinds, 64 if smoke else 4000)
    formats(kinds)
    images = kinds[np.arange(arguments.images) % len(kinds)]
    on_disk = stored(place / "set", kinds, arguments.images, SIDE)
    labels = np.asarray(on_disk.train.labels)
    in_memory = DatasetSplits("memory", Examples(images[8:], labels), on_disk.held_out, on_disk.class_names)
    sources = {"memory": in_memory, "shards": on_disk}
    for name, rates in (
        ("loader", loader_rates(sources, arguments.batch_size, arguments.rounds, arguments.steps)),
        ("training", training_rates(sources, 8 if smoke else 32, arguments.rounds, 2 if smoke else 8, smoke=smoke)),
    ):
        share = rates["shards"] / rates["memory"]
        claimed = name == "training" and not smoke
        bar = f"; bar: {LEAST_SHARE}: {_told(share >= LEAST_SHARE)}" if claimed else ""
        yield f"{name}: memory {rates['memory']:,.1f}, shards {rates['shards']:,.1f} images/s, {share:.3f} of it{bar}"
    extra = memory(place / "set", arguments.batch_size, arguments.steps)
    yield f"memory: {extra / 1e6:,.0f} MB; bar: {MOST_BYTES / 1e6:.0f} MB: {_told(extra <= MOST_BYTES)}"
    found = {order(source, hosts) for source in sources.values() for hosts in (1, 2, 8)}
    yield f"hosts: 1, 2 and 8 read the same batches, those of memory: {_told(len(found) == 1)}"


def _told(held: bool) -> str:
    return "held" if held else "NOT HELD"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--records", type=int, help="only measure memory, with so many records of 4 x 4 pixels")
    parser.add_argument("--batch_size", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=40, help="of a loader in a round")
    parser.add_argument("--dir", help="where the shards are written; default: the folder for temporary files")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--peak", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.peak is not None:
        peak(arguments.peak, arguments.batch_size, arguments.steps)
        return
    if arguments.smoke:
        arguments.images, arguments.batch_size, arguments.rounds, arguments.steps = 200, 16, 1, 2
    failed = False
    with tempfile.TemporaryDirectory(dir=arguments.dir) as place:
        for line in lines(arguments, Path(place)):
            print(line, flush=True)
            failed |= "NOT HELD" in line
    sys.exit(failed)


if __name__ == "__main__":
    main()
