"""What is read of a run folder."""

import pytest
from written_runs import LINES, result, write_run

from gen.comparing.runs import curves_of, read
from gen.errors import InputError
from gen.report.curves import Series


def test_a_run_is_read_with_all_that_it_has(tmp_path):
    path = write_run(tmp_path / "run", batch_size=16, found=[result()], previews=(9, 100))
    run = read(path, "it", by="images")
    assert run.config["batch_size"] == 16
    assert run.config["task.call"].endswith("Gan")
    assert run.curves == {"loss": Series("it", [8, 16, 32], [10.0, 5.0, 2.5])}
    assert run.last["seconds"] == 2.0
    assert run.results == {"FD-own": result(time=run.results["FD-own"].time)}
    assert list(run.previews) == [9, 100]
    assert run.fault == ""


def test_curves_are_of_what_has_finite_values_over_what_the_line_says():
    lines = [
        {"step": 1, "a": 1.0, "never": None},
        {"step": 2, "images": 8, "a": None},
        {"step": 3, "images": 9, "a": 2},
    ]
    assert curves_of(lines, "x", by="step") == {"a": Series("x", [1, 2, 3], [1.0, None, 2])}
    assert curves_of(lines, "x", by="images") == {"a": Series("x", [8, 9], [None, 2])}
    assert curves_of(lines, "x", by="seconds") == {}


def test_long_curves_are_thinned_with_their_peak_and_their_end():
    lines = [{"step": step, "loss": 7.0 if step == 777 else 1 / step} for step in range(1, 10_001)]
    curve = curves_of(lines, "x", by="step")["loss"]
    assert len(curve.x) <= 500
    assert (777, 7.0) in zip(curve.x, curve.y, strict=True)
    assert (curve.x[-1], curve.y[-1]) == (10_000, 1e-4)


def test_a_young_run_has_nothing_but_its_config(tmp_path):
    path = write_run(tmp_path / "run", lines=[])
    (path / "metrics.jsonl").unlink()
    (path / "data.json").unlink()
    run = read(path, "it", by="step")
    assert (run.curves, run.last, run.results, run.previews, run.data, run.fault) == ({}, {}, {}, {}, {}, "")


def test_damaged_lines_are_told_and_the_rest_is_read(tmp_path):
    path = write_run(tmp_path / "run")
    text = (path / "metrics.jsonl").read_text().splitlines()
    (path / "metrics.jsonl").write_text("\n".join([text[0], "{broken", *text[1:]]) + "\n")
    run = read(path, "it", by="step")
    assert run.curves["loss"].x == [line["step"] for line in LINES]
    assert run.fault == "line 2 is no record of a later step"


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("config.json", "{", "config.json"),
        ("config.json", '{"batch_sise": 3}', "unknown field 'batch_sise'"),
        ("data.json", "[]", "data.json is damaged"),
        ("evaluation/evaluation.json", "{}", "is not an evaluation of gen"),
    ],
)
def test_a_broken_run_is_refused_in_a_line_that_names_it(tmp_path, name, content, message):
    path = write_run(tmp_path / "run", found=[result()])
    (path / name).write_text(content)
    with pytest.raises(InputError, match=message) as caught:
        read(path, "it", by="step")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_folder_with_links_shows_no_file_from_elsewhere(tmp_path):
    path = write_run(tmp_path / "run", previews=(1,))
    (path / "previews" / "2.png").symlink_to(tmp_path / "private.png")
    with pytest.raises(InputError, match="is a link"):
        read(path, "it", by="step")
