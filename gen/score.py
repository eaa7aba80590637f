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

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from gen import cli
from gen.cli.arguments import parse_labels
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import check_writable

if TYPE_CHECKING:
    from gen.sampling.conditional.scoring import ScoreResult

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


@dataclass(frozen=True, kw_only=True)
class ScoreOptions:
    """Which images to score, by which run, and where the results go."""

    inputs: Sequence[str] = ()
    workdir: str | None = None
    out: str | None = None
    label: str | None = None
    step: int | None = None
    batch_size: int = 64
    background: int = 0


def score(options: ScoreOptions) -> ScoreResult:
    """Scores image files and writes the results. Raises InputError for bad input."""
    if not options.inputs:
        raise InputError("no images: name files or folders, python -m gen.score IN... --workdir DIR --out OUT")
    if not options.workdir:
        raise InputError("--workdir is missing: the folder of the run of a prior")
    if not options.out:
        raise InputError("--out is missing: the folder for the results")
    out = Path(options.out)
    if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".json", ".jsonl"):
        raise InputError(f"--out={out}: looks like a file; gen.score writes into a folder")
    check_writable(out)
    from gen import devices
    from gen.runs import trained_run as runs
    from gen.sampling.conditional.scoring import score_files

    mesh = devices.mesh(-1, 1)
    run = runs.load(options.workdir, step=options.step, mesh=mesh)
    labels = parse_labels(options.label, run.class_names)
    if labels and len(labels) > 1:
        raise InputError(f"--label={options.label}: all images are scored as of one class; name one")
    label, background, batch_size = labels[0] if labels else None, options.background, options.batch_size
    return score_files(run, options.inputs, out, label=label, background=background, batch_size=batch_size, mesh=mesh)


def main(inputs: Sequence[str]) -> None:
    """Scores what the flags and `inputs` ask for. Raises InputError for what is wrong in them."""
    began = time.monotonic()
    given: dict[str, Any] = {name: FLAGS[name].value for name in FLAGS}
    result = score(ScoreOptions(inputs=inputs, **given))
    print(result.table())
    seconds = time.monotonic() - began
    print(f"{len(result.rows):,} images by checkpoint {result.step:,} in {seconds:.1f} s: {printable(FLAGS.out)}")


if __name__ == "__main__":
    cli.guard(lambda: main(cli.parse(sys.argv, sys.modules["__main__"], FLAGS)))
