"""The page of a comparison: its charts from known lines, its notes, and that it stays small."""

import json
import math
import re

import numpy as np
import pytest
from browser import DESKTOP, PHONE, chromium, page_of
from PIL import Image
from written_runs import FACTS, result, write_run

from gen.comparing import page
from gen.comparing.runs import read
from gen.report import curves
from gen.runs.run_folder import signed

HOSTILE = "<img src=x onerror=alert(1)>&{{ 7*7 }}"


def loaded(tmp_path, *options):
    each = [write_run(tmp_path / f"run{i}", **given) for i, given in enumerate(options)]
    return [read(path, path.name, by="step") for path in each]


def text_of(html: str) -> str:
    return " ".join(re.sub(r"<[^>]+>", " ", html).split())


def test_each_scalar_is_a_chart_with_a_line_for_each_run_that_has_it(tmp_path):
    a = [{"step": 0, "loss": 0.0, "own": 1.0}, {"step": 10, "loss": 10.0, "both": 1.0}]
    b = [{"step": 0, "loss": 5.0}, {"step": 5, "loss": None}, {"step": 20, "loss": 10.0}]
    c = [{"step": 10, "both": 2.0}]
    runs = loaded(tmp_path, {"lines": a}, {"lines": b}, {"lines": c})
    shared, alone = page._scalars(runs)
    assert (shared, alone) == (["loss", "both"], ["own"])
    loss, both = page.charts(runs, shared, by="step")
    assert (loss.title, loss.x_label) == ("loss", "step")
    # x from 66 to 426 for the steps 0 to 20, y from 188 to 10 for 0 to 10: the corners and middles of the picture.
    assert loss.lines[0].stretches == [["66.0 188.0", "246.0 10.0"]]
    assert loss.lines[1].stretches == [["66.0 99.0"], ["426.0 10.0"]]
    assert [line.css for line in loss.lines] == ["line0 run0", "line1 run1"]
    assert [line.css for line in both.lines] == ["line0 run0", "line2 run2"]  # a run has its color everywhere
    html = page.render(runs, by="step")
    assert "Only one run has: own." in text_of(html)
    assert html.count('<figure class="chart">') == 2


def test_one_run_shows_all_it_has(tmp_path):
    html = page.render(loaded(tmp_path, {"lines": [{"step": 1, "loss": 1.0}]}), by="step")
    assert html.count('<figure class="chart">') == 1
    assert "<h1>1 run</h1>" in html
    assert 'id="config"' not in html


def test_styles_tell_24_runs_apart():
    assert page.style(0) == "line0"
    assert page.style(7) == "line1 dash1"
    assert len({page.style(index) for index in range(24)}) == 24


def test_the_page_tells_what_differs_and_what_does_not_compare(tmp_path):
    other = {**FACTS, "digest": "cd" * 32}
    runs = loaded(
        tmp_path,
        {"batch_size": 8, "found": [result(value=5), result("KD-own", 0.5)]},
        {"batch_size": 16, "found": [result(value=3), result("KD-own", 0.25, num_samples=10)], "facts": other},
    )
    html = page.render(runs, by="step")
    text = text_of(html)
    assert "batch_size 8 16" in text
    assert "log_every" not in text
    count = len(runs[0].config)
    assert f"{count - 1} fields are equal in all runs and left out." in text
    assert "≈ 5 4 .. 6 ★ 3 2 .. 4" in text
    assert "none of them is marked: num samples is 1000 (run0), 10 (run1): KD-own" in text
    assert html.count("★ ") == 2  # the number, and the explanation
    assert "These runs learn from unlike data: abababababab: run0; cdcdcdcdcdcd: run1" in text


def test_what_strangers_wrote_is_text(tmp_path):
    lines = [{"step": 1, HOSTILE: 1.0}, {"step": 2, HOSTILE: 2.0}]
    path = write_run(
        tmp_path / HOSTILE.replace("/", "_"),
        lines=lines,
        facts={**FACTS, "name": HOSTILE},
        found=[result(HOSTILE)],
        experiment=HOSTILE,
    )
    other = write_run(tmp_path / "plain", lines=lines, found=[result(HOSTILE, num_samples=3)])
    html = page.render([read(path, HOSTILE, by="step"), read(other, "plain", by="step")], by="step")
    assert "<img src=x" not in html
    assert "{{" in html  # no template runs it
    assert html.count("&lt;img src=x onerror=alert(1)&gt;") > 10


def test_twenty_long_runs_fit_into_6_mb(tmp_path):
    path = write_run(tmp_path / "run", lines=[])
    (path / "previews").mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (600, 600, 3), np.uint8)).save(path / "previews" / "000000100.png")
    run = read(path, "run", by="step")
    wave = [math.sin(i * i) for i in range(500)]  # what thinning leaves of 100,000 steps
    lines = {f"scalar{k}": curves.Series("run", [200 * i for i in range(500)], wave) for k in range(40)}
    run.__dict__["curves"] = lines
    html = page.render([run] * 20, by="step")
    assert html.count('<path class="line') == 800
    assert 1_000_000 < len(html.encode()) < 6_000_000


def test_fields_and_charts_beyond_the_bounds_are_counted(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "_MOST_CHARTS", 1)
    monkeypatch.setattr(page, "_MOST_FIELDS", 1)
    lines = [{"step": 1, "a": 1.0, "b": 1.0, "c": 2.0}]
    runs = loaded(tmp_path, {"lines": lines}, {"lines": lines, "batch_size": 16, "seed": 7})
    text = text_of(page.render(runs, by="step"))
    assert "and 1 fields more" in text
    assert "and 2 scalars more" in text


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
def test_in_a_browser_a_run_is_hidden_by_its_box_and_nothing_scrolls_but_tables(tmp_path, size):
    long = "learning_rate=0.001,batch_size=16," * 4
    paths = [write_run(tmp_path / f"{long}{i}", found=[result(value=i)], previews=(3,), seed=i) for i in range(3)]
    (paths[0] / "data.json").write_text(json.dumps(signed({**FACTS, "name": HOSTILE})))
    file = tmp_path / "page.html"
    runs = [read(path, path.name, by="step") for path in paths]
    file.write_text(page.render(runs, by="step"), encoding="utf-8")
    with chromium() as browser, page_of(browser, file, size) as (opened, told):
        assert opened.evaluate("document.scrollingElement.scrollWidth <= innerWidth"), "it scrolls to the side"
        assert opened.locator("path.run1").first.is_visible()
        opened.locator("input[data-run='1']").uncheck()
        assert not opened.locator("path.run1").first.is_visible()
        assert opened.locator("path.run2").first.is_visible()
        assert opened.locator(".chart li:visible").count() == 2
        images = opened.locator("#previews img")
        assert images.evaluate_all("all => all.length === 3 && all.every(one => one.naturalWidth > 0)")
        assert told.nothing()
