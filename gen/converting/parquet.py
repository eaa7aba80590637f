"""Parquet files as Hugging Face writes them: a column of images, as {bytes, path} or bytes, of labels, of captions."""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gen.converting.listing import (
    Item,
    Listing,
    Picture,
    drawn_splits,
    identity_of,
    labeled_items,
    named_splits,
    refuse,
)
from gen.data.archive import BadMember
from gen.data.caption_files import COLUMNS
from gen.data.captions import shortened
from gen.errors import InputError, nearest
from gen.files import printable

_IMAGES, _LABELS = ("image", "img", "jpg", "png"), ("label", "labels", "cls", "class")


@dataclass(frozen=True)
class _OfParquet:
    """Reads rows. place: number of the file, of the row group, and of the row in it."""

    files: tuple[Path, ...]
    image: str
    caption: str | None

    def __call__(self, item: Item) -> tuple[Picture, Sequence[bytes]]:
        number, group, row = item.place
        images, captions = _group(self.files[number], group, self.image, self.caption)
        found = images[row].as_py()
        content = found.get("bytes") if isinstance(found, dict) else found
        if not isinstance(content, bytes):
            raise BadMember("the row holds no bytes of an image")
        texts = captions[row].as_py() if captions is not None else None
        texts = texts if isinstance(texts, list) else [texts]
        return content, shortened(text for text in texts if isinstance(text, str))


def of_parquet(files: Sequence[Path], *, labeled: bool, caption: str | None, held_out: float) -> Listing:
    """Lists the rows of parquet files, all of the same columns. Raises InputError for what cannot be read so."""
    columns = _opened(files[0]).schema_arrow.names
    image = next((name for name in _IMAGES if name in columns), None)
    if image is None:
        refuse(files[0], f"no column 'image'{nearest('image', columns)}; there are: {printable(', '.join(columns))}")
    label = next((name for name in _LABELS if name in columns), None) if labeled else None
    text = next((name for name in COLUMNS if name in columns), None) if caption == "auto" else caption
    if text is not None and text not in columns:
        refuse(files[0], f"no column '{printable(text)}' of captions{nearest(text, columns)}")
    items, labels = list[Item](), list[int | str | None]()
    for number, file in enumerate(files):
        opened, first = _opened(file), len(items)
        if missing := {image, label, text} - {None, *opened.schema_arrow.names}:
            refuse(file, f"no column '{printable(missing.pop())}', which {printable(files[0].name)} has")
        for group in range(opened.num_row_groups):
            rows = opened.metadata.row_group(group).num_rows
            begin = len(items) - first
            items += [Item(f"{file.name}/{begin + row:06}", "", 0, (), (number, group, row)) for row in range(rows)]
        if label:
            labels += opened.read(columns=[label]).column(0).to_pylist()
    if not items:
        refuse(files[0], "no rows")
    if bad := next((x for x in labels if not isinstance(x, int | str | None) or isinstance(x, bool)), None):
        refuse(files[0], f"column '{label}' must hold whole numbers or texts; there is {printable(bad, longest=60)}")
    where = f"convert: {printable(files[0])}: column '{label}'"
    kept, names, bare = labeled_items(items, labels, where) if label else (items, (), [])
    if (given := _class_names(files[0], label)) and len(given) >= len(names) > 0:
        names = given
    drawn, named = drawn_splits([item.name for item in kept], held_out=held_out), named_splits(files)
    kept = [item._replace(split=named[item.place[0]] or split) for item, split in zip(kept, drawn, strict=True)]
    read = _OfParquet(tuple(files), image, text)
    return Listing("parquet files", kept, read, identity_of(files), names, text is not None, bare)


def _opened(file: Path) -> Any:
    """Opens a file. Raises InputError."""
    try:
        import pyarrow.parquet
    except ImportError as error:
        raise InputError(f"convert: parquet files need pyarrow ({error}): pip install pyarrow") from None
    try:
        return pyarrow.parquet.ParquetFile(file)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        refuse(file, f"cannot be read as parquet ({printable(error, longest=100)})")


@functools.lru_cache(maxsize=1)
def _group(file: Path, group: int, image: str, caption: str | None) -> tuple[Any, Any]:
    """Reads the images and captions of a row group. Raises BadMember."""
    import pyarrow

    columns = [image] + ([caption] if caption else [])
    try:
        found = _opened(file).read_row_group(group, columns=columns, use_threads=False)
    except (OSError, ValueError, pyarrow.ArrowException) as error:
        raise BadMember(f"its row group cannot be read ({printable(error, longest=100)})") from None
    return found.column(image), found.column(caption) if caption else None


def _class_names(file: Path, label: str | None) -> tuple[str, ...]:
    """Returns the names that datasets writes beside the columns; () for none."""
    try:
        about = json.loads(_opened(file).schema_arrow.metadata[b"huggingface"])
        return tuple(printable(name, longest=100) for name in about["info"]["features"][label]["names"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return ()
