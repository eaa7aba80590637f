"""Your own images by words: a flow of the images in a folder that has captions, by prompts.

    python -m gen.main --config experiments/folder_captions.py --config.data.path=DIR        # 64 x 64, on a GPU
    python -m gen.main --config experiments/folder_captions.py:cpu --config.data.path=DIR    # 32 x 32, on CPU cores

DIR has metadata.jsonl or metadata.csv, or NAME.txt beside NAME.jpg (docs/words.md). A folder without captions, or where
an image lacks one, a caption is of no image, or metadata have none, is refused. `folder.py:cpu` learns captions too:
this has a wider reader of texts, and guidance. That of a GPU is not measured.
"""

from gen.config import Config, spec, variant
from gen.data import folder, scenes
from gen.models.unet import PRESETS, UNet
from gen.tasks.flow import Flow


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["cpu", "smoke"])
    times = 1 if arg else 2
    config = Config(
        data=spec(folder, resolution=32 * times, strict=True),
        task=spec(
            Flow,
            network=spec(UNet, **PRESETS["xs"] | {"widths": tuple(times * width for width in PRESETS["xs"]["widths"])}),
            learning_rate=(1e-3 / times, 0.0),
            time_logits=(0.5, 1.0),
            captioned=True,
            warmup_images=3_200 if arg else 25_600,
            ema_half_life=(0.0, 10_000.0 if arg else 100_000.0),
            guidance=2.0,
            schedule_images=400_000 if arg else 4_000_000,
        ),
        batch_size=32 if arg else 256,
        total_images=400_000 if arg else 4_000_000,
        preview_every=2000,
    )
    config.task.network.text_width = 96 * times
    if arg == "smoke":
        config.data = spec(scenes, resolution=32, num_train=64, num_held_out=8)
        config.task.steps = 2
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
