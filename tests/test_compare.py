"""gen.compare: the page that it writes, what it refuses, and samples by the same seeds."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tiny
from untrained import untrained
from written_runs import result, write_run

from gen import api, compare
from gen.cli import parse
from gen.compare import CompareOptions
from gen.comparing import pictures
from gen.errors import InputError


@pytest.fixture(autouse=True)
def _here(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)


def options(*arguments) -> CompareOptions:
    return parse(["compare", *map(str, arguments)], CompareOptions)


def test_it_writes_one_page_here_says_where_and_changes_no_run(capsys):
    runs = [write_run(Path("sweep") / name, seed=i, found=[result(value=i)]) for i, name in enumerate("ab")]
    before = {path: path.read_bytes() for path in Path("sweep").rglob("*") if path.is_file()}
    compare.main(options("sweep"))
    assert capsys.readouterr().out == "compare.html\n"
    html = Path("compare.html").read_text(encoding="utf-8")
    assert all(f"</i>{run.name}" in html for run in runs)
    assert re.search(r"<td>seed</td><td>0</td><td>1</td>", html)
    assert not re.search(r'(href|src)="(?!data:)', html)  # one file that loads nothing
    assert {path: path.read_bytes() for path in Path("sweep").rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(("by", "label"), [("step", "step"), ("images", "real images shown"), ("seconds", "seconds")])
def test_curves_are_drawn_over_what_is_asked_for(by, label):
    write_run(Path("a"))
    html = compare.compare(CompareOptions(runs=["a"], by=by)).read_text(encoding="utf-8")
    assert f'aria-label="loss over {label}' in html


def test_its_own_page_is_replaced_and_no_other_file():
    write_run(Path("a"))
    out = Path("pages/all.html")
    assert compare.compare(CompareOptions(runs=["a"], out=out)) == out
    compare.compare(CompareOptions(runs=["a"], by="images", out=out))
    assert "real images shown" in out.read_text(encoding="utf-8")
    out.write_text(out.read_text(encoding="utf-8") + "my notes", encoding="utf-8")
    with pytest.raises(InputError, match=r"--out: pages/all\.html is there, not written by gen or changed since"):
        compare.compare(CompareOptions(runs=["a"], out=out))
    assert out.read_text(encoding="utf-8").endswith("my notes")


def test_a_page_of_another_program_is_not_replaced():
    from gen.outputs import manifest

    write_run(Path("a"))
    manifest.write(Path("audit.html"), b"of gen.audit")
    with pytest.raises(InputError, match=r"audit\.html is there"):
        compare.compare(CompareOptions(runs=["a"], out="audit.html"))
    assert Path("audit.html").read_bytes() == b"of gen.audit"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "no runs: name run folders"),
        (["b"], "b: there is no such folder"),
        (["a", "--out", "page.txt"], "gen.compare cannot write that; allowed: a .html file"),
        (["a", "--by", "time"], "--by=time; it must be one of step, images, seconds"),
        (["a", "--samples", "65"], "it must be a whole number from 0 to 64"),
        (["a", "--samples", "2"], "a"),  # no checkpoint there
    ],
)
def test_bad_input_is_refused_in_one_line(arguments, message):
    write_run(Path("a"))
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        compare.compare(options(*arguments))
    assert "\n" not in str(caught.value)
    assert not list(Path().glob("*.html"))


def test_the_exit_code_of_bad_input_is_2():
    write_run(Path("a"))
    (Path("a") / "config.json").write_text("{")
    command = [sys.executable, "-m", "gen.compare", "a"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (2, "")
    assert len(done.stderr.splitlines()) == 1
    assert "a/config.json" in done.stderr


def test_samples_are_those_of_the_best_checkpoint_by_the_seeds_from_0(tmp_path, monkeypatch):
    flow = untrained(tmp_path / "flow", tiny.flow_spec(), steps=(3, 5))
    coder = untrained(tmp_path / "coder", tiny.autoencoder_spec(network=tiny.tokenizer()))
    drawn = list[pictures.Samples]()
    strips = pictures.strips
    monkeypatch.setattr(pictures, "strips", lambda samples: drawn.extend(samples) or strips(samples))
    html = compare.compare(CompareOptions(runs=[flow, coder], samples=3)).read_text(encoding="utf-8")
    assert [each.words for each in drawn] == ["step 5", "step 3: this model only reconstructs"]
    np.testing.assert_array_equal(drawn[0].images, api.load(flow).sample([0, 1, 2]))
    assert len(drawn[1].images) == 0
    assert html.count('src="data:image/webp;base64,') == 1
    assert "<span>0</span><span>1</span><span>2</span>" in html
