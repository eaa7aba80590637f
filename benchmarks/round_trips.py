"""Which of gen's three layers survive what people do to files: the record, the signature, the mark.

    python benchmarks/round_trips.py             # with what is there of ImageMagick, exiftool, ffmpeg and Chromium
    python benchmarks/round_trips.py --smoke     # one image, Pillow alone
    python benchmarks/round_trips.py --json FILE # also writes the numbers

Signed, marked images of 256 x 256 pixels, PNG, JPEG and WebP (shapes that gen draws and, with scikit-image, parts of
its photographs), go through each program and then through gen.verify with the key and a trusted authority. A row for
each program and format: the places where the record is left, whether XMP has IPTC's digital source type, what became of
the signature, in how many images the mark is found and in how many with its whole tag, and the largest p-value. Exit
code 1 where a changed file stays trusted.
"""

from __future__ import annotations

import argparse
import base64
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
from PIL import Image

from gen import provenance, watermark
from gen.data import shapes
from gen.outputs import image_writer
from gen.outputs.encoding import suffix
from gen.provenance import c2pa, run_tag, test_ca
from gen.provenance.policy import Policy
from gen.verify import VerifyOptions, verify

SIDE = 256
FORMATS = ("png", "jpeg", "webp")
Trip = Callable[[pathlib.Path, pathlib.Path], pathlib.Path]  # file, folder for the result -> result


def pillow(kind: str, change: Callable[[Image.Image], Image.Image] = lambda image: image, **options: Any) -> Trip:
    """Opens a file and saves it, as most programs in Python do; kind "": in its own format."""

    def trip(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
        target = folder / (file.stem + (suffix(kind) if kind else file.suffix))
        with Image.open(file) as image:
            change(image.convert("RGB")).save(target, **options)
        return target

    return trip


def program(*words: str, kind: str = "") -> Trip:
    """Runs a command on a copy: IN and OUT stand for its files; without an OUT it changes IN."""

    def trip(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
        source, target = folder / f"given-{file.name}", folder / (file.stem + (suffix(kind) if kind else file.suffix))
        shutil.copy(file, source if "OUT" in words else target)
        named = {"IN": str(source if "OUT" in words else target), "OUT": str(target)}
        subprocess.run([named.get(word, word) for word in words], check=True, capture_output=True, timeout=120)
        source.unlink(missing_ok=True)
        return target

    return trip


def film(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Makes a film of H.264 of an image, 24 frames, and takes the last one."""
    movie, target = folder / f"{file.stem}.mp4", folder / f"{file.stem}.png"
    quiet = ["ffmpeg", "-v", "error", "-y"]
    encode = ["-loop", "1", "-i", str(file), "-frames:v", "24", "-c:v", "libx264", "-crf", "23", "-pix_fmt", "yuv420p"]
    for words in ([*encode, str(movie)], ["-i", str(movie), "-update", "1", str(target)]):
        subprocess.run(quiet + words, check=True, capture_output=True, timeout=120)
    movie.unlink()
    return target


def canvas(kind: str, quality: float | None = None, scale: float = 1.0) -> Trip:
    """Draws a file on a canvas of headless Chromium, and saves that as a page would."""

    def trip(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
        data = base64.b64encode(file.read_bytes()).decode()
        mime = image_writer.encoding.FORMATS[file.suffix]
        page = folder / "page.html"
        script = f"""const image = new Image(); image.onload = () => {{
            const canvas = document.createElement("canvas");
            canvas.width = image.width * {scale}; canvas.height = image.height * {scale};
            canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
            document.body.textContent = "[" + canvas.toDataURL("image/{kind}", {json.dumps(quality)}) + "]"; }};
            image.src = "data:image/{mime};base64,{data}";"""
        page.write_text(f"<body><script>{script}</script></body>")
        shown = _chromium(folder, page, "--virtual-time-budget=10000", "--dump-dom")
        found = re.search(r"\[data:image/(\w+);base64,([^\]]+)\]", shown)
        if not found or found[1] != kind:
            raise RuntimeError(f"Chromium drew nothing of {file.name}")
        page.unlink()
        target = folder / (file.stem + suffix(kind))
        target.write_bytes(base64.b64decode(found[2]))
        return target

    return trip


def screenshot(file: pathlib.Path, folder: pathlib.Path) -> pathlib.Path:
    """Takes a screenshot of a page that shows the image alone, 1.37 times as large."""
    page, target = folder / "page.html", folder / f"{file.stem}.png"
    side = round(1.37 * SIDE)
    page.write_text(f'<body style="margin:0"><img src="{file.resolve().as_uri()}" width={side} height={side}></body>')
    _chromium(folder, page, f"--screenshot={target}", f"--window-size={side},{side}", "--hide-scrollbars")
    page.unlink()
    return target


def _chromium(folder: pathlib.Path, page: pathlib.Path, *words: str) -> str:
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--allow-file-access-from-files"]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as profile:
        command = ["chromium", *quiet, f"--user-data-dir={profile}", *words, page.resolve().as_uri()]
        return subprocess.run(command, check=True, capture_output=True, text=True, timeout=120).stdout


CROP = (31, 20, 31 + 192, 20 + 192)
TRIPS: dict[str, tuple[str, dict[str, Trip]]] = {  # by program: its command, and what is done with it
    "Pillow": (
        "",
        {
            "open and save": pillow(""),
            "to JPEG, quality 75": pillow("jpeg", quality=75),
            "to JPEG, quality 50": pillow("jpeg", quality=50),
            "to WebP, quality 60": pillow("webp", quality=60),
            "half the size, JPEG 85": pillow("jpeg", lambda i: i.resize((SIDE // 2, SIDE // 2)), quality=85),
            "cut to three quarters, JPEG 85": pillow("jpeg", lambda i: i.crop(CROP), quality=85),
        },
    ),
    "ImageMagick": (
        "convert",
        {
            "same format": program("convert", "IN", "OUT"),
            "to JPEG, quality 80": program("convert", "IN", "-quality", "80", "OUT", kind="jpeg"),
            "to PNG": program("convert", "IN", "OUT", kind="png"),
            "-strip": program("convert", "IN", "-strip", "OUT"),
            "-resize 70%": program("convert", "IN", "-resize", "70%", "OUT"),
            "-rotate 90": program("convert", "IN", "-rotate", "90", "OUT"),
        },
    ),
    "exiftool": (
        "exiftool",
        {
            "an author is added": program("exiftool", "-q", "-overwrite_original", "-Artist=A. Person", "IN"),
            "-all= (everything removed)": program("exiftool", "-q", "-overwrite_original", "-all=", "IN"),
        },
    ),
    "ffmpeg": (
        "ffmpeg",
        {
            "to PNG": program("ffmpeg", "-v", "error", "-y", "-i", "IN", "OUT", kind="png"),
            "to JPEG": program("ffmpeg", "-v", "error", "-y", "-i", "IN", "OUT", kind="jpeg"),
            "a frame of an H.264 film": film,
        },
    ),
    "Chromium": (
        "chromium",
        {
            "canvas to PNG": canvas("png"),
            "canvas to JPEG, 0.8": canvas("jpeg", 0.8),
            "canvas at 1.5, to WebP": canvas("webp", 0.8, 1.5),
            "screenshot at 1.37": screenshot,
        },
    ),
}


def pictures(number: int) -> list[np.ndarray]:
    """Images [256 256 3]: half of them, if scikit-image is there, photographs."""
    drawn = list(shapes(resolution=SIDE, num_train=number, num_held_out=1).train.images)
    try:
        from skimage import data
    except ImportError:
        return drawn
    photographs = [np.asarray(image)[-SIDE:, :SIDE, :3] for image in (data.astronaut(), data.coffee(), data.chelsea())]
    return (photographs + drawn)[:number] if number > 1 else drawn


def rows(number: int, wanted: list[str]) -> Iterator[dict[str, Any]]:
    """Sends all files through each program."""
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        files = test_ca.init_test_ca(folder / "ca")
        secret = folder / "key"
        secret.write_text("0123456789abcdef0123456789abcdef")
        secret.chmod(0o600)
        owner = watermark.key(secret.read_bytes())
        policy = Policy("sign", owner, c2pa.signer(files.certificate, files.private_key))
        record = provenance.record(config_digest="a" * 64, step=1, seed=17, run="round trips")
        given = {}
        for format in FORMATS:
            (folder / format).mkdir()
            for i, image in enumerate(pictures(number)):
                given[format, i] = folder / format / f"{i}{suffix(format)}"
                given[format, i].write_bytes(image_writer.encode([image], format=format, record=record, policy=policy))
        for name in wanted:
            for what, trip in TRIPS[name][1].items():
                for format in FORMATS:
                    out = pathlib.Path(tempfile.mkdtemp(dir=folder))
                    made = [trip(given[format, i], out) for i in range(number)]
                    options = VerifyOptions(inputs=[out], key=secret, trust=[files.root])
                    changed = [after.read_bytes() != given[format, i].read_bytes() for i, after in enumerate(made)]
                    found = [verdict.facts for verdict in verify(options, tell=lambda line: None).verdicts]
                    row = {"program": name, "what": what, "from": format} | _row(found, changed, run_tag(record))
                    kept = all(provenance.claimed_source_type(path) == provenance.TRAINED for path in made)
                    yield row | {"IPTC term": "kept" if kept else "lost"}
                    shutil.rmtree(out)


def _row(found: list[dict[str, Any]], changed: list[bool], tag: int) -> dict[str, Any]:
    places = [place for place in ("text", "EXIF", "XMP") if all(place in facts["record_places"] for facts in found)]
    states = Counter(facts["signature"]["state"] for facts in found)
    marks = [facts["mark"] for facts in found]
    return {
        "record in": ", ".join(places) or "lost",
        "IPTC term": "",
        "signature": ", ".join(states),
        "mark found": f"{sum(mark['found'] for mark in marks)} of {len(marks)}",
        "with its tag": sum(mark["tag"] == tag for mark in marks),
        "largest p": max(mark["p_value"] for mark in marks),
        "wrong": any(changed) and "trusted" in states,
    }


def main() -> int:
    """Prints a table; 1 where something is wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--smoke", action="store_true")
    parser.add_argument("--json", type=pathlib.Path)
    given = parser.parse_args()
    wanted = [name for name, (command, _) in TRIPS.items() if not command or shutil.which(command)]
    if missing := set(TRIPS) - set(wanted):
        print(f"not here: {', '.join(sorted(missing))}", file=sys.stderr)
    found = list[dict[str, Any]]()
    for row in rows(1 if given.smoke else 5, ["Pillow"] if given.smoke else wanted):
        shown = {key: value for key, value in row.items() if key != "wrong"}
        if not found:
            print("| " + " | ".join(shown) + " |\n|" + " --- |" * len(shown))
        cells = [f"{value:.0e}" if isinstance(value, float) else str(value) for value in shown.values()]
        print("| " + " | ".join(cells) + (" | WRONG |" if row["wrong"] else " |"), flush=True)
        found.append(row)
    if given.json:
        given.json.write_text(json.dumps(found, indent=1))
    return int(any(row["wrong"] for row in found))


if __name__ == "__main__":
    sys.exit(main())
