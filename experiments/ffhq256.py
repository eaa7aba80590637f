"""FFHQ, 256 x 256 faces, unconditional GAN from a folder of images: the published recipe of R3GAN, for 8 GPUs.

    python -m gen.main --config experiments/ffhq256.py --config.data.path=DIR  # or a zip; 256 pixels or more

Widths, penalty weights and schedules are those of the paper (Huang et al. 2024: FID 2.75). FFHQ is not in TensorFlow
Datasets: get it from github.com/NVlabs/ffhq-dataset, for non-commercial use only. Measured: nothing yet, for lack of a
GPU.
"""

from gen.config import Config, spec, variant
from gen.data import folder, shapes
from gen.models.r3gan import PRESETS, Discriminator, Generator
from gen.tasks.gan import Gan


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    network = PRESETS["ffhq256"].replace(**({"widths": (8,) * 3, "group_size": 8, "blocks": 1} if smoke else {}))
    config = Config(
        data=spec(folder, path="ffhq256", resolution=256, labeled=False),
        task=spec(
            Gan,
            generator=spec(Generator, **network.generator),
            discriminator=spec(Discriminator, **network.discriminator),
            conditional=False,
            gamma=(150.0, 15.0),
            learning_rate=(2e-4, 5e-5),
            augmentation=(0.0, 0.3),
            ema_half_life=(0.0, 500_000.0),
            schedule_images=20_000_000,
        ),
        batch_size=256,
        total_images=200_000_000,
        mirror=True,
        preview_images=16,
    )
    if smoke:
        config.data = spec(shapes, resolution=16, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
