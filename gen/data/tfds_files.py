"""The original files of a set of tensorflow_datasets, downloaded or brought by hand, made into array_record files."""

from __future__ import annotations

import contextlib
import logging
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from gen.cli import progress_bar, say
from gen.data.download import Expected, Unavailable, fetch
from gen.data.tfds_without_tf import manual_file, tf_free
from gen.errors import InputError
from gen.files import expand, printable


class _Known(NamedTuple):
    """What tensorflow_datasets does not record of a set."""

    images: int | None  # in all splits
    terms: str
    variant: str | None  # of the experiments, that takes other files
    path: str  # such a file, for example


_SETS = {
    "celeb_a": _Known(202_599, "for non-commercial research only", "folder", "img_align_celeba.zip"),
    "cifar10": _Known(60_000, "", "npz", "cifar10.npz"),
    "fashion_mnist": _Known(70_000, "MIT license", "npz", "fashion_mnist.npz"),
    "mnist": _Known(70_000, "", "npz", "mnist.npz"),
}
_UNKNOWN = _Known(None, "", None, "")


def prepare(builder: Any, manual_dir: str | None, download: bool) -> None:
    """Makes the array_record files of a set from its original files.

    Those in `manual_dir` are used; the others are downloaded into the downloads folder of tensorflow_datasets, if
    `download`. Raises InputError, with the other ways to the images, when they cannot be had.
    """
    from tensorflow_datasets.core.download import DownloadConfig, download_manager

    manual = _manual_dir(builder, manual_dir)
    missing = [i for i in (builder.url_infos or {}).values() if not (manual and manual_file(manual, i.filename or "/"))]
    if missing and not manual and not download:
        raise InputError(
            f"tfds: {builder.name} is not prepared in {builder.data_dir}: set download=True, or {_ways(builder)}"
        )
    config = DownloadConfig(manual_dir=str(manual) if manual else None, try_download_gcs=False)
    known = _SETS.get(builder.name, _UNKNOWN)
    try:
        _check_space(builder)
        with (
            quiet(),
            progress_bar(known.images, doing=f"preparing {builder.name}") as bar,
            tf_free(builder, _Fetch(builder, missing, download), done=bar.update),
        ):
            builder.download_and_prepare(download_config=config)
    except InputError:
        raise
    except download_manager.NonMatchingChecksumError as error:
        raise InputError(f"tfds: {builder.name}: {' '.join(str(error).splitlines()[:3])}") from error
    except OSError as error:
        place = error.filename or builder.data_dir
        raise InputError(f"tfds: {builder.name} cannot be prepared: {place}: {error.strerror or error}") from error
    except Exception as error:  # a builder of theirs that needs TensorFlow or files in another form
        reason = printable(f"{type(error).__name__}: {error}")
        raise InputError(f"tfds: {builder.name} cannot be prepared without TensorFlow: {reason}") from error


def _manual_dir(builder: Any, given: str | None) -> Path | None:
    if given is None:
        return None
    folder = expand(given)
    if not folder.is_dir():
        raise InputError(f"tfds: manual_dir={printable(given)} is not a folder; it must hold {_names(builder)}")
    return folder


class _Fetch:
    """Downloads one file after another; before the first it prints names, sizes and terms."""

    def __init__(self, builder: Any, missing: list[Any], download: bool) -> None:
        self._builder, self._missing, self._download, self._told = builder, missing, download, False

    def __call__(self, url: str, folder: Path) -> Path:
        builder = self._builder
        info = (builder.url_infos or {}).get(url)
        name = Path(info.filename if info and info.filename else urlsplit(url).path).name or "file"
        if not self._download:
            raise InputError(f"tfds: {builder.name} needs {name} from {url}: set download=True, or {_ways(builder)}")
        expected = Expected(name, int(info.size) if info else None, info.checksum if info else None)
        kept = folder.with_name(f"{expected.sha256 or folder.name}-{name}")  # its partial file outlives this try
        try:
            fetch(url, kept, expected, began=lambda: self._tell(url))
            return kept.replace(folder / name)
        except Unavailable as error:
            raise InputError(f"tfds: {builder.name} cannot be downloaded: {error}: {_ways(builder)}") from None

    def _tell(self, url: str) -> None:
        if self._told:
            return
        self._told = True
        builder, known = self._builder, _SETS.get(self._builder.name, _UNKNOWN)
        size = _bytes(sum(int(info.size) for info in self._missing))
        terms = f"{known.terms}, " if known.terms else ""
        say(
            f"downloading {builder.name}: {len(self._missing)} files, {size}, from {urlsplit(url).hostname} "
            f"into {builder._data_dir_root}; terms: {terms}see {builder.info.homepage.strip()}"
        )


def _check_space(builder: Any) -> None:
    size = sum(int(info.size) for info in (builder.url_infos or {}).values())
    place = Path(builder.data_dir)
    place = next(folder for folder in (place, *place.parents) if folder.is_dir())
    free = shutil.disk_usage(place).free
    if free < 2 * size:
        raise InputError(
            f"tfds: {builder.name} needs about {_bytes(2 * size)} in {place}, where {_bytes(free)} are free; "
            "give another data_dir"
        )


def _bytes(count: int) -> str:
    return f"{count / 1e9:.1f} GB" if count >= 1e9 else f"{count / 1e6:.1f} MB"


def _names(builder: Any) -> str:
    return ", ".join(sorted(info.filename for info in (builder.url_infos or {}).values() if info.filename))


def _ways(builder: Any) -> str:
    """Describes how to get the images without a download by this program."""
    known = _SETS.get(builder.name, _UNKNOWN)
    ways = (
        f"fetch {_names(builder)} (see {builder.info.homepage.strip()}) into a folder and give it as "
        "manual_dir (--config.data.manual_dir=DIR)"
    )
    if known.variant:
        ways += f", or use the experiment as FILE.py:{known.variant} with --config.data.path={known.path}"
    return ways


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Silences the remarks of tensorflow_datasets about its own files."""
    logger = logging.getLogger("absl")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)
