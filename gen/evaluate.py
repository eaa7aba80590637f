"""Measures how good and how varied images are, whether they copy the training set, and how sure that is.

  python -m gen.evaluate --workdir DIR                          the best checkpoint of a run
  python -m gen.evaluate --workdir DIR --refine 'median(3)'     also after a chain
  python -m gen.evaluate --images A --reference B               two folders; B may be statistics, FILE.npz
  python -m gen.evaluate --compare RUN_A RUN_B                  two evaluations, if they may be compared

OUT gets evaluation.json, for each number its value, 95 % interval, extractor and its digest, sizes, seed and digest of
the data; figures; and evaluation.html, which shows all and begins with a verdict on single images, variety and copies,
of which the weakest decides. --refine and --real_baseline add evaluation-refined.json and
evaluation-real-held-out.json. Without --extractor the features come from networks trained in minutes on the same data,
and the distances are called FD-own, KD-own. FID and KID need the weights of the FID Inception:
--extractor fid:pt_inception-2015-12-05-6726825d.pth. docs/metrics.md explains every metric.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from gen import cli
from gen.cli import SAMPLING, MemberOptions, option, run_main
from gen.errors import InputError
from gen.files import printable
from gen.outputs.output_path import check_writable
from gen.runs.best import Step

if TYPE_CHECKING:
    from gen.evaluation.evaluate_run import Evaluation

_CONDITIONS = ("truncation", "temperature", "guidance", "top_p", "steps")
_OF_RUNS = ("step", "split", "refine", "real_baseline", "num_samples", "num_references", "data_path", "data_dir")


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(MemberOptions):
    """What to measure, how, and where the results go."""

    workdir: str | Path | None = option(None, "Folder of the run to measure.", group="Images")
    step: Step = option("best", "Its checkpoint; best: of those that training measured", at_least=0)
    images: str | Path | None = option(None, "Folder of images to measure, instead of a run.")
    reference: str | Path | None = option(None, "Folder of real images, or .npz with mu and sigma.")
    size: int | None = option(None, "Side of the squares that all files become.", at_least=1, at_most=8192)
    num_samples: int = option(10_000, "Images to sample, from seed SEED on.", at_least=2, at_most=10_000_000)
    num_references: int = option(10_000, "Most real images to compare with.", at_least=2, at_most=10_000_000)
    split: Literal["train", "held_out"] = option("train", "Which real images.")
    seed: int = option(0, "First seed.", at_least=0, at_most=2**32 - 1)
    refine: str | None = option(None, "Chain of gen.imaging: measured before and after it.")
    real_baseline: bool = option(False, "Also measure held-out real images in the samples' place.")
    truncation: float | None = option(None, "As for gen.sample.", group="Sampling", **SAMPLING["truncation"])
    temperature: float | None = option(None, "As for gen.sample.", **SAMPLING["temperature"])
    guidance: float | None = option(None, "As for gen.sample.", **SAMPLING["guidance"])
    top_p: float | None = option(None, "As for gen.sample.", **SAMPLING["top_p"])
    steps: int | None = option(None, "As for gen.sample.", **SAMPLING["steps"])
    data_path: str | Path | None = option(
        None, "Where the data of the run are now.", flag="config.data.path", group="Data"
    )
    data_dir: str | Path | None = option(None, "Where data of TFDS are now.", flag="config.data.data_dir")
    extractor: str | Path | None = option(
        None, "own (default), random, pixels, fid:WEIGHTS (FID Inception), or package.module:function.", group="Metrics"
    )
    metrics: str = option("all", "Groups of docs/metrics.md, with commas; all; fast.")
    out: str | Path | None = option(
        None, "Folder for the results; by default WORKDIR/evaluation or ./evaluation.", group="Results"
    )
    save_statistics: str | Path | None = option(None, "Write mu and sigma of the reference to this .npz.")
    compare: bool = option(False, "Only compare two evaluations.")
    evaluations: Sequence[str | Path] = option((), "With --compare: two runs or evaluation.json.", positional="A B")

    @property
    def folder(self) -> Path:
        """Where the results go."""
        return Path(self.out or (f"{self.workdir}/evaluation" if self.workdir else "evaluation"))

    def refuse(self, names: Sequence[str], why: str) -> None:
        """Raises InputError where one of these options was given."""
        for field in fields(self):
            if field.name in names and getattr(self, field.name) != field.default:
                raise InputError(f"--{field.metadata.get('flag', field.name)} {why}; leave it out")


def evaluate(options: EvaluateOptions) -> Evaluation:
    """Measures images, and writes the results: of several processes only process 0. Raises InputError for bad input."""
    _check(options)
    evaluation = _of_run(options) if options.workdir else _of_folders(options)
    from gen.processes import writes

    if not writes():
        return evaluation
    if not any(evaluation.results.values()):
        raise InputError("none of these metrics can be computed of these images; the lines above say why")
    from gen.evaluation import html
    from gen.publishing import cards

    try:
        html.write(options.folder, evaluation)
        if options.workdir and not options.out:
            html.refresh(Path(options.workdir))
            cards.renew(options.workdir)
        if options.save_statistics:
            next(iter(evaluation.comparisons.values())).reference.write_statistics(Path(options.save_statistics))
            cli.say(f"statistics of the reference: {options.save_statistics}")
    except OSError as error:
        place = error.filename2 or error.filename or options.folder
        raise InputError(f"{place}: cannot be written ({error.strerror or error})") from None
    return evaluation


def _check(options: EvaluateOptions) -> None:
    """Raises InputError for options that contradict each other, and for places that cannot be written."""
    if options.evaluations:
        raise InputError(f"unexpected argument '{options.evaluations[0]}'; only --compare takes two names")
    if bool(options.workdir) == bool(options.images):
        raise InputError("name a run, --workdir DIR, or two folders, --images A --reference B; not both")
    out = options.folder
    statistics = Path(options.save_statistics) if options.save_statistics else None
    if options.workdir:
        options.refuse(("reference", "size"), "is of two folders, --images and --reference")
    else:
        options.refuse((*_OF_RUNS, *_CONDITIONS), "is of runs, --workdir")
        if not options.reference:
            raise InputError("--reference is missing: a folder of real images, or an npz with mu and sigma")
    if statistics and statistics.suffix != ".npz":
        raise InputError(f"--save_statistics={statistics}: statistics are .npz files")
    if statistics and statistics.is_dir():
        raise InputError(f"--save_statistics={statistics} is a folder; name a file")
    if statistics and str(options.reference).endswith(".npz"):
        raise InputError("--save_statistics writes those of a folder, and --reference is statistics already")
    check_writable(out)
    if statistics:
        check_writable(statistics.parent, "--save_statistics")
    for name, folder in (("images", options.images), ("reference", options.reference)):
        if folder and out.resolve().is_relative_to(Path(folder).resolve()):
            raise InputError(f"--out={out} is inside --{name}={folder}, where figures would be taken for images")


def _of_folders(options: EvaluateOptions) -> Evaluation:
    from gen.evaluation.evaluate_folders import evaluate_folders
    from gen.evaluation.metric_suite import parse_groups

    groups, folders = parse_groups(options.metrics), (str(options.images), str(options.reference))
    return evaluate_folders(*folders, options.extractor, groups=groups, size=options.size, seed=options.seed)


def _of_run(options: EvaluateOptions) -> Evaluation:
    if options.seed + 2 * options.num_samples > 2**32:
        raise InputError(
            f"--seed={options.seed} and --num_samples={options.num_samples}: the largest seed is {2**32 - 1}"
        )
    if options.real_baseline and options.split == "held_out":
        raise InputError("--real_baseline would compare held-out images with themselves; leave --split=held_out out")
    from gen import devices
    from gen.config import digest
    from gen.evaluation.evaluate_run import EvaluationSettings, evaluate_run
    from gen.evaluation.metric_suite import parse_groups
    from gen.features import parse_extractor
    from gen.imaging.chain import chain
    from gen.runs import trained_run
    from gen.runs.run_data import load_data
    from gen.sampling.conditional import SETTINGS

    groups, refine = parse_groups(options.metrics), chain(options.refine) if options.refine else None
    run = trained_run.load(str(options.workdir), step=options.step, mesh=devices.mesh(-1, 1))
    if not (run.task.can_sample or run.task.can_reconstruct):
        raise InputError(f"{options.workdir}: this model neither samples nor reconstructs")
    if not run.task.can_sample:
        options.refuse(_CONDITIONS, "is of models that sample, and this one only reconstructs")
    others = [name for name, tasks in SETTINGS.items() if name in _CONDITIONS and not isinstance(run.task, tasks)]
    options.refuse(others, f"is no setting of {type(run.task).__name__}, which this run is")
    moved = {"path": options.data_path, "data_dir": options.data_dir}
    splits = load_data(run, moved={name: str(path) for name, path in moved.items() if path})
    conditions = {name: value for name in _CONDITIONS if (value := getattr(options, name)) is not None}
    names = ("num_samples", "num_references", "split", "seed", "real_baseline")
    same = {name: getattr(options, name) for name in names}
    settings = EvaluationSettings(groups=groups, conditions=conditions, refine=refine, **same)
    about = {"run": run.name, "config_digest": digest(run.config), "step": run.step}
    return evaluate_run(run, splits, parse_extractor(options.extractor, splits), settings, about=about | conditions)


def compare(options: EvaluateOptions) -> str:
    """Returns a table of two evaluations side by side. Raises InputError where they do not compare."""
    from gen.evaluation import results

    options.refuse([f.name for f in fields(options) if f.name not in ("compare", "evaluations")], "is of measuring")
    if len(options.evaluations) != 2:
        raise InputError(f"--compare takes two evaluations, runs or evaluation.json; given: {len(options.evaluations)}")
    return results.comparison_table(*(results.read(Path(name)) for name in options.evaluations))


def main(options: EvaluateOptions) -> None:
    """Measures or compares, and prints the results. Raises InputError for bad input."""
    if options.compare:
        return print(compare(options))
    began = time.monotonic()
    from gen.processes import together, writes

    with together(options):
        evaluation = evaluate(options)
        if writes():
            _show(options, evaluation, time.monotonic() - began)
    return None


def _show(options: EvaluateOptions, evaluation: Evaluation, seconds: float) -> None:
    """Prints the results."""
    from gen.evaluation import results

    for title, found in evaluation.results.items():
        print(f"\n{title}\n{results.table(found)}")
        if title in evaluation.verdicts:
            print(evaluation.verdicts[title])
    out = options.folder
    written = ", ".join(printable(out / name) for name in ("evaluation.json", "evaluation.html"))
    print(f"\nin {seconds:.0f} s: {written}")


if __name__ == "__main__":
    run_main(main, EvaluateOptions)
