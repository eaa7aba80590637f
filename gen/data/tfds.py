"""Data sets that tensorflow_datasets knows by name (mnist, fashion_mnist, cifar10, celeb_a ...), without TensorFlow."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest import mock

import numpy as np

from gen.cli import progress_bar
from gen.config.components import is_own
from gen.data.cache import Add, Made, cached
from gen.data.captions import shortened
from gen.data.contents import fingerprint
from gen.data.dataset import DatasetSplits
from gen.data.exclusions import without
from gen.data.tfds_files import prepare, quiet
from gen.errors import InputError, nearest
from gen.files import cache_home, expand, printable
from gen.image_io import Unreadable, open_image
from gen.image_io.fit import Padding, hash_fraction, to_resolution

_CHUNK = 256


def tfds(
    name: str,
    resolution: int,
    *,
    label: str | None = "auto",  # a class or yes/no feature, e.g. "Male"; "auto": "label" if it exists; None: none
    caption: str | None = "auto",  # a feature of texts; "auto": caption, captions, text or prompt; None: none
    grayscale: bool = False,
    padding: Padding = "zero",  # what surrounds images that are a little smaller than resolution
    held_out: float = 0.05,  # share of train to hold out when the set has neither test nor validation
    data_dir: str | None = None,  # where sets are prepared; None: where tensorflow_datasets keeps them
    manual_dir: str | None = None,  # files fetched by hand under their registered names; their checksums are verified
    download: bool = True,  # fetch from the set's own site what is not there; False: refuse instead
    exclude: str | os.PathLike[str] | None = None,  # audit.json of gen.audit on these data: leave out what it found
    exclude_kinds: tuple[str, ...] | None = None,  # of findings, see docs/data.md; None: the faults
) -> DatasetSplits:
    """A source of the set `name` ("mnist", "cifar10:3.0.2" ...), downloaded and prepared at the first use.

    What is downloaded, how large it is, from where and under which terms is said before; it is verified by sha256.

    Learns from its split train and holds out test, else validation, else a share of train by the sha256 of the encoded
    image. Images larger than `resolution` are cropped to their central square and area-averaged; smaller ones are
    padded by at most a quarter of their side. Raises InputError when the set is unknown, not prepared and without files
    to prepare it from, when a file is not the registered one, or when options do not fit.
    """
    if not 0 < held_out < 1:
        raise InputError(f"tfds: held_out={held_out}: must lie between 0 and 1")
    builder = _builder(name, data_dir)
    with quiet():
        prepared = builder.is_prepared()
    if not prepared:
        prepare(builder, manual_dir, download)
    splits = builder.info.splits
    test = next((split for split in ("test", "validation") if split in splits), None)
    if "train" not in splits or "image" not in builder.info.features:
        raise InputError(f"tfds: {name} has no split 'train' or no feature 'image'")
    path, class_names = _label_feature(name, builder.info.features, label)
    text = _caption_feature(name, builder.info.features, caption)

    def make(add: Add) -> Made:
        for split, images, labels, texts in _chunks(builder, test, path, text, held_out, grayscale):
            try:
                resized = np.concatenate([to_resolution(image, resolution, padding) for image in images])
                add(split, resized, labels, texts if text else None)
            except ValueError as error:
                raise InputError(f"tfds: {name}: {error}") from error
        return class_names, {"source": f"tensorflow_datasets {builder.info.full_name}", "skipped": []}

    options = {
        "set": builder.info.full_name,
        "resolution": resolution,
        "label": label,
        "grayscale": grayscale,
        "padding": padding,
        "held_out": test or held_out,
    } | ({"caption": ".".join(text)} if text else {})
    prepared_in = Path(builder.data_dir)
    identity = fingerprint(prepared_in, sorted(file.name for file in prepared_in.iterdir()))
    return without(cached(builder.info.name, options, make, identity=identity), exclude, exclude_kinds)


def _builder(name: str, data_dir: str | None) -> Any:
    try:
        import tensorflow_datasets
        from tensorflow_datasets.core import naming
    except ImportError as error:
        raise InputError(f"tfds: tensorflow_datasets cannot be imported ({error}); install it, or use npz") from error
    place = _data_dir(data_dir)
    try:
        if (parsed := naming.parse_builder_name_kwargs(name)[0]).namespace:
            raise InputError(f"the sets of {parsed.namespace} come with programs of their own; allowed: sets of tfds")
        with quiet(), _no_foreign_features():
            return tensorflow_datasets.builder(name, data_dir=str(place), file_format="array_record", try_gcs=False)
    except tensorflow_datasets.core.DatasetNotFoundError as error:
        known = tensorflow_datasets.list_builders(with_community_datasets=False)
        raise InputError(f"tfds: no set is called {printable(name)!r}{nearest(name, known)}") from error
    except Exception as error:  # its readers have many for folders that it did not write
        if "File format is already set" in str(error):
            raise InputError(
                f"tfds: {name} is prepared in {place} in a format that only TensorFlow reads; "
                "give another data_dir, where it is prepared once more (manual_dir saves the download)"
            ) from error
        raise InputError(f"tfds: {printable(name)}: {printable(error)}") from error


@contextlib.contextmanager
def _no_foreign_features() -> Iterator[None]:
    """Lets a prepared set name only modules of tfds or of the user: its features.json could import any other.

    A run from elsewhere may name a folder of its own as data_dir.
    """
    from tensorflow_datasets.core.features.feature import FeatureConnector

    def checked(found: str) -> Any:
        module = str(found).rpartition(".")[0]
        if module.partition(".")[0] != "tensorflow_datasets" and not is_own(module):
            raise InputError(
                f"its features.json names {printable(found)}; if that is your own, list its package in the environment "
                "variable GEN_PACKAGES"
            )
        return by_name(found)

    by_name = FeatureConnector.cls_from_name
    with mock.patch.object(FeatureConnector, "cls_from_name", checked):
        yield


def _data_dir(given: str | None) -> Path:
    """Returns the folder of prepared sets: as given, else that of tensorflow_datasets, else in the cache of gen."""
    given = given or os.environ.get("TFDS_DATA_DIR")
    if given and "://" in given:
        raise InputError(
            f"tfds: data_dir={given} is a URL; it must be a folder: mount the bucket, with gcsfuse for one"
        )
    try:
        return expand(given or "~/tensorflow_datasets")
    except InputError:
        if given:
            raise
        return cache_home() / "tensorflow_datasets"  # a user without a home


def _label_feature(name: str, features: Any, label: str | None) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Returns the path to the label within an example, and the names of its values; both () without labels."""
    from tensorflow_datasets.core.features import ClassLabel

    usable: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {}
    for path, feature in _leaves(features):
        if isinstance(feature, ClassLabel):
            usable[path[-1]] = path, tuple(feature.names)
        elif feature.shape == () and feature.np_dtype == np.bool_:
            usable[path[-1]] = path, (f"not {path[-1]}", path[-1])
    if label is None or (label == "auto" and "label" not in usable):
        return (), ()
    label = "label" if label == "auto" else label
    if label not in usable:
        allowed = ", ".join(usable) or "none"
        raise InputError(f"tfds: {name} has no label {label!r}; allowed are {allowed}{nearest(label, usable)}")
    return usable[label]


def _caption_feature(name: str, features: Any, caption: str | None) -> tuple[str, ...]:
    """Returns the path to the captions within an example; () without."""
    from tensorflow_datasets.core.features import Text

    texts = [path for path, leaf in _leaves(features) if isinstance(getattr(leaf, "feature", leaf), Text)]
    usable = {key: path for path in reversed(texts) for key in (path[0], path[-1])}
    if caption == "auto":
        return next((usable[key] for key in ("caption", "captions", "text", "prompt") if key in usable), ())
    if caption is None:
        return ()
    if caption not in usable:
        allowed = ", ".join(sorted(usable)) or "none"
        raise InputError(f"tfds: {name} has no text {caption!r}; allowed are {allowed}{nearest(caption, usable)}")
    return usable[caption]


def _leaves(features: Any, prefix: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    for key, feature in features.items():
        if hasattr(feature, "items"):
            yield from _leaves(feature, (*prefix, key))
        else:
            yield (*prefix, key), feature


def _chunks(
    builder: Any, test: str | None, path: tuple[str, ...], text: tuple[str, ...], held_out: float, grayscale: bool
) -> Iterator[tuple[str, list[np.ndarray], list[int], list[list[bytes]]]]:
    """Yields (split, images uint8 [1 h w c] of any size, labels, captions), a few hundred at a time."""
    from tensorflow_datasets.core.decode import SkipDecoding

    pending: dict[str, tuple[list[np.ndarray], list[int], list[list[bytes]]]]
    pending = {"train": ([], [], []), "held_out": ([], [], [])}
    gray = grayscale or builder.info.features["image"].shape[-1] == 1
    parts = ("train", test) if test else ("train",)
    total = sum(builder.info.splits[part].num_examples for part in parts)
    with progress_bar(total, doing=f"decoding {builder.name}") as bar:
        for part in parts:
            for example in builder.as_data_source(part, decoders={"image": SkipDecoding()}):
                bar.update()
                encoded = example["image"]
                chosen = part == test or (test is None and hash_fraction(encoded) < held_out)
                split = "held_out" if chosen else "train"
                try:
                    image = np.asarray(open_image(encoded, grayscale=gray))
                except Unreadable as error:
                    raise InputError(f"tfds: {builder.name}: an image of {part} cannot be read: {error}") from None
                images, labels, texts = pending[split]
                images.append(image.reshape(1, *image.shape[:2], -1))
                labels.append(int(_value(example, path)) if path else 0)
                texts.append(_texts(_value(example, text)) if text else [])
                if len(images) == _CHUNK:
                    yield split, images, labels, texts
                    pending[split] = [], [], []
    for split, (images, labels, texts) in pending.items():
        if images:
            yield split, images, labels, texts


def _value(example: Any, path: tuple[str, ...]) -> Any:
    for key in path:
        example = [each[key] for each in example] if isinstance(example, list) else example[key]
    return example


def _texts(value: Any) -> list[bytes]:
    """Encodes one text, or several in lists and arrays of any form."""
    flat = np.ravel(np.asarray(value, object))
    return shortened(x.decode("utf-8", "surrogateescape") if isinstance(x, bytes) else str(x) for x in flat)
