"""Fashion-MNIST, 28 x 28, recurrent model of pixels (256 values) with exact likelihood: for two CPU cores.

    python -m gen.main --config experiments/fashion_mnist_pixels.py           # downloads the data first
    python -m gen.main --config experiments/fashion_mnist_pixels.py:npz --config.data.path=fashion.npz

Measured 2026-11-21 on two cores of an Intel Xeon by benchmarks/prior.py: 40,000 images in 30 minutes beside other jobs,
2.90 bits per pixel on 1,000 held-out images, 2.88 given the class (unigram table 4.93, bigram table 3.93).
Unusual images: MNIST digits cost fewer bits than held-out clothes in 95 % of pairs, the known failure of likelihood;
relative to the background (gen.score --background_samples=1000) they cost more in 97 %. A model of MNIST
(--config.data.path=mnist.npz, 0.88 bits per pixel): clothes cost more bits than held-out digits in all pairs, but
relative to the background in only 36 %.
"""

from gen.config import Config, spec, variant
from gen.data import npz, shapes, tfds
from gen.models.recurrent import Recurrent
from gen.tasks.prior import Prior


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["npz", "smoke"])
    config = Config(
        data=spec(npz, resolution=28) if arg == "npz" else spec(tfds, name="fashion_mnist", resolution=28),
        task=spec(
            Prior,
            network=spec(Recurrent, width=96, layers=3),
            learning_rate=(3e-3, 2e-4),
            warmup_images=2_000,
            weight_decay=0.01,
            ema_half_life=(0.0, 2_000.0),
            schedule_images=40_000,
        ),
        batch_size=16,
        total_images=40_000,
        preview_images=40,
        log_every=50,
        preview_every=1000,
        checkpoint_every=500,
    )
    if arg == "smoke":
        config.data = spec(shapes, resolution=8, num_train=64, num_held_out=8)
        config.task.network.width, config.task.network.layers = 16, 1
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
