"""Fashion-MNIST, 32 x 32, tokenizer with 8 x 8 tokens: for two CPU cores.

    python -m gen.main --config experiments/fashion_mnist_autoencoder.py      # downloads the data first
    python -m gen.main --config experiments/fashion_mnist_autoencoder.py:npz --config.data.path=fashion.npz

Variants: `:npz` reads a file with x_train, y_train. `:vq`, `:lfq`, `:kl` and `:plain` read it too, and replace finite
scalar quantization by another bottleneck, for comparison.

With an adversary, 2026-11-29, --config.total_images=160000 --config.task.schedule_images=160000, 37 minutes of one core
of an AMD EPYC: FD-own 4.7 of 5,000 held-out images as they come back. Without it, 2026-11-21 on two cores of an Intel
Xeon: 240,000 images in 34 minutes beside other jobs, FD-own 20.9 (by another training of the extractor), 26.7 dB on
held-out images, all of 1,000 codes used. After 40,000 images: 23.3 dB and 97.1 % of the codes (npz), 23.6 dB and 100 %
(vq), 24.0 dB (kl, 820 bits an image), 24.7 dB (plain).
"""

from gen.config import Config, spec, variant
from gen.data import npz, shapes, tfds
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ, LFQ, DiagonalGaussian, Identity, VectorQuantizer
from gen.models.r3gan import PRESETS, Discriminator
from gen.tasks.autoencoder import Autoencoder

BOTTLENECKS = {
    "vq": spec(VectorQuantizer, codes=1000, size=8),
    "lfq": spec(LFQ, bits=10),
    "kl": spec(DiagonalGaussian, size=4, beta=0.01),
    "plain": spec(Identity, size=4),
}


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["npz", *BOTTLENECKS, "smoke"])
    config = Config(
        data=spec(npz, resolution=32)
        if arg in ("npz", *BOTTLENECKS)
        else spec(tfds, name="fashion_mnist", resolution=32),
        task=spec(
            Autoencoder,
            network=spec(Network, bottleneck=BOTTLENECKS.get(arg, spec(FSQ, levels=(8, 5, 5, 5)))),
            discriminator=spec(Discriminator, **PRESETS["xs"].discriminator),
            perceptual=0.5,
            adversarial=0.1,
            gamma=1.0,
            lecam=0.01,
            schedule_images=240_000,
        ),
        batch_size=32,
        total_images=240_000,
        log_every=100,
        preview_every=1000,
        checkpoint_every=1000,
    )
    if arg == "smoke":
        config.task.network.blocks = config.task.discriminator.blocks = 1
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
