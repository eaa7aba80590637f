"""What Muon is worth: the same flow of the shapes by Muon, as gen.tasks.flow has it, by that of optax, and by Adam.

    python benchmarks/optimizers.py --images 20000
    python benchmarks/optimizers.py --smoke            # two steps of each, no claim

Prints for each optimizer the mean loss of the last fifth of the images, in which the learning rate has fallen to zero,
and images per second without compilation. Adam is given each of --adam_rates.
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import time
from typing import Any

import jax
import numpy as np
import optax
from optax import contrib

from gen.config import build, build_task
from gen.config.experiment import load
from gen.data import BatchSampler, DatasetSplits
from gen.devices import compiler_options, mesh
from gen.tasks.flow import Flow
from gen.tasks.muon import kinds
from gen.tasks.schedule import warmed


class OptaxFlow(Flow):
    """The flow, learned by optax.contrib.muon: five steps, on the kernels that gen.tasks.muon takes, at equal rates."""

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        def dimensions(params: Any) -> Any:
            def one(kind: str, leaf: Any) -> contrib.MuonDimensionNumbers | None:
                rows = tuple(range(leaf.ndim - 1))
                return contrib.MuonDimensionNumbers(rows, leaf.ndim - 1) if kind == "muon" else None

            return jax.tree.map(one, kinds(params), params)

        rate = functools.partial(warmed, self)
        muon = contrib.muon(
            rate,
            beta=0.9,
            muon_weight_dimension_numbers=dimensions,
            consistent_rms=1.0,
            adam_learning_rate=lambda step: 3 * rate(step),
            adam_b2=0.99,
        )
        return optax.chain(optax.clip_by_global_norm(1.0), muon)


class AdamFlow(Flow):
    """The flow, learned by Adam alone."""

    @property
    def _optimizer(self) -> optax.GradientTransformation:
        adam = optax.adam(functools.partial(warmed, self), b1=0.9, b2=0.99)
        return optax.chain(optax.clip_by_global_norm(1.0), adam)


def trained(task: Flow, source: DatasetSplits, images: int) -> tuple[float, float]:
    """Trains on so many images; returns the loss at the end, and images per second."""
    batches = BatchSampler(source.train, task.batch_size)

    @functools.partial(jax.jit, donate_argnums=0, compiler_options=compiler_options())
    def step(state, batch, key):
        return task.step(state, batch | {"image": batch["image"] / 255}, key)

    with jax.set_mesh(mesh(1, 1)):
        state = jax.jit(task.init)(jax.random.key(0))
        losses, began = [], 0.0
        for number in range(max(2, images // task.batch_size)):
            state, metrics = step(state, batches.batch(number), jax.random.key(number))
            losses.append(float(metrics["loss"]))
            began = began or time.monotonic()  # when the first step is done
        seconds = time.monotonic() - began
    return float(np.mean(losses[-max(1, len(losses) // 5) :])), (len(losses) - 1) * task.batch_size / seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=20_000)
    parser.add_argument("--adam_rates", type=float, nargs="+", default=[1e-3, 2e-3])
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    images = 64 if given.smoke else given.images
    lengths = [("task.schedule_images", str(images)), ("total_images", str(images))]
    config = load("experiments/shapes.py:smoke" if given.smoke else "experiments/shapes.py", lengths)
    source = build(config.data, "data")
    muon = build_task(config, source.image_shape, source.num_classes)
    fields = {field.name: getattr(muon, field.name) for field in dataclasses.fields(muon)}
    tasks: dict[str, Flow] = {"Muon": muon, "Muon of optax": OptaxFlow(**fields)}
    for rate in given.adam_rates[: 1 if given.smoke else None]:
        tasks[f"Adam, {rate:g}"] = AdamFlow(**fields | {"learning_rate": (rate, 0.0)})
    print(f"| optimizer | loss after {images:,} images | images/s |\n| --- | --- | --- |")
    for name, task in tasks.items():
        loss, speed = trained(task, source, images)
        print(f"| {name} | {loss:.4f} | {speed:.0f} |", flush=True)


if __name__ == "__main__":
    main()
