"""Makes what docs/trust.md and README.md show of gen.verify: files that were signed, changed, copied and cut.

    python docs/make_verdicts.py runs/shapes        # with a run of experiments/shapes.py

Needs the extras `docs` and `provenance`, and Chromium for the picture of the page, docs/images/verdicts.png. Prints the
lines, and puts them into docs/trust.md. The certificates are made for the moment, in a temporary folder.
"""

from __future__ import annotations

import os
import re
import shutil
import struct
import subprocess
import sys
import tempfile
import zlib
from pathlib import Path

from PIL import Image
from skimage import data

from gen import provenance

DOCS = Path(__file__).resolve().parent
KEY = "the key of what docs show"  # always the same, so that the p-values are, too
WIDTH = 900  # pixels of the picture
_PLACE = re.compile(r"(<!-- verdicts:begin -->\n```text\n).*?(```\n<!-- verdicts:end -->)", re.DOTALL)


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    run = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        make(folder, run)
        names = sorted(path.name for path in (folder / "files").iterdir())
        lines = program(folder, "verify", *names, "--trust=../ca/root.pem", "--html=../verdicts.html", codes=(1,))
        print(lines, end="")
        page = DOCS / "trust.md"
        page.write_text(_PLACE.sub(lambda found: found[1] + lines + found[2], page.read_text("utf-8")), "utf-8")
        if shutil.which("chromium"):
            picture(folder)


def make(folder: Path, run: Path) -> None:
    """Makes the files that are verified."""
    Image.fromarray(data.chelsea()).save(folder / "photo.jpg", quality=95)
    program(folder, "provenance", "init-test-ca", "ca")
    sign = ["--certificate=ca/certificate.pem", "--private_key=ca/private_key.pem"]
    program(folder, "sample", f"--workdir={run}", "--seeds=3", "--label=star", "--out=made", *sign)
    program(folder, "refine", "photo.jpg", "--chain", "sepia(0.8)|vignette(0.5)", "--out", "refined", "--format=jpeg")
    files = folder / "files"
    files.mkdir()
    (signed,) = (folder / "made").glob("*.png")
    shutil.copy(signed, files / "1 signed.png")
    (files / "2 signed, record edited.png").write_bytes(edited(signed.read_bytes(), "gen:seed", "4"))
    refined = folder / "refined" / "photo.jpg"
    with Image.open(refined) as image:
        image.save(files / "3 refined, saved again.jpg", quality=75)
        width, height = image.size
        image.crop((width // 8, height // 8, width * 7 // 8, height * 7 // 8)).save(files / "4 refined, cut.webp")
    with Image.open(folder / "photo.jpg") as image:
        record = provenance.read(refined) or {}
        image.save(files / "5 photograph, record copied.png", **provenance.save_options(record, "PNG"))
        image.save(files / "6 photograph.jpg")


def edited(png: bytes, name: str, value: str) -> bytes:
    """Replaces a text of a PNG file, as an editor of metadata does."""
    place = png.index(f"{name}\0".encode()) - 8
    (length,) = struct.unpack(">I", png[place : place + 4])
    chunk = png[place + 4 : place + 8] + f"{name}\0{value}".encode()
    return (
        png[:place]
        + struct.pack(">I", len(chunk) - 4)
        + chunk
        + struct.pack(">I", zlib.crc32(chunk))
        + (png[place + 12 + length :])
    )


def picture(folder: Path) -> None:
    """Takes a picture of the page."""
    taken = folder / "page.png"
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-background-networking", "--hide-scrollbars"]
    quiet += [f"--user-data-dir={folder / 'profile'}", f"--window-size={WIDTH},1400"]
    page = (folder / "verdicts.html").as_uri()
    subprocess.run(["chromium", *quiet, f"--screenshot={taken}", page], check=True, capture_output=True, timeout=120)
    with Image.open(taken) as image:
        shown = image.convert("RGB")
        colors = Image.eval(shown.convert("L"), lambda level: 255 if level < 245 else 0)
        shown.crop((0, 0, WIDTH, colors.getbbox()[3] + 24)).quantize(256).save(DOCS / "images" / "verdicts.png")


def program(folder: Path, name: str, *arguments: str, codes: tuple[int, ...] = (0,)) -> str:
    """Runs a program of gen in the folder; returns what it printed."""
    environment = os.environ | {"PYTHONPATH": str(DOCS.parent), "XDG_CONFIG_HOME": str(folder / "config")}
    environment["GEN_WATERMARK_KEY"] = KEY
    command = [sys.executable, "-m", f"gen.{name}", *arguments]
    place = folder / "files" if name == "verify" else folder
    done = subprocess.run(command, cwd=place, capture_output=True, text=True, env=environment, check=False)
    if done.returncode not in codes:
        sys.exit(f"gen.{name} ended with {done.returncode}: {done.stderr}{done.stdout}")
    return done.stdout


if __name__ == "__main__":
    main()
