"""Makes the pictures of docs/studio.md, in headless Chromium, as a test does: python docs/make_studio.py RUN [PHOTO]

RUN is best a GAN, which has directions, and PHOTO a photograph to refine; without one, a sample is refined.
"""

from __future__ import annotations

import contextlib
import pathlib
import shutil
import sys
import tempfile
import threading
import time

from playwright.sync_api import Browser, sync_playwright

from gen.studio import StudioOptions, studio


def pictures(browser: Browser, run: pathlib.Path, photo: pathlib.Path | None, out: pathlib.Path) -> None:
    """Takes the pictures of a run, into `out`. Works in a folder of its own, so that no path is in a picture."""
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        shutil.copytree(run, "runs/shapes")
        server = studio(StudioOptions(runs=["runs/shapes"], out="studio", browser=False))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        while not server.ready:
            time.sleep(0.01)
        try:
            _take(browser, server.address, photo, out)
        finally:
            server.stop()
            thread.join()


def _take(browser: Browser, address: str, photo: pathlib.Path | None, out: pathlib.Path) -> None:
    page = browser.new_page(viewport={"width": 1180, "height": 760})
    page.set_default_timeout(120_000)
    page.goto(f"{address}&seeds=0-19")
    page.locator("#grid .tile img").nth(19).wait_for()
    page.screenshot(path=out / "studio.png")
    page.locator("#axis").select_option("label")
    page.locator(".axes .tile img").first.wait_for()
    page.set_viewport_size({"width": 1180, "height": 1100})  # the foot of the page lies over what is lower
    page.locator(".axes").screenshot(path=out / "studio_table.png")
    page.set_viewport_size({"width": 1180, "height": 760})
    page.locator("#axis").select_option("")
    page.locator("#grid .tile img").nth(19).wait_for()
    if photo:
        page.locator("#tabs").get_by_role("button", name="Refine").click()
        page.locator("#refine-file").set_input_files(photo)
    else:
        page.locator("#grid .tile").nth(1).click()
        page.locator("#large").get_by_role("button", name="Refine").click()
    page.locator("#after[src]").wait_for(state="attached")
    page.get_by_role("button", name="Warm print").click()
    page.locator("#command").filter(has_text="sepia").wait_for()
    page.wait_for_timeout(500)
    page.screenshot(path=out / "studio_refine.png")
    page.locator("#tabs").get_by_role("button", name="Explore").click()
    page.locator("#grid .tile").nth(1).click()
    page.locator("#large").get_by_role("button", name="Verify").click()
    page.locator("#verdict .verdict").wait_for()
    page.wait_for_timeout(300)
    page.screenshot(path=out / "studio_verify.png")
    page.close()


def main() -> None:
    run, *photo = [pathlib.Path(given).resolve() for given in sys.argv[1:]]
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with sync_playwright() as started:
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        pictures(browser, run, photo[0] if photo else None, pathlib.Path(__file__).parent.resolve() / "images")
        browser.close()


if __name__ == "__main__":
    main()
