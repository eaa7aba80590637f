"""Two folders of images measured against each other, and statistics that other tools read and write."""

from __future__ import annotations

import hashlib
import tempfile
import time
from pathlib import Path

import numpy as np

from gen import cli
from gen.data import DatasetSplits, Examples
from gen.errors import InputError
from gen.evaluation.comparison import Question
from gen.evaluation.evaluate_run import CONDITIONS, EvaluateOptions, Evaluation, Say
from gen.evaluation.feature_sets import extract_features, folder_reference
from gen.evaluation.metric_suite import METRICS, measure
from gen.evaluation.results import MetricResult
from gen.features import Extractor, parse_extractor
from gen.files import printable, sha256
from gen.image_io import Unreadable, open_image
from gen.image_io.fit import TooSmall, center_crop_resize
from gen.image_io.load import image_files, left_out_line
from gen.metrics import moments

_OF_RUNS = ("step", "split", "refine", "floor", "samples", "references")


def measure_folders(asked: EvaluateOptions, say: Say) -> Evaluation:
    """--images against --reference: a folder, or statistics, of which only the Fréchet distance can be had."""
    groups = asked.groups
    asked.refuse((*_OF_RUNS, *CONDITIONS), "is of runs, --workdir")
    if str(asked.reference).endswith(".npz"):
        return _against_statistics(asked, say)
    images, real = (read_folder(str(path), asked.size, say) for path in (asked.images, asked.reference))
    if images.shape[1:] != real.shape[1:]:
        raise InputError(
            f"{asked.images} has images of {_size(images)}, {asked.reference} of {_size(real)}, which an extractor "
            "would resize unlike each other; --size=N brings all to N x N"
        )
    digest = hashlib.sha256(real.data).hexdigest()
    source = DatasetSplits("folder", _examples(real), _examples(real[:0]), (), {"digest": digest})
    extractor = _resized(parse_extractor(asked.extractor, source), asked.size)
    generated = extract_features(_examples(images), extractor, labeled=False)
    of = {"folder": str(asked.images), "reference": str(asked.reference)}
    question = Question(generated, folder_reference(source, extractor, digest), extractor, of, asked.seed)
    return Evaluation({"images": measure(question, groups=groups, say=say)}, {"images": question})


def _against_statistics(asked: EvaluateOptions, say: Say) -> Evaluation:
    """The Fréchet distance to stored mu and sigma, which do not say of which extractor they are: it must be named."""
    path = Path(str(asked.reference))
    if not asked.extractor or asked.extractor == "own":
        raise InputError(
            f"--reference={path} holds statistics of some extractor's features: name it, --extractor=fid:WEIGHTS; or "
            "give a folder of images"
        )
    if "frechet" not in asked.groups:
        raise InputError(f"--metrics={asked.metrics}: statistics tell the Fréchet distance alone; allowed: frechet")
    if not path.is_file():
        raise InputError(f"--reference={path}: there is no such file")
    if asked.save_statistics:
        raise InputError("--save_statistics writes those of a folder, and --reference is statistics already")
    stored = moments.read_statistics(path)
    images = read_folder(str(asked.images), asked.size, say)
    none = _examples(images[:0])
    extractor = _resized(parse_extractor(asked.extractor, DatasetSplits("folder", none, none, (), {})), asked.size)
    features = extractor.features(images)
    if features.shape[1] != len(stored.mean):
        raise InputError(
            f"{path} is of {len(stored.mean)} features, {extractor.name} gives {features.shape[1]}: another extractor"
        )
    value = moments.frechet_distance(features, stored, seed=asked.seed)
    say("the Fréchet distance alone: statistics tell no more")
    card = MetricResult(
        metric=METRICS[0].named(extractor.name),
        value=value.value,
        low=max(0.0, value.low),
        high=value.high,
        better="lower",
        extractor=extractor.name,
        extractor_digest=extractor.digest,
        resize=extractor.resize,
        split="statistics",
        samples=len(images),
        references=stored.count,
        seed=asked.seed,
        data_digest=sha256(path),
        of={"folder": str(asked.images), "reference": str(path)},
    )
    return Evaluation({"images": [card]}, {})


def _resized(extractor: Extractor, size: int | None) -> Extractor:
    """An extractor that says to what images were brought before."""
    before = f"central square, area to {size} x {size}; then " if size else ""
    return extractor._replace(resize=before + extractor.resize)


def _size(images: np.ndarray) -> str:
    return f"{images.shape[2]}x{images.shape[1]}"


def _examples(images: np.ndarray) -> Examples:
    return Examples(images, np.zeros(len(images), np.int32))


def read_folder(path: str, size: int | None, say: Say) -> np.ndarray:
    """All images of a folder as RGB on white, uint8 [n h w 3], in a temporary file that is gone with the array.

    size: their central squares, area-averaged; None: as they are. What cannot be read or is too small is left out,
    which one line says. Raises InputError when nothing is left, or, without size, for an image of another size than the
    first.
    """
    files, began, left_out = image_files([path]), time.monotonic(), dict[Path, str]()
    images, count, first = np.zeros((0, 0, 0, 3), np.uint8), 0, files[0]
    with tempfile.TemporaryFile() as file:
        for index, name in enumerate(files):
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
            if index % 500 == 499:
                cli.tell(index + 1, len(files), began)
    if line := left_out_line(left_out, len(files)):
        say(line)
    return images[:count]


def _pixels(file: Path, size: int | None) -> np.ndarray:
    """One image, uint8 [h w 3]. Raises ValueError with the reason why it cannot be used."""
    try:
        image = open_image(file)
        return center_crop_resize(image, size) if size else np.asarray(image)
    except TooSmall:
        raise ValueError(f"is {image.width}x{image.height}, smaller than --size={size}") from None
    except Unreadable as error:
        raise ValueError(f"cannot be read ({error})") from None
