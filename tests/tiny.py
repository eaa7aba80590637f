"""The smallest run that has all the parts: 16 x 16 shapes, networks of a few thousand parameters."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from gen.config import Config, Spec, spec
from gen.data import shapes
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ, DiagonalGaussian
from gen.models.r3gan import Discriminator, Generator
from gen.models.recurrent import Recurrent
from gen.models.unet import UNet
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior

NETWORK: dict[str, Any] = {
    "widths": (16, 8),
    "blocks": 1,
    "expansion": 1.0,
    "group_size": None,
    "patch": 2,
    "embedding": 8,
    "bfloat16_from": None,
}
IMAGE_SHAPE = (16, 16, 3)
NUM_CLASSES = 8


def task_spec(**changes: Any) -> Spec:
    networks = {
        "generator": spec(Generator, **NETWORK, latent=8),
        "discriminator": spec(Discriminator, **NETWORK),
    }
    return spec(
        Gan, **{**networks, "schedule_images": 400, "learning_rate": (2e-3, 1e-3), "gamma": (0.5, 0.1), **changes}
    )


AUTOENCODER: dict[str, Any] = {"widths": (8, 16), "blocks": 1, "patch": 2}


def autoencoder_spec(*, network: Spec | None = None, **changes: Any) -> Spec:
    """With everything that the task can do: an adversary, its features, LeCam, noise in the bottleneck."""
    return spec(
        Autoencoder,
        **{
            "network": network or spec(Network, **AUTOENCODER, bottleneck=spec(DiagonalGaussian, size=4)),
            "discriminator": spec(Discriminator, **NETWORK),
            "perceptual": 0.1,
            "adversarial": 0.1,
            "lecam": 0.01,
            "schedule_images": 400,
            "learning_rate": (2e-3, 1e-3),
            **changes,
        },
    )


def tokenizer(**changes: Any) -> Spec:
    """A network with 16 tokens an image, of 8 kinds."""
    return spec(Network, **AUTOENCODER, **changes, bottleneck=spec(FSQ, levels=(2, 2, 2)))


def prior_spec(**changes: Any) -> Spec:
    """Over the tokens of a frozen network, in all kinds of orders."""
    return spec(
        Prior,
        **{
            "network": spec(Recurrent, width=16, layers=1),
            "tokenizer": tokenizer(),
            "random_order": (0.5, 0.1),
            "region_first_probability": 0.3,
            "schedule_images": 400,
            "warmup_images": 16,
            **changes,
        },
    )


def flow_spec(**changes: Any) -> Spec:
    network = spec(UNet, widths=(8,), blocks=1, pixel_width=4, embedding=16)
    return spec(Flow, **{"network": network, "steps": 2, "guidance": 1.5, "schedule_images": 400, **changes})


# All kinds of training.
TASKS: dict[str, Callable[..., Spec]] = {
    "gan": task_spec,
    "autoencoder": autoencoder_spec,
    "flow": flow_spec,
    "prior": prior_spec,
}


def config(*, task: Spec | None = None, **changes: Any) -> Config:
    """A run of 8 images a step on all devices, which logs every step and draws few pictures."""
    fields: dict[str, Any] = {
        "data": spec(shapes, resolution=16, num_train=64, num_held_out=8),
        "batch_size": 8,
        "log_every": 1,
        "preview_every": 100,
        "checkpoint_every": 100,
        "preview_images": 8,
    }
    return Config(task=task or task_spec(), **{**fields, **changes})


EXPERIMENT = '''"""The tiny run as an experiment file."""

import tiny


def get_config(arg=""):
    return tiny.config()
'''


def experiment(folder: Path) -> Path:
    """Writes an experiment file that makes `config()`; whoever runs it needs this folder on PYTHONPATH."""
    path = folder / "tiny_experiment.py"
    path.write_text(EXPERIMENT)
    return path
