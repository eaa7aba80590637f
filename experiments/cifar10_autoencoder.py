"""CIFAR-10, 32 x 32, tokenizer with 8 x 8 tokens, perceptual and adversarial loss: half an hour on one GPU.

    python -m gen.main --config experiments/cifar10_autoencoder.py                         # downloads the data first
    python -m gen.main --config experiments/cifar10_autoencoder.py:npz --config.data.path=cifar10.npz

Measured: nothing yet, for lack of a GPU.
"""

from gen.config import Config, spec, variant
from gen.data import npz, shapes, tfds
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ
from gen.models.r3gan import Discriminator
from gen.tasks.autoencoder import Autoencoder


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["npz", "smoke"])
    config = Config(
        data=spec(npz, path="cifar10.npz") if arg == "npz" else spec(tfds, name="cifar10", resolution=32),
        task=spec(
            Autoencoder,
            network=spec(
                Network, widths=(128, 256), blocks=3, bfloat16=True, bottleneck=spec(FSQ, levels=(8, 8, 8, 8))
            ),
            discriminator=spec(Discriminator, widths=(128, 128, 64), patch=2, group_size=None, expansion=1.0),
            perceptual=0.1,
            adversarial=0.1,
            gamma=10.0,
            lecam=0.01,
            learning_rate=(5e-4, 5e-5),
            ema_half_life=(0.0, 100_000.0),
            schedule_images=3_000_000,
        ),
        batch_size=256,
        total_images=3_000_000,
        mirror=True,
    )
    if arg == "smoke":
        config.task.discriminator.blocks = 1
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.task.network.widths, config.task.network.blocks = (8, 8), 1
        config.task.discriminator.widths = (8, 8, 8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
