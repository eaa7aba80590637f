"""Shows runs side by side on one page: python -m gen.compare RUN...

  python -m gen.compare runs/a runs/b                         compare.html in the current folder
  python -m gen.compare runs/sweep --by seconds               all runs of a sweep, curves over the time
  python -m gen.compare runs/* --samples 16 --out all.html    also samples by the seeds 0 to 15

The page is one file that loads nothing: the fields in which the configs differ, every scalar of metrics.jsonl with a
line for each run, the numbers of gen.evaluate with their intervals and the best marked (and a note where they do not
compare), the newest previews. --samples draws images from the best checkpoint of each run: a row is a run, a column is
a seed. A RUN may be a folder of runs, which stands for all of them. The runs stay as they are, and no lock is needed.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gen import cli
from gen.cli import Options, option, run_main
from gen.files import expand, printable, read_regular
from gen.outputs import manifest
from gen.outputs.output_path import parse_target
from gen.training import compile_cache

if TYPE_CHECKING:
    from gen.comparing.pictures import Samples

_MOST = 100  # runs on a page
_LARGEST = 2**28  # bytes of a page that may be written over


@dataclass(frozen=True, kw_only=True)
class CompareOptions(Options):
    """Which runs to compare, and how."""

    runs: Sequence[str | Path] = option((), "Run folders, or folders of runs.", group="Runs", positional="RUN...")
    by: Literal["step", "images", "seconds"] = option("step", "What the curves are drawn over.", group="Page")
    samples: int = option(0, "Images to draw by each run, of the seeds 0, 1, ...; 0: none.", at_least=0, at_most=64)
    out: str | Path = option("compare.html", "The page, a .html file.")


def compare(options: CompareOptions) -> Path:
    """Writes the page, and returns its path. Raises InputError for what is no run, and for a file of somebody else."""
    out = parse_target(expand(options.out), (".html",), "gen.compare")
    manifest.check([out], is_own=_is_page, what="--out")
    from gen.comparing import page, runs
    from gen.runs import folders

    paths = folders.run_folders(options.runs, "compare", most=_MOST)
    named = list(zip(paths, folders.names_of(paths), strict=True))
    reading = cli.progress(named, len(named), doing="runs")
    found = [runs.read(path, name, by=options.by) for path, name in reading]
    samples = list(_samples(paths, options.samples)) if options.samples else []
    text = page.render(found, by=options.by, samples=samples)
    manifest.write(out, text.encode("utf-8", "backslashreplace"))
    return out


def _is_page(path: Path) -> bool:
    """Whether this program wrote what a file holds now."""
    from gen.comparing.page import MARK

    with contextlib.suppress(OSError, ValueError):
        return manifest.wrote(path) and MARK.encode() in read_regular(path, most=_LARGEST)
    return False


def _samples(paths: Sequence[Path], count: int) -> Iterator[Samples]:
    """Yields the images of each run by the seeds 0 to count - 1, from its best checkpoint."""
    import numpy as np

    from gen import api
    from gen.comparing.pictures import Samples

    for path in cli.progress(paths, len(paths), doing="samples"):
        model = api.load(path)
        words = f"step {model.run.step:,}"
        if model.run.task.can_sample:
            record = model.run.record(seed=f"0-{count - 1}", shows="grid", refine=model.run.config.refine or None)
            yield Samples(model.sample(range(count)), words, record)
        else:
            yield Samples(np.zeros((0, 1, 1, 3), np.float32), f"{words}: this model only reconstructs", {})


def main(options: CompareOptions) -> None:
    """Compares runs, and prints where the page is."""
    if options.samples:
        compile_cache.enable(None)
    print(printable(compare(options)))


if __name__ == "__main__":
    run_main(main, CompareOptions)
