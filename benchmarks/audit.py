"""How well gen.audit finds what is put into images, and how often it cries wolf: recall and false positives.

    python benchmarks/audit.py                               # photographs that come with scikit-image
    python benchmarks/audit.py --data DIR                    # also nuclei256.npz and emoji64_rgba.npz of DIR
    python benchmarks/audit.py --peers                       # beside cleanvision and imagededup, where installed
    python benchmarks/audit.py --labels fashion_mnist.npz    # swaps 5 % of the labels, and looks for them
    python benchmarks/audit.py --speed 2000                  # images/s of JPEGs of 128 pixels, on all cores
    python benchmarks/audit.py --quick 1500                  # what training's quick look adds to decoding
    python benchmarks/audit.py --scale 100000                # seconds and memory of a whole audit of so many files
    python benchmarks/audit.py --smoke

Of each set --count images with each fault, and as many clean ones as have any, are written as files and audited as one
folder: a fault is found when its kind is among the findings of its file; in brackets, the share of clean images with
such a finding. Copies are written beside their originals, of which no two show the same. None of these images was used
to set a threshold, see gen/audit_checks/checks.py.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import os
import pathlib
import resource
import sys
import tempfile
import time
from collections.abc import Callable

import numpy as np
from PIL import Image, ImageFilter

from gen.auditing import auditor
from gen.auditing.items import of_path, of_splits
from gen.auditing.learned import TRAINING, in_doubt
from gen.data import DatasetSplits, Examples, cache, folder
from gen.features.network_training import Training
from gen.npz import read_npz

PHOTOGRAPHS = (
    "astronaut.png",
    "chelsea.png",
    "coffee.png",
    "rocket.jpg",
    "hubble_deep_field.jpg",
    "ihc.png",
    "retina.jpg",
    "motorcycle_left.png",
)
TEXTURES = ("brick.png", "grass.png", "gravel.png")
Maker = Callable[[Image.Image, np.random.Generator], Image.Image]


def _levels(image: Image.Image) -> np.ndarray:
    return np.asarray(image).astype(np.float32)


def _image(levels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.clip(np.rint(levels), 0, 255).astype(np.uint8))


def _jpeg(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    with Image.open(io.BytesIO(buffer.getvalue())) as opened:
        return opened.convert("RGB")


def _blur(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    return image.filter(ImageFilter.GaussianBlur(float(rng.uniform(2, 4))))


def _noise(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    x = _levels(image)
    if rng.random() < 0.3:
        wrong = rng.random(x.shape[:2])[..., None]
        return _image(np.where(wrong < 0.03, 0, np.where(wrong > 0.97, 255, x)))
    return _image(x + rng.normal(0, rng.uniform(15, 30), x.shape))


def _letterbox(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    band = int(rng.uniform(0.06, 0.2) * image.width)
    sides = ((band, band), (0, 0), (0, 0)) if rng.random() < 0.5 else ((0, 0), (band, band), (0, 0))
    return _image(np.pad(_levels(image), sides, constant_values=float(rng.choice([0, 255, 90]))))


def _enlarged(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    ways = (Image.Resampling.BICUBIC, Image.Resampling.BILINEAR, Image.Resampling.LANCZOS, Image.Resampling.NEAREST)
    small = [max(8, int(side / rng.uniform(1.8, 3))) for side in image.size]
    return image.resize((small[0], small[1]), Image.Resampling.LANCZOS).resize(image.size, ways[rng.integers(4)])


def _empty(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    level = rng.uniform(10, 245, 3)
    return _image(level + rng.normal(0, rng.uniform(0, 2), _levels(image).shape))


FAULTS: dict[str, Maker] = {
    "blur": _blur,
    "noise": _noise,
    "blocking": lambda image, rng: _jpeg(image, int(rng.integers(5, 22))),
    "dark": lambda image, rng: _image(_levels(image) * rng.uniform(0.1, 0.33)),
    "light": lambda image, rng: _image(255 - (255 - _levels(image)) * rng.uniform(0.15, 0.4)),
    "gray": lambda image, rng: image.convert("L").convert("RGB"),
    "low_information": _empty,
    "border": _letterbox,
    "upscaled": _enlarged,
    "low_contrast": lambda image, rng: _image(_levels(image) * rng.uniform(0.04, 0.09) + rng.uniform(60, 150)),
}


def _cropped(image: Image.Image, rng: np.random.Generator) -> Image.Image:
    width, height = (int(0.91 * side) for side in image.size)
    left, top = rng.integers(0, image.width - width + 1), rng.integers(0, image.height - height + 1)
    return image.crop((left, top, left + width, top + height))


COPIES: dict[str, Maker] = {
    "exact": lambda image, rng: image,
    "JPEG": lambda image, rng: _jpeg(image, int(rng.integers(20, 60))),
    "resized": lambda image, rng: image.resize(tuple(int(s * rng.choice([0.5, 0.7, 1.5])) for s in image.size)),
    "mirrored": lambda image, rng: image.transpose(Image.Transpose.FLIP_LEFT_RIGHT),
    "rotated": lambda image, rng: image.rotate(int(rng.choice([90, 180, 270])), expand=True),
    "cropped by 9 %": _cropped,
    "recolored": lambda image, rng: _image(_levels(image) * rng.uniform(0.8, 1.2, 3) + rng.uniform(-15, 15, 3)),
}


def photographs(names: tuple[str, ...] = PHOTOGRAPHS) -> list[Image.Image]:
    import skimage.data  # a path to it says where its images are

    found = [pathlib.Path(skimage.data.__file__).parent / name for name in names]
    return [Image.open(file).convert("RGB") for file in found if file.is_file()]


def parts(images: list[Image.Image], count: int, rng: np.random.Generator) -> list[Image.Image]:
    """Cuts squares of 96 to 224 pixels at random places, at random scales."""
    found = list[Image.Image]()
    while len(found) < count:
        image = images[rng.integers(len(images))]
        side = min(int(rng.integers(96, 225)), *image.size)
        whole = int(side * rng.uniform(1, max(1.0, min(2.5, min(image.size) / side))))
        left, top = (int(rng.integers(0, length - whole + 1)) for length in image.size)
        part = image.crop((left, top, left + whole, top + whole)).resize((side, side), Image.Resampling.LANCZOS)
        if np.asarray(part).std() > 12:
            found.append(part)
    return found


def tiles(images: list[Image.Image], rng: np.random.Generator) -> list[Image.Image]:
    """Cuts squares of 96 to 160 pixels, no two of which overlap."""
    found = list[Image.Image]()
    for image in images:
        side = min(int(rng.integers(96, 161)), *image.size)
        found += [
            image.crop((x, y, x + side, y + side))
            for y in range(0, image.height - side + 1, side)
            for x in range(0, image.width - side + 1, side)
        ]
    return [found[i] for i in rng.permutation(len(found)) if np.asarray(found[i]).std() > 12]


def write_faults(images: list[Image.Image], folder: pathlib.Path, rng: np.random.Generator) -> None:
    """Writes images as PNG, every other one clean, the others with an equal share of each fault."""
    for number, image in enumerate(images):
        name = list(FAULTS)[number // 2 % len(FAULTS)] if number % 2 else "clean"
        save(FAULTS[name](image, rng) if number % 2 else image, folder / f"{name}-{number:05}.png")


def write_copies(images: list[Image.Image], folder: pathlib.Path, rng: np.random.Generator) -> None:
    """Writes each image, and beside it four copies, of four kinds in turn."""
    for number, image in enumerate(images):
        save(image, folder / f"{number:05}.png")
        for name in [list(COPIES)[(4 * number + i) % len(COPIES)] for i in range(4)]:
            save(COPIES[name](image, rng), folder / f"{number:05}-{name.replace(' ', '_')}.png")


def save(image: Image.Image, file: pathlib.Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    image.save(file, compress_level=1)


Found = dict[str, set[str]]  # kinds of each file


def by_gen(folder: pathlib.Path) -> tuple[Found, set[tuple[str, str]]]:
    result = auditor.audit(of_path(folder, labeled=False), fast=True).audit
    found: Found = {}
    for finding in result.findings:
        found.setdefault(finding.file, set()).add(finding.kind)
    copied = ("duplicate", "near_duplicate", "leakage")
    return found, {tuple(sorted((f.file, f.other))) for f in result.findings if f.kind in copied}  # type: ignore[misc]


_CLEANVISION = {
    "blur": "is_blurry_issue",
    "dark": "is_dark_issue",
    "light": "is_light_issue",
    "gray": "is_grayscale_issue",
    "low_information": "is_low_information_issue",
}


def by_cleanvision(folder: pathlib.Path) -> tuple[Found, set[tuple[str, str]]]:
    from cleanvision import Imagelab

    lab = Imagelab(data_path=str(folder))
    lab.find_issues(n_jobs=1, verbose=False)
    found: Found = {}
    for file, row in lab.issues.iterrows():
        found[pathlib.Path(str(file)).name] = {
            kind for kind, name in _CLEANVISION.items() if bool(row.get(name, False))
        }
    pairs = set[tuple[str, str]]()
    for kind in ("exact_duplicates", "near_duplicates"):
        for group in lab.info.get(kind, {}).get("sets", ()):
            names = sorted(pathlib.Path(str(file)).name for file in group)
            pairs |= {(a, b) for i, a in enumerate(names) for b in names[i + 1 :]}
    return found, pairs


def by_imagededup(folder: pathlib.Path) -> tuple[Found, set[tuple[str, str]]]:
    from imagededup.methods import PHash

    found = PHash(verbose=False).find_duplicates(image_dir=str(folder), num_enc_workers=0, num_dist_workers=0)
    return {}, {tuple(sorted((a, b))) for a, others in found.items() for b in others}  # type: ignore[misc]


PEERS = {"cleanvision": by_cleanvision, "imagededup": by_imagededup}


def compare(
    title: str,
    images: list[Image.Image],
    different: list[Image.Image],
    tools: dict[str, Callable],
    rng: np.random.Generator,
) -> None:
    """Prints the rows of one kind of images. different: those of which copies are made, none a part of another."""
    with tempfile.TemporaryDirectory() as place:
        faults, copies = pathlib.Path(place, "faults"), pathlib.Path(place, "copies")
        write_faults(images, faults, rng)
        write_copies(different, copies, rng)
        of_faults, of_copies = {}, {}
        for tool, run in tools.items():
            began = time.monotonic()
            of_faults[tool] = run(faults)[0]
            of_copies[tool] = run(copies)[1]
            print(f"{title}, {tool}: {time.monotonic() - began:.1f} s", file=sys.stderr)
        names = sorted(file.name for file in faults.iterdir())
        clean = [name for name in names if name.startswith("clean")]
        for kind in FAULTS:
            there = [name for name in names if name.rpartition("-")[0] == kind]
            found = [
                f and f"{part_with(f, kind, there):.2f} ({part_with(f, kind, clean):.1%})" for f in of_faults.values()
            ]
            row(title, kind, len(there), [cell or "" for cell in found])
        for kind in COPIES:
            suffix = f"-{kind.replace(' ', '_')}.png"
            there = [file.name for file in copies.iterdir() if file.name.endswith(suffix)]
            asked = [(name, name.removesuffix(suffix) + ".png") for name in there]
            hits = [np.mean([joined(a, b, pairs) for a, b in asked]) for pairs in of_copies.values()]
            row(title, kind, len(there), [f"{hit:.2f}" for hit in hits])
        others = [[pair for pair in pairs if pair[0][:5] != pair[1][:5]] for pairs in of_copies.values()]
        wrong = [len({name[:5] for pair in pairs for name in pair}) / len(different) for pairs in others]
        row(title, "paired with another image", len(different), [f"{each:.2%}" for each in wrong])


def joined(first: str, second: str, pairs: set[tuple[str, str]]) -> bool:
    """Returns whether two files are paired, or each with one and the same third."""
    beside = [{a if name == b else b for a, b in pairs if name in (a, b)} | {name} for name in (first, second)]
    return first in beside[1] or bool(beside[0] & beside[1])


def part_with(found: Found, kind: str, names: list[str]) -> float:
    return float(np.mean([kind in found.get(name, ()) for name in names]))


def row(title: str, kind: str, count: int, cells: list[str]) -> None:
    print(f"| {title}: {kind} | {count:,} | " + " | ".join(cells) + " |", flush=True)


def labels(file: pathlib.Path, training: Training | None = None) -> None:
    """Swaps 5 % of the labels of x_train, and prints how they are found."""
    arrays = read_npz(file, ("x_train", "y_train"))
    images = arrays["x_train"] if arrays["x_train"].ndim == 4 else arrays["x_train"][..., None]
    given, classes = arrays["y_train"].ravel().astype(np.int32), int(arrays["y_train"].max()) + 1
    rng = np.random.default_rng(0)
    swapped = rng.permutation(len(given))[: len(given) // 20]
    given[swapped] = (given[swapped] + rng.integers(1, classes, len(swapped))) % classes
    names = tuple(map(str, range(classes)))
    splits = DatasetSplits(file.stem, Examples(images, given), Examples(images[:1], given[:1]), names)
    collection = of_splits(splits, name=file.stem)
    began = time.monotonic()
    table = auditor.look(collection)
    looked = time.monotonic() - began
    kept = np.arange(len(images))
    found = in_doubt(collection, table, kept, training or TRAINING)
    scores = np.zeros(len(images))
    for finding in found:
        scores[int(finding.file.partition("/")[2])] = finding.score
    wrong = np.zeros(len(images), bool)
    wrong[swapped] = True
    order = np.argsort(-scores, kind="stable")
    hits = np.cumsum(wrong[order])
    least = int(np.searchsorted(hits, 0.6 * len(swapped))) + 1  # findings, the clearest first, that hold 60 % of them
    reached = least <= len(found)
    at = f"{hits[least - 1] / least:.2f}" if reached else "not reached"
    share, recall = wrong[scores > 0].mean() if found else 0.0, (scores[swapped] > 0).mean()
    print(f"{file.stem}: {len(found):,} labels in doubt, {share:.2f} of them swapped, {recall:.2f} of all swapped")
    print(f"precision at recall 0.6: {at}")
    print(f"looked at {len(images) / looked:.0f} images/s; labels took {time.monotonic() - began - looked:.0f} s")


def speed(count: int) -> None:
    """Prints images/s of a fast audit of JPEGs of 128 pixels."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        for number, image in enumerate(parts(photographs(), count, rng)):
            small = image.resize((128, 128), Image.Resampling.LANCZOS)
            small.save(pathlib.Path(place, f"{number:06}.jpg"), quality=92)
        began = time.monotonic()
        table = auditor.look(of_path(place, labeled=False))
        print(f"{count / (time.monotonic() - began):.0f} images/s looked at, {len(table.errors)} unreadable")
        began = time.monotonic()
        auditor.audit(of_path(place, labeled=False), fast=True)
        print(f"{time.monotonic() - began:.1f} s for all else of a fast audit of {count:,}")


class _Blind:
    """A quick look that looks at nothing."""

    def add(self, images: np.ndarray, split: str) -> None:
        pass

    def result(self) -> None:
        return None


def quick(count: int) -> None:
    """Prints the share of CPU time that the quick look adds to decoding JPEGs of 256 pixels, the median of five."""
    rng, looking, found = np.random.default_rng(0), cache.QuickAudit, list[float]()
    with tempfile.TemporaryDirectory() as place, tempfile.TemporaryDirectory() as home:
        for number, image in enumerate(parts(photographs(), count, rng)):
            image.resize((256, 256)).save(pathlib.Path(place, f"{number:06}.jpg"), quality=90)
        for turn in range(12):
            os.environ["GEN_CACHE"] = f"{home}/{turn}"
            cache.QuickAudit = (_Blind, looking)[turn % 2]  # type: ignore[misc]
            began = time.process_time()
            folder(place, 64, labeled=False)
            found.append(time.process_time() - began)
    shares = [with_it / without - 1 for without, with_it in zip(found[2::2], found[3::2], strict=True)]
    print(f"the quick look adds {np.median(shares):.1%} to decoding {count:,} images")


def scale(count: int) -> None:
    """Prints seconds and memory of a whole audit of so many JPEGs, which are drawn, a hundredth of them twice."""
    rng = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as place:
        for number in range(count):
            levels = rng.integers(0, 256, (6, 6, 3), np.uint8)
            drawn = Image.fromarray(levels).resize((64, 64), Image.Resampling.BICUBIC)
            for copy in range(2 if number % 100 == 0 else 1):
                folder = pathlib.Path(place, f"{number // 1000:03}")
                folder.mkdir(exist_ok=True)
                drawn.save(folder / f"{number:06}-{copy}.jpg", quality=90 - 20 * copy)
        began = time.monotonic()
        result = auditor.audit(of_path(place, labeled=False), fast=True).audit
        seconds = time.monotonic() - began
    found = sum(finding.kind == "near_duplicate" for finding in result.findings)
    own, largest = (
        resource.getrusage(who).ru_maxrss / 2**20 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(
        f"{len(result.entries):,} images: {found:,} of {-(-count // 100):,} copies in {seconds:.0f} s; "
        f"at most {own:.2f} GiB, and {largest:.2f} GiB in each of {os.cpu_count()} processes"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=pathlib.Path, help="folder of nuclei256.npz and emoji64_rgba.npz")
    parser.add_argument("--count", type=int, default=100, help="images of each fault")
    parser.add_argument("--only", nargs="+", help="of photographs, textures, nuclei, emoji")
    parser.add_argument("--peers", action="store_true")
    parser.add_argument("--labels", type=pathlib.Path, metavar="FILE.npz")
    parser.add_argument("--speed", type=int, metavar="N")
    parser.add_argument("--quick", type=int, metavar="N")
    parser.add_argument("--scale", type=int, metavar="N")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    for value, measure in ((given.labels, labels), (given.speed, speed), (given.quick, quick), (given.scale, scale)):
        if value:
            measure(value)
            return
    rng = np.random.default_rng(given.seed)
    tools: dict[str, Callable] = {"gen": by_gen}
    if given.peers:
        tools |= {name: run for name, run in PEERS.items() if importlib.util.find_spec(name)}
    print("| what was put in | images | " + " | ".join(f"{tool}: found (false)" for tool in tools) + " |")
    print("|" + " --- |" * (len(tools) + 2))
    sets: dict[str, Callable[[], list[Image.Image]]]
    sets = {"photographs": photographs, "textures": lambda: photographs(TEXTURES)}
    if given.data:
        sets |= {"nuclei": lambda: nuclei(given.data), "emoji": lambda: emoji(given.data)}
    if given.smoke:
        waves = np.random.default_rng(0).normal(size=(44, 16, 16, 3))
        drawn = [Image.fromarray((128 + 60 * x).clip(0, 255).astype(np.uint8)).resize((96, 96)) for x in waves]
        compare("drawn", drawn, drawn, tools, rng)
        scale(100)
        with tempfile.TemporaryDirectory() as place:
            file = pathlib.Path(place, "drawn.npz")
            shades = np.repeat([[[[40]]], [[[200]]]], 60, 0) + rng.integers(0, 20, (120, 32, 32, 1))
            np.savez(file, x_train=shades.astype(np.uint8), y_train=np.repeat([0, 1], 60))
            labels(file, Training(1, 2, 8))
        return
    for name, read in sets.items():
        if given.only and name not in given.only:
            continue
        images, wanted = read(), 2 * given.count * len(FAULTS)
        if images[0].width < 96:  # whole
            images = [images[i] for i in rng.permutation(len(images))]
            compare(name, (images * (1 + wanted // len(images)))[:wanted], images[: 2 * given.count], tools, rng)
        else:
            compare(name, parts(images, wanted, rng), tiles(images, rng)[: 2 * given.count], tools, rng)


def nuclei(data: pathlib.Path) -> list[Image.Image]:
    return [Image.fromarray(x) for x in read_npz(data / "nuclei256.npz", ("x",))["x"]]


def emoji(data: pathlib.Path) -> list[Image.Image]:
    arrays = read_npz(data / "emoji64_rgba.npz", ("x", "skin_tone_variant"))
    found = arrays["x"][~arrays["skin_tone_variant"]].astype(np.float32)
    return [_image(x) for x in found[..., :3] * found[..., 3:] / 255 + 255 - found[..., 3:]]


if __name__ == "__main__":
    main()
