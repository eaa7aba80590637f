"""Results: they come back as they were, and are compared only where all that matters is equal."""

from __future__ import annotations

import dataclasses
import datetime
import json
import math

import pytest
from comparisons import comparison

from gen import __version__
from gen.errors import InputError
from gen.evaluation import measure, results
from gen.evaluation.results import MetricResult, better_of, compare

DIGEST = "0123456789abcdef" * 4
RESULT = MetricResult(
    metric="FD-own",
    value=3.5,
    low=3.0,
    high=4.25,
    better="lower",
    extractor="own",
    extractor_digest=DIGEST,
    resize="linear to 32 x 32",
    split="train",
    num_samples=1000,
    num_references=2000,
    seed=0,
    data_digest="f" * 64,
    settings={"k": 3},
    subject={"step": 10},
)


def like(**changes) -> MetricResult:
    return dataclasses.replace(RESULT, **changes)


def test_a_result_says_all_that_a_number_depends_on(tmp_path):
    asked = comparison()
    found = measure(asked, groups=("neighbors",))
    results.write(tmp_path / "evaluation.json", found)
    entry = json.loads((tmp_path / "evaluation.json").read_text())[0]
    assert entry | {"time": ""} == {
        "metric": "precision",
        "value": found[0].value,
        "low": found[0].low,
        "high": found[0].high,
        "better": "higher",
        "extractor": "own",
        "extractor_digest": asked.extractor.digest,
        "resize": "none at all",
        "split": "train",
        "num_samples": 60,
        "num_references": 150,
        "seed": 0,
        "data_digest": asked.reference.digest,
        "settings": {"k": 3},
        "subject": {"step": 7},
        "version": __version__,
        "time": "",
    }
    made = datetime.datetime.fromisoformat(entry["time"])
    assert abs((datetime.datetime.now(datetime.UTC) - made).total_seconds()) < 60


def test_results_come_back_as_they_were(tmp_path):
    given = [RESULT, like(metric="KD-own", value=-1e-9, low=None, high=None), like(metric="IS-own", value=math.nan)]
    path = tmp_path / "evaluation" / "evaluation.json"
    path.parent.mkdir()
    results.write(path, given)
    for place in (path, path.parent, tmp_path):
        found = results.read(place)
        assert found[:2] == given[:2]
        assert math.isnan(found[2].value)


@pytest.mark.parametrize(
    "text",
    [
        *("", "{", "{}x", '{"a": 1}', "[1]", '[{"metric": "FID"}]', '["a"]', b"\xff\xfe"),
        *("[" * 100_000, '[{"seed": NaN}]', '[{"seed": 1, "seed": 2}]', "result with a word", "result with a list"),
    ],
)
def test_what_is_no_evaluation_is_refused_in_one_line(tmp_path, text):
    path = tmp_path / "evaluation.json"
    if text == "result with a word":
        text = json.dumps([dataclasses.asdict(like(value="good"))])
    if text == "result with a list":
        text = json.dumps([dataclasses.asdict(like(metric=["a"]))])
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="is not an evaluation of gen") as caught:
        results.read(path)
    assert "\n" not in str(caught.value)


def test_an_evaluation_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"no evaluation there; python -m gen\.evaluate makes one"):
        results.read(tmp_path)


@pytest.mark.parametrize(
    ("field", "other", "shown"),
    [
        ("extractor", "fid", "own in one, fid in the other"),
        ("extractor_digest", "9" * 64, r"0123456789ab\.\.\. in one, 999999999999\.\.\. in the other"),
        ("resize", "bilinear", "linear to 32 x 32 in one, bilinear"),
        ("split", "held_out", "train in one, held_out"),
        ("num_samples", 999, "1000 in one, 999"),
        ("num_references", 1999, "2000 in one, 1999"),
        ("data_digest", "a" * 64, r"ffffffffffff\.\.\. in one"),
        ("settings", {"k": 5}, "'k': 3"),
    ],
)
def test_results_that_differ_in_what_matters_are_not_compared(field, other, shown):
    with pytest.raises(InputError, match=f"FD-own: these numbers do not compare: {field} is .*{shown}"):
        compare([like(metric="recall"), RESULT], [like(metric="recall"), like(**{field: other})])


@pytest.mark.parametrize("change", [{"seed": 4}, {"subject": {"step": 20}}, {"time": "later"}, {"version": "9"}])
def test_what_is_measured_may_differ(change):
    other = like(value=9.0, **change)
    assert compare([RESULT], [like(metric="x"), other]) == [(RESULT, other)]


def test_nothing_in_common():
    with pytest.raises(InputError, match="nothing to compare: one has FD-own, the other no metrics"):
        compare([RESULT], [])


def test_settings_count_as_they_are_stored(tmp_path):
    results.write(tmp_path / "a.json", [like(settings={"levels": (1, 2)})])
    assert compare([like(settings={"levels": (1, 2)})], results.read(tmp_path / "a.json"))


def test_the_better_one_is_named_only_where_intervals_do_not_overlap():
    worse = like(value=9.0, low=5.0, high=12.0)
    assert (better_of(RESULT, worse), better_of(worse, RESULT)) == ("first", "second")
    assert better_of(like(better="higher"), dataclasses.replace(worse, better="higher")) == "second"
    assert better_of(RESULT, like(value=9.0, low=4.25, high=12.0)) == ""
    assert better_of(like(better="neither"), worse) == ""
    assert better_of(RESULT, dataclasses.replace(worse, low=None, high=None)) == ""


def test_the_table_has_value_interval_direction_and_sizes():
    table = results.table(
        [RESULT, like(metric="Vendi-own-q1", low=None, better="higher", num_references=0, value=123456.0)]
    )
    assert [" ".join(line.split()) for line in table.splitlines()[1:]] == [
        "FD-own 3.5 3 .. 4.25 lower 1,000 vs 2,000 train",
        "Vendi-own-q1 1.235e+05 higher 1,000",
    ]
