"""Run folders of tiny priors and flows of pixels, with weights away from the start."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import jax
import numpy as np
from PIL import Image

from gen.config import Config, build, spec, to_json
from gen.data import shapes
from gen.models.recurrent import Recurrent
from gen.models.unet import UNet
from gen.runs import trained_run
from gen.runs.checkpoint import Checkpoints
from gen.tasks.flow import Flow
from gen.tasks.prior import Prior

CLASSES = ("round", "square", "other")


def make_flow(path: Path, image_shape: tuple[int, int, int], **changes: Any):
    """A run of a Flow with these changes."""
    network = spec(UNet, widths=(8, 8), blocks=1, pixel_width=4, embedding=16)
    return make_run(path, image_shape, task=Flow, **{"network": network, "steps": 2, **changes}, stirred=0.05)


def make_run(
    path: Path,
    image_shape: tuple[int, int, int],
    *,
    options: dict[str, Any] | None = None,
    task: Any = Prior,
    stirred: float = 0.3,
    **changes: Any,
):
    """A run of a Prior, or another task, with these changes; options: of its data, as in data.json.

    stirred: how far the weights are from the start, where every token is as probable.
    """
    task = spec(task, **{"network": spec(Recurrent, width=16, layers=1), "schedule_images": 100, **changes})
    config = Config(data=spec(shapes), task=task, batch_size=8)
    folder = trained_run.RunFolder(path)
    path.mkdir(parents=True)
    facts = {"name": "x", "image_shape": image_shape, "num_classes": len(CLASSES), "class_names": CLASSES}
    trained_run.write_json(folder.data, facts | {"options": options or {}})
    folder.config.write_text(to_json(config))
    built = build(task, "task", image_shape=image_shape, num_classes=len(CLASSES), batch_size=8)
    state = jax.jit(built.init)(jax.random.key(0))
    rng = np.random.default_rng(0)
    stirred = jax.tree.map(
        lambda leaf: leaf + stirred * rng.normal(size=leaf.shape).astype(np.float32), state.ema_params
    )
    with Checkpoints(folder.checkpoints) as checkpoints:
        checkpoints.save(3, state.replace(ema_params=stirred), wait=True)
    return path


def picture(path: Path, shape: tuple[int, int], seed: int = 0) -> np.ndarray:
    """Writes a gray image of noise, and returns it: uint8 [h w]."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return pixels


def read(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image)


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())
