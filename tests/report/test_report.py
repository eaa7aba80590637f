"""Pictures, the log, the progress line and the page: what a person sees of a run."""

from __future__ import annotations

import base64
import datetime
import io
import json
import math
import re
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image

from gen import provenance
from gen.errors import InputError
from gen.image_io.pixels import to_uint8
from gen.report import Progress, Report, enlargement, grid, html, save_png
from gen.report import report as report_module
from gen.report.curves import Series, chart, compact, thin, ticks
from gen.report.events import Events
from gen.report.page import REFRESH_SECONDS, RunSummary, duration, render

CONFIG = {
    "data": {"call": "gen.data:shapes", "resolution": 32},
    "task": {"call": "gen.tasks.gan:Gan", "generator": {"call": "gen.models.r3gan:Generator", "widths": [8, 4]}},
    "batch_size": 64,
    "total_images": 6400,
    "note": "<script>alert(1)</script>",
}
DATA = {
    "name": "cats & <dogs>",
    "image_shape": [16, 16, 3],
    "num_train": 12345,
    "class_names": ["cat", "<dog>"],
    "num_classes": 2,
    "skipped": [{"file": "broken<1>.png", "reason": "truncated"}],
}


def images(count: int, *, side: int = 16, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(count).random((count, side, side, channels))


def report(tmp_path, **options) -> Report:
    return Report(tmp_path, config_json=json.dumps(CONFIG), data_metadata=DATA, **options)


def lines(tmp_path) -> list[dict]:
    return [json.loads(line) for line in (tmp_path / "metrics.jsonl").read_text().splitlines()]


# -- Pictures


def test_grid_puts_every_pixel_where_it_belongs():
    tiles = np.arange(3 * 2 * 4 * 3, dtype=np.uint8).reshape(3, 2, 4, 3)
    picture = grid(tiles, columns=2, pad=1, scale=2)
    assert picture.shape == (2 * (4 + 1) + 1, 2 * (8 + 1) + 1, 3)
    for index, (row, column) in enumerate([(0, 0), (0, 1), (1, 0)]):
        top, left = 1 + row * 5, 1 + column * 9
        np.testing.assert_array_equal(picture[top : top + 4 : 2, left : left + 8 : 2], tiles[index])
        np.testing.assert_array_equal(picture[top + 1 : top + 4 : 2, left + 1 : left + 8 : 2], tiles[index])
    assert len(np.unique(picture[6:10, 10:18])) == 1  # the empty place
    assert len(np.unique(picture[0])) == 1


def test_grid_shows_gray_images_and_chooses_columns_and_scale():
    tiles = np.linspace(0, 1, 5).reshape(5, 1, 1, 1) * np.ones((5, 32, 32, 1))
    picture = grid(tiles, pad=0)
    assert picture.shape == (2 * 96, 3 * 96, 3)
    np.testing.assert_array_equal(picture[::96, ::96, 0], [[0, 64, 128], [191, 255, 128]])
    assert [enlargement(side, side) for side in (8, 28, 32, 64, 96, 256)] == [12, 3, 3, 1, 1, 1]


def test_floats_are_clipped_and_rounded():
    np.testing.assert_array_equal(to_uint8(np.array([-1, 0, 0.5, 1, 2, np.nan])), [0, 0, 128, 255, 255, 0])


@pytest.mark.parametrize("wrong", [np.zeros((0, 4, 4, 3)), np.zeros((4, 4, 3)), np.zeros((1, 4, 4, 2))])
def test_grid_refuses_other_shapes(wrong):
    with pytest.raises(ValueError, match="images have shape"):
        grid(wrong)


def test_integers_other_than_uint8_are_refused():
    with pytest.raises(ValueError, match="int64"):
        grid(np.zeros((1, 4, 4, 3), np.int64))


def test_save_png_replaces_at_once_and_keeps_text(tmp_path):
    path = tmp_path / "picture.png"
    for value in (1, 2):
        save_png(path, np.full((4, 5, 3), value, np.uint8), record={"gen:seed": "17"})
    with Image.open(path) as image:
        np.testing.assert_array_equal(np.asarray(image), np.full((4, 5, 3), 2))
        assert image.info["gen:seed"] == "17"
    assert [file.name for file in tmp_path.iterdir()] == ["picture.png"]


def test_every_picture_of_a_run_tells_what_made_it(tmp_path):
    log = report(tmp_path)
    log.real(images(4))
    path = log.preview(images(4, side=300), 7, seed="0-3")
    log.refined(images(4), 7, refine="invert")
    found = provenance.read(path)
    assert (found["gen:run"], found["gen:step"], found["gen:seed"]) == (tmp_path.name, 7, "0-3")
    assert (found["gen:shows"], found["gen:digital_source_type"]) == ("grid", "trainedAlgorithmicMedia")
    assert provenance.read(tmp_path / "refined.png")["gen:refine"] == "invert"
    assert provenance.read(tmp_path / "real.png")["gen:digital_source_type"] == "composite"
    page = log.write_html("running").read_text()
    pictures = [base64.b64decode(text) for text in re.findall('data:image/[a-z]+;base64,([^"]+)', page)]
    assert len(pictures) > 1
    for number, content in enumerate(pictures):  # also the preview, which is too large and becomes JPEG
        (tmp_path / f"{number}.image").write_bytes(content)
        kept = provenance.read(tmp_path / f"{number}.image")
        assert kept in (found, provenance.read(tmp_path / "refined.png"), provenance.read(tmp_path / "real.png"))


# -- The log


def test_log_is_one_json_line_per_step_at_once(tmp_path):
    report(tmp_path).log(10, {"images": 640, "d_loss": np.float32(0.5), "r1": np.array(math.inf)})
    assert lines(tmp_path) == [{"step": 10, "images": 640, "d_loss": 0.5, "r1": None}]


def test_rewind_drops_what_a_killed_run_left_after_its_checkpoint(tmp_path):
    killed = report(tmp_path)
    for step in (10, 20, 30, 40):
        killed.log(step, {"images": step, "seconds": step / 2, "loss": 1.0})
        killed.preview(images(4), step)
    with (tmp_path / "metrics.jsonl").open("a") as file:
        file.write('{"step": 50, "los')
    resumed = report(tmp_path)
    assert resumed.seconds == 20
    resumed.rewind(20)
    assert resumed.seconds == 10
    assert [line["step"] for line in lines(tmp_path)] == [10, 20]
    assert sorted(path.name for path in (tmp_path / "previews").iterdir()) == ["000000010.png", "000000020.png"]
    resumed.log(30, {"loss": 2.0})
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(10, 1.0), (20, 1.0), (30, 2.0)]


def test_a_step_logged_again_keeps_curves_single_valued(tmp_path):
    log = report(tmp_path)
    for step, loss in ((10, 1.0), (20, 2.0), (30, 3.0), (20, 4.0)):
        log.log(step, {"loss": loss})
    assert [(line["step"], line["loss"]) for line in lines(tmp_path)] == [(10, 1.0), (20, 4.0)]


RECORDS = ['{"step": 10, "images": 80, "seconds": 1.5, "loss": null}', '{"step": 20, "images": 160, "loss": 1}']
BAD = {
    "no JSON": b"nonsense",
    "torn in the middle": b'{"step": 15, "ima',
    "null": b"null",
    "a list": b"[1]",
    "a number": b"7",
    "an object without a step": b"{}",
    "a step of text": b'{"step": "x"}',
    "a step that is true": b'{"step": true}',
    "a fraction of a step": b'{"step": 15.5}',
    "a step below 0": b'{"step": -1}',
    "a step once more": b'{"step": 10, "images": 80}',
    "text for a number": b'{"step": 15, "images": 120, "loss": "<script>"}',
    "a list for a number": b'{"step": 15, "images": 120, "loss": [1]}',
    "images of null": b'{"step": 15, "images": null}',
    "NaN": b'{"step": 15, "images": NaN}',
    "too large": b'{"step": 15, "images": 120, "seconds": 1e400}',
    "many digits": b'{"step": 15, "images": ' + b"9" * 5000 + b"}",
    "deep": b"[" * 100_000,
    "not UTF-8": b'\xff\xfe{"step": 15}',
    "NUL bytes": b"\0" * 50,
}


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_line_that_is_no_record_is_left_out_and_the_damaged_log_is_kept(tmp_path, caplog, bad):
    content = b"\n".join([RECORDS[0].encode(), bad, RECORDS[1].encode(), b""])
    (tmp_path / "metrics.jsonl").write_bytes(content)
    log = report(tmp_path)
    log.rewind(20)
    log.write_html("running")
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == RECORDS
    assert (tmp_path / "metrics.jsonl.damaged").read_bytes() == content
    (message,) = caplog.messages
    assert message == (
        f"{tmp_path}/metrics.jsonl is damaged (line 2 is no record of a later step): kept as metrics.jsonl.damaged; "
        "2 lines of it go on"
    )


def test_a_damaged_last_line_is_one_warning(tmp_path, caplog):
    (tmp_path / "metrics.jsonl").write_text("\n".join([RECORDS[0], '{"step": 20, "images": "<b>"}', ""]))
    report(tmp_path).rewind(20)
    assert len(caplog.messages) == 1


@pytest.mark.parametrize("end", ['{"step": 30, "ima', '{"st', "{", "", "\n\n"])
def test_half_a_last_line_is_what_a_kill_leaves_and_no_damage(tmp_path, caplog, end):
    (tmp_path / "metrics.jsonl").write_text("\n".join([*RECORDS, end]))
    report(tmp_path).rewind(20)
    assert (tmp_path / "metrics.jsonl").read_text().splitlines() == RECORDS
    assert caplog.messages == []


@pytest.mark.parametrize(("content", "last"), [(RECORDS[0] + "\n", 10), ("", 0), (None, 0)])
def test_lines_that_are_lost_are_said(tmp_path, caplog, content, last):
    if content is not None:
        (tmp_path / "metrics.jsonl").write_text(content)
    report(tmp_path).rewind(20)
    (message,) = caplog.messages
    assert message.endswith(f"metrics.jsonl has nothing after step {last}: what was logged up to step 20 is lost")


def test_other_things_in_the_places_of_files_are_put_aside(tmp_path, caplog):
    places = ("metrics.jsonl", "report.html", "real.png", "refined.png", "previews/000000030.png")
    for name in places:
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "mine").touch()
    log = report(tmp_path)
    log.rewind(0)
    log.log(1, {"images": 8})
    log.real(images(4))
    log.refined(images(4), 3)
    log.preview(images(4), 30)
    log.write_html("running")
    assert all((tmp_path / name).is_file() and (tmp_path / f"{name}.damaged" / "mine").exists() for name in places)
    assert sorted(m.partition(" is damaged (it is no file): kept as ")[0] for m in caplog.messages) == sorted(
        str(tmp_path / name) for name in places
    )


def test_a_file_in_the_place_of_the_previews_is_put_aside(tmp_path, caplog):
    (tmp_path / "previews").write_text("mine")
    log = report(tmp_path)
    log.rewind(0)
    assert log.preview(images(4), 1).is_file()
    assert (tmp_path / "previews.damaged").read_text() == "mine"


def test_damaged_pictures_and_evaluations_are_left_out_with_one_warning_each(tmp_path, caplog):
    log = report(tmp_path)
    log.preview(images(4), 1)
    cut = log.preview(images(4), 2)
    cut.write_bytes(cut.read_bytes()[:50])
    (tmp_path / "previews" / "²³.png").write_bytes(b"x")  # no preview of ours: digits, but no number
    log.real(images(4)).write_bytes(b"")
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "section.html").write_bytes(b"\xff\xfe")
    for _ in range(2):
        page = log.write_html("running").read_text()
    assert page.count("<img") == 1
    assert sorted(message.partition(" is left out of the report")[0] for message in caplog.messages) == [
        str(tmp_path / name) for name in ("evaluation/section.html", "previews/000000002.png", "real.png")
    ]


def test_who_only_reads_a_report_changes_no_log(tmp_path):
    (tmp_path / "metrics.jsonl").write_text("nonsense")
    report(tmp_path).write_html("finished")
    assert (tmp_path / "metrics.jsonl").read_text() == "nonsense"


def test_tensorboard_gets_scalars_and_images_without_tensorflow(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    events = report(tmp_path, tensorboard=True)
    events.log(10, {"loss": 0.5, "images": 640, "r1": math.nan})
    events.preview(images(4), 10)
    events.close()
    (path,) = (tmp_path / "tensorboard").iterdir()
    found = {value.tag: value for event in loader.EventFileLoader(str(path)).Load() for value in event.summary.value}
    assert found["loss"].tensor.float_val[0] == 0.5
    assert "r1" not in found
    with Image.open(io.BytesIO(found["preview"].tensor.string_val[2])) as image:
        assert image.size == grid(images(4)).shape[1::-1]
    assert "tensorflow" not in sys.modules


def test_events_go_on_in_a_new_file_after_one_that_could_not_be_written(tmp_path):
    loader = pytest.importorskip("tensorboard.backend.event_processing.event_file_loader")
    events = Events(tmp_path / "tensorboard")
    events.scalars(1, {"loss": 1.0})
    whole, events._file = events._file, open("/dev/full", "wb")  # noqa: SIM115
    with pytest.raises(OSError, match=r"No space left on device: .*tensorboard"):
        events.scalars(2, {"loss": 2.0})
    events.scalars(3, {"loss": 3.0})
    events.close()
    whole.close()
    paths = sorted((tmp_path / "tensorboard").iterdir())
    steps = [[event.step for event in loader.EventFileLoader(str(path)).Load()] for path in paths]
    assert steps == [[0, 1], [0, 3]]


def test_tensorboard_that_is_missing_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboard.compat.proto", None)
    with pytest.raises(InputError, match=r"gen\[tensorboard\]"):
        report(tmp_path, tensorboard=True)


# -- The progress line


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_measures_after_compilation():
    times = iter([0.0, 60.0, 70.0, 75.0])
    progress = Progress(2000, 64, seconds=100.0, clock=lambda: next(times))
    assert progress.measure(1) == {"images": 64, "seconds": 160.0}
    assert progress.measure(51) == {
        "images": 51 * 64,
        "seconds": 170.0,
        "steps_per_second": 5.0,
        "images_per_second": 320.0,
    }
    metrics = progress.measure(501) | {"d_loss": 0.6931}
    text = progress.text(501, metrics)
    assert text == "step 501/2,000 · 25 % · 5.76e+03 images/s · 90 steps/s · ETA 17 s · d_loss 0.693"


def test_progress_adds_lines_to_a_log_and_rewrites_one_on_a_terminal():
    log, terminal = io.StringIO(), _Terminal()
    for stream in (log, terminal):
        for step in (1, 2):
            Progress(2, 8, stream=stream).show(step, {})
    assert log.getvalue() == "step 1/2 · 50 %\nstep 2/2 · 100 %\n"
    assert terminal.getvalue() == "\r\x1b[Kstep 1/2 · 50 %\r\x1b[Kstep 2/2 · 100 %\n"


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (45.4, "45 s"), (200, "3 min 20 s"), (3600, "1 h"), (7500, "2 h 5 min"), (273600, "3 d 4 h")],
)
def test_duration(seconds, text):
    assert duration(seconds) == text


# -- Curves


@pytest.mark.parametrize(
    ("value", "text"),
    [(0, "0"), (1.25, "1.25"), (-3, "-3"), (20_000, "20k"), (1_500_000, "1.5M"), (1234, "1234"), (3e-7, "3e-7")],
)
def test_compact(value, text):
    assert compact(value) == text


def test_ticks_are_round_and_inside():
    assert ticks(0, 100) == [0, 20, 40, 60, 80, 100]
    np.testing.assert_allclose(ticks(-0.31, 0.9), [0.0, 0.5])
    np.testing.assert_allclose(ticks(2e-5, 2e-4), [5e-5, 1e-4, 1.5e-4, 2e-4])
    assert ticks(3, 3) == [3]


def test_thinning_keeps_peaks_and_order():
    y = np.sin(np.arange(5000))
    y[3210] = 100.0
    line = thin(Series("loss", list(range(5000)), list(y)))
    assert len(line.x) <= 500
    assert max(line.y) == 100.0
    assert line.x == sorted(line.x)


def test_chart_draws_known_places_gaps_and_its_own_scale():
    line = Series("loss", [0, 50, 100, 150, 200], [0.0, 10.0, None, math.nan, 5.0])
    drawn = chart("Losses", [line], x_label="real images shown", y_label="loss")
    # The left bottom corner, then a quarter to the right at the top; the point behind the gap stands alone.
    assert drawn.lines[0].stretches == [["66.0 188.0", "156.0 10.0"], ["426.0 99.0"]]
    assert drawn.lines[0].last == "5"
    text = html.render("chart.html", chart=drawn)
    assert 'd="M66.0 188.0L156.0 10.0"' in text
    assert text.count("<path") == 1
    assert '<circle class="dot line0" cx="426.0" cy="99.0"' in text
    assert "<b>5</b>" in text
    assert "log scale" not in text
    steep = chart("r1", [Series("r1", [0, 1, 2], [1000.0, 1.0, 0.001])], x_label="x", y_label="norm")
    assert steep.y_label == "norm (log scale)"
    assert chart("nothing", [Series("a", [1], [None])], x_label="x", y_label="y") is None


# -- The page


class _Reader(HTMLParser):
    """Collects what a page loads, its open tags and its text."""

    void = {"meta", "img", "input", "wbr", "link", "br"}  # noqa: RUF012

    def __init__(self) -> None:
        super().__init__()
        self.stack, self.tags, self.loads, self.texts, self.metas = [], [], [], [], []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag == "meta":
            self.metas.append(dict(attrs))
        self.loads += [value for name, value in attrs if name in ("src", "href", "srcset", "data", "action")]
        if tag not in self.void:
            self.stack.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.tags.append(tag)

    def handle_endtag(self, tag):
        assert self.stack.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def read(path) -> _Reader:
    reader = _Reader()
    reader.feed(path.read_text(encoding="utf-8"))
    reader.close()
    assert reader.stack == []
    return reader


def test_page_is_self_contained_and_tells_the_run(tmp_path):
    run = report(tmp_path)
    run.real(images(4))
    for step in range(1, 31):
        speed = {"steps_per_second": 2.0, "images_per_second": 128.0} if step > 1 else {}
        run.log(step, {"images": step * 64, "seconds": step / 2, **speed, "d_loss": 1 / step, "r1": 0.1, "odd": 3})
        run.preview(images(4), step)
    page = read(run.write_html("running"))
    assert page.loads
    assert all(load.startswith("data:image/png;base64,") for load in page.loads)
    source = (tmp_path / "report.html").read_text()
    assert not re.search(r"https?:|//\w|@import|url\(", re.sub(r"data:image/png;base64,[\w+/=]+", "", source))
    text = " ".join(page.texts)
    for piece in (
        "cats & <dogs>",
        "12,345 images · 16 × 16 pixels, color · 2 classes",
        "cat, <dog>",
        "1,920 of 6,400 real images shown (30 %)",
        "35 s",  # left: 4,480 images at 128 a second
        "step 30 · after 1,920 real images",
        "Losses",
        "Gradient penalties",
        "real images per second",
        "broken<1>.png",
        "gen.tasks.gan:Gan",
        "<script>alert(1)</script>",
        f"python -m gen.sample --workdir {tmp_path} --seeds 0-7 --label all --grid --out samples",
    ):
        assert piece in text, piece
    assert page.tags.count("script") == 1
    assert page.tags.count("img") == 9 + 1  # every 4th of 30 previews and the last, and the real images
    captions = re.findall(r'data-caption="step (\d+) ', source)
    assert captions[0] == "1"
    assert captions[-1] == "30"
    assert {"http-equiv": "refresh", "content": str(REFRESH_SECONDS)} in page.metas


def test_page_of_a_run_that_ended_does_not_reload(tmp_path):
    run = report(tmp_path)
    for status in ("finished", "interrupted", "stopped because d_loss is not finite"):
        page = read(run.write_html(status))
        assert status in page.texts
        assert not any(meta.get("http-equiv") == "refresh" for meta in page.metas)


def test_page_works_before_anything_happened_and_without_labels():
    summary = RunSummary(
        "run", "running", {}, {"name": "x", "num_train": 1}, [], [], None, datetime.datetime(2026, 1, 2)
    )
    text = render(summary)
    assert "no labels" in text
    assert "--label" not in text


def test_a_long_run_encodes_one_picture_a_preview_and_keeps_only_those_that_it_shows(tmp_path, monkeypatch):
    embedded: list[int] = []
    embed = report_module._embed
    monkeypatch.setattr(report_module, "_embed", lambda path, step: embedded.append(step) or embed(path, step))
    run = report(tmp_path)
    for step in range(1, 70):
        run.preview(images(1), step)
        run.write_html("running")
        assert len(run._pictures) <= report_module.MAX_PREVIEWS
        assert f"step {step:,} ·" in (tmp_path / "report.html").read_text()
    assert embedded == list(range(1, 70))


def test_large_previews_do_not_make_a_large_page(tmp_path):
    run = report(tmp_path)
    for step in range(1, 4):
        run.preview(images(16, side=192), step)
        assert (tmp_path / "previews" / f"{step:09d}.png").stat().st_size > 1_000_000
    assert run.write_html("running").stat().st_size < 3 * 400_000


def test_an_evaluation_is_shown_and_how_the_run_ended_is_known_later(tmp_path):
    report(tmp_path).log(50, {"images": 3200})
    again = report(tmp_path)
    assert again.status == "interrupted"
    assert "Quality and variety" not in again.write_html(again.status).read_text()
    (tmp_path / "evaluation").mkdir()
    (tmp_path / "evaluation" / "section.html").write_text("<p>FD-own 1.5</p>")
    again.log(100, {"images": 6400})
    assert again.status == "finished"
    page = again.write_html(again.status).read_text()
    assert "<h2>Quality and variety</h2><p>FD-own 1.5</p></section>" in page


def test_a_page_is_utf8_and_shows_any_name(tmp_path):
    names = ["caf\udce9", "\x1b[31mred", "<b>x</b> & q"]
    data = DATA | {"class_names": names, "skipped": [{"file": "a/\udcff.png", "reason": "no \udcff"}], "path": "\udce9"}
    path = Report(tmp_path, config_json=json.dumps(CONFIG | {"note": "\udce9"}), data_metadata=data).write_html(
        "finished"
    )
    text = path.read_bytes().decode("utf-8")
    for shown in ("caf\\xe9", "\\x1b[31mred", "&lt;b&gt;x&lt;/b&gt; &amp; q", "a/\\xff.png", "no \\xff"):
        assert shown in text
    assert "\x1b" not in text
