"""Emoji by their names, 64 x 64: a recurrent network reads the name, and goes on to write the tokens of the picture.

    python benchmarks/emoji_folder.py emoji64_rgba.npz emoji
    python -m gen.main --config experiments/emoji_prior.py:autoencoder --config.data.path=emoji    # its tokens, first
    python -m gen.main --config experiments/emoji_prior.py --config.data.path=emoji

Not measured yet.
"""

from gen.config import Config, spec, variant
from gen.data import folder, scenes
from gen.models.autoencoder import Autoencoder as Network
from gen.models.bottleneck import FSQ
from gen.models.recurrent import Recurrent
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.prior import Prior


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["autoencoder", "smoke"])
    tokenizer = spec(Network, bottleneck=spec(FSQ, levels=(8, 5, 5, 5)))
    config = Config(
        data=spec(folder, resolution=64),
        task=spec(Autoencoder, network=tokenizer, schedule_images=80_000)
        if arg == "autoencoder"
        else spec(
            Prior,
            network=spec(Recurrent, width=192, layers=4),
            tokenizer=tokenizer,
            learning_rate=(2e-3, 1e-4),
            warmup_images=5_000,
            ema_half_life=(0.0, 5_000.0),
            schedule_images=80_000,
        ),
        batch_size=32,
        total_images=80_000,
        preview_every=500,
    )
    if arg == "":
        config.init_from = {"autoencoder": "runs/emoji_prior-autoencoder"}
    if arg == "smoke":
        config.data = spec(scenes, resolution=32, num_train=64, num_held_out=8)
        config.task.network.width, config.task.network.layers, config.task.tokenizer.blocks = 32, 1, 1
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
