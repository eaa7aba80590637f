"""Scores image files by a prior or a flow: bits in a table and a file, and maps of them."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jax.sharding import Mesh

from gen.files import atomic_write, printable, sha256
from gen.image_io.pixels import to_uint8
from gen.outputs import image_writer
from gen.provenance import DATA, FIGURE, PREFIX, Record
from gen.provenance.policy import Policy
from gen.report import enlargement
from gen.report.colormap import apply_colormap, heat_map, scale
from gen.report.contact_sheet import Tile, sheet
from gen.runs.trained_run import TrainedRun
from gen.sampling.conditional.background import background_bits
from gen.sampling.conditional.inputs import named_files, read_named
from gen.sampling.conditional.outputs import SURPRISAL
from gen.sampling.conditional.requests import predictor
from gen.sampling.conditional.sampling import bits
from gen.sampling.prompts import check_prompts
from gen.tasks.prior import Prior

_MAX_LINES = 50  # of the table
_MAX_SHOWN, _COLUMNS = 48, 4  # on the sheet: images, and how many beside each other
_FORMATS = {"bits": "12,.1f", "bits_per_dim": "10.4f", "bits_per_token": "10.4f", "unusual": "12,.1f"}


class ScoreResult(NamedTuple):
    """Scores, the most surprising image first."""

    rows: list[dict[str, Any]]  # file, bits, bits_per_dim; of a prior bits_per_token; with a background: unusual
    step: int  # of the checkpoint

    def table(self) -> str:
        """Returns the first rows, then the means, as lines."""
        names = [name for name in _FORMATS if name in self.rows[0]]
        heads = [f"{name.replace('_per_', '/'):>{_FORMATS[name].split('.')[0].strip(',')}}" for name in names]

        def line(row: dict[str, Any]) -> str:
            return " ".join(f"{row[name]:{_FORMATS[name]}}" for name in names)

        shown = [f"{' '.join(heads)}  file"] + [f"{line(r)}  {printable(r['file'])}" for r in self.rows[:_MAX_LINES]]
        if len(self.rows) > _MAX_LINES:
            shown.append(f"... and {len(self.rows) - _MAX_LINES:,} more in scores.jsonl")
        means = {name: sum(row[name] for row in self.rows) / len(self.rows) for name in names}
        return "\n".join([*shown, f"{line(means)}  mean of {len(self.rows):,}"])


def score_files(
    run: TrainedRun,
    inputs: Sequence[str | Path],
    out: Path,
    *,
    label: int | None,
    prompt: str | None = None,
    background: int,
    batch_size: int,
    mesh: Mesh,
    policy: Policy,
) -> ScoreResult:
    """Writes scores.jsonl, a map of the bits of each image, and surprisal.png, into the folder `out`.

    label: the class of all images, prompt: their caption; None: unknown. background: samples for `background_bits`; 0:
    none. InputError.
    """
    task = predictor(run, "gen.score")
    named, images = read_named(run, named_files(inputs), task.shape)
    names = ["surprisal.png", *(f"{name}-surprisal.png" for name, _ in named)]
    image_writer.check([out / name for name in names], policy)
    prompt = None if prompt is None else check_prompts(run, [prompt])[0]
    values = bits(run, task, images, label=label, prompt=prompt, batch_size=batch_size, mesh=mesh)
    rows: list[dict[str, Any]] = [
        {"file": str(file), "bits": total, "bits_per_dim": total / images[0].size}
        for (_, file), total in zip(named, values.sum((1, 2), dtype=np.float64).tolist(), strict=True)
    ]
    if isinstance(task, Prior):
        for row in rows:
            row["bits_per_token"] = row["bits"] / math.prod(task.network.grid)
    if background:
        usual = background_bits(run, task, images, background, batch_size=batch_size, mesh=mesh)
        for row, bits_of_table in zip(rows, usual.tolist(), strict=True):
            row["unusual"] = row["bits"] - bits_of_table
    order = sorted(range(len(rows)), key=lambda i: -rows[i].get("unusual", rows[i]["bits"]))
    result = ScoreResult([rows[i] for i in order], run.step)
    name = None if label is None else run.class_names[label]
    record = run.record(shows="surprisal", digital_source_type=DATA, label=name, prompt=prompt)
    _write_pictures(out, [named[i][0] for i in order], images[order], values[order], result.rows, record, policy)
    atomic_write(out / "scores.jsonl", "".join(json.dumps(row) + "\n" for row in result.rows))
    return result


def _write_pictures(
    out: Path,
    names: Sequence[str],
    images: np.ndarray,
    bits: np.ndarray,
    rows: list[dict[str, Any]],
    record: Record,
    policy: Policy,
) -> None:
    """Writes a map of the bits [n h w] of each image [n h w c], and one sheet."""
    digests = [sha256(row["file"]) for row in rows]

    def save(name: str, picture: np.ndarray, source: str, **more: str) -> None:
        said = record | {f"{PREFIX}{field}": value for field, value in {"source": source, **more}.items()}
        image_writer.save(out / name, [picture], format="png", record=said, policy=policy, mark=False)

    for name, digest, values in zip(names, digests, bits, strict=True):
        save(f"{name}-surprisal.png", heat_map(values, unit=SURPRISAL), digest)
    high, tiles = float(bits[:_MAX_SHOWN].max()), list[Tile]()
    for row, image, values in list(zip(rows, images, bits, strict=True))[:_MAX_SHOWN]:
        tiles.append((f"{row['bits']:,.0f} bits", to_uint8(image)))
        tiles.append((Path(row["file"]).stem, apply_colormap(values, high=high)))
    lines = [("", tiles[i : i + 2 * _COLUMNS]) for i in range(0, len(tiles), 2 * _COLUMNS)]
    picture = sheet(lines, scale=enlargement(*bits.shape[1:]), footer=[scale(high, unit=SURPRISAL, width=200)])
    save("surprisal.png", picture, ",".join(digests[:_MAX_SHOWN]), digital_source_type=FIGURE)
