"""Makes the pictures of docs/studio.md, in headless Chromium: python docs/make_studio.py RUN [PHOTO]

RUN is best a GAN, which has directions, and PHOTO a photograph to refine; without one, a sample is refined.
"""

from __future__ import annotations

import os
import pathlib
import shutil
import sys
import tempfile
import threading
import time

from playwright.sync_api import sync_playwright

from gen.studio import StudioOptions, studio

OUT = pathlib.Path(__file__).parent / "images"


def main() -> None:
    run, *photo = [pathlib.Path(given).resolve() for given in sys.argv[1:]]
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))))
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as started:
        os.chdir(folder)  # so that no path of this computer is in a picture
        shutil.copytree(run, "runs/shapes")
        server = studio(StudioOptions(runs=["runs/shapes"], out="studio", browser=False))
        thread = threading.Thread(target=server.serve, daemon=True)
        thread.start()
        while not server.ready:
            time.sleep(0.01)
        browser = started.chromium.launch(executable_path=path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1180, "height": 760})
        page.set_default_timeout(120_000)
        page.goto(f"{server.address}&seeds=0-19")
        page.locator("#grid .tile img").nth(19).wait_for()
        page.screenshot(path=OUT / "studio.png")
        page.locator("#axis").select_option("label")
        page.locator(".axes .tile img").first.wait_for()
        page.set_viewport_size({"width": 1180, "height": 1100})  # the foot of the page lies over what is lower
        page.locator(".axes").screenshot(path=OUT / "studio_table.png")
        page.set_viewport_size({"width": 1180, "height": 760})
        page.locator("#axis").select_option("")
        page.locator("#grid .tile img").nth(19).wait_for()
        if photo:
            page.locator("#tabs").get_by_role("button", name="Refine").click()
            page.locator("#refine-file").set_input_files(photo[0])
        else:
            page.locator("#grid .tile").nth(1).click()
            page.locator("#large").get_by_role("button", name="Refine").click()
        page.locator("#after[src]").wait_for(state="attached")
        page.get_by_role("button", name="Warm print").click()
        page.locator("#command").filter(has_text="sepia").wait_for()
        page.wait_for_timeout(500)
        page.screenshot(path=OUT / "studio_refine.png")
        page.locator("#tabs").get_by_role("button", name="Explore").click()
        page.locator("#grid .tile").nth(1).click()
        page.locator("#large").get_by_role("button", name="Verify").click()
        page.locator("#verdict .verdict").wait_for()
        page.wait_for_timeout(300)
        page.screenshot(path=OUT / "studio_verify.png")
        browser.close()
        server.stop()
        thread.join()


if __name__ == "__main__":
    main()
