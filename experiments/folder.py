"""Your own images: a model of the images in a folder, with its subfolders as classes.

    python -m gen.main --config experiments/folder.py --config.data.path=DIR              # GAN, 64 x 64, on a GPU
    python -m gen.main --config experiments/folder.py:flow --config.data.path=DIR         # flow, 64 x 64, on a GPU
    python -m gen.main --config experiments/folder.py:cpu --config.data.path=DIR          # flow, 32 x 32, on CPU cores
    python -m gen.main --config experiments/folder.py:photos --config.data.path=DIR       # flow, 64 x 64, on CPU cores
    python -m gen.main --config experiments/folder.py:gan --config.data.path=DIR          # GAN, 32 x 32, on CPU cores
    python -m gen.main --config experiments/folder.py:autoencoder --config.data.path=DIR  # tokens of it, then
    python -m gen.main --config experiments/folder.py:prior --config.data.path=DIR        # a prior of these tokens

DIR may be a zip. --config.data.resolution=64 is all that another resolution needs: powers of 2, from 16 to 256 on a
GPU, to 128 on a CPU. From a handful of images any of them learns copies. If memory runs out, use a smaller
--config.batch_size.

What is called `:cpu` is what we prefer on CPU cores, a flow: of Fashion-MNIST it has twice the variety of a GAN of the
same minutes, which is crisper; of small sets the two were not compared in equal minutes. Through 400,000 images of
emoji its distance fell, coverage grew, and recall kept 98 % of its best. With time_logits=(0, 1) coverage grew on each
of three sets, while recall fell by 4 to 7 % of its best; the distance was lowest at the end, but not falling all the
way (docs/benchmarks.md, "Variety"). The GAN draws an image by one evaluation of its network, the flow by 39. The GAN
penalizes every image with a weight that does not fall, in small batches, which keeps it from collapsing; whether more
augmentation helps it with few images (--config.task.augmentation=0,0.5) was not measured.
"""

from gen.config import Config, spec, variant
from gen.data import folder, shapes
from gen.models import unet
from gen.models.autoencoder import Autoencoder as Tokenizer
from gen.models.bottleneck import FSQ
from gen.models.r3gan import PRESETS, Discriminator, Generator
from gen.models.recurrent import Recurrent
from gen.tasks.autoencoder import Autoencoder
from gen.tasks.flow import Flow
from gen.tasks.gan import Gan
from gen.tasks.prior import Prior

# Stages from 4 x 4 upwards, of which a resolution uses the first so many.
G_WIDTHS, D_WIDTHS = (192, 128, 48, 32, 16), (128, 96, 48, 24)  # patches of 2 and 4 pixels
GPU_WIDTHS = (256, 256, 256, 256, 128, 64, 32)


def get_config(arg: str = "") -> Config:
    arg = variant(arg, ["cpu", "photos", "flow", "gan", "autoencoder", "prior", "smoke"])
    makers = {
        "": _gpu,
        "flow": _gpu_flow,
        "cpu": _flow,
        "photos": _photos,
        "autoencoder": _autoencoder,
        "prior": _prior,
    }
    config = makers.get(arg, _gan)()
    config.mirror = True
    if arg == "smoke":
        config.task.generator.blocks = config.task.discriminator.blocks = 1
        config.data = spec(shapes, resolution=32, num_train=64, num_held_out=8)
        config.batch_size, config.total_images, config.preview_images = 8, 16, 8
    return config


def _gpu() -> Config:
    network = PRESETS["s"].replace(widths=GPU_WIDTHS)
    return Config(
        data=spec(folder, resolution=64),
        task=spec(
            Gan,
            generator=spec(Generator, **network.generator),
            discriminator=spec(Discriminator, **network.discriminator),
            gamma=(1.0, 0.1),
            learning_rate=(2e-4, 5e-5),
            augmentation=(0.0, 0.3),
            ema_half_life=(0.0, 200_000.0),
            schedule_images=4_000_000,
        ),
        batch_size=256,
        total_images=10_000_000,
    )


def _gpu_flow() -> Config:
    config = _flow()
    config.data.resolution = 64
    config.task.network.widths = tuple(2 * width for width in unet.PRESETS["xs"]["widths"])
    config.task.learning_rate = (5e-4, 0.0)
    config.task.ema_half_life = (0.0, 100_000.0)
    config.task.schedule_images = config.total_images = 4_000_000
    config.task.warmup_images, config.batch_size = 25_600, 256
    return config


def _gan() -> Config:
    network = PRESETS["xs"]
    return Config(
        data=spec(folder, resolution=32),
        task=spec(
            Gan,
            generator=spec(Generator, **network.generator | {"widths": G_WIDTHS}),
            discriminator=spec(Discriminator, **network.discriminator | {"widths": D_WIDTHS}),
            gamma=(2.0, 2.0),
            learning_rate=(1e-3, 1e-4),
            augmentation=(0.0, 0.3),
            ema_half_life=(0.0, 5_000.0),
            schedule_images=200_000,
        ),
        batch_size=16,
        total_images=200_000,
        log_every=200,
        preview_every=1000,
    )


def _flow() -> Config:
    return Config(
        data=spec(folder, resolution=32),
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


def _photos() -> Config:
    """5,000 to 50,000 photographs of one kind of thing, such as faces, in about two hours of two cores: an estimate,
    as 160,000 images of this size took 53 minutes of one."""
    config = _flow()
    config.data.resolution = 64
    config.task.schedule_images = config.total_images = 600_000
    return config


def _autoencoder() -> Config:
    return Config(
        data=spec(folder, resolution=32),
        task=spec(
            Autoencoder,
            network=spec(Tokenizer, bottleneck=spec(FSQ, levels=(8, 5, 5, 5))),
            discriminator=spec(Discriminator, **PRESETS["xs"].discriminator | {"widths": D_WIDTHS}),
            perceptual=0.5,
            adversarial=0.1,
            gamma=1.0,
            lecam=0.01,
            schedule_images=200_000,
        ),
        batch_size=32,
        total_images=200_000,
        preview_every=1000,
    )


def _prior() -> Config:
    return Config(
        data=spec(folder, resolution=32),
        task=spec(
            Prior,
            network=spec(Recurrent, width=192, layers=4),
            tokenizer=spec(Tokenizer, bottleneck=spec(FSQ, levels=(8, 5, 5, 5))),
            region_first_probability=0.5,
            learning_rate=(2e-3, 1e-4),
            warmup_images=5_000,
            ema_half_life=(0.0, 10_000.0),
            schedule_images=200_000,
        ),
        init_from={"autoencoder": "runs/folder-autoencoder"},
        batch_size=32,
        total_images=200_000,
        preview_every=1000,
    )
