"""What an image's tokens cost by their frequencies alone: a background that its bits are compared with.

An image with little in it is cheap by any model: most likely of all is often an image unlike any that was learned. The
difference to a background cancels how much there is in an image (Ren et al. 2019, section 3).
"""

from __future__ import annotations

import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from gen.devices import batched
from gen.runs.trained_run import TrainedRun
from gen.sampling import by_seed
from gen.sampling.conditional.requests import Predictor
from gen.tasks.tokens import Tokenizer


def background_bits(
    run: TrainedRun, task: Predictor, images: np.ndarray, samples: int, *, batch_size: int = 64, mesh: Mesh
) -> np.ndarray:
    """Bits float64 [n] of images [n h w c], float in [0, 1], by a table of how often each token is in `samples` draws.

    The draws are those of seeds 0 and up, so that a run needs no data to say what it finds unusual; every token counts
    once more than it was seen.
    """
    labels = by_seed.drawn_labels(task, range(samples))
    made = by_seed.images(task, run.ema_params, range(samples), labels=labels, batch_size=batch_size, mesh=mesh)
    alphabet = Tokenizer(getattr(task, "tokenizer", None))
    encode = batched(lambda params, part: alphabet.encode(params, part.astype(jnp.float32)), mesh)

    def tokens(images: np.ndarray) -> np.ndarray:
        return np.concatenate(list(encode(run.ema_params, images, at_once=batch_size)))

    counts = 1.0 + np.bincount(tokens(np.concatenate(list(made))).ravel(), minlength=alphabet.vocabulary)
    return -np.log2(counts / counts.sum())[tokens(images)].sum(axis=1)
