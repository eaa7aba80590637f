"""CelebA, 64 x 64 faces, unconditional GAN: for one machine with GPUs, or a TPU slice.

    python -m gen.main --config experiments/celeba.py                               # downloads 1.5 GB first
    python -m gen.main --config experiments/celeba.py --config.data.manual_dir=DIR  # with the five files of TFDS
    python -m gen.main --config experiments/celeba.py:folder --config.data.path=img_align_celeba.zip
    ./launch.sh tpu --help                                                          # on a Cloud TPU slice, docs/tpu.md

`:folder` reads the aligned JPEGs from a zip or a folder. With list_eval_partition.txt beside them it uses the official
split; with list_attr_celeba.txt it can use an attribute as the class: --config.data.label=Smiling
--config.task.conditional=true. The images may be used for non-commercial research only.
R3GAN has no recipe for CelebA. This one is its recipe for FFHQ-64 (gamma from 2 to 0.2, EMA half-life 0.5 M images)
with less augmentation, because CelebA has three times as many images. Measured: nothing yet, for lack of a GPU.
"""

from gen.config import Config, spec, variant
from gen.data import celeba, shapes, tfds
from gen.models.r3gan import PRESETS, Discriminator, Generator
from gen.tasks.gan import Gan


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["folder", "smoke"])
    smoke = arg == "smoke"
    network = PRESETS["ffhq64"].replace(**({"widths": (8,) * 3, "group_size": 8, "blocks": 1} if smoke else {}))
    config = Config(
        data=spec(celeba, resolution=64) if arg == "folder" else spec(tfds, name="celeb_a", resolution=64, label=None),
        task=spec(
            Gan,
            generator=spec(Generator, **network.generator),
            discriminator=spec(Discriminator, **network.discriminator),
            conditional=False,
            gamma=(2.0, 0.2),
            learning_rate=(2e-4, 5e-5),
            augmentation=(0.0, 0.1),
            ema_half_life=(0.0, 500_000.0),
            schedule_images=20_000_000,
        ),
        batch_size=256,
        total_images=50_000_000,
        mirror=True,
    )
    if smoke:
        config.data = spec(shapes, resolution=16, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config
