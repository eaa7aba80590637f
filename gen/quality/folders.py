"""Two folders of images measured against each other, and statistics that other tools read and write."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from gen.data import Examples, Source
from gen.data.decode import TooSmall, fit, open_image
from gen.errors import InputError
from gen.features import chosen
from gen.load import image_files
from gen.metrics import moments
from gen.quality.board import Question, measure
from gen.quality.cards import Card
from gen.quality.runs import Asked, Measured, Say
from gen.quality.sets import described, folder_reference

_WHITE = (255, 255, 255)


def measure_folders(asked: Asked, say: Say) -> Measured:
    """--images against --reference: a folder, or statistics, of which only the Fréchet distance can be had."""
    groups = asked.groups
    images = _read(str(asked.images), asked.size, None)
    if str(asked.reference).endswith(".npz"):
        return _against_statistics(asked, images)
    real = _read(str(asked.reference), asked.size or images.shape[1], images.shape[3])
    digest = hashlib.sha256(real.data).hexdigest()
    source = Source("folder", _examples(real), _examples(real[:0]), (), {"digest": digest})
    extractor = chosen(asked.extractor, source)
    reference = folder_reference(source, extractor, digest)
    if asked.save_statistics:
        moments.write_statistics(Path(asked.save_statistics), moments.moments(reference.real.features))
        say(f"statistics of {asked.reference}: {asked.save_statistics}")
    generated = described(_examples(images), extractor, labelled=False)
    question = Question(generated, reference, extractor, {"folder": Path(str(asked.images)).name}, asked.seed)
    return Measured({"images": measure(question, metrics=groups, say=say)}, {"images": question})


def _against_statistics(asked: Asked, images: np.ndarray) -> Measured:
    """The Fréchet distance to stored mu and sigma, which do not say of which extractor they are: it must be named."""
    if not asked.extractor or asked.extractor == "own":
        raise InputError(
            f"--reference={asked.reference} holds statistics of some extractor's features: name it, --extractor="
            "fid:WEIGHTS; or give a folder of images"
        )
    path = Path(str(asked.reference))
    stored = moments.read_statistics(path)
    none = _examples(images[:0])
    extractor = chosen(asked.extractor, Source("folder", none, none, (), {}))
    features = extractor.features(images)
    if features.shape[1] != len(stored.mean):
        raise InputError(
            f"{path} is of {len(stored.mean)} features, {extractor.name} gives {features.shape[1]}: another extractor"
        )
    value = moments.frechet_distance(features, stored, seed=asked.seed)
    card = Card(
        metric="FID" if extractor.name == "fid" else f"FD-{extractor.name}",
        value=value.value,
        low=value.low,
        high=value.high,
        better="lower",
        extractor=extractor.name,
        extractor_digest=extractor.digest,
        resize=extractor.resize,
        split="statistics",
        samples=len(images),
        references=max(0, stored.count),
        seed=asked.seed,
        data_digest=hashlib.sha256(path.read_bytes()).hexdigest(),
        of={"folder": Path(str(asked.images)).name},
    )
    return Measured({"images": [card]}, {})


def _examples(images: np.ndarray) -> Examples:
    return Examples(images, np.zeros(len(images), np.int32))


def _read(path: str, size: int | None, channels: int | None) -> np.ndarray:
    """All images of a folder, uint8 [n s s c]: central squares, area-averaged. size: None for that of the first image.

    channels: None for 1 where the first image is gray. Raises InputError for one that cannot be read or is smaller.
    """
    parts = []
    for file in image_files([path]):
        try:
            image = open_image(file, background=_WHITE, grayscale=channels == 1)
            if channels is None:
                pixels = np.asarray(image)
                channels = 1 if (pixels == pixels[..., :1]).all() else 3
                image = image.convert("L") if channels == 1 else image
            size = size or min(image.size)
            parts.append(fit(image, size))
        except TooSmall as error:
            raise InputError(f"{file}: {error}; give a smaller --size") from None
        except (OSError, ValueError, SyntaxError) as error:
            raise InputError(f"{file}: cannot be read ({error})") from None
    return np.ascontiguousarray(np.stack(parts))
