"""Evaluates images against other images, or against statistics that other tools read and write."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from gen import cli
from gen.data import DatasetSplits, Examples
from gen.errors import InputError
from gen.evaluation.comparison import Comparison
from gen.evaluation.evaluate_run import Evaluation
from gen.evaluation.feature_sets import extract_features, folder_reference
from gen.evaluation.metric_suite import GROUPS, METRICS, measure
from gen.evaluation.results import MetricResult
from gen.features import Extractor, parse_extractor
from gen.files import printable, sha256
from gen.image_io import Unreadable, open_image
from gen.image_io.fit import TooSmall, center_crop_resize
from gen.image_io.load import image_files, left_out_line
from gen.metrics import moments


def evaluate_images(
    images: np.ndarray,
    real: np.ndarray,
    *,
    extractor: str | Path | None = None,
    groups: Sequence[str] = GROUPS,
    size: int | None = None,
    seed: int = 0,
    about: Mapping[str, Any] | None = None,
    say: Callable[[str], None] = cli.say,
) -> Evaluation:
    """Compares images, uint8 [n h w c], with real ones, [m h w c].

    extractor: as `parse_extractor` takes it. groups: of metrics. size: the side of the squares that all images were
    brought to before, if they were. about: what every result says of the images. say: is told the time of each group.
    Raises InputError for images of unlike sizes.
    """
    if images.shape[1:] != real.shape[1:]:
        raise InputError(
            f"the images are {_size(images)}, those to compare with {_size(real)}, which an extractor would resize "
            "unlike each other; --size=N brings all to N x N"
        )
    digest = hashlib.sha256(np.ascontiguousarray(real).data).hexdigest()
    splits = DatasetSplits("folder", _examples(real), _examples(real[:0]), (), {"digest": digest})
    by = _resized(parse_extractor(extractor, splits), size)
    generated = extract_features(_examples(images), by, labeled=False)
    comparison = Comparison(generated, folder_reference(splits, by, digest), by, about or {}, seed)
    return Evaluation({"images": measure(comparison, groups=groups, say=say)}, {"images": comparison})


def evaluate_folders(
    images: str,
    reference: str,
    extractor: str | Path | None,
    *,
    groups: Sequence[str] = GROUPS,
    size: int | None = None,
    seed: int = 0,
) -> Evaluation:
    """Compares the images of a folder with those of another, or with statistics in an .npz file.

    Statistics allow the Fréchet distance alone. Raises InputError for what does not fit together.
    """
    about = {"folder": images, "reference": reference}
    if not reference.endswith(".npz"):
        made, real = (read_folder(folder, size) for folder in (images, reference))
        return evaluate_images(made, real, extractor=extractor, groups=groups, size=size, seed=seed, about=about)
    path = Path(reference)
    if not extractor or extractor == "own":
        raise InputError(
            f"--reference={path} holds statistics of some extractor's features: name it, --extractor=fid:WEIGHTS; or "
            "give a folder of images"
        )
    if "frechet" not in groups:
        raise InputError("--metrics: statistics allow the Fréchet distance alone; allowed: frechet")
    if not path.is_file():
        raise InputError(f"--reference={path}: there is no such file")
    stored, pixels = moments.read_statistics(path), read_folder(images, size)
    none = _examples(pixels[:0])
    by = _resized(parse_extractor(extractor, DatasetSplits("folder", none, none, (), {})), size)
    features = by.features(pixels)
    if features.shape[1] != len(stored.mean):
        raise InputError(
            f"{path} is of {len(stored.mean)} features, {by.name} gives {features.shape[1]}: another extractor"
        )
    value = moments.frechet_distance(features, stored, seed=seed).within(0)
    cli.say("the Fréchet distance alone: statistics allow no other metric")
    result = MetricResult(
        metric=METRICS[0].full_name(by.name),
        value=value.value,
        low=value.low,
        high=value.high,
        better="lower",
        extractor=by.name,
        extractor_digest=by.digest,
        resize=by.resize,
        split="statistics",
        num_samples=len(pixels),
        num_references=stored.count,
        seed=seed,
        data_digest=sha256(path),
        subject=about,
    )
    return Evaluation({"images": [result]}, {})


def _resized(extractor: Extractor, size: int | None) -> Extractor:
    """Adds to the resize of an extractor to what size images were brought before."""
    before = f"central square, area to {size} x {size}; then " if size else ""
    return extractor._replace(resize=before + extractor.resize)


def _size(images: np.ndarray) -> str:
    return f"{images.shape[2]}x{images.shape[1]}"


def _examples(images: np.ndarray) -> Examples:
    return Examples(images, np.zeros(len(images), np.int32))


def read_folder(path: str, size: int | None) -> np.ndarray:
    """Reads all images of a folder as RGB on white, uint8 [n h w 3], into a temporary file that goes with the array.

    size: their central squares, area-averaged; None: as they are. Leaves out what cannot be read or is too small, and
    says so in one line. Raises InputError when nothing is left, or, without size, for images of unlike sizes.
    """
    files, left_out = image_files([path]), dict[Path, str]()
    images, count, first = np.zeros((0, 0, 0, 3), np.uint8), 0, files[0]
    with tempfile.TemporaryFile() as file:
        for name in cli.progress(files, len(files)):
            try:
                pixels = _pixels(name, size)
            except ValueError as error:
                left_out[name] = str(error)
                continue
            if count == 0:
                images, first = np.memmap(file, np.uint8, shape=(len(files), *pixels.shape)), name
            if pixels.shape != images.shape[1:]:
                raise InputError(
                    f"{printable(name)} is {pixels.shape[1]}x{pixels.shape[0]}, {printable(first)} {_size(images)}; "
                    "--size=N brings all to N x N"
                )
            images[count] = pixels
            count += 1
    if line := left_out_line(left_out, len(files)):
        cli.say(line)
    return images[:count]


def _pixels(file: Path, size: int | None) -> np.ndarray:
    """Reads one image, uint8 [h w 3]. Raises ValueError with the reason why it cannot be used."""
    try:
        image = open_image(file)
        return center_crop_resize(image, size) if size else np.asarray(image)
    except TooSmall:
        raise ValueError(f"is {image.width}x{image.height}, smaller than --size={size}") from None
    except Unreadable as error:
        raise ValueError(f"cannot be read ({error})") from None
