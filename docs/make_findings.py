"""Draws the clearest findings of an audit as one picture, a row for each kind, from the pictures on its page.

python docs/make_findings.py audits/fashion_mnist docs/images/findings_fashion_mnist.webp label leakage near_duplicate
"""

from __future__ import annotations

import argparse
import base64
import io
import pathlib
import re

from PIL import Image, ImageDraw

from gen.image_io import open_image

SIDE, GAP, MOST = 64, 6, 8
PICTURE = re.compile(r"data:image/webp;base64,([A-Za-z0-9+/=]+)")


def rows(page: str, kinds: list[str]) -> dict[str, list[list[Image.Image]]]:
    """Reads the pictures of each finding, one or a pair, by kind."""
    found = {}
    for kind in kinds:
        begin = page.index(f'<section id="{kind}">')
        section = page[begin : page.index("</section>", begin)]
        items = [PICTURE.findall(item) for item in section.split("<li>")[1:]]
        found[kind] = [[open_image(base64.b64decode(text)).convert("RGB") for text in item] for item in items if item]
    return found


def drawn(found: dict[str, list[list[Image.Image]]]) -> Image.Image:
    """Draws a row of pictures for each kind, those of a pair side by side."""
    most = max(sum(len(item) for item in items[:MOST]) for items in found.values())
    width = most * (SIDE + 2) + MOST * GAP
    sheet = Image.new("RGB", (width, len(found) * (SIDE + 22)), "white")
    pen = ImageDraw.Draw(sheet)
    for row, (kind, items) in enumerate(found.items()):
        top, left = row * (SIDE + 22), 0
        pen.text((0, top + 2), kind.replace("_", " "), fill="black")
        for item in items[:MOST]:
            for picture in item:
                picture.thumbnail((SIDE, SIDE))
                if max(picture.size) < SIDE:
                    scale = SIDE // max(picture.size)
                    picture = picture.resize((picture.width * scale, picture.height * scale), Image.Resampling.NEAREST)
                sheet.paste(picture, (left, top + 18))
                left += SIDE + 2
            left += GAP
    return sheet


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("audit", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("kinds", nargs="+")
    given = parser.parse_args()
    made = drawn(rows((given.audit / "audit.html").read_text("utf-8"), given.kinds))
    buffer = io.BytesIO()
    made.save(buffer, "WEBP", quality=85)
    given.out.write_bytes(buffer.getvalue())


if __name__ == "__main__":
    main()
