"""Pages in headless Chromium, where there is one: by playwright, of gen[browser], and the system's browser."""

from __future__ import annotations

import contextlib
import shutil
import urllib.parse
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
DESKTOP, PHONE = (1280, 900), (390, 844)
HOST = "http://localhost:8123/"  # a secure context, as https is; no server is there
KINDS = {
    **{".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".mjs": "text/javascript"},
    **{".json": "application/json", ".wasm": "application/wasm"},
}


@dataclass
class Told:
    """What a page did that it should not have done."""

    errors: list[str] = field(default_factory=list)  # of scripts, and what the console shows as one
    requests: list[str] = field(default_factory=list)  # beyond the page itself and what stands in it
    dialogs: list[str] = field(default_factory=list)

    def nothing(self) -> bool:
        """Returns whether all is well; shows what is not."""
        assert (self.errors, self.requests, self.dialogs) == ([], [], [])
        return True


@contextlib.contextmanager
def chromium() -> Iterator[Any]:
    """Starts the browser of the system. Skips the test where there is none."""
    playwright = pytest.importorskip("playwright.sync_api")
    path = next(filter(None, map(shutil.which, NAMES)), None)
    if path is None:
        pytest.skip("no Chromium here")
    with playwright.sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        try:
            yield browser
        finally:
            browser.close()


@contextlib.contextmanager
def page_of(browser: Any, file: Path, size: tuple[int, int] = DESKTOP, **options: Any) -> Iterator[tuple[Any, Told]]:
    """Opens a file; options: of a context, such as color_scheme. Nothing else is to be had."""

    def answer(route: Any) -> bool:
        if found := route.request.url == file.as_uri():
            route.continue_()
        return found

    with _opened(browser, file.as_uri(), answer, size, **options) as both:
        yield both


@contextlib.contextmanager
def page_served(
    browser: Any, folder: Path, size: tuple[int, int] = DESKTOP, **options: Any
) -> Iterator[tuple[Any, Told]]:
    """Opens the index.html of a folder as a static host serves it. Nothing but its files is to be had."""

    def answer(route: Any) -> bool:
        name = urllib.parse.urlsplit(route.request.url).path.strip("/") or "index.html"
        found = route.request.url.startswith(HOST) and (folder / name).is_file()
        if found:
            kind = KINDS.get(Path(name).suffix, "application/octet-stream")
            route.fulfill(body=(folder / name).read_bytes(), content_type=kind)
        return found

    with _opened(browser, HOST, answer, size, **options) as both:
        yield both


@contextlib.contextmanager
def _opened(
    browser: Any, url: str, answer: Callable[[Any], bool], size: tuple[int, int], **options: Any
) -> Iterator[tuple[Any, Told]]:
    """Opens a page. answer: answers a request if it may be made, and says so."""
    told = Told()
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    page = context.new_page()
    page.on("console", lambda line: told.errors.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.errors.append(str(error)))
    page.on("dialog", lambda dialog: (told.dialogs.append(dialog.message), dialog.dismiss()))

    def judge(route: Any) -> None:
        if not answer(route):
            told.requests.append(route.request.url)
            route.abort()

    page.route(lambda url: not url.startswith(("data:", "blob:")), judge)
    page.goto(url)
    try:
        yield page, told
    finally:
        context.close()
