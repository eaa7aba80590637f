"""Walking and thrusting characters, frames of 32 x 32, tokenizer with 8 x 8 tokens: for sprites_video.py.

    python -m gen.main --config experiments/sprites_autoencoder.py --config.data.path=sprites.npz

The file holds x_train [characters, sequences, frames, height, width, 3], x_test, sequence_names (Liberated Pixel Cup).
An image is two frames, one above the other; the network takes any size, and the prior gives it single frames.

Measured 2026-11-21 on two cores of an Intel Xeon by `benchmarks/video.py`: after 40,000 pairs
(--config.total_images=40000 --config.task.schedule_images=40000) 25.2 dB on held-out frames. The 120,000 pairs of this
file have not been trained yet.
"""

from gen.config import Config, spec, variant
from gen.data import frame_pairs, shapes
from gen.models.autoencoder import Autoencoder as Network
from gen.tasks.autoencoder import Autoencoder


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(frame_pairs, resolution=32),
        task=spec(Autoencoder, network=spec(Network), schedule_images=120_000),
        batch_size=16,
        total_images=120_000,
        preview_images=20,
        log_every=100,
        preview_every=1000,
        checkpoint_every=1000,
    )
    if smoke:
        config.task.network.blocks = 1
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
