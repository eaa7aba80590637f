"""The page of an audit, as people use it: in a browser, at two widths, by keyboard alone."""

import json
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, chromium, page_of
from PIL import Image, ImageFilter

from gen.auditing import auditor, items, page
from gen.image_io import open_image

HOSTILE = (
    "<img src=x onerror=alert(1)>.png",
    "\"'&quot;{{ 7 * 7 }}.png",
    "two\nlines.png",
    "\u202egnp.thgir-ot-tfel.png",
)
ALLOWED = HOSTILE[0]  # of a line of audit_allow.txt


def drawn(seed: int) -> Image.Image:
    """Waves and disks in color."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:96, :96]
    image = 120 + 60 * np.sin(x[..., None] / rng.uniform(3, 9, 3) + y[..., None] / rng.uniform(3, 9, 3))
    for _ in range(8):
        image[np.hypot(x - rng.uniform(0, 96), y - rng.uniform(0, 96)) < rng.uniform(3, 20)] = rng.integers(0, 255, 3)
    return Image.fromarray(np.clip(image, 0, 255).astype(np.uint8))


@pytest.fixture(scope="module")
def written(tmp_path_factory) -> Path:
    """Returns the page of an audit of images, of which those with hostile names are blurred."""
    root = tmp_path_factory.mktemp("page")
    images = root / "images"
    images.mkdir()
    for i in range(20):
        drawn(i).save(images / f"{i:02}.png")
    for i, name in enumerate(HOSTILE):
        drawn(100 + i).filter(ImageFilter.GaussianBlur(3)).save(images / name)
    drawn(3).save(images / "copy.jpg", quality=60)
    (images / "broken.png").write_bytes(b"?")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GEN_CACHE", str(root / "cache"))
        collection = items.of_path(images)
        page.write(root, auditor.audit(collection, fast=True), collection)
    return root / "audit.html"


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def seen_in(element) -> np.ndarray:
    """Returns what a picture on the page looks like, reduced to 24 x 24: float32 [24 24 3]."""
    return np.asarray(open_image(element.screenshot()).convert("RGB").resize((24, 24)), np.float32)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_shows_its_findings_without_an_error_or_a_request(browser, written, size, scheme):
    with page_of(browser, written, size, color_scheme=scheme) as (opened, told):
        assert opened.locator("h1").inner_text() == "Audit of images"
        assert opened.locator(".verdict").inner_text().strip()
        sections = opened.locator("section")
        found = {finding["kind"] for finding in json.loads(written.with_name("audit.json").read_text())["findings"]}
        assert {"blur", "unreadable"} <= found
        assert found & {"near_duplicate", "leakage"}  # of the copy, by the split that its name is in
        assert {sections.nth(i).get_attribute("id") for i in range(sections.count())} == found
        pictures = opened.locator("section img")
        for i in range(pictures.count()):
            pictures.nth(i).scroll_into_view_if_needed()
        assert pictures.evaluate_all("all => all.every(one => one.complete && one.naturalWidth > 0)")
        assert opened.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), "it scrolls to the side"
        ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground.strip("rgba()").split(",")[:3])) > 384) == (scheme == "light")
        name = opened.locator("#blur p b").filter(has_text="onerror").inner_text()
        element = opened.locator("#blur li").filter(has_text="onerror").locator("img").first
        meant = np.asarray(Image.open(written.parent / "images" / name).resize((24, 24)), np.float32)
        assert np.abs(seen_in(element) - meant).mean() < 12
        assert told.nothing()


def test_names_are_shown_as_text(browser, written):
    with page_of(browser, written) as (opened, told):
        shown = opened.locator("#blur b").all_inner_texts()
        assert {name for name in HOSTILE if name.isprintable()} <= set(shown)
        assert len(shown) == len(HOSTILE)
        assert not any(sign in text for text in shown for sign in "\n\u202e")  # written as an escape
        assert opened.locator("img[onerror], img[src=x]").count() == 0
        cells = opened.locator("#rows td:nth-child(3)").all_inner_texts()
        assert HOSTILE[0] in cells
        assert "49" not in " ".join(cells)
        assert told.nothing()


def test_it_is_sorted_filtered_and_ticked_by_keyboard(browser, written):
    with page_of(browser, written) as (opened, told):

        def focused() -> str:
            return opened.evaluate("document.activeElement.textContent || document.activeElement.id")

        def go_to(wanted: str) -> None:
            for _ in range(100):
                if focused() == wanted:
                    return
                opened.keyboard.press("Tab")
            raise AssertionError(f"{wanted} is not reached by Tab")

        scores = opened.locator("#rows td:nth-child(4)")
        go_to("score")
        assert opened.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        opened.keyboard.press("Enter")
        falling = [float(text) for text in scores.all_inner_texts()]
        assert falling == sorted(falling, reverse=True)
        assert opened.locator("th[aria-sort=descending]").inner_text() == "score"
        opened.keyboard.press("Enter")
        assert [float(text) for text in scores.all_inner_texts()] == falling[::-1]

        opened.keyboard.press("Shift+Tab")
        while focused() != "text":
            opened.keyboard.press("Shift+Tab")
        opened.keyboard.type("ONERROR")
        assert opened.locator("#rows tr").count() == int(opened.locator("#count").inner_text().split()[0]) >= 1
        assert set(opened.locator("#rows td:nth-child(3)").all_inner_texts()) == {ALLOWED}
        while opened.evaluate("document.activeElement.type") != "checkbox":
            opened.keyboard.press("Tab")
        opened.keyboard.press("Space")
        kind, _, name = opened.locator("#allow").input_value().partition("\t")
        assert (kind, name) == ("blur", ALLOWED)
        opened.keyboard.press("Space")
        assert opened.locator("#allow").input_value() == ""

        opened.locator("#text").fill("")
        opened.locator("#kind").focus()
        opened.keyboard.type("unread")
        assert opened.locator("#rows td:nth-child(2)").all_inner_texts() == ["unreadable"]
        assert told.nothing()


def test_every_control_has_a_name(browser, written):
    with page_of(browser, written) as (opened, told):
        nameless = opened.evaluate("""() => [...document.querySelectorAll("button, input, select, textarea, a")]
            .filter(one => !one.textContent.trim() && !one.getAttribute("aria-label") && !(one.labels || []).length)
            .map(one => one.outerHTML)""")
        assert nameless == []
        assert told.nothing()


def test_a_hundred_thousand_findings_are_listed_a_hundred_at_a_time(browser, written, tmp_path):
    text = written.read_text("utf-8")
    begin, end = '<script type="application/json" id="data">', "</script>"
    start = text.index(begin) + len(begin)
    rows = [["blur", f"{i:06}.png", 1 + i % 7, "", "", f"blur\t{i:06}.png"] for i in range(page.MOST_LISTED)]
    many = tmp_path / "audit.html"
    many.write_text(text[:start] + json.dumps(rows) + text[text.index(end, start) :], "utf-8")
    with page_of(browser, many) as (opened, told):
        assert opened.locator("#rows tr").count() == 100
        opened.locator("#more").click()
        assert opened.locator("#rows tr").count() == 200
        opened.locator("#text").fill("019999")
        assert opened.locator("#rows td:nth-child(3)").all_inner_texts() == ["019999.png"]
        assert told.nothing()
