"""Scores how unusual a prior or a flow finds images, in bits: python -m gen.score IN... --workdir DIR --out OUT

IN are image files and folders, brought to the size and channels of the run as its data was. OUT gets scores.jsonl (for
each image the exact length of its code: bits, bits_per_dim, that is for each pixel and channel, and bits_per_token; the
most surprising first), NAME-surprisal.png, a map of the bits, and surprisal.png, which shows the most
surprising side by side. The bits of a prior with a tokenizer are those of the tokens, and comparable only among images
of this run. Plain images cost few bits, also where nothing like them was learned: --background_samples=1000 compares
with the cost of the tokens by their frequencies in 1,000 images of the model, adds "unusual", the difference, and puts
the most unusual first. That finds what is plainer than the training data, and may miss what is richer, which bits alone
find: if you do not know which it will be, look at both. Bits of a flow are those of its density, estimated (see Flow in
gen/tasks/flow.py); it has no tokens, and its background counts the values of pixels. With --prompt they are the bits of
an image given this caption: the lower for one caption than for another, the better it fits.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from gen.cli import option, run_main
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import check_writable
from gen.provenance.policy import PolicyOptions
from gen.runs.best import Step
from gen.training import compile_cache

if TYPE_CHECKING:
    from gen.sampling.conditional.scoring import ScoreResult


@dataclass(frozen=True, kw_only=True)
class ScoreOptions(PolicyOptions):
    """Which images to score, by which run, and where the results go."""

    inputs: Sequence[str | Path] = option((), "Image files and folders.", group="Images", positional="IN...")
    label: str | None = option(None, "Class of all images: a name or a number; by default unknown.")
    prompt: str | None = option(None, "Caption of all images, of a model that learned captions; by default none.")
    background_samples: int = option(
        0, "Images to draw for a background of bits; 0: none.", at_least=0, at_most=1_000_000
    )
    workdir: str | Path = option(..., "Folder of the run, of a prior or a flow.", group="Run and results")
    step: Step = option("best", "Checkpoint to use; best: of those that training measured", at_least=0)
    batch_size: int = option(64, "Images on their way at once; bits do not depend on it.", at_least=1, at_most=65_536)
    out: str | Path = option(..., "Folder for the results.")


def score(options: ScoreOptions) -> ScoreResult:
    """Scores image files and writes the results. Raises InputError for bad input."""
    if not options.inputs:
        raise InputError("no images: name files or folders, python -m gen.score IN... --workdir DIR --out OUT")
    out = Path(options.out)
    if out.suffix.lower() in (".png", ".jpg", ".jpeg", ".webp", ".json", ".jsonl"):
        raise InputError(f"--out={out}: looks like a file; gen.score writes into a folder")
    check_writable(out)
    policy = options.policy(marks=False)  # nothing that it shows was made by gen
    from gen import devices
    from gen.runs import trained_run as runs
    from gen.sampling.arguments import label_of
    from gen.sampling.conditional.scoring import score_files

    mesh = devices.mesh(-1, 1)
    run = runs.load(options.workdir, step=options.step, mesh=mesh)
    label = label_of(options.label, run.class_names)
    sizes = {"background": options.background_samples, "batch_size": options.batch_size}
    return score_files(run, options.inputs, out, label=label, prompt=options.prompt, **sizes, mesh=mesh, policy=policy)


def main(options: ScoreOptions) -> None:
    """Scores images and prints the table. Raises InputError for bad input."""
    began = time.monotonic()
    compile_cache.enable(None)
    result = score(options)
    print(result.table())
    seconds = time.monotonic() - began
    print(f"{len(result.rows):,} images by checkpoint {result.step:,} in {seconds:.1f} s: {printable(options.out)}")


if __name__ == "__main__":
    run_main(main, ScoreOptions)
