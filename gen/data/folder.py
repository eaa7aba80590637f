"""Any folder of images as a source: decoded once, with everything that was left out listed with its reason."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import time
import warnings
from collections.abc import Generator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import numpy as np
from PIL import Image

from gen.data.cache import Add, Made, cached
from gen.data.dataset import Source
from gen.data.decode import SMALL, TooSmall, fit, open_image, position
from gen.errors import InputError, nearest
from gen.files import expand

SUFFIXES = (".png", ".jpg", ".jpeg", ".jfif", ".webp", ".bmp", ".gif", ".tif", ".tiff", ".ppm", ".pgm", ".pbm", ".pnm")
TRAIN_FOLDERS = ("train", "training")
HELD_OUT_FOLDERS = ("test", "val", "valid", "validation", "held_out")
_CHUNK = 256
_FEW = 100  # training images, of which a model makes copies

log = logging.getLogger(__name__)


class _File(NamedTuple):
    name: str  # relative to the folder, with slashes
    label: int
    split: str | None  # None: by the hash of the name


def folder(
    path: str | os.PathLike[str],
    resolution: int,
    *,
    grayscale: bool = False,
    background: tuple[int, int, int] = (255, 255, 255),  # RGB, 0..255, shown through transparent pixels
    held_out: float = 0.05,  # share of the images; unused when the folder has its own splits
    labelled: bool = True,  # False: subfolders are not classes
    small: str = "refuse",  # images smaller than resolution: "refuse" all, "skip" them or "enlarge" them
    strict: bool = False,  # True: one unreadable file refuses the whole folder
) -> Source:
    """A source of square images from all image files under `path`.

    The subfolders of `path` are the classes; without any (or with one only) the images are unlabelled. If the
    subfolders are train and one or more of test, val, valid, validation, held_out, they are the splits and their
    subfolders the classes. Otherwise a file is held out by the sha256 of its relative name, so that files added later
    move no other. The cache goes by names, sizes and modification times.
    The central square of each image is area-averaged to `resolution`. Hidden files and files that do not end like an
    image are ignored. Unreadable files, and ones that would decode to more than PIL.Image.MAX_IMAGE_PIXELS pixels, are
    listed in facts["skipped"] with the reason. Raises InputError when that leaves too little, and as options say.
    """
    _check(resolution, background, held_out, small)
    root = _existing(path)
    names = _image_names(root)
    files, class_names = _classify(root, names, labelled)
    options = {
        "folder": root.resolve().name,
        "resolution": resolution,
        "grayscale": grayscale,
        "background": list(background),
        "held_out": held_out,
        "labelled": labelled,
        "small": small,
    }
    decode = partial(_decode, root, resolution, grayscale, background, small)

    def make(add: Add) -> Made:
        skipped = _fill(add, root, _in_order(files), decode, held_out, strict)
        return class_names, {"source": "files of a folder", "skipped": skipped}

    source = cached("folder", options, make, identity=_fingerprint(root, files))
    if skipped := source.facts["skipped"]:
        first = f"{skipped[0]['file']}: {skipped[0]['reason']}"
        message = f"{len(skipped)} of {len(files)} image files in {root} cannot be used (first: {first})"
        if strict:
            raise InputError(f"{message}; strict=False leaves them out")
        log.warning("%s and are left out", message)
    if (count := len(source.train.images)) < _FEW:
        log.warning("few images to train on in %s (%d): a model will copy them, not learn what they share", root, count)
    return source


def _check(resolution: int, background: tuple[int, int, int], held_out: float, small: str) -> None:
    if resolution < 1:
        raise InputError(f"folder: resolution={resolution}: must be at least 1")
    if len(background) != 3 or not all(isinstance(value, int) and 0 <= value <= 255 for value in background):
        raise InputError(f"folder: background={background}: must be three whole numbers in 0..255")
    if not 0 < held_out < 1:
        raise InputError(f"folder: held_out={held_out}: must lie between 0 and 1")
    if small not in SMALL:
        raise InputError(f"folder: small={small!r}: allowed are {', '.join(SMALL)}{nearest(small, SMALL)}")


def _existing(path: str | os.PathLike[str]) -> Path:
    if not os.fspath(path):
        raise InputError("folder: path is empty: name a folder of images")
    root = expand(path)
    if not root.exists():
        beside = [entry.name for entry in root.parent.iterdir()] if root.parent.is_dir() else []
        raise InputError(f"folder: {root} does not exist{nearest(root.name, beside)}")
    if not root.is_dir():
        raise InputError(f"folder: {root} is a file, not a folder of images")
    return root


def _image_names(root: Path) -> list[str]:
    """Relative names of all image files, sorted; links to folders are followed, each folder once."""
    names, others, seen = [], 0, set()
    for here, folders, files in os.walk(root, followlinks=True):
        real = os.path.realpath(here)
        folders[:] = [] if real in seen else sorted(name for name in folders if not name.startswith("."))
        files = [] if real in seen else [name for name in files if not name.startswith(".")]
        seen.add(real)
        images = [name for name in files if name.lower().endswith(SUFFIXES)]
        names += [(Path(here) / name).relative_to(root).as_posix() for name in images]
        others += len(files) - len(images)
    if not names:
        what = f"holds {others} files but no image" if others else "is empty"
        raise InputError(f"folder: {root} {what}; an image ends in {' '.join(SUFFIXES)}")
    return sorted(names)


def _classify(root: Path, names: list[str], labelled: bool) -> tuple[list[_File], tuple[str, ...]]:
    tops = {PurePosixPath(name).parts[0] if "/" in name else "" for name in names}
    has_splits = tops <= {*TRAIN_FOLDERS, *HELD_OUT_FOLDERS} and tops & {*TRAIN_FOLDERS} and tops & {*HELD_OUT_FOLDERS}
    depth = 1 if has_splits else 0
    parts = [PurePosixPath(name).parts for name in names]
    classes = [part[depth] if len(part) > depth + 1 else "" for part in parts]
    class_names = tuple(sorted(set(classes)))
    if not labelled or len(class_names) < 2:
        class_names, classes = (), [""] * len(names)
    elif "" in class_names:
        loose = names[classes.index("")]
        raise InputError(
            f"folder: {root} holds both class folders and images outside them ({loose}): set labelled=False"
        )
    number = {name: label for label, name in enumerate(class_names)}
    splits = [("train" if part[0] in TRAIN_FOLDERS else "held_out") if has_splits else None for part in parts]
    triples = zip(names, classes, splits, strict=True)
    return [_File(name, number.get(label, 0), split) for name, label, split in triples], class_names


def _fingerprint(root: Path, files: list[_File]) -> str:
    hasher = hashlib.sha256()
    for file in files:
        try:
            stat = (root / file.name).stat()
            hasher.update(f"{stat.st_size} {stat.st_mtime_ns} ".encode())
        except OSError:  # a link that leads nowhere will be among the skipped
            hasher.update(b"missing ")
        hasher.update(os.fsencode(file.name) + b"\n")
    return hasher.hexdigest()


def _in_order(files: list[_File]) -> list[_File]:
    """Files by the hash of their names: those to hold out come first, and the cache is shuffled."""
    return sorted(files, key=lambda file: (_position(file), file.name))


def _position(file: _File) -> float:
    return position(os.fsencode(file.name))


def _decode(
    root: Path, resolution: int, grayscale: bool, background: tuple[int, int, int], small: str, file: _File
) -> np.ndarray | str:
    """The image uint8 [h w c], or the reason why there is none."""
    try:
        image = open_image(root / file.name, grayscale=grayscale, background=background)
        return fit(image, resolution, enlarge=small == "enlarge")
    except TooSmall as error:
        if small == "refuse":
            choice = "choose a smaller resolution, or small='skip' or small='enlarge'"
            raise InputError(f"folder: {root / file.name} {error}: {choice}") from error
        return str(error)
    except Exception as error:  # Pillow's readers raise whatever a damaged file makes them stumble over
        return f"{type(error).__name__}: {error}".replace(str(root / file.name), file.name).splitlines()[0]


def _decoded(files: list[_File], decode: partial) -> Generator[tuple[_File, np.ndarray | str], None, None]:
    """Decodes in threads, in order, and logs how far it is every few seconds."""
    start = last = time.monotonic()
    with warnings.catch_warnings(), ThreadPoolExecutor() as pool:
        warnings.simplefilter("ignore")  # remarks about metadata
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        for begin in range(0, len(files), _CHUNK):
            chunk = files[begin : begin + _CHUNK]
            yield from zip(chunk, pool.map(decode, chunk), strict=True)
            now, done = time.monotonic(), begin + len(chunk)
            if now - last > 5:
                last, rate = now, done / (now - start)
                left = (len(files) - done) / rate
                log.info("decoded %d of %d images, %.0f a second, %.0f s left", done, len(files), rate, left)


def _fill(
    add: Add, root: Path, files: list[_File], decode: partial, held_out: float, strict: bool
) -> list[dict[str, str]]:
    """Adds every readable image to its split; returns what was skipped, with reasons."""
    counts = {"train": 0, "held_out": 0}
    skipped: list[dict[str, str]] = []
    with contextlib.closing(_decoded(files, decode)) as decoded:
        for number, (file, image) in enumerate(decoded):
            if isinstance(image, str):
                if strict:
                    raise InputError(f"folder: {root / file.name}: {image}; strict=False leaves such files out")
                skipped.append({"file": file.name, "reason": image})
                continue
            chosen = not counts["held_out"] or (_position(file) < held_out and number < len(files) - 1)
            split = file.split or ("held_out" if chosen else "train")
            add(split, image[None], [file.label])
            counts[split] += 1
    if not all(counts.values()):
        readable = sum(counts.values())
        why = f" (first skipped: {skipped[0]['file']}: {skipped[0]['reason']})" if skipped else ""
        raise InputError(
            f"folder: {root} has {counts['train']} usable images to train on and {counts['held_out']} to hold out "
            f"of {readable + len(skipped)}; both need at least one{why}"
        )
    return sorted(skipped, key=lambda entry: entry["file"])
