"""Lets tensorflow_datasets 4.9 prepare its standard image sets without TensorFlow, and downloads their files itself.

Four small uses of TensorFlow stand between a download and array_record files: opening files (in the unpacker and in the
builders of mnist and cifar), text conversion, and PNG encoding of arrays. They are replaced here while a set is
prepared. These are internals of that package: this is the only file that knows them, and its version is pinned.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest import mock

import numpy as np
from PIL import Image


class _StaysOpen(io.BufferedReader):
    """A file that outlives its `with` block: members of a zip archive are read from it later."""

    def __exit__(self, *error: object) -> None:
        pass


def _encode(encoder: Any, array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(buffer, format=encoder.encoding_format)
    return buffer.getvalue()


Fetch = Callable[[str, Path], Path]  # (url, an empty folder) -> the file, in that folder


@contextlib.contextmanager
def tf_free(builder: Any, fetch: Fetch, *, done: Callable[[], object]) -> Iterator[None]:
    """While this is open, `builder.download_and_prepare` needs no TensorFlow.

    `fetch` gets what is neither in manual_dir nor downloaded before; files of manual_dir may lie in its subfolders.
    `done` is called for each example.
    """
    from tensorflow_datasets.core.download import download_manager, downloader, extractor
    from tensorflow_datasets.core.features import image_feature
    from tensorflow_datasets.core.utils import tqdm_utils

    def open_file(path: Any, mode: str = "r") -> Any:
        if mode == "rb":
            return stack.enter_context(contextlib.closing(_StaysOpen(io.FileIO(path))))
        return open(path, mode)

    def as_text(value: str | bytes) -> str:
        return value.decode() if isinstance(value, bytes) else value

    def download(self: Any, url: str, destination: Any, **unused: Any) -> Any:
        del self, unused
        try:
            file = fetch(url, Path(destination))
        except BaseException:
            with contextlib.suppress(OSError):
                Path(destination).rmdir()
            raise
        info = download_manager.checksums.compute_url_info(file)
        return downloader.promise.Promise.resolve(downloader.DownloadResult(type(destination)(file), info))

    def counted(*args: Any, **kwargs: Any) -> Any:
        examples = generate(*args, **kwargs)
        return _counted(examples, done) if isinstance(examples, Iterator) else examples

    generate = builder._generate_examples
    tensorflow = SimpleNamespace(
        io=SimpleNamespace(gfile=SimpleNamespace(GFile=open_file)), compat=SimpleNamespace(as_text=as_text)
    )
    modules = {sys.modules[kind.__module__] for kind in type(builder).__mro__}
    standard = [module for module in modules if not module.__name__.startswith("tensorflow_datasets.core")]
    with contextlib.ExitStack() as stack:
        for module in (extractor, *(module for module in standard if hasattr(module, "tf"))):
            stack.enter_context(mock.patch.object(module, "tf", tensorflow))
        for place, name, replacement in (
            (image_feature._ImageEncoder, "_encode_image", _encode),
            (downloader._Downloader, "download", download),
            (download_manager.DownloadManager, "_get_manually_downloaded_path", _manual_file),
            (tqdm_utils, "_active", False),
            (builder, "_log_download_bytes", lambda: None),
            (builder, "_generate_examples", counted),
        ):
            stack.enter_context(mock.patch.object(place, name, replacement))
        yield


def _counted(examples: Iterator[Any], done: Callable[[], object]) -> Iterator[Any]:
    for example in examples:
        done()
        yield example


def _manual_file(manager: Any, expected: Any) -> Any:
    if manager._manual_dir is None or expected is None or not expected.filename:
        return None
    found = manual_file(Path(manager._manual_dir), expected.filename)
    return found and type(manager._manual_dir)(found)


def manual_file(folder: Path, name: str) -> Path | None:
    """Finds the file of this name in a folder or below it: archives come unpacked into Img, Anno and Eval."""
    return next((path for path in (folder / name, *sorted(folder.rglob(name))) if path.is_file()), None)
