"""Images that do not fit the memory: a flow of the shards that gen.convert made, read while it learns.

    python -m gen.convert DIR --out SHARDS --resolution 64                                 # once
    python -m gen.main --config experiments/shards.py --config.data.path=SHARDS            # 64 x 64, on GPUs
    python -m gen.main --config experiments/shards.py:cpu --config.data.path=SHARDS        # 32 x 32, on CPU cores

The resolution is that of the shards. The networks are those of `folder.py:flow` and `folder.py:cpu`, whose numbers hold
here too: the batches of a step are the same (tests/data/test_shards.py). How fast shards are read, and what ten
million images need, is in docs/data.md; the schedule of the first is 8 images of each of ten million, not measured.
"""

from gen.config import Config, spec, variant
from gen.data import shapes, shards
from gen.models import unet
from gen.tasks.flow import Flow


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["cpu", "smoke"])
    config = _cpu() if arg else _gpu()
    config.mirror = True
    if arg == "smoke":
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.task.steps = 2
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config


def _gpu() -> Config:
    config = _cpu()
    config.task.network.widths = tuple(2 * width for width in unet.PRESETS["xs"]["widths"])
    config.task.learning_rate = (5e-4, 0.0)
    config.task.ema_half_life = (0.0, 100_000.0)
    config.task.schedule_images = config.total_images = 80_000_000
    config.task.warmup_images, config.batch_size = 25_600, 256
    return config


def _cpu() -> Config:
    return Config(
        data=spec(shards),
        task=spec(
            Flow,
            network=spec(unet.UNet, **unet.PRESETS["xs"]),
            learning_rate=(1e-3, 0.0),
            time_logits=(0.5, 1.0),
            warmup_images=3_200,
            ema_half_life=(0.0, 10_000.0),
            schedule_images=400_000,
        ),
        batch_size=32,
        total_images=400_000,
        preview_every=2000,
    )
