"""Latents of a number of images, in memory and as files."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gen.errors import InputError
from gen.files import printable, write_result
from gen.npz import read_npz


class Latents(NamedTuple):
    """What images are made from."""

    z: np.ndarray  # float32 [n d]
    label: np.ndarray | None  # int32 [n], or float32 [n k], the share of each class; None: the model has no classes

    def take(self, rows: Any) -> Latents:
        """Selects the latents of some images, by whatever indexes an array."""
        return Latents(self.z[rows], None if self.label is None else self.label[rows])


def write(path: Path, codes: Latents, names: Sequence[str], *, run: str) -> None:
    """Writes an .npz file of latents, labels, the name of each image and the digest of the run's config."""
    arrays: dict[str, Any] = {"latents": codes.z, "names": np.asarray(names, np.str_), "run": np.asarray(run)}
    if codes.label is not None:
        arrays["labels"] = codes.label
    buffer = io.BytesIO()
    np.savez(buffer, **arrays)
    write_result(path, buffer.getvalue())


def read(path: Path, *, run: str) -> tuple[Latents, list[str]]:
    """Reads the latents and names of a file that `write` wrote. Raises InputError for another file or another run."""
    try:
        arrays = read_npz(path, ("latents", "labels", "names", "run"))
        made_by, names = str(arrays["run"]), list(map(printable, arrays["names"].tolist()))
        codes = Latents(arrays["latents"].astype(np.float32), arrays.get("labels"))
        count, dimensions = codes.z.shape
        sizes = {len(names), count, *(() if codes.label is None else codes.label.shape[:1])}
        numbers = codes.label is None or (codes.label.dtype.kind in "iuf" and np.isfinite(codes.label).all())
        if len(sizes) > 1 or not numbers or not np.isfinite(codes.z).all():
            raise ValueError(f"{count} latents of {dimensions} numbers do not fit their names, or are no numbers")
    except (ValueError, KeyError, TypeError, SystemError) as error:
        reason = f"without {error}" if isinstance(error, KeyError) else printable(error)
        raise InputError(
            f"{printable(path)}: no file of latents; allowed: one written by gen.latents encode ({reason})"
        ) from None
    if made_by != run:
        raise InputError(f"{path}: latents of another run, whose config has the digest {printable(made_by[:12])}")
    return codes, names
