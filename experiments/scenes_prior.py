"""Scenes by prompts, 32 x 32: a recurrent network reads the caption, and goes on to write the tokens of the image.

    python -m gen.main --config experiments/scenes_autoencoder.py
    python -m gen.main --config experiments/scenes_prior.py
    python -m gen.score photo.png --workdir runs/scenes_prior --prompt "a red star" --out scores

--config.init_from.autoencoder is the run folder of the tokenizer, if not the default one. Measured in docs/words.md.
"""

from gen.config import Config, spec, variant
from gen.data import scenes
from gen.models.autoencoder import Autoencoder
from gen.models.bottleneck import FSQ
from gen.models.recurrent import Recurrent
from gen.tasks.prior import Prior


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(scenes, resolution=32),
        task=spec(
            Prior,
            network=spec(Recurrent, width=192, layers=3),
            tokenizer=spec(Autoencoder, bottleneck=spec(FSQ, levels=(8, 5, 5, 5))),
            learning_rate=(2e-3, 1e-4),
            warmup_images=5_000,
            ema_half_life=(0.0, 5_000.0),
            schedule_images=80_000,
        ),
        init_from={"autoencoder": "runs/scenes_autoencoder"},
        batch_size=32,
        total_images=80_000,
        preview_every=500,
    )
    if smoke:
        config.data = spec(scenes, resolution=32, num_train=64, num_held_out=8)
        config.init_from = {}
        config.task.network.width, config.task.network.layers, config.task.tokenizer.blocks = 32, 1, 1
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
