"""An extractor: images to features, with a name and a digest that say which network made the numbers."""

from __future__ import annotations

import hashlib
import inspect
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from gen.errors import InputError
from gen.imaging.filters import resize
from gen.sharding import compiler_options
from gen.spec import resolve

Function = Callable[[np.ndarray], np.ndarray]


class Extractor(NamedTuple):
    """A network that measures. Values of two extractors with different digests must not be compared."""

    name: str  # "own", "fid", ...: a Fréchet distance by it is called FD-<name>, by "fid" FID
    digest: str  # sha256 of weights and architecture
    resize: str  # how images are brought to the size that the network wants
    features: Function  # uint8, or float in [0, 1], [n h w c] to float32 [n d]
    logits: Function | None = None  # the same to class logits float32 [n k], where it classifies
    accuracy: float | None = None  # of the classes on held-out images


def custom(name: str) -> Extractor:
    """The extractor that a text "package.module:function" names; the package must be allowed as for any component.

    The function gets uint8 images [n h w c] and returns features [n d]; its digest is that of its source code. Raises
    InputError when there is no such function.
    """
    function = resolve(name, "--extractor")
    try:
        text = inspect.getsource(function)
    except (OSError, TypeError):
        raise InputError(f"--extractor={name}: its source cannot be read, and with it what it measures") from None

    def features(images: np.ndarray) -> np.ndarray:
        made = np.asarray(function(images), np.float32)
        if made.ndim != 2 or len(made) != len(images):
            raise InputError(f"--extractor={name} gave {list(made.shape)} of {len(images)} images; it must give [n d]")
        return made

    return Extractor(name, hashlib.sha256(f"{name}\n{text}".encode()).hexdigest(), "its own", features)


def pixels(side: int = 16) -> Extractor:
    """The pixels themselves, area-averaged to `side` x `side`: what looks the same is near, and nothing is learned."""
    apply = batched(lambda _, x: resize(x, side, side).reshape(len(x), -1), None)
    return Extractor("pixels", hashlib.sha256(f"pixels {side}".encode()).hexdigest(), f"area to {side} x {side}", apply)


def batched(function: Callable[[Any, jax.Array], jax.Array], fixed: Any, *, batch_size: int = 256) -> Function:
    """function(fixed, images float [b h w c] in [0, 1]) compiled for one batch size, as a function of any number.

    The last batch is filled with zeros, and what was made of them is left out: an image gets the same result in any
    set. Images may be uint8, or float in [0, 1].
    """
    apply = jax.jit(lambda fixed, images: function(fixed, images), compiler_options=compiler_options())

    def run(images: np.ndarray) -> np.ndarray:
        if images.ndim != 4 or len(images) == 0:
            raise InputError(f"features: images are {list(images.shape)}; allowed: [n h w c], at least one")
        parts = []
        for start in range(0, len(images), batch_size):
            part = np.asarray(images[start : start + batch_size])
            filled = np.zeros((batch_size, *part.shape[1:]), np.float32)
            filled[: len(part)] = part / np.float32(255) if part.dtype == np.uint8 else part
            parts.append(np.asarray(apply(fixed, jnp.asarray(filled)))[: len(part)])
        return np.concatenate(parts)

    return run
