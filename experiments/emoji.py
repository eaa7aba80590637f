"""Emoji by their names, flow by prompts, 64 x 64: a folder of a few thousand pictures, for two CPU cores.

    python benchmarks/emoji_folder.py emoji64_rgba.npz emoji         # makes the folder, with metadata.jsonl
    python -m gen.main --config experiments/emoji.py --config.data.path=emoji
    python -m gen.sample --workdir runs/emoji --prompt "red heart" --seeds 0-7 --out hearts
    python benchmarks/emoji_folder.py --workdir runs/emoji           # R-precision, on held-out names too

Any folder with captions will do. From a few thousand pictures a model learns copies: gen.evaluate says how many.
"""

from gen.config import Config, spec, variant
from gen.data import folder, scenes
from gen.models.unet import PRESETS, UNet
from gen.tasks.flow import Flow


def get_config(arg: str = "") -> Config:
    smoke = variant(arg, ["smoke"]) == "smoke"
    config = Config(
        data=spec(folder, resolution=64),
        task=spec(
            Flow,
            network=spec(UNet, **PRESETS["xs"], text_width=96),
            learning_rate=(1e-3, 0.0),
            warmup_images=3_200,
            ema_half_life=(0.0, 10_000.0),
            guidance=2.0,
            schedule_images=300_000,
        ),
        batch_size=32,
        total_images=300_000,
        preview_every=1000,
    )
    if smoke:
        config.data = spec(scenes, resolution=64, num_train=64, num_held_out=8)
        config.task.steps = 2
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
