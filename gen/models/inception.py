"""The Inception network by which FID is defined, of 2015-12-05 (Szegedy et al. 2016; Heusel et al. 2017, appendix A1).

Its parameters have the names and the layout that the PyTorch weights have, so that a state dict goes in as it is. It
differs from the published Inception-v3: average pools leave the border out, the last block pools by maximum, and 1,008
classes; any of these moves the features by percents. All is float32 with exact products: in bfloat16 they move by 2 %.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

SIDE = 299  # pixels
CLASSES = 1008
EPSILON = 1e-3  # added to the variance


@dataclass(frozen=True)
class Unit:
    """A convolution without bias, normalization by stored statistics, ReLU."""

    name: str
    features: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"


# A unit, or a pool by its name; a tuple is done one after another, a list side by side with the channels joined.
Step = Unit | str | tuple["Step", ...] | list["Step"]

POOLS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "halve": lambda x: nn.max_pool(x, (3, 3), (2, 2), "VALID"),
    "maximum": lambda x: nn.max_pool(x, (3, 3), padding="SAME"),
    "average": lambda x: nn.avg_pool(x, (3, 3), padding="SAME", count_include_pad=False),
}


def _mixed_5(name: str, pool: int) -> Step:
    """Szegedy et al. 2016, figure 5."""
    return [
        Unit(f"{name}.branch1x1", 64),
        (Unit(f"{name}.branch5x5_1", 48), Unit(f"{name}.branch5x5_2", 64, (5, 5))),
        (
            Unit(f"{name}.branch3x3dbl_1", 64),
            Unit(f"{name}.branch3x3dbl_2", 96, (3, 3)),
            Unit(f"{name}.branch3x3dbl_3", 96, (3, 3)),
        ),
        ("average", Unit(f"{name}.branch_pool", pool)),
    ]


def _mixed_6(name: str, width: int) -> Step:
    """Szegedy et al. 2016, figure 6 with n = 7."""
    return [
        Unit(f"{name}.branch1x1", 192),
        (
            Unit(f"{name}.branch7x7_1", width),
            Unit(f"{name}.branch7x7_2", width, (1, 7)),
            Unit(f"{name}.branch7x7_3", 192, (7, 1)),
        ),
        (
            Unit(f"{name}.branch7x7dbl_1", width),
            Unit(f"{name}.branch7x7dbl_2", width, (7, 1)),
            Unit(f"{name}.branch7x7dbl_3", width, (1, 7)),
            Unit(f"{name}.branch7x7dbl_4", width, (7, 1)),
            Unit(f"{name}.branch7x7dbl_5", 192, (1, 7)),
        ),
        ("average", Unit(f"{name}.branch_pool", 192)),
    ]


def _mixed_7(name: str, pool: str) -> Step:
    """Szegedy et al. 2016, figure 7."""
    return [
        Unit(f"{name}.branch1x1", 320),
        (
            Unit(f"{name}.branch3x3_1", 384),
            [Unit(f"{name}.branch3x3_2a", 384, (1, 3)), Unit(f"{name}.branch3x3_2b", 384, (3, 1))],
        ),
        (
            Unit(f"{name}.branch3x3dbl_1", 448),
            Unit(f"{name}.branch3x3dbl_2", 384, (3, 3)),
            [Unit(f"{name}.branch3x3dbl_3a", 384, (1, 3)), Unit(f"{name}.branch3x3dbl_3b", 384, (3, 1))],
        ),
        (pool, Unit(f"{name}.branch_pool", 192)),
    ]


# Figure 10: two blocks that halve the grid.
_MIXED_6A: Step = [
    Unit("Mixed_6a.branch3x3", 384, (3, 3), 2, "VALID"),
    (
        Unit("Mixed_6a.branch3x3dbl_1", 64),
        Unit("Mixed_6a.branch3x3dbl_2", 96, (3, 3)),
        Unit("Mixed_6a.branch3x3dbl_3", 96, (3, 3), 2, "VALID"),
    ),
    "halve",
]
_MIXED_7A: Step = [
    (Unit("Mixed_7a.branch3x3_1", 192), Unit("Mixed_7a.branch3x3_2", 320, (3, 3), 2, "VALID")),
    (
        Unit("Mixed_7a.branch7x7x3_1", 192),
        Unit("Mixed_7a.branch7x7x3_2", 192, (1, 7)),
        Unit("Mixed_7a.branch7x7x3_3", 192, (7, 1)),
        Unit("Mixed_7a.branch7x7x3_4", 192, (3, 3), 2, "VALID"),
    ),
    "halve",
]

# The steps up to each tap, which is called by its number of channels.
NETWORK: dict[str, tuple[Step, ...]] = {
    "64": (
        Unit("Conv2d_1a_3x3", 32, (3, 3), 2, "VALID"),
        Unit("Conv2d_2a_3x3", 32, (3, 3), 1, "VALID"),
        Unit("Conv2d_2b_3x3", 64, (3, 3)),
        "halve",
    ),
    "192": (Unit("Conv2d_3b_1x1", 80), Unit("Conv2d_4a_3x3", 192, (3, 3), 1, "VALID"), "halve"),
    "768": (
        *(_mixed_5("Mixed_5b", 32), _mixed_5("Mixed_5c", 64), _mixed_5("Mixed_5d", 64), _MIXED_6A),
        *(_mixed_6("Mixed_6b", 128), _mixed_6("Mixed_6c", 160), _mixed_6("Mixed_6d", 160), _mixed_6("Mixed_6e", 192)),
    ),
    "2048": (_MIXED_7A, _mixed_7("Mixed_7b", "average"), _mixed_7("Mixed_7c", "maximum")),
}


class Inception(nn.Module):
    """Prepared images [n 299 299 3] (see `prepare`) to features by name, all float32.

    "64", "192", "768", "2048": means over the picture after the first and second pooling and the last block of each of
    two grids, [n 64] and so on. "logits_unbiased" [n 1008] leaves the bias of the classifier out, as the inception
    score does since Salimans et al. 2016; "logits" has it.
    """

    @nn.compact
    def __call__(self, x: jax.Array) -> dict[str, jax.Array]:
        taps = {}
        for tap, steps in NETWORK.items():
            x = self._run(steps, x)
            taps[tap] = x.mean((1, 2))
        weight = self.param("fc.weight", nn.initializers.lecun_normal(), (CLASSES, x.shape[-1]))
        bias = self.param("fc.bias", nn.initializers.zeros, (CLASSES,))
        logits = jnp.matmul(taps["2048"], weight.T, precision=lax.Precision.HIGHEST)
        return {**taps, "logits_unbiased": logits, "logits": logits + bias}

    def _run(self, step: Step, x: jax.Array) -> jax.Array:
        if isinstance(step, Unit):
            return self._unit(step, x)
        if isinstance(step, str):
            return POOLS[step](x)
        if isinstance(step, list):
            return jnp.concatenate([self._run(part, x) for part in step], axis=-1)
        for part in step:
            x = self._run(part, x)
        return x

    def _unit(self, unit: Unit, x: jax.Array) -> jax.Array:
        ones, zeros = nn.initializers.ones, nn.initializers.zeros
        shape = (unit.features, x.shape[-1], *unit.kernel)
        kernel = self.param(f"{unit.name}.conv.weight", nn.initializers.lecun_normal(in_axis=1, out_axis=0), shape)
        gain = self.param(f"{unit.name}.bn.weight", ones, shape[:1])
        shift = self.param(f"{unit.name}.bn.bias", zeros, shape[:1])
        mean = self.param(f"{unit.name}.bn.running_mean", zeros, shape[:1])
        variance = self.param(f"{unit.name}.bn.running_var", ones, shape[:1])
        layout = ("NHWC", "OIHW", "NHWC")
        strides = (unit.stride, unit.stride)
        # Without HIGHEST, GPU and TPU round the products to 10 and 7 bits.
        x = lax.conv_general_dilated(
            x, kernel, strides, unit.padding, dimension_numbers=layout, precision=lax.Precision.HIGHEST
        )
        scale = gain * lax.rsqrt(variance + EPSILON)
        return nn.relu(x * scale + (shift - mean * scale))


def prepare(images: jax.Array) -> jax.Array:
    """Images [n h w 3] in [0, 255], red first, as the network wants them: [n 299 299 3] in [-1, 127/128]."""
    return (resize_tf1(images, SIDE, SIDE) - 128) / 128


def resize_tf1(images: jax.Array, height: int, width: int) -> jax.Array:
    """[n h w c] -> [n height width c], bilinear, to the bit as TensorFlow 1 did it, on which FID rests.

    Pixel i of the output is taken from i * old / new: the picture shifts by up to half a pixel, and what is made
    smaller is not averaged (Parmar et al. 2022, section 3). Columns before rows, as float32.
    """
    x = images.astype(jnp.float32)
    for axis, size in ((2, width), (1, height)):
        scale = np.float32(images.shape[axis]) / np.float32(size)
        position = np.arange(size, dtype=np.float32) * scale
        lower = np.minimum(position.astype(np.int32), images.shape[axis] - 1)
        upper = np.minimum(lower + 1, images.shape[axis] - 1)
        share = (position - lower.astype(np.float32)).reshape([size if a == axis else 1 for a in range(4)])
        low, high = x.take(lower, axis), x.take(upper, axis)
        x = low + (high - low) * share
    return x
