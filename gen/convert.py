"""Makes shards of images that need not fit the memory: python -m gen.convert IN --out SHARDS --resolution 64

  python -m gen.convert photos --out SHARDS --resolution 64          a folder of images, or a zip of one
  python -m gen.convert tars/*.tar --out SHARDS --resolution 64      webdataset, or the folder of the tars
  python -m gen.convert data/*.parquet --out SHARDS --resolution 64  as of Hugging Face, or the folder of the files
  python -m gen.convert cifar10.npz --out SHARDS --resolution 32     x_train, y_train ...
  python -m gen.convert SHARDS --verify                              reads all shards and compares their sha256

OUT gets shards of uncompressed pixels with labels and captions (ArrayRecord), skipped.jsonl, which lists images that
cannot be read, and at last index.json, with count, size and sha256 of each shard. All cores work. What was interrupted
goes on, by the same command, with the shards that are missing. Nothing is written into IN.

Training reads them by `python -m gen.main --config experiments/shards.py --config.data.path=SHARDS`: each image when it
is its turn, in an order that depends on the seed alone, however many machines share it.

The exit code is 0 when all is well, 1 when --verify found a damaged shard, 2 for bad input.
"""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gen.cli import Options, option, run_main
from gen.errors import InputError, nearest
from gen.files import expand, printable
from gen.image_io.find import is_hidden, names_in
from gen.image_io.fit import Small

if TYPE_CHECKING:
    from gen.converting.listing import Listing
    from gen.data.shard_index import Index

_TABLES = (".tar", ".parquet")


@dataclass(frozen=True, kw_only=True)
class ConvertOptions(Options):
    """What to convert, how, and where the shards go."""

    inputs: Sequence[str | Path] = option((), "A folder, a zip or an .npz; tars; parquet files.", positional="IN...")
    out: str | Path | None = option(None, "Folder for the shards: a new one, or one to go on with.", group="Files")
    verify: bool = option(False, "Only compare the shards in the folder IN with their sha256.")
    resolution: int | None = option(None, "Side of the images in pixels.", group="Images", at_least=1, at_most=2**14)
    grayscale: bool = option(False, "One channel instead of three.")
    small: Small = option("skip", "Images smaller than the resolution.")
    strict: bool = option(False, "Refuse instead of leaving out what cannot be read.")
    labeled: bool = option(True, "Read classes.")
    caption: str = option("auto", "Column of captions, or none; auto: text, caption, prompt or .txt files.")
    held_out: float = option(0.05, "Share to hold out where IN has no splits.", at_least=1e-6, at_most=0.999)
    shards: int | None = option(
        None, "Shards of training images; default of at most 1 GiB, one for each core.", at_least=1, at_most=512
    )


def convert(options: ConvertOptions) -> Index:
    """Converts images into shards and returns their index. Raises InputError for bad input."""
    if options.out is None:
        raise InputError("--out is missing: name a folder for the shards")
    if options.resolution is None:
        raise InputError("--resolution is missing: the side of the images in pixels, such as 64")
    from gen.converting import converter
    from gen.converting.writing import Fit

    files, out = _inputs(options), expand(options.out)
    if "://" in str(options.out):
        raise InputError(f"--out={options.out} is no folder: mount the storage, and name the folder there")
    for file in [*files, *map(expand, options.inputs)]:
        if out.resolve().is_relative_to(file.resolve()):
            raise InputError(f"--out={printable(out)} lies in {printable(file)}, where nothing is written")
    fit = Fit(options.resolution, options.grayscale, options.small, options.strict)
    facts = {name: getattr(options, name) for name in ("resolution", "grayscale", "small", "labeled", "caption")}
    facts |= {"held_out": options.held_out, "from": printable(files[0].resolve().name)}
    return converter.convert(_listing(files, options), out, fit, options=facts, shards=options.shards)


def _inputs(options: ConvertOptions) -> list[Path]:
    """Returns the files or the folder to convert: tars and parquet files of a folder one by one."""
    if not options.inputs:
        raise InputError("nothing to convert: name a folder of images, a zip, an .npz, tars or parquet files")
    files = [expand(path) for path in options.inputs]
    for file in files:
        if not file.exists():
            beside = os.listdir(file.parent) if file.parent.is_dir() else []
            raise InputError(f"convert: {printable(file)} does not exist{nearest(file.name, beside)}")
    if len(files) == 1 and files[0].is_dir() and not names_in(files[0])[0]:
        files = _tables(files[0]) or files
    kinds = {file.suffix.lower() if file.is_file() else "a folder" for file in files}
    if len(files) > 1 and not (len(kinds) == 1 and kinds <= set(_TABLES)):
        raise InputError(
            f"convert: {len(files)} inputs ({printable(', '.join(sorted(kinds)))}); several must all be .tar, or all "
            ".parquet: convert others one by one"
        )
    return files


def _tables(folder: Path) -> list[Path]:
    """Finds the tars or parquet files below a folder that has no images."""
    for suffix in _TABLES:
        found = sorted(path for path in folder.rglob(f"*{suffix}") if path.is_file() and not is_hidden(path.name))
        if found:
            return found
    return []


def _listing(files: list[Path], options: ConvertOptions) -> Listing:
    from gen.converting import listing, parquet, tars

    caption = None if options.caption == "none" else options.caption
    suffix = files[0].suffix.lower() if files[0].is_file() else ""
    if suffix == ".npz":
        if options.grayscale or options.small != "skip" or not options.labeled or caption != "auto":
            raise InputError("convert: an .npz is as it is: --grayscale, --small, --nolabeled and --caption do not fit")
        return listing.of_npz(files[0], resolution=options.resolution or 0, held_out=options.held_out)
    given = {"labeled": options.labeled, "caption": caption, "held_out": options.held_out}
    if suffix == ".tar":
        return tars.of_tars(files, **given)  # type: ignore[arg-type]
    if suffix == ".parquet":
        return parquet.of_parquet(files, **given)  # type: ignore[arg-type]
    return listing.of_folder(files[0], **given)  # type: ignore[arg-type]


def verify(options: ConvertOptions) -> list[str]:
    """Reads all shards of the folder IN; returns a line for each that is not as it was written. Raises InputError."""
    if len(options.inputs) != 1:
        raise InputError("--verify takes one folder of shards: python -m gen.convert SHARDS --verify")
    from gen.data.shard_index import damaged, read_index

    index = read_index(options.inputs[0])
    return [f"{printable(index.folder / name)}: {why}" for name, why in damaged(index)]


def main(options: ConvertOptions) -> int:
    """Converts or verifies, and prints what there is now; returns the exit code."""
    began = time.monotonic()
    if options.verify:
        found = verify(options)
        for line in found:
            print(line)
        print(f"{len(found)} damaged: delete them, and the command that made them makes them again" if found else "ok")
        return 1 if found else 0
    index = convert(options)
    from gen.converting.converter import size_of

    train, held_out = (sum(shard.images for shard in index.splits[split]) for split in ("train", "held_out"))
    height, width, channels = index.image_shape
    print(
        f"{printable(index.folder)}: {train:,} images of {height} x {width} x {channels} to train with, {held_out:,} "
        f"held out, {len(index.class_names) or 'no'} classes, {index.captions.get('captions', 0) or 'no'} captions, "
        f"{index.skipped:,} left out; {size_of(index) / 1e6:,.1f} MB in {time.monotonic() - began:.1f} s"
    )
    return 0


if __name__ == "__main__":
    run_main(main, ConvertOptions)
