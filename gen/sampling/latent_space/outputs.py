"""Image files of latent spaces: read at a model's size, and written with the record of how they were made."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from gen.errors import InputError
from gen.image_io.fit import Padding
from gen.image_io.load import image_files, load_readable
from gen.outputs import image_writer
from gen.outputs.image_writer import Still
from gen.outputs.naming import check_inputs_stay, distinct_names
from gen.provenance import COMPOSITE, PREFIX, TRAINED, Record, SourceType
from gen.provenance.policy import Policy
from gen.sampling.latent_space.codes import Latents

_MAX_SHEET = 1024  # images in one picture


class Files(NamedTuple):
    """Reads the given files and writes the results of one command. Images are [n h w c] in [0, 1]."""

    out: Path  # a file, by its suffix, or a folder
    image_shape: tuple[int, int, int]
    class_names: Sequence[str]
    record: Record  # of everything that is written
    padding: Padding  # of images that are a little too small
    policy: Policy  # of what is written about where images come from

    def load(self, inputs: Sequence[str | Path]) -> tuple[list[Path], np.ndarray]:
        """Reads the image files in `inputs`, files and folders; leaves out what cannot be used, with a warning.

        Raises InputError when nothing is left, and for a file that its own result would overwrite.
        """
        files = image_files(inputs)
        targets = [self.out if self.out.suffix else self.out / f"{file.stem}.png" for file in files]
        check_inputs_stay(list(zip(files, targets, strict=True)), out=self.out)
        kept, images = load_readable(files, self.image_shape, padding=self.padding)
        return [files[index] for index in kept], images

    def save(
        self,
        path: Path,
        frames: Sequence[np.ndarray],
        *,
        sources: Sequence[Path],
        label: int | None = None,
        shows: str | None = None,
        kind: SourceType = TRAINED,
    ) -> None:
        """Writes a picture, or an animation, that was made from the source files; shows: what, if not one image."""
        record, format = self._record(sources, label=label, shows=shows), path.suffix[1:].lower()
        record |= {PREFIX + "digital_source_type": kind}
        image_writer.save(path, frames, format=format, record=record, policy=self.policy)

    def _record(self, sources: Sequence[Path], *, label: int | None = None, shows: str | None = None) -> Record:
        record = dict(self.record)
        if label is not None:
            record[PREFIX + "label"] = self.class_names[label]
        if sources:  # of several: the digest of all, one after the other
            content = hashlib.sha256()
            for source in sources:
                content.update(source.read_bytes())
            record[PREFIX + "source"] = content.hexdigest()
        if shows:
            record[PREFIX + "shows"] = shows
        return record

    def save_all(
        self,
        sheet: Callable[[], np.ndarray],
        images: np.ndarray,
        *,
        name: str,
        names: Sequence[str],
        sources: Sequence[Path],
        codes: Latents,
    ) -> Path:
        """Writes the sheet; into a folder under `name`, and beside it each image under its name. Returns its path."""
        if len(images) > _MAX_SHEET:
            raise InputError(f"{len(images):,} images; allowed at once are {_MAX_SHEET:,}")
        path = self.out
        image_writer.check_finite(images, path)
        if not path.suffix:
            image_writer.check([path / f"{stem}.png" for stem in [*names, name]], self.policy)
            plain = codes.label is None or codes.label.ndim > 1  # no class, or mixed ones
            labels = [None] * len(images) if plain else list(map(int, codes.label))  # type: ignore[arg-type]
            each = zip(names, images, sources, labels, strict=True)
            stills = (Still(path / f"{n}.png", image, self._record([s], label=label)) for n, image, s, label in each)
            image_writer.save_all(stills, format="png", policy=self.policy)
            path = path / f"{name}.png"
        kind = TRAINED if name == "decode" else COMPOSITE  # beside the given images
        self.save(path, [sheet()], sources=list(dict.fromkeys(sources)), shows="sheet", kind=kind)
        return path


def names_of(files: Sequence[Path], sheet: str) -> list[str]:
    """Names the result of each file, without a suffix, and none that of `sheet`; see `distinct_names`."""
    names = distinct_names([Path(file.name) for file in files], [""] * len(files), reserved=[sheet])
    return list(map(str, names))
