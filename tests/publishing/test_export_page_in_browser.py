"""The page of an export as visitors use it, with ONNX Runtime in headless Chromium.

Skipped without the files of onnxruntime-web: $GEN_ONNXRUNTIME_WEB, else what `npm pack` wrote into the checkout.
"""

from __future__ import annotations

import dataclasses
import json
import os
import re
from pathlib import Path

import numpy as np
import onnx_models
import pytest
import tiny
from browser import DESKTOP, chromium, page_served
from PIL import Image
from untrained import untrained

from gen import provenance, verify
from gen.image_io.pixels import to_uint8
from gen.publishing import flow_steps, onnxruntime_web, page
from gen.runs import trained_run
from gen.sampling import by_seed

RUNTIME = Path(os.environ.get("GEN_ONNXRUNTIME_WEB") or Path(__file__).parents[2] / onnxruntime_web.PACKAGE)
if not RUNTIME.exists():
    pytest.skip(f"no {RUNTIME.name} here: {onnxruntime_web.COMMAND}", allow_module_level=True)

PHONE = (375, 800)
HOSTILE = [
    "<img src=x onerror=alert(1)>",
    "\"'&quot;{{ 7 * 7 }}",
    "two\nlines",
    "\u202eeuqs",
    "$& @date@",
    "é",
    "]]>",
    "8",
]
PARTS = onnx_models.drawn(8, tiny.NUM_CLASSES, tiny.IMAGE_SHAPE)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A run whose classes have hostile names."""
    found = trained_run.load(untrained(tmp_path_factory.mktemp("runs") / "gan", tiny.task_spec()))
    return dataclasses.replace(found, data_metadata=found.data_metadata | {"class_names": HOSTILE})


@pytest.fixture(scope="module")
def folder(run, tmp_path_factory):
    """The files of its page, with a model whose images are known in numpy."""
    out = tmp_path_factory.mktemp("page")
    files = page.files(run, RUNTIME) | {"model.onnx": onnx_models.model(*PARTS, tiny.IMAGE_SHAPE)}
    for name, content in files.items():
        (out / name).write_bytes(content)
    return out


@pytest.fixture(scope="module")
def browser():
    with chromium() as started:
        yield started


def wanted(run, seeds, *, labels=None, truncation=1.0, latents=None) -> np.ndarray:
    """Returns the pixels that the page must show."""
    labels = by_seed.drawn_labels(run.task, seeds) if labels is None else labels
    latents = by_seed.drawn_latents(run.task, seeds) if latents is None else latents
    return to_uint8(onnx_models.images(*PARTS, tiny.IMAGE_SHAPE, latents * truncation, labels))


def shown(opened, part: str) -> np.ndarray:
    """Returns the pixels of all images of a part, [n h w c], when they are drawn."""
    script = """all => all.map(one => {
        const copy = new OffscreenCanvas(one.width, one.height).getContext("2d");
        copy.drawImage(one, 0, 0);
        return Array.from(copy.getImageData(0, 0, one.width, one.height).data.filter((_, i) => i % 4 < 3));
    })"""
    canvases = opened.locator(f"{part} canvas")
    return np.asarray(canvases.evaluate_all(script)).reshape(-1, *tiny.IMAGE_SHAPE)


def expect(opened, part: str, images: np.ndarray) -> None:
    """Waits until a part shows these images: at most one level off, where rounding decides."""
    for _ in range(100):
        found = shown(opened, part)
        if found.shape == images.shape and np.abs(found - images.astype(int)).max() <= 1:
            return
        opened.wait_for_timeout(100)
    raise AssertionError(f"{part} does not show them")


def saved(opened, tmp_path) -> Path:
    with opened.expect_download() as download:
        opened.locator("#save").click()
    download.value.save_as(tmp_path / download.value.suggested_filename)
    return tmp_path / download.value.suggested_filename


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_seeds_are_the_images_that_they_are_for_gen(browser, folder, run, size, scheme):
    with page_served(browser, folder, size, color_scheme=scheme) as (opened, told):
        expect(opened, "#grid", wanted(run, range(16)))
        assert opened.locator("h1").inner_text() == "gan"
        assert opened.locator("#grid span").all_inner_texts() == [str(seed) for seed in range(16)]
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        assert opened.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), "it scrolls to the side"
        ground = opened.evaluate("getComputedStyle(document.body).backgroundColor")
        assert (sum(map(int, ground.strip("rgba()").split(",")[:3])) > 384) == (scheme == "light")
        nameless = opened.evaluate("""() => [...document.querySelectorAll("button, input, select")]
            .filter(one => !one.textContent.trim() && !one.getAttribute("aria-label") && !(one.labels || []).length)
            .map(one => one.outerHTML)""")
        assert nameless == []
        assert told.nothing()


def test_seeds_classes_and_truncation_are_chosen(browser, folder, run):
    with page_served(browser, folder) as (opened, told):
        expect(opened, "#grid", wanted(run, range(16)))
        opened.locator("#next").click()
        expect(opened, "#grid", wanted(run, range(16, 32)))
        opened.locator("#previous").click()
        opened.locator("#previous").click()
        expect(opened, "#grid", wanted(run, range(16)))
        opened.locator("#seed").fill("4294967295")  # the last there is
        opened.locator("#seed").press("Enter")
        expect(opened, "#grid", wanted(run, range(2**32 - 16, 2**32)))
        opened.locator("#seed").fill("-5")
        opened.locator("#seed").press("Enter")
        opened.locator("#label").select_option("5")
        expect(opened, "#grid", wanted(run, range(16), labels=[5] * 16))
        opened.locator("#truncation").fill("0.5")
        expect(opened, "#grid", wanted(run, range(16), labels=[5] * 16, truncation=0.5))
        opened.locator("#random").click()
        opened.wait_for_timeout(300)
        assert int(opened.locator("#seed").input_value()) > 16
        assert told.nothing()


def test_classes_are_named_as_text(browser, folder, run):
    with page_served(browser, folder) as (opened, told):
        expect(opened, "#grid", wanted(run, range(16)))
        names = opened.locator("#label option").evaluate_all("all => all.map(one => one.textContent)")
        assert names == ["by seed", *json.loads((folder / "page.json").read_text())["classes"]]
        assert {name for name in HOSTILE if name.isprintable()} <= set(names)
        assert all(name.isprintable() for name in names)
        assert opened.locator("img").count() == 0
        assert told.nothing()


def test_the_way_between_two_seeds_is_that_of_gen(browser, folder, run):
    with page_served(browser, folder) as (opened, told):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        opened.locator("#to").fill("9")
        opened.locator("#to").press("Enter")
        path = by_seed.interpolation(run.task, [0, 9], 7)
        labels = by_seed.drawn_labels(run.task, [0]) * 8
        expect(opened, "#way", wanted(run, [0] * 8, labels=labels, latents=path))
        for fraction in ("0.1", "0.3", "0.25"):
            opened.locator("#fraction").fill(fraction)  # faster than it draws
        latent = by_seed.slerp(*by_seed.drawn_latents(run.task, [0, 9]), 0.25)[None]
        expect(opened, "#middle", wanted(run, [0], latents=latent))
        assert told.nothing()


def test_saved_files_carry_their_record(browser, folder, run, tmp_path):
    with page_served(browser, folder) as (opened, told):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        for label, name in enumerate(HOSTILE):
            opened.locator("#label").select_option(str(label))
            expect(opened, "#grid", wanted(run, range(16), labels=[label] * 16))
            opened.locator("#grid button").nth(3).click()
            path = saved(opened, tmp_path)
            opened.locator("#close").click()
            assert path.name == "seed0003.png"
            with Image.open(path) as image:
                pixels = np.asarray(image)
                assert set(image.info) >= {"XML:com.adobe.xmp", "gen:seed"}
            assert np.abs(pixels.astype(int) - wanted(run, [3], labels=[label])[0]).max() <= 1
            record, of_gen = provenance.read(path), run.record(seed=3, label=name, truncation=1.0)
            of_gen |= {field: record[field] for field in ("gen:software", "gen:date", "gen:pixels")}
            assert record == of_gen
            assert record["gen:pixels"] == provenance.pixels_digest(pixels)
            assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", record["gen:date"])
        assert told.nothing()


def test_a_saved_file_is_told_by_gen_verify(browser, folder, tmp_path, capsys):
    with page_served(browser, folder) as (opened, told):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        opened.locator("#way button").nth(3).click()
        path = saved(opened, tmp_path)
        assert told.nothing()
    assert path.name == "seed0000-0001.png"
    verify.main(verify.VerifyOptions(inputs=(path,)))
    assert 'says that it was made by gen: run "gan", seeds 0,1' in " ".join(capsys.readouterr().out.split())
    assert provenance.read(path)["gen:interpolation"] == pytest.approx(3 / 7, abs=1e-4)


def test_a_page_without_its_model_says_so(browser, folder, tmp_path):
    for path in folder.iterdir():
        if path.name != "model.onnx":
            (tmp_path / path.name).write_bytes(path.read_bytes())
    with page_served(browser, tmp_path) as (opened, _):
        opened.locator("#status", has_text="The model could not be started").wait_for()
        assert opened.locator("#tool").is_hidden()


CENTERS = np.random.default_rng(1).normal(0, 0.5, (tiny.NUM_CLASSES + 1, int(np.prod(tiny.IMAGE_SHAPE)))).astype("f4")


@pytest.fixture(scope="module")
def flow(tmp_path_factory):
    """A run of a flow."""
    return trained_run.load(untrained(tmp_path_factory.mktemp("runs") / "flow", tiny.flow_spec(steps=4)))


@pytest.fixture(scope="module")
def flow_folder(flow, tmp_path_factory):
    """The files of its page, with a model whose velocity is known in numpy."""
    out = tmp_path_factory.mktemp("flow")
    files = page.files(flow, RUNTIME) | {"model.onnx": onnx_models.flow(CENTERS, tiny.IMAGE_SHAPE)}
    for name, content in files.items():
        (out / name).write_bytes(content)
    return out


def flowed(flow, seeds, *, labels=None, truncation=1.0, latents=None, **settings) -> np.ndarray:
    """Returns the pixels that the page must show. settings: steps and guidance, where they are not the flow's own."""
    task = dataclasses.replace(flow.task, **settings)
    labels = by_seed.drawn_labels(task, seeds) if labels is None else labels
    latents = by_seed.drawn_latents(task, seeds) if latents is None else np.float32(latents)
    drawn = {"latent": latents * np.float32(truncation), "label": np.int32(labels), "steps": task.steps}
    return to_uint8(flow_steps.images(lambda given: onnx_models.velocity(CENTERS, given), task, drawn))


def test_a_flow_makes_the_images_that_it_makes_for_gen(browser, flow_folder, flow):
    with page_served(browser, flow_folder) as (opened, told):
        expect(opened, "#grid", flowed(flow, range(16)))
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        assert (opened.locator("#steps").input_value(), opened.locator("#guidance").input_value()) == ("4", "1.5")
        path = by_seed.interpolation(flow.task, [0, 1], 7)
        labels = by_seed.drawn_labels(flow.task, [0]) * 8
        expect(opened, "#way", flowed(flow, [0] * 8, labels=labels, latents=path))
        opened.locator("#label").select_option("5")
        opened.locator("#truncation").fill("0.5")
        for id, text, shown in (("steps", "7", "7"), ("guidance", "3", "3"), ("steps", "0", "1"), ("steps", "", "4")):
            opened.locator(f"#{id}").fill(text)
            opened.locator(f"#{id}").press("Enter")
            assert opened.locator(f"#{id}").input_value() == shown
            settings = {name: json.loads(opened.locator(f"#{name}").input_value()) for name in ("steps", "guidance")}
            expect(opened, "#grid", flowed(flow, range(16), labels=[5] * 16, truncation=0.5, **settings))
        assert told.nothing()


def test_files_of_a_flow_carry_what_makes_them_again(browser, flow_folder, flow, tmp_path):
    with page_served(browser, flow_folder) as (opened, told):
        opened.locator("#guidance").fill("2.5")
        opened.locator("#guidance").press("Enter")
        expect(opened, "#grid", flowed(flow, range(16), guidance=2.5))
        opened.locator("#grid button").nth(3).click()
        path = saved(opened, tmp_path)
        assert told.nothing()
    label = flow.class_names[by_seed.drawn_labels(flow.task, [3])[0]]
    record = provenance.read(path)
    of_gen = flow.record(seed=3, label=label, truncation=1.0, steps=4, guidance=2.5)
    assert record == of_gen | {field: record[field] for field in ("gen:software", "gen:date", "gen:pixels")}
    with Image.open(path) as image:
        assert record["gen:pixels"] == provenance.pixels_digest(np.asarray(image))


def test_a_flow_is_stopped_and_goes_on(browser, flow_folder, flow):
    with page_served(browser, flow_folder) as (opened, told):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        opened.locator("#stop[aria-disabled=true]").wait_for()
        opened.locator("#steps").fill("1000")
        opened.locator("#steps").press("Enter")
        opened.locator("#doing", has_text=re.compile(r"^Seeds: image \d+ of 16, step \d+ of 1000$")).wait_for()
        opened.locator("#stop").click()
        opened.locator("#stop[aria-disabled=true]").wait_for()
        assert "Stopped" in opened.locator("#status").inner_text()
        assert opened.locator("#doing").inner_text() == ""
        assert opened.evaluate("document.activeElement.closest('#grid') !== null"), "the focus goes on"
        assert opened.locator("#grid button[aria-disabled=true][aria-label]").count() == 0
        assert opened.locator("#grid button[aria-disabled=true]").count() <= 1, "those of before are whole"
        opened.locator("#steps").fill("2")
        opened.locator("#steps").press("Enter")
        expect(opened, "#grid", flowed(flow, range(16), steps=2))
        assert opened.locator("#grid button[aria-disabled=true]").count() == 0
        opened.locator("#status", has_text="ms for an image").wait_for()
        assert told.nothing()


def test_a_newer_drawing_takes_over(browser, flow_folder, flow):
    with page_served(browser, flow_folder) as (opened, told):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        opened.locator("#stop[aria-disabled=true]").wait_for()
        opened.evaluate("""() => {
            window.parts = [];
            const note = ([part]) => part && part !== parts.at(-1) && parts.push(part);
            const doing = document.getElementById("doing");
            new MutationObserver(() => note(doing.textContent.split(":"))).observe(doing, { childList: true });
        }""")
        opened.locator("#steps").fill("50")
        opened.locator("#steps").press("Enter")
        opened.locator("#doing", has_text="Seeds: image").wait_for()
        opened.locator("#label").select_option("5")
        opened.locator("#grid button").first.focus()
        opened.locator(f"#grid button:first-child[aria-label$='{flow.class_names[5]}']").wait_for()
        assert opened.evaluate("document.activeElement === document.querySelector('#grid button')"), "it is drawn anew"
        opened.locator("#next").click()  # the way is still to be drawn
        opened.locator("#to").fill("")  # being typed
        expect(opened, "#grid", flowed(flow, range(16, 32), labels=[5] * 16, steps=50))
        path = by_seed.interpolation(flow.task, [0, 1], 7)
        expect(opened, "#way", flowed(flow, [0] * 8, labels=[5] * 8, latents=path, steps=50))
        assert opened.evaluate("parts") == ["Seeds", "Between", "Way"], "nothing was drawn beside the grid"
        assert opened.locator("#to").input_value() == ""
        opened.locator("#to").press("Enter")
        assert opened.locator("#to").input_value() == "1"
        assert told.nothing()


def test_as_many_steps_as_the_flow_has_are_allowed(browser, flow_folder, tmp_path):
    for path in flow_folder.iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    about = json.loads((tmp_path / "page.json").read_text())
    about["flow"] |= {"steps": 1200, "guidance": 150.0}
    (tmp_path / "page.json").write_text(json.dumps(about))
    with page_served(browser, tmp_path) as (opened, told):
        opened.locator("#doing", has_text=re.compile(r"^Seeds: image 2 of 16, step \d+ of 1200$")).wait_for()
        for id, own, less in (("steps", "1200", "1100"), ("guidance", "150", "149.5")):
            assert opened.locator(f"#{id}").input_value() == own
            for text, shown in (("99999", own), (less, less), ("", own)):
                opened.locator(f"#{id}").fill(text)
                opened.locator(f"#{id}").press("Enter")
                assert opened.locator(f"#{id}").input_value() == shown
        assert told.nothing()


@pytest.mark.parametrize(
    ("run", "said"),
    [
        ("() => { throw new Error('<b>no memory</b>'); }", "Stopped: <b>no memory</b>"),
        ("async () => ({ velocity: { data: new Float32Array(768).fill(NaN) } })", "images that are not finite"),
    ],
)
def test_an_image_that_cannot_be_made_is_said(browser, flow_folder, flow, run, said):
    with page_served(browser, flow_folder) as (opened, told):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        opened.locator("#stop[aria-disabled=true]").wait_for()
        opened.evaluate(f"""async () => {{
            const session = (await import("/ort.wasm.min.mjs")).InferenceSession.prototype;
            window.whole = session.run;
            session.run = {run};
            window.restore = () => (session.run = window.whole);
        }}""")
        opened.locator("#label").select_option("5")
        opened.locator("#status", has_text=said).wait_for()
        opened.locator("#stop[aria-disabled=true]").wait_for()
        assert opened.locator("#doing").inner_text() == ""
        assert opened.locator("#large").is_hidden()
        opened.evaluate("() => { restore(); }")
        opened.locator("#label").select_option("6")
        expect(opened, "#grid", flowed(flow, range(16), labels=[6] * 16))
        opened.locator("#status", has_text="ms for an image").wait_for()
        assert told.nothing()


def test_a_generator_has_no_controls_of_a_flow(browser, folder):
    with page_served(browser, folder) as (opened, _):
        opened.locator("#way button[aria-label]").nth(7).wait_for()
        for id in ("steps", "guidance", "stop"):
            assert opened.locator(f"#{id}").is_hidden()
