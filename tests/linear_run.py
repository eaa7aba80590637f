"""Run folders of a task without a network: each image is a smooth fixed function of its latent and its class."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from gen import config
from gen.data import shapes
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.tasks.draws import draw_labels, draw_latents
from gen.tasks.state import TrainState

CLASSES = ("T-shirt/top", "Sandal", "Ankle boot, high")
SIDE = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Linear:
    """A task; $GEN_PACKAGES must name this module."""

    image_shape: tuple[int, int, int]
    num_classes: int
    batch_size: int
    size: int = 8

    def init(self, key: jax.Array) -> TrainState:
        params = {"generator": {"kernel": jax.random.normal(key, (self.size, 8 * 8 * 3))}}
        return TrainState(step=jnp.int32(0), params=params, opt_state={"generator": ()}, ema_params=params)

    @property
    def latent_shape(self) -> tuple[int, ...]:
        return (self.size,)

    def label(self, keys: jax.Array) -> jax.Array | None:
        return draw_labels(keys, self.num_classes, fold=1)

    def sample(self, ema_params, keys, conditions):
        latent = conditions["latent"] if "latent" in conditions else draw_latents(keys, self.latent_shape)
        label = conditions["label"] if conditions.get("label") is not None else self.label(keys)
        pixels = latent * conditions.get("truncation", 1.0) @ ema_params["generator"]["kernel"]
        pixels = jax.nn.sigmoid(pixels + label[:, None]).reshape(-1, 8, 8, 3)
        return jnp.clip(jax.image.resize(pixels, (len(pixels), SIDE, SIDE, 3), "cubic"), 0, 1)


def make_run(path: Path, *, steps: Sequence[int] = (5, 10)) -> Path:
    """Writes a run folder with checkpoints of other weights each."""
    folder = trained_run.RunFolder(path)
    path.mkdir(parents=True)
    settings = config.Config(data=config.spec(shapes), task=config.spec(Linear), batch_size=8)
    facts = {"name": "x", "image_shape": [SIDE, SIDE, 3], "num_classes": len(CLASSES), "class_names": CLASSES}
    trained_run.write_json(folder.data, facts)
    folder.config.write_text(config.to_json(settings))
    task = Linear(image_shape=(SIDE, SIDE, 3), num_classes=len(CLASSES), batch_size=8)
    with Checkpoints(folder.checkpoints) as checkpoints:
        for step in steps:
            checkpoints.save(step, task.init(jax.random.key(step)), wait=True)
    return path


def photo(seed: int = 0, side: int = SIDE) -> np.ndarray:
    """An image of nobody's model: smooth noise with grain, uint8 [side side 3]."""
    rng = np.random.default_rng(seed)
    coarse = rng.normal(size=(8, 8, 3)).repeat(side // 8, 0).repeat(side // 8, 1)
    return np.clip(128 + 40 * coarse + rng.normal(size=(side, side, 3)) * 8, 0, 255).astype(np.uint8)
