"""How unusual a prior finds given images, in bits: python -m gen.score IN... --workdir DIR --out OUT

IN are image files and folders, brought to the size and channels of the run as its data was. OUT gets scores.jsonl (for
each image the exact length of its code: bits, bits_per_dim, that is for each pixel and channel, and bits_per_token; the
most surprising first), NAME-surprise.png, where in the image the bits are, and surprise.png, which shows the most
surprising side by side. The bits of a prior with a tokenizer are those of the tokens, and comparable only among images
of this run. Plain images cost few bits, also where nothing like them was learned: --background=1000 compares with what
tokens cost by their frequencies in 1,000 images of the model, adds "unusual", the difference, and puts the most unusual
first. That finds what is plainer than what was learned, and may miss what is richer, which bits alone find: where it is
not known which it will be, look at both.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from absl import flags

from gen import cli, pictures
from gen.asked import check_writable, parse_labels
from gen.errors import InputError
from gen.files import atomic_write, printable, sha256
from gen.report import enlargement, to_uint8

if TYPE_CHECKING:
    from gen.run import Loaded

FLAGS = flags.FlagValues()
cli.define_path("workdir", None, "Folder of the run, of a prior.", flag_values=FLAGS)
cli.define_path("out", None, "Folder for the results.", flag_values=FLAGS)
flags.DEFINE_string("label", None, "Class of all images: a name or a number; by default unknown.", flag_values=FLAGS)
flags.DEFINE_integer("step", None, "Checkpoint to use; by default the newest.", lower_bound=0, flag_values=FLAGS)
flags.DEFINE_integer(
    "batch_size", 64, "Images on their way at once; bits do not depend on it.", 1, 65_536, flag_values=FLAGS
)

flags.DEFINE_integer(
    "background", 0, "Images to draw for a background of bits; 0: none.", 0, 1_000_000, flag_values=FLAGS
)

_MAX_LINES = 50  # of the table
_MAX_SHOWN, _COLUMNS = 48, 4  # on the sheet: images, and how many beside each other


def main(inputs: Sequence[str]) -> None:
    """Scores what the flags and `inputs` ask for. Raises InputError for what is wrong in them."""
    if not inputs:
        raise InputError("no images: name files or folders, python -m gen.score IN... --workdir DIR --out OUT")
    for name, what in (("workdir", "the folder of the run of a prior"), ("out", "the folder for the results")):
        if not FLAGS[name].value:
            raise InputError(f"--{name} is missing: {what}")
    out = Path(FLAGS.out)
    if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".json", ".jsonl"):
        raise InputError(f"--out={out}: looks like a file; gen.score writes into a folder")
    check_writable(out)
    from gen import predict, sharding
    from gen import run as runs

    mesh = sharding.mesh(-1, 1)
    run = runs.load(FLAGS.workdir, step=FLAGS.step, mesh=mesh)
    task = predict.prior(run, "gen.score")
    labels = parse_labels(FLAGS.label, run.class_names)
    if labels and len(labels) > 1:
        raise InputError(f"--label={FLAGS.label}: all images are scored as of one class; name one")
    named, images = predict.read_named(run, predict.named_files(inputs), task.shape)
    pictures.check(out / name for name in ["surprise.png", *(f"{name}-surprise.png" for name, _ in named)])
    began = time.monotonic()
    options: dict[str, Any] = {"label": labels[0] if labels else None, "batch_size": FLAGS.batch_size, "mesh": mesh}
    bits = predict.bits(run, task, images, **options)
    lines: list[dict[str, Any]] = [
        {"file": str(file), "bits": total, "bits_per_dim": total / images[0].size, "bits_per_token": total / tokens}
        for (_, file), total in zip(named, bits.sum((1, 2), dtype=np.float64).tolist(), strict=True)
        for tokens in [math.prod(task.network.grid)]
    ]
    key = "bits"
    if FLAGS.background:
        key, about = "unusual", {"batch_size": FLAGS.batch_size, "mesh": mesh}
        background = predict.background_bits(run, task, images, FLAGS.background, **about)
        for line, usual in zip(lines, background.tolist(), strict=True):
            line[key] = line["bits"] - usual
    order = sorted(range(len(lines)), key=lambda i: -lines[i][key])
    _write(run, out, [named[i] for i in order], images[order], bits[order], [lines[i] for i in order], labels)
    print(_table([lines[i] for i in order]))
    print(f"{len(lines):,} images by checkpoint {run.step:,} in {time.monotonic() - began:.1f} s: {printable(out)}")


def _write(
    run: Loaded,
    out: Path,
    named: list[tuple[str, Path]],
    images: np.ndarray,
    bits: np.ndarray,
    lines: list[dict[str, Any]],
    labels: list[int] | None,
) -> None:
    """The files, of images [n h w c] and bits [n h w] in order."""
    from gen import predict
    from gen.predict.files import SURPRISE
    from gen.report.heat import colours, heat_map, scale
    from gen.report.sheet import Tile, sheet

    fields = {"shows": "surprise", "label": run.class_names[labels[0]] if labels else None}
    digests = [sha256(file) for _, file in named]
    for (name, _), digest, values in zip(named, digests, bits, strict=True):
        made = predict.record(run, fields | {"source": digest})
        pictures.save(out / f"{name}-surprise.png", [heat_map(values, unit=SURPRISE)], format="png", record=made)
    high, tiles = float(bits[:_MAX_SHOWN].max()), list[Tile]()
    for line, image, values in list(zip(lines, images, bits, strict=True))[:_MAX_SHOWN]:
        tiles.append((f"{line['bits']:,.0f} bits", to_uint8(image)))
        tiles.append((Path(line["file"]).stem, colours(values, high=high)))
    rows = [("", tiles[i : i + 2 * _COLUMNS]) for i in range(0, len(tiles), 2 * _COLUMNS)]
    picture = sheet(rows, enlarged=enlargement(*bits.shape[1:]), scales=[scale(high, unit=SURPRISE, width=200)])
    made = predict.record(run, fields | {"source": ",".join(digests[:_MAX_SHOWN])})
    pictures.save(out / "surprise.png", [picture], format="png", record=made)
    atomic_write(out / "scores.jsonl", "".join(json.dumps(line) + "\n" for line in lines))


def _table(lines: list[dict[str, Any]]) -> str:
    """The first of them, then what is typical."""
    formats = {"bits": "12,.1f", "bits_per_dim": "10.4f", "bits_per_token": "10.4f", "unusual": "12,.1f"}
    names = [name for name in formats if name in lines[0]]
    heads = [f"{name.replace('_per_', '/'):>{formats[name].partition(',')[0].partition('.')[0]}}" for name in names]

    def row(line: dict[str, Any]) -> str:
        return " ".join(f"{line[name]:{formats[name]}}" for name in names)

    shown = [f"{' '.join(heads)}  file"] + [f"{row(line)}  {printable(line['file'])}" for line in lines[:_MAX_LINES]]
    if len(lines) > _MAX_LINES:
        shown.append(f"... and {len(lines) - _MAX_LINES:,} more in scores.jsonl")
    means = {name: sum(line[name] for line in lines) / len(lines) for name in names}
    return "\n".join([*shown, f"{row(means)}  mean of {len(lines):,}"])


if __name__ == "__main__":
    cli.guard(lambda: main(cli.parse(sys.argv, sys.modules["__main__"], FLAGS)))
