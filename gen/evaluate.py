"""How good and how varied images are, whether they copy the training set, and how sure that is.

  python -m gen.evaluate --workdir DIR                          the newest checkpoint of a run
  python -m gen.evaluate --workdir DIR --refine 'median(3)'     and what a chain does to the numbers
  python -m gen.evaluate --images A --reference B               any two folders; B may be statistics, FILE.npz
  python -m gen.evaluate --compare RUN_A RUN_B                  two evaluations, if they may be compared

OUT (by default DIR/evaluation; of two folders ./evaluation) gets evaluation.json, one card for each number: value, 95 %
interval, extractor and its digest, sizes, seed, digest of the data; the pictures; and evaluation.html, which shows all
and begins with a verdict in words: single images, variety and copies, of which the weakest decides.
--refine and --floor add evaluation-refined.json and evaluation-real-held-out.json. Without --extractor the features
come from networks trained in minutes on the same data, and the distances are called FD-own, KD-own. FID and KID are
what the weights of the FID Inception give: --extractor fid:pt_inception-2015-12-05-6726825d.pth.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from absl import flags

from gen import cli
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import check_writable

if TYPE_CHECKING:
    from gen.evaluation.evaluate_run import Evaluation

FLAGS = flags.FlagValues()
cli.define_path("workdir", None, "Folder of the run to measure.", flag_values=FLAGS)
flags.DEFINE_integer("step", None, "Its checkpoint; by default the newest.", lower_bound=0, flag_values=FLAGS)
cli.define_path("images", None, "Folder of images to measure, instead of a run.", flag_values=FLAGS)
cli.define_path("reference", None, "Folder of real images, or npz with mu and sigma.", flag_values=FLAGS)
flags.DEFINE_bool("compare", False, "Compare two evaluations: name two runs or evaluation.json.", flag_values=FLAGS)
cli.define_path("out", None, "Folder for the results.", flag_values=FLAGS)
cli.define_path(
    "extractor",
    None,
    "own (default), fid:WEIGHTS (FID Inception, .pth, .npz or .safetensors), pixels, or package.module:function.",
    flag_values=FLAGS,
)
flags.DEFINE_string("metrics", "all", "Groups of metrics, with commas; 'all'; 'cheap'.", flag_values=FLAGS)
flags.DEFINE_integer("samples", 10_000, "Images to make, seeds SEED and up.", 2, 10_000_000, flag_values=FLAGS)
flags.DEFINE_integer("references", 10_000, "Real images to compare with, at most.", 2, 10_000_000, flag_values=FLAGS)
flags.DEFINE_enum("split", "train", ["train", "held_out"], "Which real images.", flag_values=FLAGS)
flags.DEFINE_integer("seed", 0, "First seed.", lower_bound=0, upper_bound=2**32 - 1, flag_values=FLAGS)
flags.DEFINE_string("refine", None, "Chain of gen.imaging: measured before and after it.", flag_values=FLAGS)
flags.DEFINE_bool("floor", False, "Also measure held-out real images in the samples' place.", flag_values=FLAGS)
flags.DEFINE_integer("size", None, "Side of the squares that all files become.", 1, 8192, flag_values=FLAGS)
cli.define_path("save_statistics", None, "Write mu and sigma of the reference to this npz.", flag_values=FLAGS)
for _name in ("path", "data_dir"):
    cli.define_path(f"config.data.{_name}", None, "Where the data of the run are now, if moved.", flag_values=FLAGS)
for _name in ("truncation", "temperature", "guidance", "top_p"):
    cli.define_sampling(_name, None, f"As for gen.sample --{_name}.", flag_values=FLAGS)

_OTHERS = tuple(name for name in FLAGS if name != "compare")


def main(arguments: Sequence[str]) -> None:
    """Does what the flags ask for. Raises InputError for what is wrong in them."""
    if FLAGS.compare:
        return _compare(arguments)
    if arguments:
        raise InputError(f"unexpected argument '{arguments[0]}'; only --compare takes two names")
    if bool(FLAGS.workdir) == bool(FLAGS.images):
        raise InputError("name a run, --workdir DIR, or two folders, --images A --reference B; not both")
    for name in ("path", "data_dir"):
        if FLAGS.images and FLAGS[f"config.data.{name}"].value:
            raise InputError(f"--config.data.{name} is of runs, --workdir; leave it out")
    if FLAGS.images and not FLAGS.reference:
        raise InputError("--reference is missing: a folder of real images, or an npz with mu and sigma")
    out = Path(FLAGS.out or (f"{FLAGS.workdir}/evaluation" if FLAGS.workdir else "evaluation"))
    statistics = Path(FLAGS.save_statistics) if FLAGS.save_statistics else None
    if statistics and statistics.suffix != ".npz":
        raise InputError(f"--save_statistics={statistics}: statistics are .npz files")
    if statistics and statistics.is_dir():
        raise InputError(f"--save_statistics={statistics} is a folder; name a file")
    check_writable(out)
    if statistics:
        check_writable(statistics.parent, "--save_statistics")
    for name in ("images", "reference"):
        folder = FLAGS[name].value
        if folder and out.resolve().is_relative_to(Path(folder).resolve()):
            raise InputError(f"--out={out} is inside --{name}={folder}, where the pictures would be taken for images")
    began = time.monotonic()
    from gen.evaluation import evaluate_folders, evaluate_run, html, results

    given: dict[str, Any] = {name: FLAGS[name].value for name in evaluate_run.EvaluateOptions._fields if name in FLAGS}
    moved = {name: FLAGS[f"config.data.{name}"].value for name in ("path", "data_dir")}
    asked = evaluate_run.EvaluateOptions(**given, moved={name: path for name, path in moved.items() if path})
    measured = (
        evaluate_run.measure_run(asked, cli.say) if FLAGS.workdir else evaluate_folders.measure_folders(asked, cli.say)
    )
    if not any(measured.boards.values()):
        raise InputError("none of these metrics can be had of these images; the lines above say why")
    try:
        html.write(out, measured)
        if FLAGS.workdir and not FLAGS.out:
            html.refresh(Path(FLAGS.workdir))
        if statistics:
            _save_statistics(measured, statistics)
    except OSError as error:
        raise InputError(
            f"{error.filename2 or error.filename or out}: cannot be written ({error.strerror or error})"
        ) from None
    for title, found in measured.boards.items():
        print(f"\n{title}\n{results.table(found)}")
        if title in measured.verdicts:
            print(measured.verdicts[title])
    written = ", ".join(printable(out / name) for name in ("evaluation.json", "evaluation.html"))
    print(f"\nin {time.monotonic() - began:.0f} s: {written}")


def _save_statistics(measured: Evaluation, path: Path) -> None:
    """Writes mu and sigma of the reference."""
    from gen.metrics import moments

    question = next(iter(measured.questions.values()))
    path.parent.mkdir(parents=True, exist_ok=True)
    moments.write_statistics(path, moments.moments(question.reference.real.features))
    cli.say(f"statistics of the reference: {path}")


def _compare(names: Sequence[str]) -> None:
    """Prints two evaluations side by side."""
    from gen.evaluation import results

    given = [name for name in _OTHERS if FLAGS[name].present]
    if given:
        raise InputError(f"--{given[0]} is of measuring, and --compare only reads; leave it out")
    if len(names) != 2:
        raise InputError(f"--compare takes two evaluations, runs or evaluation.json; given: {len(names)}")
    both = [results.read(Path(name)) for name in names]
    pairs = results.compare(*both)
    print(f"{'metric':<28} {'first':>11} {'second':>11}  better where the intervals do not overlap")
    for a, b in pairs:
        print(f"{a.metric:<28} {results.number(a.value):>11} {results.number(b.value):>11}  {results.verdict(a, b)}")
    shared = {card.metric for card, _ in pairs}
    for which, found in zip(("first", "second"), both, strict=True):
        if alone := [card.metric for card in found if card.metric not in shared]:
            print(f"only in the {which}: {', '.join(alone)}")


if __name__ == "__main__":
    cli.guard(lambda: main(cli.parse(sys.argv, sys.modules["__main__"], FLAGS)))
