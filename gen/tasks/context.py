"""What a task may be given beside the class: the image at half its size, or the frame before.

With "previous_frame" each image of the data is two frames, one above the other: the upper is the context, and the lower
is what is learned and made. Images are [b h w c] in [0, 1].
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import jax
import jax.numpy as jnp

from gen.errors import InputError
from gen.models.layers import space_to_depth

Context = Literal["none", "half_size", "previous_frame"]
Shape = tuple[int, int, int]  # height, width, channels


def check_context(task: Any) -> None:
    """Raises InputError unless `context`, `drop_context_probability` and `image_shape` of a task fit each other."""
    if task.context != "none" and not task.drop_context_probability:
        raise InputError(
            "task.drop_context_probability=0.0; allowed with a context: more than 0, for previews have none"
        )
    if task.context == "previous_frame" and task.image_shape[0] % 2:
        raise InputError(
            "task.context='previous_frame' needs images of two frames, one above the other; "
            f"the data is {task.image_shape[0]} pixels high, and allowed is an even height"
        )


def learned_shape(context: Context, image_shape: Sequence[int]) -> Shape:
    """Returns the shape of the images that are learned and made of data of this shape."""
    height, width, channels = image_shape
    return height // 2 if context == "previous_frame" else height, width, channels


def context_shape(context: Context, image_shape: Sequence[int]) -> Shape | None:
    """Returns the shape of the context; None: there is none."""
    height, width, channels = shape = learned_shape(context, image_shape)
    half = height // 2, width // 2, channels
    return {"none": None, "half_size": half, "previous_frame": shape}[context]


def split_context(context: Context, images: jax.Array) -> tuple[jax.Array, jax.Array | None]:
    """Splits images of the data into those that are learned and their contexts; None: there are none."""
    height = learned_shape(context, images.shape[1:])[0]
    image = images[:, -height:]
    if context == "half_size":
        return image, halved(image)
    return image, images[:, :height] if context == "previous_frame" else None


def as_channels(images: jax.Array | None, count: int, shape: Shape, factor: int) -> jax.Array:
    """Makes the input of a network from contexts, beside images of this shape at `factor` pixels per position.

    images: [count h w c], or of half the size; None: unknown. Returns float [count h/factor w/factor k], in [-1, 1],
    of which one channel per pixel is 1 where the context is known; 0 for an unknown one.
    """
    if images is None:
        height, width, channels = shape
        given = jnp.zeros((count, height, width, channels + 1))
    else:
        images = images if images.shape[1:] == shape else doubled(images)
        given = jnp.concatenate([2 * images - 1, jnp.ones((*images.shape[:3], 1))], axis=-1)
    return space_to_depth(given, factor)


def halved(images: jax.Array) -> jax.Array:
    """Averages each 2 x 2 pixels of [n h w c]."""
    n, height, width, channels = images.shape
    return images.reshape(n, height // 2, 2, width // 2, 2, channels).mean((2, 4))


def doubled(images: jax.Array) -> jax.Array:
    """Repeats each pixel of [n h w c] 2 x 2 times."""
    return images.repeat(2, axis=1).repeat(2, axis=2)
