"""The page of gen.studio in Chromium, by mouse and by keyboard: what is shown, and what it may not do.

$GEN_TEST_AXE may name axe.min.js of the npm package axe-core, by which accessibility is checked.
"""

import contextlib
import os
import re
import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from browser import DESKTOP, PHONE, chromium
from PIL import Image
from prior_runs import make_flow
from studio_server import pixels, serving, trained_gan

from gen import api, provenance
from gen.image_io import open_image
from gen.image_io.pixels import to_uint8
from gen.runs.run_folder import RunFolder


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


@pytest.fixture(scope="module")
def place(browser, tmp_path_factory) -> Path:
    root = tmp_path_factory.mktemp("studio")
    trained_gan(root / "gan")
    make_flow(root / "flow", (8, 8, 3))
    file = RunFolder(root / "flow").data
    file.write_text(file.read_text().replace("round", "<img src=x onerror=alert(1)>"))
    return root


@pytest.fixture(scope="module")
def client(place):
    with serving([place / "gan", place / "flow"], place / "out") as asked:
        yield asked


@contextlib.contextmanager
def opened(browser, client, state: str = "", size=DESKTOP, **options):
    """Opens the page; at its end it has logged nothing, and asked nobody but the server."""
    told: list[str] = []
    context = browser.new_context(viewport={"width": size[0], "height": size[1]}, **options)
    page = context.new_page()
    page.set_default_timeout(60_000)
    page.on("console", lambda line: told.append(line.text) if line.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: told.append(str(error)))
    page.on("dialog", lambda dialog: (told.append(dialog.message), dialog.dismiss()))
    page.on("request", lambda one: told.append(one.url) if not one.url.startswith((client.origin, "data:")) else None)
    page.goto(client.server.address + (f"&{state}" if state else ""))
    until(page, "document.querySelector('#status').textContent === 'Ready' || document.querySelector('#tabs button')")
    try:
        yield page
        assert told == []
    finally:
        context.close()


def until(page, expression: str, given=None) -> None:
    """Waits for an expression to hold; playwright's own way of waiting needs what the page's policy forbids."""
    deadline = time.monotonic() + 60
    while not page.evaluate(expression, given):
        assert time.monotonic() < deadline, f"{expression}; {page.locator('#status').inner_text()}"
        page.wait_for_timeout(20)


def view(page, name: str) -> None:
    page.locator("#tabs").get_by_role("button", name=name, exact=True).click()


def loaded(page, selector: str) -> list[np.ndarray]:
    """Waits for images; returns their pixels."""
    page.wait_for_selector(f"{selector}[src]", state="attached")
    return [pixels(uri) for uri in page.locator(selector).evaluate_all("all => all.map(one => one.src)")]


def shown(page, selector: str, count: int) -> list[np.ndarray]:
    until(page, f"document.querySelectorAll('{selector}').length === {count}")
    return loaded(page, selector)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_it_opens_with_images_in_both_schemes_and_sizes(browser, client, place, size, scheme):
    with opened(browser, client, size=size, color_scheme=scheme) as page:
        made = shown(page, "#grid .tile img", 16)
        assert np.array_equal(made, to_uint8(api.load(place / "gan").sample(range(16))))
        assert "token" not in page.url
        assert client.server.token not in page.content()
        assert page.evaluate("document.scrollingElement.scrollWidth <= innerWidth")
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, re.findall(r"\d+", ground)[:3])) > 384) == (scheme == "light")
        nameless = page.evaluate("""() => [...document.querySelectorAll("button, input, select, a")]
            .filter(one => one.offsetParent && !one.textContent.trim() && !one.getAttribute("aria-label"))
            .filter(one => !(one.labels || []).length)
            .map(one => one.outerHTML)""")
        assert nameless == []


def test_the_first_image_is_there_soon_on_a_warm_model(browser, client):
    client.ask("grid", run=0, seeds=[*range(16)])
    with opened(browser, client) as page:
        shown(page, "#grid .tile img", 16)
        assert page.evaluate("performance.now()") < 10_000  # 2 s on an idle machine, by benchmarks/studio.py


def test_a_state_is_an_address_and_undo_goes_back(browser, client):
    with opened(browser, client) as page:
        shown(page, "#grid .tile img", 16)
        page.locator("#c-seeds").fill("40")
        page.locator("#c-seeds").press("Enter")
        page.locator("#c-count").fill("4")
        page.locator("#c-count").press("Enter")
        page.locator("#c-label").select_option("2")
        moved = shown(page, "#grid .tile img", 4)
        until(page, "document.querySelector('#command').textContent.includes('--label=2')")
        moved = loaded(page, "#grid .tile img")
        assert "seeds=40-43" in page.url
        assert "label=2" in page.url
        assert "--seeds=40-43 --label=2" in page.locator("#command").inner_text()
        assert "seeds='40-43', label='2'" in page.locator("#python").inner_text()
        with opened(browser, client, page.url.partition("#")[2]) as other:
            assert np.array_equal(shown(other, "#grid .tile img", 4), moved)
        page.locator("#undo").click()
        until(page, "!location.hash.includes('label')")
        until(page, "!document.querySelector('#command').textContent.includes('--label')")


def test_by_keyboard_alone_an_image_is_found_marked_and_saved(browser, client, place):
    with opened(browser, client) as page:
        shown(page, "#grid .tile img", 16)
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("ArrowRight")
        assert page.evaluate("document.activeElement.getAttribute('aria-label')").startswith("Seed 0")
        page.keyboard.press("ArrowRight")
        page.keyboard.press("ArrowDown")
        name = page.evaluate("document.activeElement.getAttribute('aria-label')")
        seed = int(re.findall(r"\d+", name)[0])
        assert seed > 2
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
        page.keyboard.press("Space")
        assert page.evaluate("document.activeElement.getAttribute('aria-pressed')") == "true"
        page.keyboard.press("s")
        until(page, "document.querySelector('#status').textContent.startsWith('Saved')")
        file = re.findall(r"Saved (\S+) in", page.locator("#status").inner_text())[0]
        assert provenance.read(place / "out" / file)["gen:seed"] == seed
        page.keyboard.press("Enter")
        page.wait_for_selector("#large[open]")
        page.keyboard.press("Escape")
        page.keyboard.press("r")
        until(page, "!location.hash.includes('seeds=0-15')")
        shown(page, "#grid .tile img", 16)
        page.keyboard.press("u")
        until(page, "location.hash.includes('seeds=0-15')")
        view(page, "Favorites")
        assert len(shown(page, "#favorites .tile img", 1)) == 1
        page.get_by_role("button", name="Save all").click()
        until(page, "document.querySelector('#status').textContent.startsWith('Saved')")


def test_names_of_classes_are_text(browser, client):
    with opened(browser, client, "run=1&count=2") as page:
        shown(page, "#grid .tile img", 16)
        assert "<img src=x onerror=alert(1)>" in page.locator("#c-label option").all_inner_texts()
        assert page.locator("img[onerror]").count() == 0


def test_another_model_begins_without_the_settings_of_the_last(browser, client):
    with opened(browser, client, "truncation=0.5&count=2") as page:
        shown(page, "#grid .tile img", 16)
        page.locator("#run").select_option("1")
        until(page, "document.querySelector('#about').textContent.startsWith('Flow')")
        until(page, "document.querySelector('#command').textContent.includes('flow')")
        assert "truncation" not in page.url


def test_a_walk_from_any_seed_has_three_different_ones(browser, client):
    with opened(browser, client) as page:
        shown(page, "#grid .tile img", 16)
        page.locator("#grid .tile").nth(1).click()
        page.locator("#large").get_by_role("button", name="Walk from here").click()
        loaded(page, "#walked")
        assert "walk=1%2C2%2C0" in page.url
        page.locator("#seed-a").fill("2")
        page.keyboard.press("Tab")
        until(page, "location.hash.includes('walk=2%2C1%2C0')")


def test_tables_have_an_axis(browser, client):
    with opened(browser, client, "seeds=0-2") as page:
        shown(page, "#grid .tile img", 3)
        page.locator("#axis").select_option("truncation")
        made = shown(page, ".axes .tile img", 15)
        alone = client.ask("grid", run=0, seeds=[0], truncation=0.75)["images"][0]
        assert np.array_equal(made[2], pixels(alone))
        page.locator("#axis").select_option("label")
        until(page, "document.querySelectorAll('.axes th[scope=col]').length === 8")


def test_the_checkpoint_is_chosen_and_the_pages_of_the_run_open(browser, client):
    steps = client.ask("describe", run=0)["steps"]
    with opened(browser, client) as page:
        before = shown(page, "#grid .tile img", 16)
        if len(steps) > 1:
            page.locator("#step").focus()
            page.keyboard.press("Home")
            until(page, f"location.hash.includes('step={steps[0]}')")
            until(page, f"document.querySelector('#command').textContent.includes('--step={steps[0]}')")
            assert not np.array_equal(before, loaded(page, "#grid .tile img"))
        with page.expect_popup() as popup:
            page.get_by_role("link", name="Training").click()
        assert popup.value.title()


def test_a_walk_follows_the_pointer_and_directions_move_the_image(browser, client, place):
    with opened(browser, client, "view=walk&walk=0,1,2&label=0") as page:
        (start,) = loaded(page, "#walked")
        assert np.abs(start.astype(int) - pixels(client.ask("grid", run=0, seeds=[0], label=0)["images"][0])).max() <= 1
        box = page.locator("#pad").bounding_box()
        page.mouse.move(box["x"] + 5, box["y"] + 5)
        page.mouse.down()
        for part in (0.3, 0.6, 1.0):
            page.mouse.move(box["x"] + part * box["width"], box["y"] + 2)
        page.mouse.up()
        until(page, "location.hash.includes('u=1')")
        first = client.ask("grid", run=0, seeds=[1], label=0)["images"][0]
        until(page, "document.querySelector('#spot').style.left === '100%'")
        page.wait_for_timeout(1500)
        assert np.abs(loaded(page, "#walked")[0].astype(int) - pixels(first)).mean() < 3
        page.locator("#u").focus()
        page.keyboard.press("Home")
        until(page, "location.hash.includes('u=0')")
        (still,) = loaded(page, "#moved")
        page.get_by_label("Direction 0").fill("3")
        until(page, "uri => document.querySelector('#moved').src !== uri", page.locator("#moved").get_attribute("src"))
        assert not np.array_equal(still, loaded(page, "#moved")[0])
        page.get_by_role("button", name="Save as WebP").click()
        until(page, "document.querySelector('#status').textContent.startsWith('Saved')")
        assert list((place / "out").glob("way-*.webp"))


def test_a_part_of_a_photograph_is_painted_over_and_made_anew(browser, client, tmp_path):
    image = np.random.default_rng(0).integers(0, 255, (8, 8, 3), np.uint8)
    Image.fromarray(image).save(tmp_path / "<b>photo.png")
    with opened(browser, client, "run=1&view=photo&label=1") as page:
        page.locator("#photo-file").set_input_files(tmp_path / "<b>photo.png")
        loaded(page, "#photo-image")
        assert page.locator("#photo-image").get_attribute("alt") == "<b>photo.png"
        page.get_by_role("button", name="Make anew").click()
        until(page, "document.querySelector('#status').textContent.startsWith('paint over')")
        box = page.locator("#mask").bounding_box()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.2)
        page.mouse.down()
        page.mouse.move(box["x"] + box["width"] * 0.8, box["y"] + box["height"] * 0.8, steps=8)
        page.mouse.up()
        page.get_by_role("button", name="Make anew").click()
        results = shown(page, "#photo-results img", 6)  # given, four answers, their variance
        for answer in results[1:5]:
            assert np.array_equal(answer[:, :5], image[:, :5])
            assert not np.array_equal(answer[:, 6], image[:, 6])
        page.locator("#region").select_option("bottom_half")
        page.get_by_role("button", name="Make anew").click()
        until(page, "document.querySelector('#command').textContent.includes('--inpaint=bottom_half')")
        assert np.array_equal(loaded(page, "#photo-results img")[1][:4], image[:4])


def test_what_the_model_can_make_of_a_photograph_is_found(browser, client, tmp_path):
    (image,) = to_uint8(api.load(client.server.workspace.runs[0]).sample([5]))
    Image.fromarray(image).save(tmp_path / "given.png")
    with opened(browser, client, "run=0&view=photo") as page:
        page.locator("#photo-file").set_input_files(tmp_path / "given.png")
        loaded(page, "#photo-image")
        assert not page.locator("#inpaint").is_visible()
        page.get_by_role("button", name="Nearest that the model can make").click()
        shown(page, "#photo-results img", 2)
        assert "dB" in page.locator("#photo-results").inner_text()


def test_chains_are_built_from_forms_in_regions_and_kept(browser, client, place, tmp_path):
    image = np.zeros((32, 32, 3), np.uint8)
    image[:, 16:] = (200, 60, 20)
    Image.fromarray(image).save(tmp_path / "two.png")
    with opened(browser, client, "view=refine") as page:
        page.locator("#refine-file").set_input_files(tmp_path / "two.png")
        loaded(page, "#after")
        page.locator("#search").fill("inverts")
        page.locator("#search").fill("invert")
        page.get_by_role("button", name="Add invert").click()
        until(page, "document.querySelector('#after').src !== document.querySelector('#before').src")
        assert np.abs(loaded(page, "#after")[0].astype(int) - (255 - image)).max() <= 1
        page.locator("#only-region").check()
        box = page.locator("#compare").bounding_box()
        old = page.locator("#after").get_attribute("src")
        page.mouse.click(box["x"] + 0.8 * box["width"], box["y"] + 0.5 * box["height"])
        until(page, "old => document.querySelector('#after').src !== old", old)
        after = loaded(page, "#after")[0]
        assert np.array_equal(after[:, :15], image[:, :15])
        assert not np.array_equal(after[:, 20:], image[:, 20:])
        page.locator("#search").fill("gaussian")
        page.get_by_role("button", name="Add gaussian", exact=True).click()
        page.locator("#chain-steps .step").nth(1).get_by_role("spinbutton").first.fill("2")
        page.keyboard.press("Tab")
        until(page, "document.querySelector('#chain').value.includes('=2')")
        page.get_by_role("button", name="Remove invert").click()
        until(page, "!document.querySelector('#chain').value.includes('invert')")
        page.get_by_role("button", name="Keep as preset").click()
        assert page.locator("#presets button").count() == 6
        page.locator("#refine").get_by_role("button", name="Save").click()
        until(page, "document.querySelector('#status').textContent.startsWith('Saved')")
        assert list((place / "out").glob("two-refined*.png"))
        page.locator("#split").fill("90")
        assert "90%" in page.evaluate("getComputedStyle(document.querySelector('#after')).clipPath")


def test_in_eight_clicks_from_a_sample_to_a_verified_file(browser, client):
    clicks = 0

    def click(one) -> None:
        nonlocal clicks
        one.click()
        clicks += 1

    with opened(browser, client) as page:
        shown(page, "#grid .tile img", 16)
        click(page.locator("#grid .tile").nth(2))
        click(page.locator("#large").get_by_role("button", name="Walk from here"))
        loaded(page, "#moved")
        page.get_by_label("Direction 1").fill("2")
        clicks += 1
        page.wait_for_timeout(300)
        click(page.locator("#tabs").get_by_role("button", name="Explore"))
        shown(page, "#grid .tile img", 16)
        click(page.locator("#grid .tile").nth(2))
        click(page.locator("#large").get_by_role("button", name="Save"))
        until(page, "document.querySelector('#status').textContent.startsWith('Saved')")
        click(page.locator("#large").get_by_role("button", name="Verify"))
        page.wait_for_selector("#verdict .verdict")
        assert "equal" in page.locator("#verdict").inner_text()
        click(page.get_by_role("button", name="Show its state"))
        until(page, "location.hash.includes('seeds=2')")
        shown(page, "#grid .tile img", 1)
    assert clicks <= 8


def test_the_nearest_training_images_are_shown_with_their_distance(browser, client):
    with opened(browser, client) as page:
        shown(page, "#grid .tile img", 16)
        page.locator("#grid .tile").first.click()
        page.get_by_role("button", name="Nearest training images").click()
        assert len(shown(page, "#large-more img", 6)) == 6
        assert "training images" in page.locator("#large-note").inner_text()


def test_without_the_secret_the_page_says_what_to_do(browser, client):
    context = browser.new_context()
    page = context.new_page()
    page.goto(client.origin + "/")
    assert "Open the address" in page.locator("#status").inner_text()
    context.close()


def test_accessibility_has_no_serious_violation(browser, client, tmp_path):
    script = os.environ.get("GEN_TEST_AXE")
    if not script:
        pytest.skip("$GEN_TEST_AXE does not name axe.min.js")
    code = Path(script).read_text()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "x.png")
    for scheme in ("light", "dark"):
        with opened(browser, client, color_scheme=scheme) as page:
            shown(page, "#grid .tile img", 16)
            for name in ("Explore", "Walk", "Photo", "Refine", "Verify", "Favorites"):
                view(page, name)
                page.wait_for_timeout(500)
                found = page.evaluate(f"async () => {{ {code}; return (await axe.run()).violations }}")
                serious = [
                    (one["id"], [node["html"] for node in one["nodes"]][:3])
                    for one in found
                    if one["impact"] in ("serious", "critical")
                ]
                assert serious == [], (name, scheme)


def test_pictures_of_the_page_show_its_images(browser, client):
    with opened(browser, client) as page:
        made = shown(page, "#grid .tile img", 16)
        seen = (
            open_image(page.locator("#grid .tile img").nth(4).screenshot())
            .convert("RGB")
            .resize((32, 32), Image.Resampling.BOX)
        )
        assert np.abs(np.asarray(seen, np.float32) - made[4]).mean() < 12


def test_the_pictures_of_the_docs_are_taken(browser, place, tmp_path):
    maker = runpy.run_path(str(Path(__file__).parents[2] / "docs" / "make_studio.py"))
    maker["pictures"](browser, place / "gan", None, tmp_path)
    assert sorted(path.stem for path in tmp_path.iterdir()) == [
        "studio",
        "studio_refine",
        "studio_table",
        "studio_verify",
    ]
    for path in tmp_path.iterdir():
        with Image.open(path) as picture:
            shown = np.asarray(picture.convert("RGB"))
        assert shown.shape[1] == 1180 or path.stem == "studio_table"
        assert len(np.unique(shown.reshape(-1, 3), axis=0)) > 100  # images are on it, not only words
