"""Colored shapes, 32 x 32, tokenizer with 8 x 8 tokens and an adversary: minutes on two CPU cores.

    python -m gen.main --config experiments/shapes_autoencoder.py

Measured 2026-11-21 on two cores of an Intel Xeon by benchmarks/reconstruction.py: after 60,000 images 29.0 dB on 2,000
held-out images (5 % quantile 26.7), 98 % of the 1,000 codes used. It ran beside other jobs, so the time is not known.
"""

from gen.config import Config, spec, variant
from gen.data import shapes
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ
from gen.models.r3gan import PRESETS, Discriminator
from gen.tasks.autoencoder import Autoencoder


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(shapes, resolution=32),
        task=spec(
            Autoencoder,
            network=spec(Network, bottleneck=spec(FSQ, levels=(8, 5, 5, 5))),
            discriminator=spec(Discriminator, **PRESETS["xs"].discriminator),
            perceptual=0.1,
            adversarial=0.05,
            gamma=1.0,
            lecam=0.01,
            schedule_images=60_000,
        ),
        batch_size=32,
        total_images=60_000,
        preview_every=500,
        checkpoint_every=500,
    )
    if smoke:
        config.task.network.blocks = 1
        config.task.discriminator.blocks = 1
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
