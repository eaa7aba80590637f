"""The cards of a run: what is known is in them, nothing else, and no name in them becomes markup."""

from __future__ import annotations

import dataclasses
import html
import json
import re

import pytest
import tiny
import yaml
from untrained import untrained

from gen.config import digest, spec
from gen.errors import InputError
from gen.evaluation import results
from gen.evaluation.results import MetricResult
from gen.files import printable
from gen.publishing import cards, facts
from gen.publishing.front_matter import front_matter
from gen.publishing.markdown import cell, code, escaped
from gen.runs import sessions, trained_run
from gen.runs.run_folder import RunFolder
from gen.runs.sessions import Session
from gen.tasks.autoencoder import Autoencoder

markdown_it = pytest.importorskip("markdown_it")
PARSER = markdown_it.MarkdownIt("gfm-like", {"linkify": False})

HOSTILE = [
    *("<script>alert(1)</script>", "a | b", "`code` and ``more``", "line\nnext", "# heading", "- item", "1. item"),
    *("[link](http://x.example)", "![image](x.png)", "*bold* _thin_ ~gone~", "&amp; &lt;", "\\", "`", "$x$", "@user"),
    *(
        "---",
        "...",
        "yes",
        "1e-05",
        "2026-01-01",
        "!!python/object:os.system",
        "{a: 1}",
        "🙂 шапка",
        "\x00\x1b[31m",
        " ",
    ),
    *(
        "key: value",
        '"quoted"',
        "'single'",
        "| |",
        "<!-- x -->",
        "\u2028",
        "+ plus",
        "http://x.example",
        "a\\|b",
        "trailing\\",
    ),
]


def text_of(markdown: str) -> str:
    """The text that a reader sees of a paragraph, or of the first cell of a table."""
    found = re.search(r"<(p|td)>(.*?)</\1>", PARSER.render(markdown), re.DOTALL)
    inner = found[2] if found else ""
    assert not re.search(r"<(?!/?code>)", inner), inner
    return html.unescape(re.sub(r"</?code>", "", inner))


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_no_name_becomes_markup(text):
    seen = printable(text)
    assert text_of(f"x {escaped(text)} x").split() == ["x", *seen.split(), "x"]
    assert text_of(f"{escaped(text)} x").split() == [*seen.split(), "x"]
    assert text_of(f"x {code(text)} x").split() == ["x", *seen.split(), "x"]
    for made in (cell(text), escaped(text)):
        assert text_of(f"| {made} | y |\n| --- | --- |\n| {made} | y |").strip() == seen.strip()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_front_matter_holds_any_text(text):
    fields = {"name": text, "list": [text, {"a": text, "b": 1}], "nested": {"list": [{"deep": [text]}]}}
    shown = printable(text)
    wanted = {"name": shown, "list": [shown, {"a": shown, "b": 1}], "nested": {"list": [{"deep": [shown]}]}}
    assert parsed(front_matter(fields)) == wanted


def test_front_matter_keeps_numbers_and_leaves_out_what_is_empty():
    fields = {"a": 1e-05, "b": 1e22, "c": -2.5, "d": 3, "e": True, "f": None, "g": [], "h": {}}
    assert parsed(front_matter(fields)) == {"a": 1e-05, "b": 1e22, "c": -2.5, "d": 3, "e": True}


def parsed(card: str) -> dict:
    before, front, _ = re.split(r"^---\n", card, maxsplit=2, flags=re.MULTILINE)
    assert before == ""
    return yaml.safe_load(front)


@pytest.fixture(scope="module")
def gan(tmp_path_factory):
    return untrained(tmp_path_factory.mktemp("cards") / "shapes", tiny.task_spec(), steps=(3, 5))


def copied(run, to):
    """A copy of a run that may be changed."""
    for path in (path for path in run.rglob("*") if path.is_file() and path.suffix != ".md"):
        target = to / path.relative_to(run)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(path.read_bytes())
    return to


def evaluated(run, *, step: int = 5, **values: float):
    """Writes an evaluation of these metrics."""
    subject = {"run": run.name, "config_digest": digest(RunFolder(run).read_config()), "step": step, "truncation": 0.8}
    shared = {"extractor": "own", "extractor_digest": "e" * 64, "resize": "none", "split": "train", "num_samples": 200}
    shared |= {"num_references": 64, "seed": 0, "data_digest": "d" * 64, "settings": {"k": 3}, "subject": subject}
    found = [
        MetricResult(metric=name, value=value, low=value - 0.1, high=value + 0.1, better="lower", **shared)
        for name, value in values.items()
    ]
    (run / "evaluation").mkdir(exist_ok=True)
    results.write(run / "evaluation" / "evaluation.json", found)


def test_the_model_card_says_what_is_known(gan, tmp_path):
    run = copied(gan, tmp_path / "my | run")
    for first, last, kind in ((0, 3, "8 x H200"), (3, 5, "1 x cpu (2 cores)")):
        common = {"software": "gen 0.1.0, jax 0.10.2", "command": "python -m gen.main", "status": "finished"}
        ended = "2026-01-02T03:04:05+00:00"
        sessions.append(RunFolder(run), Session(first_step=first, last_step=last, devices=kind, ended=ended, **common))
    (run / "metrics.jsonl").write_text('{"step": 5, "images": 40, "seconds": 200.0}\n')
    evaluated(run, **{"FD-own": 3.25, "memorized": 0.012, "memorized-p": 0.4})
    cards.renew(run)
    text = (run / "MODEL_CARD.md").read_text()
    model = trained_run.load(run)
    for known in (model.weights_digest, digest(model.config), model.data_metadata["digest"]):
        assert f"`{known}`" in text
    for known in (
        *(
            "`8 x H200`, then `1 x cpu (2 cores)`",
            "3 min 20 s",
            "| Audit of the data | not audited |",
            "16 × 16 pixels",
        ),
        *(
            "| `FD-own` | 3.25 | 3.15 .. 3.35 | lower | 200 against 64 real ones (train) | `own (eeeeeeeeeeee)`",
            "`k=3`",
        ),
        *("No sign of copies: 1.2% of 200 samples", "python -m gen.verify", "`truncation 0.8`", "my \\| run"),
    ):
        assert known in text
    front = parsed(text)
    assert (front["library_name"], front["pipeline_tag"]) == ("gen", "unconditional-image-generation")
    assert "license" not in front  # which nobody stated
    (entry,) = front["model-index"]
    (result,) = entry["results"]
    assert result["task"]["type"] == front["pipeline_tag"]
    assert result["dataset"]["name"] == "shapes"
    assert result["metrics"][0]["value"] == 3.25
    assert result["metrics"][0]["args"]["high"] == pytest.approx(3.35)


def test_copied_images_are_told(gan, tmp_path):
    run = copied(gan, tmp_path / "run")
    evaluated(run, **{"memorized": 0.9, "memorized-p": 1e-12})
    assert "Training images are copied: 90.0%" in cards.model_card(facts.read(RunFolder(run)), folder="x")


def test_what_was_not_measured_or_recorded_is_said(gan):
    text = cards.model_card(facts.read(RunFolder(gan)), folder="x")
    for missing in ("Not measured yet", "**Memorization.** Not measured.", "| Time | not recorded |"):
        assert missing in text
    assert "model-index" not in parsed(text)


def test_an_evaluation_of_another_checkpoint_is_no_result_of_this_one(gan, tmp_path):
    run = copied(gan, tmp_path / "run")
    evaluated(run, step=3, **{"FD-own": 1.0})
    text = cards.model_card(facts.read(RunFolder(run)), folder="x")
    assert "Checkpoint 3, which is another one, was measured" in text
    assert "model-index" not in parsed(text)
    older = cards.model_card(facts.read(RunFolder(run), step=3), folder="x")
    assert "This checkpoint was measured" in older
    path = run / "evaluation" / "evaluation.json"
    path.write_text(path.read_text().replace(digest(RunFolder(run).read_config()), "0" * 64))
    assert "Not measured yet" in cards.model_card(facts.read(RunFolder(run)), folder="x")


def test_the_data_card_says_what_is_known(gan, tmp_path):
    run = copied(gan, tmp_path / "run")
    folder = RunFolder(run)
    names = ["<b>circle</b>", "a|b", *map(str, range(6))]
    left_out = {"skipped": [{"file": "private.jpg", "reason": "too | small"}] * 3}
    folder.write_metadata(folder.read_metadata() | {"class_names": names, "name": "`x`\n# y"} | left_out)
    cards.renew(run)
    text = (run / "DATA_CARD.md").read_text()
    front = parsed(text)
    assert front["pretty_name"] == "`x`\\n# y"
    assert front["size_categories"] == ["n<1K"]
    assert front["task_categories"] == ["unconditional-image-generation", "image-classification"]
    for known in ("64 images to train on, and 8 held out", "`<b>circle</b>`, `a|b`", r"| `too \| small` | 3 |"):
        assert known in text
    assert "private.jpg" not in text
    folder.write_metadata(folder.read_metadata() | {"name": "folder", "options": {"folder": "my pictures"}})
    assert parsed(cards.data_card(facts.read(folder)))["pretty_name"] == "my pictures"
    assert "<b>" not in PARSER.render(text.split("---\n", 2)[2]).replace("<code>&lt;b&gt;", "")


def test_a_model_that_only_reconstructs_is_described_as_that(tmp_path):
    task = spec(Autoencoder, network=tiny.tokenizer(), schedule_images=1)
    text = cards.model_card(facts.read(RunFolder(untrained(tmp_path / "run", task))), folder="x")
    assert "An autoencoder (FSQ codes) that turns images into codes and back" in text
    assert parsed(text)["pipeline_tag"] == "image-feature-extraction"
    assert "show(model.reconstruct(images))" in text


def test_a_card_that_a_person_changed_stays(gan, tmp_path, caplog):
    run = copied(gan, tmp_path / "run")
    cards.renew(run)
    first = {name: (run / name).read_text() for name in (cards.MODEL, cards.DATA)}
    (run / cards.MODEL).write_text("license: mit\n" + first[cards.MODEL])
    evaluated(run, **{"FD-own": 1.0})
    cards.renew(run)
    assert (run / cards.MODEL).read_text() == "license: mit\n" + first[cards.MODEL]
    assert "MODEL_CARD.md was changed by hand, and stays as it is" in caplog.text
    (run / cards.MODEL).unlink()
    cards.renew(run)
    assert "FD-own" in (run / cards.MODEL).read_text()
    assert cards.is_own(run / cards.MODEL)
    (run / cards.DATA).write_text("")
    assert not cards.is_own(run / cards.DATA)
    assert not cards.is_own(run)


def test_a_link_in_the_place_of_a_card_is_not_followed(gan, tmp_path):
    run = copied(gan, tmp_path / "run")
    cards.renew(run)
    (tmp_path / "elsewhere.md").write_bytes((run / cards.MODEL).read_bytes())
    (run / cards.MODEL).unlink()
    (run / cards.MODEL).symlink_to(tmp_path / "elsewhere.md")
    assert not cards.is_own(run / cards.MODEL)


def test_a_folder_without_a_checkpoint_gets_no_cards(gan, tmp_path):
    run = copied(gan, tmp_path / "run")
    (run / "checkpoints").rename(tmp_path / "gone")
    cards.renew(run)
    assert not (run / cards.MODEL).exists()
    with pytest.raises(InputError, match="has no checkpoint yet"):
        facts.read(RunFolder(run))


def test_sessions_that_were_trained_anew_are_replaced(tmp_path):
    folder = RunFolder(tmp_path)
    first = Session(first_step=0, last_step=4, devices="a", software="s", command="", ended="2026", status="finished")
    for begins in (0, 4, 8, 4):
        sessions.append(folder, dataclasses.replace(first, first_step=begins))
    assert [session.first_step for session in sessions.read(folder)] == [0, 4]
    (tmp_path / "training.json").write_text(json.dumps({"sessions": [{"first_step": "0"}]}))
    with pytest.raises(InputError, match=r"training.json is damaged: session 1 has not the fields"):
        sessions.read(folder)
    sessions.append(folder, first)
    assert sessions.read(folder) == [first]
