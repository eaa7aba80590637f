"""Scenes, 32 x 32, tokenizer with 8 x 8 tokens of 1,000, for scenes_prior.py: minutes on two CPU cores.

    python -m gen.main --config experiments/scenes_autoencoder.py

Measured in docs/words.md, with it.
"""

from gen.config import Config, spec, variant
from gen.data import scenes
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ
from gen.tasks.autoencoder import Autoencoder


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(scenes, resolution=32),
        task=spec(
            Autoencoder, network=spec(Network, bottleneck=spec(FSQ, levels=(8, 5, 5, 5))), schedule_images=80_000
        ),
        batch_size=32,
        total_images=80_000,
        preview_every=500,
    )
    if smoke:
        config.data = spec(scenes, resolution=32, num_train=64, num_held_out=8)
        config.task.network.blocks = 1
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
