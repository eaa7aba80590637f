"""Lets tensorflow_datasets 4.9 prepare its standard image sets without TensorFlow.

Four small uses of TensorFlow stand between a download and array_record files: opening files (in the unpacker and in the
builders of mnist and cifar), text conversion, and PNG encoding of arrays. They are replaced here while a set is
prepared. These are internals of that package: this is the only file that knows them, and its version is pinned.
"""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any, NoReturn
from unittest import mock

import numpy as np
from PIL import Image

from gen.errors import InputError


class _StaysOpen(io.BufferedReader):
    """A file that outlives its `with` block: members of a zip archive are read from it later."""

    def __exit__(self, *error: object) -> None:
        pass


def _encode(encoder: Any, array: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array[..., 0] if array.shape[-1] == 1 else array).save(buffer, format=encoder.encoding_format)
    return buffer.getvalue()


def _refuse(downloader: Any, url: str, *args: Any, **kwargs: Any) -> NoReturn:
    del downloader, args, kwargs
    raise InputError(f"tfds: needs {url}: put the file into manual_dir under its registered name, or set download=True")


@contextlib.contextmanager
def tf_free(builder: Any, *, download: bool) -> Iterator[None]:
    """While this is open, `builder.download_and_prepare` needs no TensorFlow, and no network unless `download`."""
    from tensorflow_datasets.core.download import downloader, extractor
    from tensorflow_datasets.core.features import image_feature

    def open_file(path: Any, mode: str = "r") -> Any:
        if mode == "rb":
            return stack.enter_context(contextlib.closing(_StaysOpen(io.FileIO(path))))
        return open(path, mode)

    def as_text(value: str | bytes) -> str:
        return value.decode() if isinstance(value, bytes) else value

    tensorflow = SimpleNamespace(
        io=SimpleNamespace(gfile=SimpleNamespace(GFile=open_file)), compat=SimpleNamespace(as_text=as_text)
    )
    modules = {sys.modules[kind.__module__] for kind in type(builder).__mro__}
    standard = [module for module in modules if not module.__name__.startswith("tensorflow_datasets.core")]
    with contextlib.ExitStack() as stack:
        for module in (extractor, *(module for module in standard if hasattr(module, "tf"))):
            stack.enter_context(mock.patch.object(module, "tf", tensorflow))
        stack.enter_context(mock.patch.object(image_feature._ImageEncoder, "_encode_image", _encode))
        if not download:
            stack.enter_context(mock.patch.object(downloader._Downloader, "download", _refuse))
        yield
