"""What a GPU is good for, measured by one command in at most 8 minutes: correctness, speed, and pictures.

    python benchmarks/on_gpu.py --out DIR --data cifar10.npz    # x_train, y_train, x_test, y_test
    python benchmarks/on_gpu.py --out DIR --only train_step imaging
    python benchmarks/on_gpu.py --smoke                         # every section in its smallest form, on a CPU; no claim

Sections, each a process with a share of the time, so that one that crashes or takes too long loses only what it had not
measured yet: correctness (against the CPU of the same machine, and PyTorch), convolutions (formulations of grouped
ones), train_step (presets against PyTorch, share of the peak), imaging (against kornia on the same GPU), sampling
(recurrent networks against a transformer), cifar10_gan and cifar10_flow (four minutes for both: half of its time each
trains, compilation included, and is measured in the rest). Needs what setup.cfg lists but tensorflow-datasets, and no
network. Without PyTorch, kornia or --data what needs them is left out, with a line. Writes DIR/report.md, and for each
section its numbers in DIR/NAME.json and what it said in NAME.log. The share of the peak (MFU) counts what XLA's cost
analysis counts in a whole step, against the dense bfloat16 peak.
"""

from __future__ import annotations

import argparse
import dataclasses
import importlib.metadata
import importlib.util
import json
import math
import os
import pathlib
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))  # needs not be installed

NEEDED = ("jax", "flax", "optax", "orbax.checkpoint", "numpy", "PIL", "jinja2", "safetensors", "absl", "tqdm")
OPTIONAL = {"torch": "nothing is compared with PyTorch", "kornia": "operators are timed alone"}
PRESETS = (("s", 512), ("cifar10", 256), ("ffhq64", 128), ("ffhq256", 32))  # with images of a step
SAMPLES = 5000  # of each model that is measured


@dataclasses.dataclass
class Section:
    """What a section is given, and what it has found so far, which is written after every row."""

    name: str
    out: pathlib.Path
    smoke: bool
    data: pathlib.Path | None
    peak: float | None  # operations per second
    until: float  # by time.monotonic
    rows: list[dict[str, Any]] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)

    def add(self, **row: Any) -> None:
        self.rows.append(row)
        self._write(json.dumps(row))

    def note(self, text: str) -> None:
        self.notes.append(text)
        self._write(text)

    def left(self) -> float:
        """Seconds."""
        return self.until - time.monotonic()

    def _write(self, line: str) -> None:
        print(line, flush=True)
        found = {"smoke": self.smoke, "notes": self.notes, "rows": self.rows}
        path = self.out / f"{self.name}.json"
        path.with_suffix(".partial").write_text(json.dumps(found, indent=1, default=str) + "\n")
        path.with_suffix(".partial").replace(path)


def seconds_of(run: Callable[[], Any], least: float = 0.2) -> float:
    """Seconds that run() takes until its result is there, the fastest of three turns, after two for nothing."""
    import jax

    start = 0.0
    for _ in range(2):
        start = time.perf_counter()
        jax.block_until_ready(run())
    passes = max(1, math.ceil(least / 3 / max(time.perf_counter() - start, 1e-6)))
    found = []
    for _ in range(3):
        start = time.perf_counter()
        for _ in range(passes):
            result = run()
        jax.block_until_ready(result)
        found.append((time.perf_counter() - start) / passes)
    return min(found)


# Correctness.


def on_both(function: Callable[..., Any], *arguments: Any) -> tuple[Any, Any]:
    """What a function gives on the CPU and on the default device, with products in full float32."""
    import jax

    made, jitted = [], jax.jit(function)
    for device in (jax.devices("cpu")[0], jax.devices()[0]):
        with jax.default_device(device), jax.default_matmul_precision("highest"):
            made.append(jax.device_get(jitted(*jax.device_put(arguments, device))))
    return made[0], made[1]


def apart(one: Any, other: Any) -> float:
    """The distance of two trees, relative to the norm of the first: that of the leaf where it is largest."""
    import jax
    import numpy as np

    pairs = zip(jax.tree.leaves(one), jax.tree.leaves(other), strict=True)
    flat = [(np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()) for a, b in pairs]
    return max(float(np.linalg.norm(a - b) / max(np.linalg.norm(a), 1e-12)) for a, b in flat)


def correctness(section: Section) -> None:
    checks = [convolution_checks, step_checks, image_checks, seed_check]
    checks += [] if section.smoke else [recurrent_checks, peer_check]
    for checked in checks:
        for name, difference, allowed in checked(section):
            verdict = "ok" if difference <= allowed else "WRONG"
            section.add(check=name, difference=f"{difference:.1e}", allowed=f"{allowed:.0e}", verdict=verdict)
    if any(row["verdict"] == "WRONG" for row in section.rows):
        sys.exit("the device computes otherwise than the CPU")


Checks = Iterator[tuple[str, float, float]]  # name, difference, largest difference allowed


def convolution(x: Any, kernel: Any, groups: int, how: str) -> Any:
    """In a formulation of gen.models.layers, or "grouped" as XLA has it."""
    import jax

    from gen.models import layers

    if how != "grouped":
        return layers.conv(x, kernel, groups=groups, how=how)
    dimensions = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(
        x, kernel, (1, 1), "SAME", dimension_numbers=dimensions, feature_group_count=groups
    )


def penalty(x: Any, kernel: Any, groups: int, how: str) -> Any:
    """The squared gradient norm of a small critic, whose gradient by the kernel is a second derivative."""
    import jax
    import jax.numpy as jnp

    critic = lambda x: jnp.square(jax.nn.leaky_relu(convolution(x, kernel, groups, how))).sum().astype(jnp.float32)  # noqa: E731
    return jnp.square(jax.grad(critic)(x).astype(jnp.float32)).mean()


def convolution_checks(section: Section) -> Checks:
    import jax
    import jax.numpy as jnp
    import numpy as np

    from gen.models import layers

    draw = np.random.default_rng(0)
    x, kernel = (draw.standard_normal(shape, np.float32) for shape in ((4, 8, 8, 32), (3, 3, 8, 32)))
    for how in ("patches", "shifts"):
        run = lambda x, k, how=how: (convolution(x, k, 4, how), jax.grad(penalty, (0, 1))(x, k, 4, how))  # noqa: E731
        yield f"convolution and its second derivatives, {how}", apart(*on_both(run, x, kernel)), 1e-4
    exact = on_both(lambda x, k: convolution(x, k, 4, "patches"), x, kernel)[0]
    rough = on_both(lambda x, k: convolution(*(a.astype(jnp.bfloat16) for a in (x, k)), 4, "shifts"), x, kernel)[1]
    yield "the same in bfloat16", apart(exact, rough), 2e-2
    resampled = lambda x: (layers.upsample(x), jax.grad(lambda x: jnp.sin(layers.downsample(x)).sum())(x))  # noqa: E731
    yield "FIR filters", apart(*on_both(resampled, x)), 1e-5


def step_checks(section: Section) -> Checks:
    """Losses, penalties and gradients of one step of a small GAN and a small flow, from noisy parameters."""
    import jax
    import jax.numpy as jnp
    import numpy as np
    import optax
    import train_step

    from gen.models.unet import UNet
    from gen.tasks.flow import Flow

    tasks = {}
    for kind in ("exact", "finite_difference"):
        settings = train_step.Settings("s", 4, 1, kind, tiny=True)
        smaller = {"widths": (8,), "blocks": 1} if section.smoke else {}
        tasks[f"GAN step, penalty {kind}"] = settings.task(bfloat16_from=None, **smaller)
    gan = tasks["GAN step, penalty exact"]
    network = UNet(widths=(8, 16), blocks=1, patch=2, pixel_width=4, bfloat16=False)
    tasks["flow step"] = Flow(
        network=network, schedule_images=1000, image_shape=gan.image_shape, num_classes=10, batch_size=4
    )
    if section.smoke:
        tasks = {"GAN step, penalty exact": gan}
    for name, task in tasks.items():
        images, labels = train_step.real_images(dataclasses.replace(gan, batch_size=4))
        n = 4 * task.real_images_per_sample
        batch = {"image": np.float32(images[:n]) / 255, "label": labels[:n]}
        with jax.default_device(jax.devices("cpu")[0]):
            state, noise = jax.jit(task.init)(jax.random.key(0)), np.random.default_rng(1)
        noisy = lambda p, noise=noise: p + 0.1 * noise.standard_normal(p.shape, np.float32)  # noqa: E731
        state = jax.device_get(state.replace(params=jax.tree.map(noisy, state.params)))

        def step(state: Any, batch: Any, task: Any = task) -> Any:
            after, metrics = task.step(state, batch, jax.random.key(2))
            # The gradients are what Adam's moments hold after one step, and Muon's, of which a GAN has none.
            found = [optax.tree_utils.tree_get(of, name) for of in after.opt_state.values() for name in ("mu", "trace")]
            return metrics, [jnp.concatenate([x.ravel() for x in jax.tree.leaves(t)]) for t in found if t is not None]

        yield f"{name}: losses and gradients", apart(*on_both(step, state, batch)), 1e-3


def image_checks(section: Section) -> Checks:
    import imaging
    from peers import images

    arrays, _ = images.inputs(2, 32 if section.smoke else 64)
    wanted = ("gaussian", "median", "bilateral", "clahe", "slic", "connected_components", "watershed")
    for row in imaging.rows():
        if row.name in (wanted[:1] if section.smoke else wanted):
            one, other = on_both(row.call, arrays)
            allowed = 2e-2 if row.name == "slic" else 1e-3  # of superpixels, a share of the pixels
            yield f"imaging, {row.title}", images.difference(row.name, 0, one, other), allowed


def seed_check(section: Section) -> Checks:
    """An image of a seed is the same to the bit alone and among others."""
    import jax
    import numpy as np
    import train_step

    from gen import devices
    from gen.sampling import by_seed

    task = train_step.Settings("s", 2, 1, tiny=True).task(widths=(8,), blocks=1)
    params = {"generator": jax.jit(task.init)(jax.random.key(0)).ema_params["generator"]}
    mesh, sets = devices.single_device(), ([5], list(range(9 if section.smoke else 70)))
    alone, among = (
        np.concatenate([*by_seed.images(task, params, seeds, labels=np.zeros(len(seeds), np.int32), mesh=mesh)])
        for seeds in sets
    )
    yield "an image alone and among others, bit by bit", float(np.abs(alone[0] - among[5]).max()), 0.0


def recurrent_checks(section: Section) -> Checks:
    import jax
    import sampling

    for name, network in sampling.networks(16, 1, 8, 4).items():
        with jax.default_matmul_precision("highest"):
            yield f"{name}, step by step and as a whole", sampling.disagreement(network), sampling.TOLERANCE


def peer_check(section: Section) -> Checks:
    import jax
    import train_step

    platform = jax.devices()[0].platform
    if absent := train_step.why_no_peer(platform):
        section.note(f"no proof of equal networks: {absent}")
        return
    device, settings = "cpu" if platform == "cpu" else "cuda", train_step.Settings("s", 8, 1)
    exact, rough = train_step.Process(train_step.prove_equal, settings, 0, device).receive()
    yield f"PyTorch's step in float32 ({exact[1]})", exact[0], train_step.TOLERANCE
    if rough:
        yield f"PyTorch's networks in bfloat16 ({rough[1]})", rough[0], train_step.TOLERANCE_BFLOAT16


# Speed.


def convolutions(section: Section) -> None:
    """3 x 3, as in the inner part of a block."""
    import jax
    import jax.numpy as jnp

    cases = [
        ("s", 64, 32, 512, 32),
        ("s", 512, 8, 512, 32),
        ("cifar10", 64, 32, 1536, 96),
        ("cifar10", 256, 8, 1536, 96),
    ]
    for preset, b, side, channels, groups in [("tiny", 2, 4, 16, 4)] if section.smoke else cases:
        x = jax.random.normal(jax.random.key(0), (b, side, side, channels), jnp.bfloat16)
        kernel = jax.random.normal(jax.random.key(1), (3, 3, channels // groups, channels), jnp.bfloat16) / 12
        for how in ("grouped", "patches", "shifts"):
            found = {}
            for name, function in (("forward", convolution), ("penalty", jax.grad(penalty, (0, 1)))):
                start = time.perf_counter()
                compiled = (
                    jax.jit(lambda x, k, f=function, how=how, g=groups: f(x, k, g, how)).lower(x, kernel).compile()
                )
                found[f"{name} compile s"] = round(time.perf_counter() - start, 2)
                found[f"{name} ms"] = 1e3 * seconds_of(lambda run=compiled, k=kernel, x=x: run(x, k))
                found[f"{name} MB"] = compiled.memory_analysis().temp_size_in_bytes / 1e6
            section.add(preset=preset, images=b, side=side, channels=channels, groups=groups, formulation=how, **found)


def train_step_section(section: Section) -> None:
    import train_step

    peak, way = section.peak, 0
    for preset, batch in (("xs", 2),) if section.smoke else PRESETS:
        for kind in ("exact", "finite_difference") if preset == "s" and not section.smoke else ("exact",):
            settings = train_step.Settings(preset, batch, 1, kind, tiny=section.smoke)
            try:  # a process that dies ends the one that waits for it
                row, way = one_preset(section, settings, peak, way if (preset, kind) != ("s", "exact") else None)
                section.add(preset=preset, batch=settings.batch_size, penalty=kind, **row)
            except SystemExit:
                section.note(f"{preset}, {kind}: its process died, see {section.name}.log")


def one_preset(section: Section, settings: Any, peak: float | None, way: int | None) -> tuple[dict[str, Any], int]:
    """A row of gen's step beside that of PyTorch, and the peer's way; way: None: to be found."""
    import train_step

    from gen.training import usage

    gen = train_step.Process(train_step.serve, train_step.GenSide, settings)
    sides, facts = [gen], [gen.receive()]
    platform, kind = facts[0]["platform"], facts[0]["device"]
    peak = peak or usage.peak(kind)
    absent = "smoke test" if section.smoke else train_step.why_no_peer(platform)
    turns = (settings.batch_size, 1 if section.smoke else 3, 1 if section.smoke else None)
    try:
        if not absent:
            device = "cpu" if platform == "cpu" else "cuda"
            if way is None:
                fewer = dataclasses.replace(settings, batch_size=max(2, settings.batch_size // 4))
                way = train_step.Process(train_step.try_ways, fewer, device).receive()
            peer = train_step.Process(train_step.serve, train_step.TorchSide, settings, way, device)
            facts.append(peer.receive())
            speeds = train_step.take_turns([gen, peer], *turns)
            sides.append(peer)
    except SystemExit:
        absent = "PyTorch's process died"
    if absent:
        section.note(f"{settings.preset}: no peer: {absent}")
        speeds = train_step.take_turns(sides, *turns)
    memory = [side.ask(0) / 1e9 for side in sides]
    speed, operations = statistics.median(speeds[0]), facts[0]["operations"]
    rate = operations * speed / settings.batch_size
    row = {"device": kind, "images/s": speed, "TFLOP/s": rate / 1e12, "MFU": rate / peak if peak else "peak unknown"}
    row |= {"compiling": facts[0]["compiling"], "peak GB": memory[0], "parameters": facts[0]["parameters"]}
    if not absent:
        row |= {
            "PyTorch images/s": statistics.median(speeds[1]),
            "PyTorch GB": memory[1],
            "PyTorch's way": facts[1]["way"],
        }
        row["gen / PyTorch"] = statistics.median(ours / theirs for ours, theirs in zip(*speeds, strict=True))
    return row, way or 0


def imaging_section(section: Section) -> None:
    import imaging
    import jax
    from peers import images
    from peers import imaging as peers

    device, cores, libraries = jax.devices()[0], len(os.sched_getaffinity(0)), {}
    if section.smoke or not (installed("torch") and installed("kornia")):
        section.note("no comparison with kornia: smoke test, or it or PyTorch is not installed")
    else:
        libraries["kornia"] = peers.LIBRARIES["kornia"][1](cores, "cpu" if device.platform == "cpu" else "cuda")
    arrays, source = images.inputs(*((2, 32) if section.smoke else (16, 256)))
    placed = jax.block_until_ready(jax.device_put(arrays, device))
    section.note(f"{device.device_kind}; {len(arrays.x)} images of {arrays.x.shape[1:]}: {source}")
    for row in imaging.rows()[: 1 if section.smoke else None]:
        try:
            found = imaging.measure(row, arrays, placed, libraries, 1 if section.smoke else 5, True)
        except Exception as error:  # of another library, say; the other rows are worth having
            section.note(f"{row.name}: {type(error).__name__}: {str(error).splitlines()[0][:200]}")
            continue
        times = {f"{name} ms": ms for name, (ms, _) in found["ms"].items()}
        shown = {f"gen / {name}": ratio for name, ratio in found["ratio"].items()} | {"compile s": found["compile"]}
        apart = {f"difference from {name}": value for name, value in found["difference"].items()}
        section.add(operator=row.title, **times, **shown, **apart)


def sampling_section(section: Section) -> None:
    import sampling

    width, layers, vocabulary, side, batch, stretch = (
        (16, 1, 8, 4, 2, 16) if section.smoke else (256, 4, 1000, 64, 64, 1024)
    )
    section.note(f"{batch} images at once, width {width}, {layers} layers, {side**2} tokens in stretches of {stretch}")
    for name, network in sampling.networks(width, layers, vocabulary, side).items():
        sampler = sampling.Sampler(network, batch, stretch)
        found = sampling.measure({name: sampler}, 1)[name]
        section.add(
            network=name,
            parameters=found["parameters"],
            seconds=sum(found["seconds"]),
            **{
                "first token ms": 1e3 * found["seconds"][0] / stretch,
                "last token ms": 1e3 * found["seconds"][-1] / stretch,
            },
            **{"last state MB": found["state"][-1] / 1e6, "last peak MB": found["peak"][-1] / 1e6},
        )


# Pictures.


def cifar10(section: Section) -> None:
    """Trains the family that the section is named after for half of its time, and measures it."""
    os.environ["GEN_CACHE"] = str(section.out / "cache")  # both families are measured by one extractor
    import numpy as np

    from gen import devices
    from gen.config import build
    from gen.data import Examples
    from gen.evaluation import Comparison, extract_features, measure, model_images, random_subset, reference, subject
    from gen.features import parse_extractor
    from gen.report import grid, save_png
    from gen.runs import trained_run
    from gen.training import loop

    config, workdir = family(section), section.out / section.name
    config.evaluation.every = 0  # it is measured afterwards, and better
    shutil.rmtree(workdir, ignore_errors=True)
    if not section.smoke:
        timer = threading.Timer(section.left() / 2, os.kill, (os.getpid(), signal.SIGTERM))  # the loop then saves
        timer.daemon = True
        timer.start()
    began = time.monotonic()
    loop.train(config, workdir)
    section.note(f"trained for {time.monotonic() - began:.0f} s, compilation included")
    if not section.smoke:
        timer.cancel()
    mesh = devices.mesh(-1, 1)
    run = trained_run.load(workdir, mesh=mesh)
    source = build(run.config.data, "data")
    count, extractor = (16, "pixels") if section.smoke else (SAMPLES, None)
    made = model_images(run.task, run.ema_params, source, count, mesh=mesh)
    section.add(metric="images seen", value=run.step * run.config.batch_size)
    columns = max(1, source.num_classes)
    order = np.argsort(made.labels % columns, kind="stable")
    rows = [order[made.labels[order] % columns == k][: 1 if section.smoke else 10] for k in range(columns)]
    save_png(section.out / f"{section.name}.png", grid(made.images[np.concatenate(rows)], columns=10))
    yardstick = parse_extractor(extractor, source)
    real = reference(source, yardstick, references=count)
    groups = ("spectrum",) if section.smoke else ("spectrum", "frechet", "neighbors", "classes")
    held_out = random_subset(source.held_out, count)
    for title, examples in (("samples", made), ("real, held out", held_out)):
        features = extract_features(Examples(examples.images[:], examples.labels), yardstick, labeled=True)
        for result in measure(Comparison(features, real, yardstick, subject(run.task)), groups=groups):
            if "-class-" in result.metric:  # of every class
                continue
            about = {name: result.settings[name] for name in ("classifier_accuracy",) if name in result.settings}
            section.add(metric=result.metric, value=result.value, low=result.low, high=result.high, of=title, **about)


def family(section: Section) -> Any:
    """The config: of the experiment, with a schedule for a minute or two."""
    from gen.config import Config, experiment, spec
    from gen.data import npz
    from gen.models.unet import UNet
    from gen.tasks.flow import Flow

    gan = section.name == "cifar10_gan"
    if section.smoke and gan:
        config = experiment.load(str(ROOT / "experiments" / "cifar10.py:smoke"))
        for network in (config.task.generator, config.task.discriminator):
            network.widths, network.patch = (8, 8), 4
        config.task.augmentation = (0.0, 0.0)
        return config
    if section.smoke:
        config = experiment.load(str(ROOT / "experiments" / "fashion_mnist_flow.py:smoke"))
        config.task.network.widths, config.task.network.patch, config.task.network.pixel_width = (8, 8), 4, 4
        return config
    if gan:
        config = experiment.load(str(ROOT / "experiments" / "cifar10.py:npz"))
        config.data.path = str(section.data)
        config.task.schedule_images = 400_000
        config.task.ema_half_life = (0.0, 20_000.0)
        config.task.augmentation = (0.0, 0.3)
    else:
        network = spec(UNet, widths=(128, 256, 256), blocks=2, patch=1, embedding=256, bfloat16=True)  # as the GAN
        task = spec(Flow, network=network, ema_half_life=(0.0, 20_000.0), guidance=1.5, schedule_images=600_000)
        config = Config(data=spec(npz, path=str(section.data)), task=task, batch_size=256, mirror=True)
    config.total_images = config.task.schedule_images
    config.preview_every = config.checkpoint_every = 10**6
    return config


class Part(NamedTuple):
    """A section: its function, and its share of the time, in seconds of 475."""

    run: Callable[[Section], None]
    seconds: float


SECTIONS = {
    "correctness": Part(correctness, 60),
    "convolutions": Part(convolutions, 25),
    "train_step": Part(train_step_section, 95),
    "imaging": Part(imaging_section, 35),
    "sampling": Part(sampling_section, 25),
    "cifar10_gan": Part(cifar10, 135),
    "cifar10_flow": Part(cifar10, 100),
}


def run_section(name: str, given: argparse.Namespace, seconds: float) -> str:
    """Runs a section in a process of its own; returns how it ended."""
    command = [sys.executable, __file__, "--section", name, "--out", str(given.out), "--seconds", f"{seconds:.1f}"]
    command += ["--smoke"] if given.smoke else []
    for flag in ("data", "peak"):
        command += [f"--{flag}", str(getattr(given, flag))] if getattr(given, flag) else []
    environment = os.environ | {"XLA_PYTHON_CLIENT_PREALLOCATE": "false", "PYTHONUNBUFFERED": "1"}
    log, began = given.out / f"{name}.log", time.monotonic()
    with log.open("wb") as file:
        process = subprocess.Popen(
            command,
            stdout=file,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            env=environment,
            start_new_session=True,
        )
        try:
            code = process.wait(seconds)
        except subprocess.TimeoutExpired:
            code = None
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)  # its own session: what it started, too
                process.wait()
    took = f"{time.monotonic() - began:.0f} s"
    if code is None:
        return f"stopped after {took}, which was its time; what it had measured follows"
    last = next((line for line in reversed(log.read_text(errors="replace").splitlines()) if line.strip()), "")
    return f"done in {took}" if code == 0 else f"FAILED after {took} (exit code {code}): {last[:300]}"


def report(out: pathlib.Path, about: list[str], ended: dict[str, str]) -> None:
    """Writes report.md, which is read while the next section runs."""
    lines = ["# On a GPU", "", *(f"- {line}" for line in about)]
    for name, how in ended.items():
        lines += ["", f"## {name}", "", f"{how}."]
        path = out / f"{name}.json"
        found = json.loads(path.read_text()) if path.is_file() else {"notes": [], "rows": []}
        lines += [f"- {note}" for note in found["notes"]]
        if found["rows"]:
            heads = list(dict.fromkeys(key for row in found["rows"] for key in row))
            lines += ["", f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}"]
            lines += [f"| {' | '.join(cell(row.get(head)) for head in heads)} |" for row in found["rows"]]
    (out / "report.md").write_text("\n".join(lines) + "\n")


def cell(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}" if abs(value) < 1e5 else f"{value:,.0f}"
    return "" if value is None else f"{value:,}" if isinstance(value, int) else str(value).replace("|", "/")


def installed(name: str) -> bool:
    try:
        return importlib.util.find_spec(name) is not None
    except ModuleNotFoundError:  # a part of what is not there
        return False


def surroundings() -> list[str]:
    """What there is to measure with."""
    wanted = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "torch", "kornia")
    there = {d.metadata["Name"].lower(): d.version for d in importlib.metadata.distributions() if d.metadata["Name"]}
    lines = [f"Python {sys.version.split()[0]}; " + ", ".join(f"{n} {there[n]}" for n in wanted if n in there)]
    lines.append(f"{len(os.sched_getaffinity(0))} CPU cores, load average before {os.getloadavg()[0]:.1f}")
    if program := shutil.which("nvidia-smi"):
        query = [program, "--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
        lines.append(subprocess.run(query, capture_output=True, text=True, timeout=20).stdout.strip())
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=pathlib.Path, help="folder for everything; default: a new one")
    parser.add_argument("--data", type=pathlib.Path, help="CIFAR-10 as .npz: x_train, y_train, x_test, y_test")
    parser.add_argument("--minutes", type=float, default=8.0, help="for everything")
    parser.add_argument("--only", nargs="+", choices=list(SECTIONS), metavar="SECTION", default=list(SECTIONS))
    parser.add_argument("--peak", type=float, help="dense bfloat16 operations per second of the device, if not known")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--section", choices=list(SECTIONS), help=argparse.SUPPRESS)  # in its process
    parser.add_argument("--seconds", type=float, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.section:
        until = time.monotonic() + given.seconds
        SECTIONS[given.section].run(Section(given.section, given.out, given.smoke, given.data, given.peak, until))
        return 0
    end = time.monotonic() + 60 * given.minutes - 5
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # ends the section, too
    given.out = given.out or pathlib.Path(tempfile.mkdtemp(prefix="on_gpu-"))
    given.out.mkdir(parents=True, exist_ok=True)
    about = surroundings()
    lacking = [name for name in NEEDED if not installed(name)]
    about += [f"{name} is not installed, and needed" for name in lacking]
    about += [f"{name} is not installed: {what}" for name, what in OPTIONAL.items() if not installed(name)]
    if given.smoke:
        about.append("smoke test: the numbers mean nothing")
    print("\n".join(about), flush=True)
    ended: dict[str, str] = {}
    for name in given.only:
        (given.out / f"{name}.json").unlink(missing_ok=True)
        if name.startswith("cifar10") and not given.data and not given.smoke:
            ended[name] = "skipped: no --data"
        else:
            coming = [SECTIONS[other].seconds for other in given.only if other not in ended]
            seconds = min((end - time.monotonic()) * SECTIONS[name].seconds / sum(coming), 2 * SECTIONS[name].seconds)
            ended[name] = run_section(name, given, 600.0 if given.smoke else max(seconds, 1.0))
        print(f"{name}: {ended[name]}", flush=True)
        report(given.out, about, ended)
    print(f"{given.out / 'report.md'}")
    return int(given.smoke and any(how.startswith("FAILED") for how in ended.values()))


if __name__ == "__main__":
    sys.exit(main())
