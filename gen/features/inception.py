"""The extractor of FID: the Inception network of 2015-12-05 with weights from a file that the user has.

They are published as pt_inception-2015-12-05-6726825d.pth by github.com/mseitzer/pytorch-fid, and the same bytes as
weights-inception-2015-12-05-6726825d.pth by github.com/toshas/torch-fidelity. Nothing here downloads them.
"""

from __future__ import annotations

import functools
import hashlib
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError, nearest
from gen.features.extractor import Extractor, ExtractorOutput, batched
from gen.features.weights import read_weights
from gen.files import expand, printable
from gen.models.inception import SIDE, Inception, prepare

# sha256 of the published file of 95,628,359 bytes, whose name has its first digits; in full, beside that address, in
# github.com/snap-research/discoscene, models/inception_model.py.
FID_DIGEST = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
_URL = "https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/pt_inception-2015-12-05-6726825d.pth"
_LAYERS = (64, 192, 768, 2048)


def inception(path: str | Path, *, layer: int = 2048, batch_size: int = 32) -> Extractor:
    """Makes an extractor of the Inception network from a file of weights: a state dict, .npz or .safetensors.

    layer: 64, 192, 768 or 2048. The extractor is called "fid" only with 2048 features and the published weights, which
    are known by their digest; else inception-<the first 12 digits of the file's digest>, and -<layer>. Images are gray
    or red, green, blue; floats in [0, 1] are not rounded to bytes. The logits leave the bias out, as the inception
    score does. Raises InputError for a file that cannot be read or does not hold this network.
    """
    if layer not in _LAYERS:
        raise InputError(f"layer={layer}; allowed: {', '.join(map(str, _LAYERS))}")
    path = expand(path)
    if not path.is_file():
        raise InputError(f"{path}: no such file; the weights of FID are at {_URL} and are not downloaded by gen")
    tensors, digest = read_weights(path)
    run = batched(functools.partial(_apply, layer=str(layer)), checked(tensors, path), batch_size=batch_size)
    suffix = "" if layer == 2048 else f"-{layer}"

    def apply(images: np.ndarray) -> ExtractorOutput:
        found = run(images)
        return ExtractorOutput(found[:, :layer], found[:, layer:])

    return Extractor(
        "fid" if digest == FID_DIGEST and layer == 2048 else f"inception-{digest[:12]}{suffix}",
        digest if layer == 2048 else hashlib.sha256(f"{digest} {layer}".encode()).hexdigest(),
        f"bilinear of TensorFlow 1 to {SIDE} x {SIDE}",
        apply,
    )


@functools.cache
def shapes() -> dict[str, jax.ShapeDtypeStruct]:
    """Lists the parameters of `Inception` by name, without numbers."""
    init: Any = Inception().init  # Flax leaves open what it returns
    return jax.eval_shape(init, jax.random.key(0), jnp.zeros((1, SIDE, SIDE, 3)))["params"]


def checked(tensors: dict[str, np.ndarray], path: str | Path) -> dict[str, np.ndarray]:
    """Selects the parameters of `Inception` from a file's tensors. InputError where one is missing, or too much."""
    wanted = shapes()
    # Counts of training steps, which PyTorch keeps beside the statistics.
    given = {name: array for name, array in tensors.items() if not name.endswith(".num_batches_tracked")}
    for name in given.keys() - wanted.keys():
        raise InputError(f"{path}: {printable(name)!r} is no weight of the Inception of FID{nearest(name, wanted)}")
    for name, like in wanted.items():
        if name not in given:
            raise InputError(f"{path}: {name!r} is missing: not the Inception of FID")
        if given[name].shape != like.shape or given[name].dtype != like.dtype:
            found = f"{given[name].dtype}{list(given[name].shape)}"
            raise InputError(f"{path}: {name!r} is {found}; the Inception of FID has {like.dtype}{list(like.shape)}")
    return given


def _apply(params: dict[str, jax.Array], images: jax.Array, *, layer: str) -> jax.Array:
    """Computes features and logits side by side: both need one compilation."""
    taps: Any = Inception().apply({"params": params}, prepare(rgb(images) * 255))
    return jnp.concatenate([taps[layer], taps["logits_unbiased"]], axis=-1)


def rgb(images: jax.Array) -> jax.Array:
    """Repeats gray [n h w 1] as three channels; leaves [n h w 3]. InputError for other numbers of channels."""
    channels = images.shape[-1]
    if channels not in (1, 3):
        raise InputError(f"images have {channels} channels; allowed: 1 (gray) or 3")
    return jnp.repeat(images, 3 // channels, axis=-1)
