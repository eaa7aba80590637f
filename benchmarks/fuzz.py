"""Damaged files through everything that reads them: one verdict everywhere, no exception, bounded memory and time.

    python benchmarks/fuzz.py                # 400 damaged files of each kind of image, 2,000 mutated run folders
    python benchmarks/fuzz.py --images 40 --runs 100
    python benchmarks/fuzz.py --smoke        # a few of each

Images go through the training cache, what loads images for models, what opens them for gen.refine, what gen.evaluate
reads, and what looks for the record of how an image was made. Prints, for each kind, how many of the damaged files are
still pictures, and the longest time that one file took. Exits with 1 where readers disagree or raise what they must
not. Run folders are changed as tests/mutations.py does it: none may be loaded as what it is not, run code, or write.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import logging
import os
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import tiny  # noqa: E402
from damage import KINDS, damaged, whole  # noqa: E402
from mutations import mutated  # noqa: E402

from gen import config as configs  # noqa: E402
from gen import provenance  # noqa: E402
from gen.data import folder  # noqa: E402
from gen.errors import InputError  # noqa: E402
from gen.evaluation.evaluate_folders import read_folder  # noqa: E402
from gen.image_io import Unreadable, open_image, open_picture  # noqa: E402
from gen.image_io.load import load_images  # noqa: E402
from gen.runs import trained_run  # noqa: E402
from gen.training.loop import train  # noqa: E402

SIDE = 16  # pixels, that all images are brought to
Verdicts = dict[str, bool]  # name of the file -> can it be read?


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=400, help="damaged files of each kind")
    parser.add_argument("--runs", type=int, default=2000, help="mutated run folders")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    images, runs = (3, 10) if given.smoke else (given.images, given.runs)
    sys.addaudithook(_audit)
    logging.disable(logging.WARNING)  # a line for each folder
    wrong = [*fuzz_images(images), *fuzz_runs(runs)]
    print("\n".join(wrong))
    print(f"{len(wrong)} wrong; peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20:.2f} GiB")
    sys.exit(bool(wrong))


def fuzz_images(count: int) -> Iterator[str]:
    """A line for each thing that is wrong with how `count` damaged files of each kind are read."""
    print(f"{'kind':<18} {'files':>6} {'readable':>9} {'slowest':>9}  (one file through all readers)")
    for number, kind in enumerate(KINDS):
        rng = np.random.default_rng(number)
        with tempfile.TemporaryDirectory() as scratch, _cache(scratch):
            root = pathlib.Path(scratch, "images")
            root.mkdir()
            stem, suffix = kind.split(".")
            (root / f"whole.{suffix}").write_bytes(whole(kind))
            (root / f"another.{suffix}").write_bytes(whole(kind))
            for i in range(count):
                (root / f"{stem}{i:04d}.{suffix}").write_bytes(damaged(rng, whole(kind)))
            wrong, readable, slowest = compare(root)
        print(f"{kind:<18} {count:>6} {readable - 2:>9} {slowest:>7.2f} s", flush=True)
        yield from (f"{kind}: {line}" for line in wrong)


def compare(root: pathlib.Path) -> tuple[list[str], int, float]:
    """What is wrong with how the files of a folder are read, how many can be, and the seconds of the slowest one."""
    files, wrong, slowest = sorted(root.iterdir()), list[str](), 0.0
    verdicts: dict[str, Verdicts] = {name: {} for name in SINGLE}
    for file in files:
        began = time.monotonic()
        for name, read in SINGLE.items():
            try:
                verdicts[name][file.name] = read(file)
            except Exception as error:
                wrong.append(f"{file.name}: {name} raises {type(error).__name__}: {error}")
        slowest = max(slowest, time.monotonic() - began)
    for name, read_all in WHOLE.items():
        try:
            verdicts[name] = read_all(root, files)
        except Exception as error:
            wrong.append(f"{name} raises {type(error).__name__}: {error}")
    first = verdicts["refine"]
    for name, found in verdicts.items():
        differ = [file for file, verdict in found.items() if verdict != first.get(file)]
        wrong += [f"{file}: {name} {'reads' if found[file] else 'refuses'} it, refine does not" for file in differ]
    return wrong, sum(first.values()), slowest


def _trained_on(root: pathlib.Path, files: list[pathlib.Path]) -> Verdicts:
    skipped = {entry["file"] for entry in folder(root, SIDE, small="enlarge").metadata["skipped"]}
    return {file.name: file.name not in skipped for file in files}


def _evaluated(root: pathlib.Path, files: list[pathlib.Path]) -> Verdicts:
    """By how many images there are, as the reader of whole folders names only the first that it leaves out."""
    count = len(read_folder(str(root), SIDE))
    large = [SINGLE["refine"](file) and min(open_image(file).size) >= SIDE for file in files]
    return {} if count == sum(large) else {root.name: False}


def _loaded(file: pathlib.Path) -> None:
    try:
        load_images([file], (SIDE, SIDE, 3))
    except InputError as error:
        if "or more, of this run's images" not in str(error):  # a small picture is no unreadable one
            raise


def fuzz_runs(count: int) -> Iterator[str]:
    """A line for each thing that is wrong with how `count` changed copies of a run folder are opened.

    A copy may be refused, by InputError, or be the run that it was: same config, classes and weights.
    """
    with tempfile.TemporaryDirectory() as scratch, _cache(scratch):
        original = pathlib.Path(scratch, "run")
        original.mkdir()
        with contextlib.redirect_stderr(io.StringIO()):
            train(tiny.config(total_images=16), original)
        true, rng, refused, loaded = trained_run.load(original), random.Random(0), 0, 0
        began = time.monotonic()
        for i in range(count):
            copy = pathlib.Path(scratch, f"copy{i}")
            shutil.copytree(original, copy)
            changed = change_run(copy, rng)
            with _watched() as seen:
                try:
                    found = trained_run.load(copy)
                    loaded += 1
                    if differs := _difference(found, true):
                        yield f"run {i}, {changed}: loaded with another {differs}"
                except InputError as error:
                    refused += 1
                    if "\n" in str(error) or len(str(error)) > 1000 or not str(error).isprintable():
                        yield f"run {i}, {changed}: not one line that can be printed: {error!r:.200}"
                except Exception as error:
                    yield f"run {i}, {changed}: {type(error).__name__}: {error!s:.200}"
            yield from (f"run {i}, {changed}: {event}" for event in seen)
            shutil.rmtree(copy)
        print(
            f"{count} changed run folders: {refused} refused, {loaded} as they were, {time.monotonic() - began:.0f} s"
        )


def change_run(folder: pathlib.Path, rng: random.Random) -> str:
    """Changes one file of a run folder, or the name of its checkpoint; returns which."""
    files = sorted(path for path in folder.rglob("*") if path.is_file() and "checkpoints" in path.parts)
    kind = rng.randrange(10)
    if kind == 9:
        step = next((folder / "checkpoints").iterdir())
        step.rename(step.with_name(rng.choice(("0", "1", "7", "007", "-1", "9" * 30, "x", "corrupt-2"))))
        return "checkpoint renamed"
    path = folder / "config.json" if kind < 4 else folder / "data.json" if kind < 7 else rng.choice(files)
    content = path.read_bytes()
    text = path.suffix == ".json" and path.parent == folder
    path.write_bytes(mutated(content, rng) if text else damaged(np.random.default_rng(rng.randrange(2**32)), content))
    return str(path.relative_to(folder))


def _difference(found: trained_run.TrainedRun, true: trained_run.TrainedRun) -> str:
    """What of a loaded run is not as it was; "" for nothing."""
    if configs.digest(found.config) != configs.digest(true.config):
        return "config"
    if found.class_names != true.class_names or found.step != true.step:
        return "step, or other classes"
    same = jax.tree.map(lambda a, b: np.array_equal(a, b), found.ema_params, true.ema_params)
    return "" if all(jax.tree.leaves(same)) else "weights"


_watching: list[list[str]] = []
_WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


def _audit(event: str, arguments: tuple[Any, ...]) -> None:
    """What a run folder must not bring about: programs, files written or removed."""
    if not _watching:
        return
    writes = event == "open" and isinstance(arguments[2], int) and arguments[2] & _WRITES
    if writes and str(arguments[0]) != os.devnull:
        _watching[-1].append(f"opens {arguments[0]} to write")
    elif event in ("os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "os.remove", "os.rename", "os.rmdir"):
        _watching[-1].append(f"{event} {arguments!s:.200}")


@contextlib.contextmanager
def _watched() -> Iterator[list[str]]:
    _watching.append([])
    yield _watching[-1]
    _watching.pop()


@contextlib.contextmanager
def _cache(folder: str) -> Iterator[None]:
    before = os.environ.get("GEN_CACHE")
    os.environ["GEN_CACHE"] = f"{folder}/cache"
    yield
    if before is None:
        del os.environ["GEN_CACHE"]
    else:
        os.environ["GEN_CACHE"] = before


def _allowed(*errors: type[Exception]) -> Callable[[Callable[[pathlib.Path], object]], Callable[[pathlib.Path], bool]]:
    """A reader as the question whether it can read a file: it may raise these errors only."""

    def decorate(read: Callable[[pathlib.Path], object]) -> Callable[[pathlib.Path], bool]:
        def verdict(file: pathlib.Path) -> bool:
            try:
                read(file)
            except errors:
                return False
            return True

        return verdict

    return decorate


SINGLE: dict[str, Callable[[pathlib.Path], bool]] = {
    "refine": _allowed(Unreadable)(open_picture),
    "load": _allowed(InputError)(_loaded),
    "record": _allowed(InputError)(provenance.read),
}
WHOLE: dict[str, Callable[[pathlib.Path, list[pathlib.Path]], Verdicts]] = {
    "training": _trained_on,
    "evaluate": _evaluated,
}


if __name__ == "__main__":
    main()
