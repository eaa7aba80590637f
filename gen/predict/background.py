"""What an image's tokens cost by their frequencies alone: a background that its bits are compared with.

An image with little in it is cheap by any model: most likely of all is often an image unlike any that was learned. The
difference to a background cancels how much there is in an image (Ren et al. 2019, section 3).
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gen import draw
from gen.run import Loaded
from gen.tasks.prior import Prior
from gen.tasks.tokens import Tokens


def background_bits(
    run: Loaded, task: Prior, images: np.ndarray, samples: int, *, batch_size: int = 64, mesh: Mesh
) -> np.ndarray:
    """Bits float64 [n] of images [n h w c], float in [0, 1], by a table of how often each token is in `samples` draws.

    The draws are those of seeds 0 and up, so that a run needs no data to say what it finds unusual; every token counts
    once more than it was seen.
    """
    options: dict[str, Any] = {"batch_size": batch_size, "mesh": mesh}
    made = draw.images(task, run.ema_params, range(samples), labels=draw.drawn_labels(task, range(samples)), **options)
    alphabet = Tokens(task.tokenizer)

    def encode(params: Any, batch: Any) -> jax.Array:
        return alphabet.encode(params, batch["image"].astype(jnp.float32))

    def tokens(images: np.ndarray) -> np.ndarray:
        return np.concatenate(list(draw.batches(encode, run.ema_params, {"image": images}, **options)))

    counts = 1.0 + np.bincount(tokens(np.concatenate(list(made))).ravel(), minlength=alphabet.vocabulary)
    return -np.log2(counts / counts.sum())[tokens(images)].sum(axis=1)
