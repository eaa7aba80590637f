"""CelebA, 64 x 64, tokenizer with 8 x 8 tokens, perceptual and adversarial loss: for one machine with GPUs.

    python -m gen.main --config experiments/celeba_autoencoder.py                               # downloads 1.5 GB
    python -m gen.main --config experiments/celeba_autoencoder.py --config.data.manual_dir=DIR  # the files of TFDS
    python -m gen.main --config experiments/celeba_autoencoder.py:folder --config.data.path=img_align_celeba.zip

Measured: nothing yet, for lack of a GPU.
"""

from gen.config import Config, spec, variant
from gen.data import celeba, shapes, tfds
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ
from gen.models.r3gan import Discriminator
from gen.tasks.autoencoder import Autoencoder


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["folder", "smoke"])
    smoke = arg == "smoke"
    config = Config(
        data=spec(celeba, resolution=64) if arg == "folder" else spec(tfds, name="celeb_a", resolution=64, label=None),
        task=spec(
            Autoencoder,
            network=spec(
                Network,
                widths=(96, 192, 384),
                bfloat16=True,
                bottleneck=spec(FSQ, levels=(8, 8, 8, 8)),
            ),
            discriminator=spec(Discriminator, widths=(256, 128, 64, 64), patch=2, group_size=None, expansion=1.0),
            perceptual=0.1,
            adversarial=0.1,
            gamma=10.0,
            lecam=0.01,
            learning_rate=(5e-4, 5e-5),
            ema_half_life=(0.0, 100_000.0),
            schedule_images=4_000_000,
        ),
        batch_size=256,
        total_images=4_000_000,
        mirror=True,
    )
    if smoke:
        config.task.discriminator.blocks = 1
        config.data = spec(shapes, resolution=64, num_train=64, num_held_out=8)
        config.task.network.widths, config.task.network.blocks = (8, 8, 8), 1
        config.task.discriminator.widths = (8, 8, 8, 8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
