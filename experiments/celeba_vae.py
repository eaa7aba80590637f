"""CelebA, 64 x 64, variational autoencoder with one latent vector of 128 numbers: for one machine with GPUs.

    python -m gen.main --config experiments/celeba_vae.py                               # downloads 1.5 GB first
    python -m gen.main --config experiments/celeba_vae.py --config.data.manual_dir=DIR  # with the five files of TFDS
    python -m gen.main --config experiments/celeba_vae.py:folder --config.data.path=img_align_celeba.zip

The latents are normally distributed, so it can sample without a prior. beta = 2 s^2 128 / (64 * 64 * 3) is the
likelihood of pixels in [-1, 1] with a standard deviation s of 0.2. Measured: nothing yet, for lack of a GPU.
"""

from gen.config import Config, spec, variant
from gen.data import celeba, shapes, tfds
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import DiagonalGaussian
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
                widths=(64, 96, 128, 192, 256, 384),
                blocks=1,
                bfloat16=True,
                bottleneck=spec(DiagonalGaussian, size=128, beta=8.3e-4),
            ),
            l1=0.0,
            l2=1.0,
            learning_rate=(5e-4, 5e-5),
            ema_half_life=(0.0, 100_000.0),
            schedule_images=4_000_000,
        ),
        batch_size=256,
        total_images=4_000_000,
        mirror=True,
    )
    if smoke:
        config.data = spec(shapes, resolution=16, num_train=64, num_held_out=8)
        config.task.network.widths = (8,) * 4
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
