"""CIFAR-10, 32 x 32, class-conditional GAN: half an hour on one GPU, or the published recipe of R3GAN.

    python -m gen.main --config experiments/cifar10.py                                     # downloads the data first
    python -m gen.main --config experiments/cifar10.py:npz --config.data.path=cifar10.npz  # x_train, y_train
    python -m gen.main --config experiments/cifar10.py:full                                # days on 8 GPUs

`:full` has the widths and schedules of R3GAN (Huang et al. 2024: 250 M images, FID 1.96). The others keep the ratio of
width to group size and shorten the schedules. Measured: nothing yet, for lack of a GPU.
"""

from gen.config import Config, spec, variant
from gen.data import npz, shapes, tfds
from gen.models.r3gan import PRESETS, Discriminator, Generator
from gen.tasks.gan import Gan


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["npz", "full", "smoke"])
    network = PRESETS["cifar10" if arg == "full" else "s"]
    images = 250_000_000 if arg == "full" else 5_000_000
    if arg == "smoke":
        network = network.replace(widths=(8,) * 4, group_size=8, blocks=1)
    config = Config(
        data=spec(npz, path="cifar10.npz") if arg == "npz" else spec(tfds, name="cifar10", resolution=32),
        task=spec(
            Gan,
            generator=spec(Generator, **network.generator),
            discriminator=spec(Discriminator, **network.discriminator),
            gamma=(0.05, 0.005),
            learning_rate=(2e-4, 5e-5),
            augmentation=(0.0, 0.55),
            ema_half_life=(0.0, 5_000_000.0 if arg == "full" else 100_000.0),
            schedule_images=20_000_000 if arg == "full" else 2_000_000,
        ),
        batch_size=512,
        total_images=images,
        mirror=True,
    )
    if arg == "smoke":
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
