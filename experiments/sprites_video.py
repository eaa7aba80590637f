"""Walking and thrusting characters, frames of 32 x 32: a prior of the next frame given the frame before.

    python -m gen.main --config experiments/sprites_video.py --config.data.path=sprites.npz

Train sprites_autoencoder.py first; --config.init_from.autoencoder is its run folder, if not the default one.
`gen.sample FRAME.png --predict_frames` continues from a frame.

Measured 2026-11-21 on two cores of an Intel Xeon: 60,000 pairs in 21 minutes beside other jobs, with a tokenizer of
40,000 pairs. By `benchmarks/video.py --temperature 0.3` the next frame of 500 held-out pairs has 25.3 dB (one sample),
25.9 (mean of five); a copy of the frame before has 24.8, the true frame through the tokenizer 25.2 (a cell that keeps
its token also keeps what the tokenizer lost).
"""

from gen.config import Config, spec, variant
from gen.data import frame_pairs, shapes
from gen.models.autoencoder import Autoencoder
from gen.models.recurrent import Recurrent
from gen.tasks.prior import Prior


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(frame_pairs, resolution=32),
        task=spec(
            Prior,
            network=spec(Recurrent, width=256, layers=3),
            tokenizer=spec(Autoencoder),
            context="previous_frame",
            learning_rate=(2e-3, 1e-4),
            warmup_images=5_000,
            ema_half_life=(0.0, 10_000.0),
            schedule_images=60_000,
        ),
        init_from={"autoencoder": "runs/sprites_autoencoder"},
        batch_size=32,
        total_images=60_000,
        preview_images=64,
        log_every=50,
        preview_every=1000,
        checkpoint_every=1000,
    )
    if smoke:
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.init_from = {}
        config.task.network.width, config.task.network.layers = 32, 1
        config.task.tokenizer.blocks = 1
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
