"""How fast are the operators of gen.imaging? Beside OpenCV, scikit-image and kornia, in turns, in one process.

    python benchmarks/imaging.py                               # every operator that one of them has too
    python benchmarks/imaging.py --only gaussian median --rounds 15
    python benchmarks/imaging.py --check                       # exit code 1 if a bar is missed
    python benchmarks/imaging.py --smoke                       # small, one round, no library but gen needed, no claim

The images are crops of scikit-image's photographs plus noise of 0.002, so that values are not those of 8 bits; shapes
of gen.data where it is not installed. gen gets the batch as a jax array and is compiled before; OpenCV and scikit-image
get one image after the other, in the layout and type that suits them best; kornia gets the batch, in inference mode.
All may use the same cores. In each round every library has a turn, of at least 50 ms: ms are medians over the rounds
for one image, with half their range in per cent, and a ratio is the median of the ratios within a round. What would
take seconds is given a part of the batch, and fewer rounds. On a GPU only kornia is a peer, on the same GPU.

Where a library means the same, "largest difference" says how far its result is from gen's: in units of the result
(their mean for histogram matching and non-local means), or for labels and masks as the share of pixels that are
divided otherwise; without the border where it is treated differently.

Bars, marked by "!" where missed: faster than kornia and scikit-image; at most 3.5 times as slow as OpenCV, but for
connected components; SLIC faster than OpenCV's; compiled in at most 10 s.
"""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import importlib.util
import json
import math
import os
import pathlib
import statistics
import sys
import time
from collections.abc import Callable
from typing import Any

import jax
from peers import images
from peers import imaging as peers
from peers.images import Arrays
from peers.imaging import BETA, CLAHE_CLIP, CLUSTERS, COMPACTNESS, NOISE, SEGMENTS, Call, Library

from gen import devices

TURN_SECONDS = 0.05  # a turn is at least this long
PART_SECONDS = 0.6  # a library that needs longer for the batch gets as many images as fit; not gen
ROW_SECONDS = 3.0  # after three rounds no new one begins when a row has taken this long
OPENCV_FACTOR, COMPILE_SECONDS = 3.5, 10.0
NO_OPENCV_BAR, FASTER_THAN_OPENCV = ("connected_components",), ("slic",)


@dataclasses.dataclass(frozen=True)
class Row:
    """An operator of gen: its call on `Arrays`, and how many pixels at the border the libraries treat differently."""

    name: str
    title: str
    call: Callable[[Any], Any]
    margin: int = 0


def rows() -> list[Row]:
    """What is measured; the first ten are those of the claim in the documentation."""
    from gen.imaging import color, filters
    from gen.imaging.segment.components import connected_components
    from gen.imaging.segment.contours import chan_vese, distance_transform
    from gen.imaging.segment.kmeans import kmeans
    from gen.imaging.segment.random_walker import random_walker
    from gen.imaging.segment.superpixels import slic
    from gen.imaging.segment.threshold import threshold_otsu
    from gen.imaging.segment.watershed import watershed

    def resized(method: str, factor: float) -> Callable[[Arrays], Any]:
        def call(a: Arrays) -> Any:
            return filters.resize(a.x, *(round(n * factor) for n in a.x.shape[1:3]), method=method)

        return call

    return [
        Row("gaussian", "gaussian, sigma 2", lambda a: filters.gaussian(a.x, 2.0)),
        Row("median", "median 5x5", lambda a: filters.median(a.x, 5), margin=2),
        Row("bilateral", "bilateral, d 9", lambda a: filters.bilateral(a.x, 9, sigma_color=0.1, sigma_space=3.0)),
        Row("unsharp_mask", "unsharp mask, sigma 2", lambda a: filters.unsharp_mask(a.x, 2.0, 1.0), margin=8),
        Row("clahe", "CLAHE 8x8, gray", lambda a: color.clahe(a.gray, CLAHE_CLIP)),
        Row("rgb_to_lab", "RGB to Lab", lambda a: color.rgb_to_lab(a.x)),
        Row("match_histogram", "histogram matching", lambda a: color.match_histogram(a.x, a.reference)),
        Row("slic", "SLIC, 200 segments", lambda a: slic(a.x, SEGMENTS, compactness=COMPACTNESS)),
        Row("guided", "guided, r 8, color", lambda a: filters.guided(a.x, 8, eps=1e-3), margin=16),
        Row("connected_components", "connected components", lambda a: connected_components(a.mask).labels),
        Row("box", "box 9x9", lambda a: filters.box(a.x, 4)),
        Row("denoise_nl_means", "non-local means 5, 13", lambda a: filters.denoise_nl_means(a.x, NOISE)),
        Row("total_variation", "total variation, 50", lambda a: filters.total_variation(a.x, 0.1)),
        Row("richardson_lucy", "Richardson-Lucy, 10", lambda a: filters.richardson_lucy(a.x, 1.5), margin=80),
        Row("sobel", "Sobel magnitude", lambda a: filters.sobel(a.x), margin=1),
        Row("laplace", "Laplacian", lambda a: filters.laplace(a.x), margin=1),
        Row("canny", "Canny, gray", lambda a: filters.canny(a.gray, 1.0, 0.1, 0.2), margin=1),
        Row("erode", "erosion 5x5", lambda a: filters.erode(a.x, 2)),
        Row("closing", "closing, disk r 3", lambda a: filters.closing(a.x, 3, shape="disk")),
        Row("resize_area", "half size, area", resized("area", 0.5)),
        Row("resize_linear", "double size, linear", resized("linear", 2)),
        Row("lab_to_rgb", "Lab to RGB", lambda a: color.lab_to_rgb(a.lab)),
        Row("rgb_to_hsv", "RGB to HSV", lambda a: color.rgb_to_hsv(a.x)),
        Row("hsv_to_rgb", "HSV to RGB", lambda a: color.hsv_to_rgb(a.hsv)),
        Row("rgb_to_luv", "RGB to Luv", lambda a: color.rgb_to_luv(a.x)),
        Row("rgb_to_ycbcr", "RGB to YCbCr", lambda a: color.rgb_to_ycbcr(a.x)),
        Row("rgb_to_oklab", "RGB to Oklab", lambda a: color.rgb_to_oklab(a.x)),
        Row("delta_e_2000", "delta E 2000", lambda a: color.delta_e_2000(a.lab, jax.numpy.roll(a.lab, 1, 1))[..., 0]),
        Row("equalize", "equalize, gray", lambda a: color.equalize(a.gray)),
        Row("threshold_otsu", "Otsu, gray", lambda a: a.gray[..., 0] > threshold_otsu(a.gray)[:, None, None]),
        Row("kmeans", "k-means, 8, 10 steps", lambda a: kmeans(a.x, CLUSTERS)),
        Row("random_walker", "random walker, 4", lambda a: random_walker(a.x, a.seeds, 4, beta=BETA).labels),
        Row("watershed", "watershed, 196", lambda a: watershed(a.relief, a.markers)),
        Row("chan_vese", "Chan-Vese, 100", lambda a: chan_vese(a.gray)[..., 0] > 0.5),
        Row("distance_transform", "distance transform", lambda a: distance_transform(a.mask[..., None] * 1.0)),
    ]


@dataclasses.dataclass
class Turns:
    """One contestant of a row: `run` does `images` images and waits for them; `found` are its ms for one image."""

    run: Callable[[], Any]
    images: int
    passes: int = 1
    found: list[float] = dataclasses.field(default_factory=list)

    def prepare(self) -> Any:
        """The result; finds out how many passes make a turn."""
        for _ in range(2):  # the first may have to load things
            start = time.perf_counter()
            result = self.run()
            taken = time.perf_counter() - start
            if taken > PART_SECONDS:
                break
        self.passes = math.ceil(TURN_SECONDS / max(taken, TURN_SECONDS / 100))
        return result

    def take(self) -> None:
        time.sleep(0.01)  # the threads of the one before come to rest
        start = time.perf_counter()
        for _ in range(self.passes):
            self.run()
        self.found.append((time.perf_counter() - start) * 1000 / (self.passes * self.images))

    def report(self) -> tuple[float, float]:
        """Median in ms, and half of the range, relative to it."""
        middle = statistics.median(self.found)
        return middle, (max(self.found) - min(self.found)) / 2 / middle


def compete(library: Library, call: Call, arrays: Arrays, whole: bool) -> Turns:
    """The library's turns, on as many images as fit into PART_SECONDS (all if `whole`, as on a GPU)."""

    def on(count: int) -> Callable[[], Any]:
        view = library.view(arrays, count)

        def run() -> Any:
            with library.around() if library.around else contextlib.nullcontext():
                result = call.run(view) if library.batched else [call.run(one) for one in view]
                library.wait()
            return result

        return run

    batch = len(arrays.x)
    if whole:
        return Turns(on(batch), batch)
    one = on(1)
    one()  # the first may have to load things
    start = time.perf_counter()
    one()
    count = min(max(int(PART_SECONDS / (time.perf_counter() - start)), 1), batch)
    return Turns(on(count), count)


def measure(row: Row, arrays: Arrays, placed: Arrays, libraries: dict[str, Library], most: int, whole: bool) -> dict:
    """Everything about one row: compile seconds, ms and spread of each library, ratios, differences, missed bars."""
    start = time.perf_counter()
    compiled = jax.jit(row.call).lower(placed).compile()
    seconds = time.perf_counter() - start
    turns = {"gen": Turns(lambda: jax.block_until_ready(compiled(placed)), len(arrays.x))}
    ours, differences = turns["gen"].prepare(), {}
    for name, library in libraries.items():
        if (call := library.calls.get(row.name)) is None:
            continue
        turns[name] = compete(library, call, arrays, whole)
        result = turns[name].prepare()
        if call.same:
            turned = [call.same(one) for one in result] if isinstance(result, list) else call.same(result)
            differences[name] = images.difference(row.name, row.margin, ours, turned)
    start = time.perf_counter()
    for done in range(most):
        if done >= 3 and time.perf_counter() - start > ROW_SECONDS:
            break
        for turn in turns.values():
            turn.take()
    ratios = {}
    for name, turn in turns.items():
        if name != "gen":
            pairs = zip(turns["gen"].found, turn.found, strict=True)
            ratios[name] = statistics.median(own / other for own, other in pairs)
    return {
        "name": row.name,
        "title": row.title,
        "compile": seconds,
        "rounds": len(turns["gen"].found),
        "ms": {name: turn.report() for name, turn in turns.items()},
        "ratio": ratios,
        "difference": differences,
        "missed": [*missed(row.name, ratios), *(["compile"] if seconds > COMPILE_SECONDS else [])],
    }


def missed(name: str, ratios: dict[str, float]) -> list[str]:
    """The libraries whose bar the ratios gen / library miss."""
    bars = {"cv2": 1.0 if name in FASTER_THAN_OPENCV else OPENCV_FACTOR, "skimage": 1.0, "kornia": 1.0}
    if name in NO_OPENCV_BAR:
        del bars["cv2"]
    return [library for library, bar in bars.items() if ratios.get(library, 0) > bar]


def cells(result: dict, columns: list[str]) -> list[str]:
    """One line of the table."""

    def flag(name: str) -> str:
        return "!" if name in result["missed"] else ""

    times = [result["ms"].get(name) for name in ("gen", *columns)]
    found = [f"{ms[0]:.3g} ±{100 * ms[1]:.0f}%" if ms else "-" for ms in times]
    ratios = [f"{result['ratio'][c]:.2f}{flag(c)}" if c in result["ratio"] else "-" for c in columns]
    differing = ", ".join(f"{name} {value:.0e}" for name, value in result["difference"].items())
    return [result["title"], *found, *ratios, f"{result['compile']:.1f}{flag('compile')}", differing or "-"]


def header(columns: list[str]) -> list[str]:
    ratios = [f"gen/{column}" for column in columns]
    return ["ms per image", "gen", *columns, *ratios, "compile s", "largest difference"]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="operators, by the names of their functions")
    parser.add_argument("--rounds", type=int, default=7, help="at most; at least 3 where they are slow")
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--batch", type=int, default=16)
    parser.add_argument("--device", help="platform of jax: cpu, gpu, tpu; default: that of jax")
    parser.add_argument("--json", type=pathlib.Path, help="writes all numbers to this file")
    parser.add_argument("--markdown", action="store_true", help="prints the table for a document")
    parser.add_argument("--check", action="store_true", help="exit code 1 if a bar is missed")
    parser.add_argument("--smoke", action="store_true")
    given = parser.parse_args()
    if given.smoke:
        given.size, given.batch, given.rounds = 32, 2, 1
    os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")  # kornia needs room on the same device
    devices.tune_allocator()
    jax.config.update("jax_enable_compilation_cache", False)
    device = jax.devices(given.device)[0]
    jax.config.update("jax_default_device", device)
    chosen = rows()
    if unknown := set(given.only or ()) - {row.name for row in chosen}:
        parser.error(f"--only: {', '.join(sorted(unknown))}; allowed: {', '.join(row.name for row in chosen)}")
    chosen = [row for row in chosen if not given.only or row.name in given.only]

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    libraries, absent = {}, []
    on_cpu = device.platform == "cpu"
    for column, (module, load) in {} if given.smoke else peers.LIBRARIES.items():
        if importlib.util.find_spec(module) is None:
            absent.append(column)
        elif on_cpu:
            libraries[column] = load(cores)
        elif column == "kornia":
            libraries[column] = load(cores, "cuda")
    arrays, source = images.inputs(given.batch, given.size)
    placed = jax.device_put(arrays, device)
    jax.block_until_ready(placed)

    names = [f"gen on jax {jax.__version__}", *(library.name for library in libraries.values())]
    kind = "cpu" if on_cpu else device.device_kind
    print(f"{kind}, {cores} CPU cores, load average before {os.getloadavg()[0]:.1f}; {', '.join(names)}")
    print(f"{given.batch} images of {given.size} x {given.size} x 3 float32: {source}")
    if absent:
        print(f"not installed: {', '.join(absent)}")
    used = [c for c in libraries if any(row.name in libraries[c].calls for row in chosen)]
    join = "| {} |".format if given.markdown else "{}".format
    widths = [23] + [14] * (1 + len(used)) + [12] * len(used) + [10, 0]

    def line(texts: list[str]) -> str:
        if given.markdown:
            return join(" | ".join(texts))
        return "".join(f"{text:<{width}}" for text, width in zip(texts, widths, strict=True))

    print("\n" + line(header(used)))
    if given.markdown:
        print(line(["---", *["---:"] * (2 + 2 * len(used)), "---"]))
    results = []
    for row in chosen:
        results.append(measure(row, arrays, placed, libraries, given.rounds, not on_cpu))
        print(line(cells(results[-1], used)), flush=True)
    failed = [f"{result['title']} ({', '.join(result['missed'])})" for result in results if result["missed"]]
    if given.json:
        facts = {"device": kind, "cores": cores, "libraries": names, "images": source, "batch": given.batch}
        given.json.write_text(json.dumps(facts | {"size": given.size, "rows": results}, indent=1))
    if given.smoke:
        print("\nno comparison: smoke test, the numbers mean nothing")
    else:
        print(f"\nbars missed: {'; '.join(failed) or 'none'}")
        if given.check and failed:
            sys.exit(1)


if __name__ == "__main__":
    main()
