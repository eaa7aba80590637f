"""Colored shapes, drawn by the program itself, 32 x 32, GAN with eight classes: minutes on two CPU cores.

    python -m gen.main --config experiments/shapes_gan.py
    python -m gen.main --config experiments/shapes_gan.py --sweep print    # commands to compare penalties, rates

Measured 2026-11-29 on two cores of an AMD EPYC: with 36,000 images (--config.total_images=36000
--config.task.schedule_images=36000) 6 min 28 s from command to report, so that the 32,000 take less than 6 minutes. A
classifier (right on 100 % of held-out shapes) finds the requested class in 99.9 % of 1,000 samples; recall is 0.035.
"""

from collections.abc import Iterator
from typing import Any

from gen.config import Config, spec, variant
from gen.data import shapes
from gen.models.r3gan import PRESETS, Discriminator, Generator
from gen.tasks.gan import Gan


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(shapes, resolution=32),
        task=spec(
            Gan,
            generator=spec(Generator, **PRESETS["xs"].generator, latent=32),
            discriminator=spec(Discriminator, **PRESETS["xs"].discriminator),
            gamma=(2.0, 2.0),
            learning_rate=(1e-3, 1e-4),
            ema_half_life=(0.0, 3_000.0),
            schedule_images=32_000,
        ),
        batch_size=16,
        total_images=32_000,
        log_every=100,
        preview_every=300,
        checkpoint_every=1000,
    )
    if smoke:
        config.total_images, config.log_every, config.preview_every = 2 * config.batch_size, 1, 1
        config.data = spec(shapes, resolution=32, num_train=256, num_held_out=64)
    return config


def sweep() -> Iterator[dict[str, Any]]:
    """The penalty and the learning rate, which matter most in adversarial training, one step to each side."""
    for gamma in ((1.0, 1.0), (2.0, 2.0), (4.0, 4.0)):
        for rate in ((5e-4, 5e-5), (1e-3, 1e-4)):
            yield {"task.gamma": gamma, "task.learning_rate": rate}
