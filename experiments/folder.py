"""Your own images: a GAN, or a flow, of the images in a folder, with its subfolders as classes.

    python -m gen.main --config experiments/folder.py --config.data.path=DIR      # 64 x 64, on a GPU; DIR or a zip
    python -m gen.main --config experiments/folder.py:cpu --config.data.path=DIR  # 32 x 32, on CPU cores
    python -m gen.main --config experiments/folder.py:flow --config.data.path=DIR  # the same, by flow matching

Another resolution on a GPU needs one width per doubling from 4 x 4 upwards, in both networks:
--config.data.resolution=128 --config.task.generator.widths=256,256,256,256,128,64 (and the same for the discriminator).
With `:cpu`, where patches are 2 and 4 pixels, the generator has one width less and the discriminator two.
With fewer than about 10,000 images, increase the augmentation: --config.task.augmentation=0,0.5. From a handful of
images it learns copies. If memory runs out, use a smaller --config.batch_size.
"""

from gen.config import Config, spec, variant
from gen.data import folder, shapes
from gen.models import unet
from gen.models.r3gan import PRESETS, Discriminator, Generator
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["cpu", "flow", "smoke"])
    if arg == "flow":
        return _flow()
    small = arg in ("cpu", "smoke")
    network = PRESETS["xs"] if small else PRESETS["s"].replace(widths=(256, 256, 256, 256, 128))
    network = network.replace(blocks=1) if arg == "smoke" else network
    config = Config(
        data=spec(folder, resolution=32 if small else 64),
        task=spec(
            Gan,
            generator=spec(Generator, **network.generator),
            discriminator=spec(Discriminator, **network.discriminator),
            gamma=(0.5, 0.1) if small else (1.0, 0.1),
            penalty_stride=4 if small else 1,
            learning_rate=(1e-3, 1e-4) if small else (2e-4, 5e-5),
            augmentation=(0.0, 0.3),
            ema_half_life=(0.0, 5_000.0 if small else 200_000.0),
            schedule_images=200_000 if small else 4_000_000,
        ),
        batch_size=64 if small else 256,
        total_images=200_000 if small else 10_000_000,
        mirror=True,
    )
    if arg == "smoke":
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config


def _flow() -> Config:
    return Config(
        data=spec(folder, resolution=32),
        task=spec(
            Flow,
            network=spec(unet.UNet, **unet.PRESETS["xs"]),
            warmup_images=6_400,
            ema_half_life=(0.0, 10_000.0),
            schedule_images=400_000,
        ),
        batch_size=64,
        total_images=400_000,
        mirror=True,
        preview_every=1000,
    )
