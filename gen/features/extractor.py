"""Extractors: images to features, with a name and a digest that identify the network."""

from __future__ import annotations

import hashlib
import inspect
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np

from gen import devices
from gen.config.resolve import blamed, resolve
from gen.errors import InputError
from gen.imaging.filters import resize

_NUMBERS = 2**25  # of images in a batch at most: 128 MiB
Function = Callable[[np.ndarray], np.ndarray]


class ExtractorOutput(NamedTuple):
    """The output of a network for n images."""

    features: np.ndarray  # float32 [n d]
    logits: np.ndarray | None = None  # float32 [n k], where it classifies


class Extractor(NamedTuple):
    """A network that measures. Values of two extractors with different digests must not be compared."""

    name: str  # "own", "fid", ...: a Fréchet distance by it is called FD-<name>, by "fid" FID
    digest: str  # sha256 of weights and architecture
    resize: str  # how images are brought to the size that the network wants
    apply: Callable[[np.ndarray], ExtractorOutput]  # of images [n h w c], uint8 or float in [0, 1]
    accuracy: float | None = None  # of its classes on held-out images
    cacheable: bool = True  # the digest tells all that features depend on: they may be kept under it

    def features(self, images: np.ndarray) -> np.ndarray:
        """Computes the features, float32 [n d], of images [n h w c], uint8 or float in [0, 1]."""
        return self.apply(images).features

    def logits(self, images: np.ndarray) -> np.ndarray | None:
        """Computes the logits of the classes, float32 [n k]; None where it does not classify."""
        return self.apply(images).logits


def custom(name: str) -> Extractor:
    """Makes an extractor of "package.module:function"; the package must be allowed as for any component.

    The function gets uint8 images [n h w c] and returns features [n d]. The digest is that of the source code of its
    module: weights that it reads from elsewhere are not in it, and so its features are not kept. Raises InputError when
    there is no such function.
    """
    function = resolve(name, "--extractor", "extractor")
    try:
        code = inspect.getsource(sys.modules[function.__module__])
    except (OSError, TypeError):
        raise InputError(f"--extractor={name}: its source cannot be read, and with it what it measures") from None

    def apply(images: np.ndarray) -> ExtractorOutput:
        if images.dtype != np.uint8:
            raise InputError(f"--extractor={name} takes images of bytes, which are too coarse for this")
        with blamed(f"--extractor={name}"):
            made = np.asarray(function(images), np.float32)
        if made.ndim != 2 or len(made) != len(images):
            raise InputError(f"--extractor={name} gave {list(made.shape)} of {len(images)} images; it must give [n d]")
        return ExtractorOutput(made)

    digest = hashlib.sha256(f"{name}\n{code}".encode()).hexdigest()
    return Extractor(name, digest, "its own", apply, cacheable=False)


def pixels(side: int = 16) -> Extractor:
    """Makes an extractor of the pixels, area-averaged to `side` x `side`: what looks the same is near."""
    apply = batched(lambda _, x: resize(x, side, side).reshape(len(x), -1), None)
    digest = hashlib.sha256(f"pixels {side}".encode()).hexdigest()
    return Extractor("pixels", digest, f"area to {side} x {side}", lambda images: ExtractorOutput(apply(images)))


def batched(function: Callable[[Any, jax.Array], jax.Array], fixed: Any, *, batch_size: int = 256) -> Function:
    """function(fixed, images float [b h w c] in [0, 1]), compiled, as a function of any number of images.

    One device does it, on whatever mesh the caller works: on all they would do the same work. Large images come in
    smaller batches. Images may be uint8, or float in [0, 1]; an image gets the same result in any set.
    """
    apply = devices.batched(function, devices.single_device())

    def run(images: np.ndarray) -> np.ndarray:
        if images.ndim != 4 or len(images) == 0:
            raise InputError(f"features: images are {list(images.shape)}; allowed: [n h w c], at least one")
        size, made = min(batch_size, max(1, _NUMBERS // images[0].size)), list[np.ndarray]()
        for start in range(0, len(images), size):
            part = np.asarray(images[start : start + size])
            unit = part / np.float32(255) if part.dtype == np.uint8 else part.astype(np.float32)
            made += apply(fixed, unit, each=size)
        return np.concatenate(made)

    return run
