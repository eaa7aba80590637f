"""Declares which components a config may name, and where. It is read before anything is imported.

`KINDS` lists the components of gen by kind, with the interface that the user's own must have. `PLACES` maps arguments
to kinds. Nothing else in gen can be named. Imports nothing of gen.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple


class Kind(NamedTuple):
    """One kind of component and its interface."""

    known: tuple[str, ...]  # those of gen, "module:Name"
    made: str = ""  # the class that one of the user's own is, or is annotated to return, "module:Class"; "": any
    members: tuple[str, ...] = ()  # what it must have: methods, properties or fields
    given: tuple[str, ...] = ()  # arguments that it must take, as the program sets them


_MODULE = "flax.linen.module:Module"

KINDS: dict[str, Kind] = {
    "data": Kind(
        tuple(
            f"gen.data.{name}:{name}"
            for name in ("celeba", "folder", "frame_pairs", "npz", "scenes", "shapes", "shards", "tfds")
        ),
        made="gen.data.dataset:DatasetSplits",
    ),
    "task": Kind(
        tuple(f"gen.tasks.{name}" for name in ("autoencoder:Autoencoder", "flow:Flow", "gan:Gan", "prior:Prior")),
        members=("init",),
    ),
    "generator": Kind(("gen.models.r3gan:Generator",), _MODULE, ("latent", "check"), ("image_shape", "num_classes")),
    "discriminator": Kind(("gen.models.r3gan:Discriminator",), _MODULE, ("check",), ("image_shape", "num_classes")),
    "autoencoder": Kind(
        ("gen.models.autoencoder:Autoencoder",),
        _MODULE,
        ("bottleneck", "check", "decode", "factor", "latent", "latent_shape", "update", "vocabulary"),
        ("image_shape",),
    ),
    "bottleneck": Kind(
        tuple(
            f"gen.models.bottleneck:{name}"
            for name in ("FSQ", "DiagonalGaussian", "LFQ", "Identity", "VectorQuantizer")
        ),
        made="gen.models.bottleneck:Bottleneck",
    ),
    "velocity": Kind(("gen.models.unet:UNet",), _MODULE, ("check",), ("image_shape", "num_classes")),
    "sequence": Kind(
        ("gen.models.recurrent:Recurrent",),
        _MODULE,
        ("check", "initialize_carry", "step"),
        ("vocabulary", "grid", "context", "num_classes"),
    ),
    "extractor": Kind(()),  # named by a flag of gen.evaluate, never by a run
    "tracker": Kind(()),  # by one of gen.main
}

# Component -> argument -> kind; "" are the components of a Config. What the arguments of a component of the user's own
# take is said by their annotations.
PLACES: dict[str, dict[str, str]] = {
    "": {"data": "data", "task": "task"},
    "gen.tasks.gan:Gan": {"generator": "generator", "discriminator": "discriminator"},
    "gen.tasks.autoencoder:Autoencoder": {
        "network": "autoencoder",
        "discriminator": "discriminator",
        "features": "discriminator",
    },
    "gen.tasks.flow:Flow": {"network": "velocity", "autoencoder": "autoencoder"},
    "gen.tasks.prior:Prior": {"network": "sequence", "tokenizer": "autoencoder"},
    "gen.models.autoencoder:Autoencoder": {"bottleneck": "bottleneck"},
}

KNOWN = frozenset(name for kind in KINDS.values() for name in kind.known)

# Packages that cannot be the user's own: GEN_PACKAGES cannot add them.
_OTHERS = {
    *("PIL", "absl", "chex", "flax", "gen", "jax", "jaxlib", "numpy", "optax", "orbax", "pip"),
    *("pkg_resources", "pytest", "scipy", "setuptools", "tensorflow", "tensorflow_datasets", "torch", "yaml"),
}


def own_packages() -> list[str]:
    """Lists the user's own packages: the environment variable GEN_PACKAGES (comma-separated).

    Leaves out the names of Python's standard library, of gen and of its dependencies.
    """
    named = os.environ.get("GEN_PACKAGES", "").replace(" ", "").split(",")
    return [name for name in named if is_dotted(name) and not _belongs_to_others(name.partition(".")[0])]


def is_own(module: str) -> bool:
    """Tells whether a module lies in one of the user's own packages and is no `__main__`."""
    return (
        is_dotted(module)
        and ".__" not in module
        and any(module == package or module.startswith(f"{package}.") for package in own_packages())
    )


def is_dotted(name: str) -> bool:
    """Tells whether this is a dotted name, such as "package.module"."""
    return all(part.isidentifier() for part in name.split("."))


def _belongs_to_others(package: str) -> bool:
    return package in _OTHERS or package in sys.stdlib_module_names
