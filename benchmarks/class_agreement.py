"""Do class-conditional samples show the class that was asked for? A classifier of the real images is the judge.

    python benchmarks/class_agreement.py --workdir runs/shapes        # judges a run that is there
    python benchmarks/class_agreement.py --workdir NEW --config experiments/shapes.py  # trains it first
    python benchmarks/class_agreement.py --smoke                          # two steps of everything, no claim

More flags are passed on to gen.main. Prints the judge's accuracy on held-out images, the agreement of 1,000 samples
(all classes equally often, seeds 0 to 999, EMA weights, no truncation) with their labels, in total and by class, and
writes WORKDIR/agreement.json and agreement.png: a column for each class, a frame around what the judge calls otherwise.
"""

from __future__ import annotations

import argparse
import functools
import json
import pathlib
import subprocess
import sys
import tempfile
import time
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from gen import run, sharding
from gen.config import build
from gen.data import Dataset, Source
from gen.models import layers
from gen.report import grid, save_png


class Classifier(nn.Module):
    """Images [b h w c] in [0, 1] to class logits [b k]: 2x2 patches, then three 3x3 convolutions, halving the size."""

    classes: int
    width: int = 64

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = layers.space_to_depth(2 * x - 1, 2)
        for i in range(3):
            x = layers.downsample(x) if i else x
            x = layers.BiasLeakyReLU()(layers.Conv(self.width * 2**i, 3, gain=layers.LEAKY_RELU_GAIN)(x))
        x = layers.Linear(128, gain=layers.LEAKY_RELU_GAIN)(x.reshape(x.shape[0], -1))
        return layers.Linear(self.classes, use_bias=True)(layers.BiasLeakyReLU()(x))


class Judge(NamedTuple):
    """A trained classifier; `accuracy` is its share of right answers on held-out images."""

    params: Any
    classes: int
    accuracy: float

    def predict(self, images: np.ndarray, batch_size: int = 500) -> np.ndarray:
        """Classes int [n] of images [n h w c] in [0, 1]."""
        apply = jax.jit(Classifier(self.classes).apply, compiler_options=sharding.compiler_options())
        parts = [images[i : i + batch_size] for i in range(0, len(images), batch_size)]
        return np.concatenate([np.asarray(apply(self.params, part)).argmax(-1) for part in parts])


def train_judge(source: Source, *, steps: int = 2000, batch_size: int = 128, seed: int = 0) -> Judge:
    """Cross-entropy with Adam, the learning rate falling to zero over `steps`; each batch is shifted by up to 2
    pixels."""
    model = Classifier(source.num_classes)
    optimizer = optax.adam(optax.cosine_decay_schedule(2e-3, steps))
    params = model.init(jax.random.key(seed), jnp.zeros((1, *source.image_shape)))

    @functools.partial(jax.jit, compiler_options=sharding.compiler_options())
    def update(params: Any, opt_state: Any, image: jax.Array, label: jax.Array, key: jax.Array) -> tuple[Any, Any]:
        image = jnp.roll(image / 255, jax.random.randint(key, (2,), -2, 3), axis=(1, 2))

        def loss(params: Any) -> jax.Array:
            return optax.softmax_cross_entropy_with_integer_labels(model.apply(params, image), label).mean()

        updates, opt_state = optimizer.update(jax.grad(loss)(params), opt_state)
        return optax.apply_updates(params, updates), opt_state

    dataset, opt_state = Dataset(source.train, batch_size, seed), optimizer.init(params)
    for i in range(steps):
        batch, key = dataset.batch(i), jax.random.fold_in(jax.random.key(seed), i)
        params, opt_state = update(params, opt_state, batch["image"], batch["label"], key)
    judge = Judge(params, source.num_classes, accuracy=0.0)
    right = judge.predict(np.asarray(source.held_out.images) / np.float32(255)) == source.held_out.labels
    return judge._replace(accuracy=float(right.mean()))


def sample(
    loaded: run.Loaded, count: int, settings: dict[str, float], batch_size: int = 100
) -> tuple[np.ndarray, np.ndarray]:
    """Images [n h w c] of seeds 0 to n - 1 and the labels that were asked for, seed s being of class s mod k."""
    labels = (np.arange(count) % loaded.data_facts["num_classes"]).astype(np.int32)
    draw = jax.jit(lambda params, keys, label: loaded.task.sample(params, keys, {"label": label} | settings))
    keys = jax.vmap(jax.random.key)(np.arange(count))
    parts = [slice(i, i + batch_size) for i in range(0, count, batch_size)]
    return np.concatenate([np.asarray(draw(loaded.ema_params, keys[part], labels[part])) for part in parts]), labels


def agreement(workdir: pathlib.Path, *, samples: int, steps: int, settings: dict[str, float]) -> dict[str, Any]:
    """Judges the newest checkpoint of a run and writes agreement.json and agreement.png into its folder."""
    loaded = run.load(workdir)
    judge = train_judge(build(loaded.config.data, "data"), steps=steps)
    images, labels = sample(loaded, samples, settings)
    right = judge.predict(images) == labels
    result = {
        "step": loaded.step,
        "images": loaded.step * loaded.config.batch_size,
        "samples": samples,
        **settings,
        "judge_held_out_accuracy": judge.accuracy,
        "agreement": float(right.mean()),
        "by_class": {name: float(right[labels == k].mean()) for k, name in enumerate(loaded.class_names)},
    }
    framed = np.repeat(images, 3, axis=-1) if images.shape[-1] == 1 else images.copy()
    red = np.array([1.0, 0.0, 0.0])
    for image in framed[~right]:
        image[[0, -1]], image[:, [0, -1]] = red, red
    columns = loaded.data_facts["num_classes"]
    save_png(workdir / "agreement.png", grid(framed[: 10 * columns], columns=columns))
    run.write_json(workdir / "agreement.json", result)
    return result


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workdir", type=pathlib.Path)
    parser.add_argument("--config")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--steps", type=int, default=2000, help="of the judge's training")
    parser.add_argument("--temperature", type=float, help="of a prior")
    parser.add_argument("--guidance", type=float, help="of a prior")
    parser.add_argument("--smoke", action="store_true")
    given, passed_on = parser.parse_known_args()
    if given.smoke:
        given.config, given.samples, given.steps = "experiments/shapes.py:smoke", 16, 2
        given.workdir = pathlib.Path(tempfile.mkdtemp())
    if given.workdir is None:
        parser.error("--workdir is missing")
    if given.config:
        command = [
            sys.executable,
            "-m",
            "gen.main",
            f"--config={given.config}",
            f"--workdir={given.workdir}",
            *passed_on,
        ]
        start = time.monotonic()
        subprocess.run(command, check=True)
        print(f"from command to report: {time.monotonic() - start:.0f} s")
    asked = {"temperature": given.temperature, "guidance": given.guidance}
    settings = {name: value for name, value in asked.items() if value is not None}
    print(json.dumps(agreement(given.workdir, samples=given.samples, steps=given.steps, settings=settings), indent=2))


if __name__ == "__main__":
    main()
