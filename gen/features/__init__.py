"""Extractors, which turn images into features: networks of this repository, the FID Inception, any function."""

from __future__ import annotations

from pathlib import Path

from gen.data import DatasetSplits
from gen.errors import InputError, nearest
from gen.features.extractor import Extractor, custom, pixels
from gen.features.random_network import random_network
from gen.features.self_supervised import self_supervised_extractor

__all__ = ["Extractor", "custom", "parse_extractor", "pixels", "random_network", "self_supervised_extractor"]

_KINDS = ("own", "random", "fid", "pixels")


def parse_extractor(text: str | Path | None, source: DatasetSplits) -> Extractor:
    """Returns the extractor that a text names: own (None), random, pixels, fid:WEIGHTS, package.module:function.

    Raises InputError for another text.
    """
    kind, _, rest = str(text or "own").partition(":")
    if kind == "own" and not rest:
        return self_supervised_extractor(source)
    if kind == "random" and not rest:
        return random_network(source)
    if kind == "pixels" and not rest:
        return pixels()
    if kind == "fid":
        from gen.features.inception import inception

        if not rest:
            raise InputError("--extractor=fid needs the weights: fid:pt_inception-2015-12-05-6726825d.pth")
        return inception(rest)
    meant = nearest(kind, _KINDS)
    if kind and rest and not meant:
        return custom(str(text))
    raise InputError(f"--extractor={text}{meant}; allowed: own, random, pixels, fid:WEIGHTS, package.module:function")
