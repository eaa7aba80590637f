"""What the watermark survives, how often it is seen where it is not, and what it does to pictures.

    python benchmarks/watermark.py --files nuclei256.npz cifar10.npz --peers ENVIRONMENT/bin/python
    python benchmarks/watermark.py small quality --out DIR    # these sections, and pictures to look at
    python benchmarks/watermark.py --smoke                    # a few of each, no claim
    python benchmarks/watermark.py --json FILE                # also writes the numbers

Photographs are those in the packages scikit-image and scikit-learn, where installed, cut and reduced; --files are .npz
files with more images (arrays `x` or `x_test`, uint8 [n h w c]); the others are shapes drawn by gen.

table: 256 pixels, 42 dB (then the default strength, which is weaker in plain images): the share of the 24 bits of the
tag that are read right, whether or not the mark is found, and of the images in which it is found (p < 1e-6), after each
change; those with a crop by the full search. --peers: a Python with invisible-watermark: its three methods on the same
images; rivaGan, which is slow, on every tenth.
small: the same at 128 pixels, 40 dB, and 64 pixels, 38 dB; and at 32, by default, in how many of 100 batches of 64
images the mark is found.
calibration: how often an unmarked image gives p < a, over many keys.
quality: PSNR and MS-SSIM of marked images, and how far the set moves: FD of pixels to other images, before and after.
--out DIR: pictures before and after the mark and their difference, enlarged.

Bars: after none, JPEG 50, WebP 60, resize 0.5, noise, brightness and screenshot 0.99 of the bits and all images, after
crops 0.9; nowhere worse than a peer; at 64 pixels after JPEG 80 0.99 of the bits; 99 of 100 batches; P(p < a) <= a.
Exit code 1 where one is missed.
"""

from __future__ import annotations

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
from peers.changes import CHANGES, changed
from peers.pictures import pictures, plain, sheet

from gen import devices, watermark
from gen.features import parse_extractor
from gen.metrics import diversity, moments
from gen.watermark import aligned, code, detection
from gen.watermark.detection import KNOWN
from gen.watermark.key import BLOCKS

OWNER, TAG = watermark.key(b"the secret of the benchmark"), 0xA5C3F1
BARS = dict.fromkeys(("none", "JPEG 50", "WebP 60", "resize 0.5", "noise, sigma 12"), (0.99, 1.0))
BARS |= dict.fromkeys(("brightness 1.3", "screenshot"), (0.99, 1.0))
BARS |= dict.fromkeys(("crop 0.75", "crop 0.75, JPEG 80"), (0.9, 0.9))
SMOKE, SMALL_CHANGES = ("JPEG 50",), ("none", "JPEG 80", "JPEG 50", "resize 0.5")
PEERS = {"dwtDct": 1, "dwtDctSvd": 1, "rivaGan": 10}  # every so many images one
BATCHES, BATCH = 100, 64
LEVELS = (0.1, 0.01, 1e-3, 1e-4)
Row = dict[str, Any]


class Given(NamedTuple):
    """What the command line asks for."""

    smoke: bool
    files: list[pathlib.Path]
    peers: pathlib.Path | None
    out: pathlib.Path | None


def table(given: Given) -> Iterator[Row]:
    """Measures the mark at 256 pixels, beside the peers."""
    images = np.concatenate(list(pictures(5 if given.smoke else 240, 256, given.files).values()))
    peers = {name: _peer(given.peers, name, images[::every]) for name, every in PEERS.items() if given.peers}
    for name, peer in peers.items():
        yield {"peer": name, "images": peer["images"], "psnr": round(peer["psnr"], 2)}
    for strength, psnr in (("42 dB", 42.0), ("default", None)):
        marked = watermark.embed(images, OWNER, tag=TAG, psnr=psnr)
        yield {"strength": strength, "images": len(images), **_psnr(images, marked)}
        for change in SMOKE if given.smoke else CHANGES:
            if "crop" in change and not psnr:
                continue
            row = {"strength": strength, "change": change} | _read(changed(marked, change), full="crop" in change)
            beside = peers if psnr else {}
            bars = [BARS.get(change, (0.0, 0.0)), *(peer[change] for peer in beside.values())] if psnr else []
            for name, peer in beside.items():
                row |= {f"{name} bits": round(peer[change][0], 4), f"{name} found": round(peer[change][1], 4)}
            yield row | {"missed": [bar for bar in bars if row["bits"] < bar[0] or row["found"] < bar[1]]}


def _psnr(images: np.ndarray, marked: np.ndarray) -> Row:
    error = np.mean((marked.astype(float) - images) ** 2, axis=(1, 2, 3))
    each = -10 * np.log10(error / 255**2)
    return {"psnr": round(float(each.mean()), 2), "least psnr": round(float(each.min()), 2)}


def _read(images: list[np.ndarray], *, full: bool = False, bits: int = code.TAG_BITS) -> Row:
    """The shares of the first bits of the tag that are read right and of images found, among marked images."""
    detection.THRESHOLD = detection.KNOWN = 2.0  # what is likeliest is read, also where nothing is found
    found = watermark.detect(images, OWNER, search="full" if full else "aligned")
    detection.THRESHOLD, detection.KNOWN = watermark.THRESHOLD, KNOWN
    p = np.array([each.p_value for each in found])
    return {
        "bits": round(float(np.mean([_right(each, bits) for each in found])), 4),
        "found": round(float(np.mean(p < watermark.THRESHOLD)), 4),
        "log10 p, median": round(float(np.median(np.log10(p))), 1),
        "log10 p, worst": round(float(np.log10(p.max())), 1),
    }


def _right(found: watermark.Detection, bits: int) -> float:
    """The share of the first bits of the tag that are right; of those that are not known, half."""
    known = min(bits, found.tag_bits)
    wrong = ((found.tag or 0) ^ TAG) >> code.TAG_BITS - known
    return 1 - (wrong.bit_count() + (bits - known) / 2) / bits


def _peer(python: pathlib.Path | None, method: str, images: np.ndarray) -> dict[str, Any]:
    """What a method of invisible-watermark does on these images, by a process in its own environment."""
    script = pathlib.Path(__file__).parent / "peers" / "invisible_watermark.py"
    with tempfile.TemporaryDirectory() as folder:
        np.save(f"{folder}/images.npy", images)
        command = [str(python), str(script), method, f"{folder}/images.npy"]
        return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def small(given: Given) -> Iterator[Row]:
    """Measures the mark in images of 128 and 64 pixels, and in batches of such of 32."""
    for side, psnr in ((128, 40.0), (64, 38.0)):
        images = np.concatenate(list(pictures(5 if given.smoke else 240, side, given.files).values()))
        marked = watermark.embed(images, OWNER, tag=TAG, psnr=psnr)
        for change in SMALL_CHANGES[: 2 if given.smoke else None]:
            row = {"side": side, "change": change, **_psnr(images, marked)}
            row |= _read(changed(marked, change), bits=sum(BLOCKS[side]))
            yield row | {"missed": ["bar"] if (side, change) == (64, "JPEG 80") and row["bits"] < 0.99 else []}
    batches = 2 if given.smoke else BATCHES
    for kind, images in pictures(batches * BATCH, 32, given.files, each=True).items():
        marked = watermark.embed(images, OWNER, tag=TAG)
        for change in ("none", "JPEG 80"):
            made = np.stack(changed(marked, change))
            p = np.array([watermark.pool(made[i::batches][:BATCH], OWNER).p_value for i in range(batches)])
            found = int(np.sum(p < watermark.THRESHOLD))
            yield {
                "side": 32,
                "batch": BATCH,
                "images": kind,
                "change": change,
                **_psnr(images, marked),
                "batches": batches,
                "found": found,
                "log10 p, median": round(float(np.median(np.log10(p))), 1),
                "log10 p, worst": round(float(np.log10(p.max())), 1),
                "missed": ["bar"] if change == "none" and found < 0.99 * batches else [],
            }


def calibration(given: Given) -> Iterator[Row]:
    """Counts small p-values of unmarked images; a fifth of them bear the mark of another key."""
    for side, number, keys in ((32, 500, 80), (64, 300, 100), (128, 150, 120), (256, 100, 120)):
        if given.smoke and side > 32:
            break
        number, keys = (5, 4) if given.smoke else (number, keys)
        images = _unmarked(number, side, given.files)
        parts = list(aligned.measured(list(images)))
        spectra = {size: np.concatenate([part[size].spectra for part in parts]) for size in parts[0]}
        p = [c.p_value() for k in range(keys) for c in aligned.best_of(spectra, _some_key(k))]
        yield {"search": "aligned", "side": side} | _levels(np.array(p))
    for side, number, keys in ((64, 50, 24), (128, 40, 20)):
        if given.smoke and side > 64:
            break
        number, keys = (1, 2) if given.smoke else (number, keys)
        images = _unmarked(number, side, given.files)
        p = [found.p_value for k in range(keys) for found in watermark.detect(images, _some_key(k), search="full")]
        yield {"search": "full", "side": side} | _levels(np.array(p))


def _some_key(number: int) -> watermark.Key:
    return watermark.key(b"a key of somebody else, number %d" % number)


def _unmarked(number: int, side: int, files: list[pathlib.Path]) -> np.ndarray:
    images = np.concatenate(list(pictures(number, side, files).values()))
    images[::5] = watermark.embed(images[::5], OWNER, tag=TAG)
    return images


def _levels(p: np.ndarray) -> Row:
    shares = {a: float(np.mean(p < a)) for a in LEVELS}
    return {
        "pairs": len(p),
        **{f"P(p < {a:g})": share for a, share in shares.items()},
        "least p": float(p.min()),
        "missed": ["bar"] if any(share > a for a, share in shares.items()) else [],
    }


def quality(given: Given) -> Iterator[Row]:
    """Compares marked with unmarked images, and writes pictures of both."""
    extractor = parse_extractor("pixels", None)
    for side, count in ((32, 4000), (64, 2000), (128, 600), (256, 240)):
        if given.smoke and side > 32:
            break
        count = 40 if given.smoke else count
        images = np.concatenate(list(pictures(count, side, given.files).values()))
        images = images[np.random.default_rng(0).permutation(count)]
        marked = watermark.embed(images, OWNER, tag=TAG)
        first, second = images[::2], images[1::2]
        features = [extractor.features(x) for x in (first, marked[::2], second)]
        before, after = (moments.frechet_distance(x, features[2], replicates=1).value for x in features[:2])
        similar = diversity.ms_ssim(images[:200], marked[:200])
        yield {
            "side": side,
            "images": count,
            **_psnr(images, marked),
            "MS-SSIM": round(float(similar.mean()), 4),
            "least": round(float(similar.min()), 4),
            "FD-pixels of two halves": round(float(before), 4),
            "one of them marked": round(float(after), 4),
        }
    if given.out:
        given.out.mkdir(parents=True, exist_ok=True)
        for side in (32, 64, 128, 256, 1024):
            images = plain(side)
            marked = watermark.embed(images, OWNER, tag=TAG)
            sheet(images, marked).save(path := given.out / f"watermark_{side}.png")
            yield {"picture": str(path), **_psnr(images, marked)}


SECTIONS: dict[str, Callable[[Given], Iterator[Row]]] = {
    "table": table,
    "small": small,
    "calibration": calibration,
    "quality": quality,
}


def main() -> int:
    """Prints what each section found; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sections", nargs="*", help=", ".join(SECTIONS))
    parser.add_argument("--files", type=pathlib.Path, nargs="+", default=[], metavar="FILE", help="more images, .npz")
    parser.add_argument("--peers", type=pathlib.Path, metavar="PYTHON", help="one that has invisible-watermark")
    parser.add_argument("--out", type=pathlib.Path, metavar="DIR", help="where pictures to look at are written")
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    options = parser.parse_args()
    if unknown := set(options.sections) - set(SECTIONS):
        parser.error(f"no section {', '.join(unknown)}; allowed: {', '.join(SECTIONS)}")
    devices.tune_allocator()
    given = Given(options.smoke, options.files, options.peers, options.out)
    found: dict[str, list[Row]] = {}
    for name in options.sections or SECTIONS:
        print(f"-- {name}", flush=True)
        found[name] = []
        for row in SECTIONS[name](given):
            found[name].append(row)
            print("; ".join(f"{key} {value}" for key, value in row.items()), flush=True)
            if options.json:
                options.json.write_text(json.dumps(found, indent=1))
    return int(not given.smoke and any(row.get("missed") for rows in found.values() for row in rows))


if __name__ == "__main__":
    sys.exit(main())
